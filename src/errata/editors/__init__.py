"""Editors: one file each, one protocol. An editor never changes its base model nor the editor it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from errata.edit import Answer, Edit


class Editor(Protocol):
    """What every editor has."""

    def edit(self, *edits: Edit) -> Self:
        """A new editor with these edits in force; this one stays as it is."""
        ...

    def generate(self, inputs: Sequence[str], **options: Any) -> list[Answer]:
        """An answer for each input, in order."""
        ...


class OpenEditor(Editor, Protocol):
    """An editor that also tells how likely answers are to it, for problems scored by likelihoods."""

    def token_log_probs(self, inputs: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """Teacher-forced log-probabilities of the whole vocabulary, which is the base model's (SERAC, Equation 7).

        Returns:
            One array of shape (target tokens, vocabulary) a pair, the end of the target included.

        Raises:
            UnsupportedModel: who answers tells no likelihoods, or has another vocabulary than the base model.
        """
        ...

    def target_log_probs(self, inputs: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """The target tokens' own alone, one array of shape (target tokens,) a pair (SERAC, Equation 6).

        Raises:
            UnsupportedModel: as `token_log_probs`.
        """
        ...
