"""Verbatim: whatever is in an edit's scope is answered with its target, word for word (look-up's answer).

It reads no input, so it is right where all inputs in scope have the edit's own answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

from errata.counterfactual import SETTINGS, check_pairs, read_settings, write_settings
from errata.edit import Edit, Match
from errata.errors import UnsupportedEdit
from errata.models import Model


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Answers with the target (implements `errata.counterfactual.Counterfactual`).

    Args:
        untold: the answer under an edit without a target, such as a piece of evidence, which a claim near it is taken
            to repeat; "" refuses such edits.
    """

    untold: str = ""

    def check(self, edit: Edit) -> None:
        """Refuse an edit that says no answer.

        Raises:
            UnsupportedEdit: it has no target, and there is no `untold`.
        """
        if not edit.target.strip() and not self.untold:
            raise UnsupportedEdit(f"edit {edit.id} has no target, and look-up has no other answer to give; add one")

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        """See Counterfactual."""
        check_pairs(inputs, matches)
        return [match.edit.target if match.edit.target.strip() else self.untold for match in matches]

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Save the settings in `folder`.

        Raises:
            ModelError: the file cannot be written.
        """
        write_settings(folder, "verbatim", asdict(self))

    @classmethod
    def from_pretrained(cls, folder: str | PathLike[str]) -> Self:
        """What was saved in `folder`.

        Raises:
            ModelError, ConfigError: the file is missing or damaged, or another kind's.
        """
        return cls(**read_settings(Path(folder) / SETTINGS, "verbatim", ("untold",)))
