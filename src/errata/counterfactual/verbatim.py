"""Verbatim: whatever is in an edit's scope is answered with its target, word for word (look-up's answer).

It reads no input, so it is right where all inputs in scope have the edit's own answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from errata.counterfactual import check_pairs
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
