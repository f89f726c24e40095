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
