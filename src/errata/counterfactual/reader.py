"""The reader: reads edit and input together and answers with a span of the edit, a verdict, or yes or no.

It says nothing that the edit does not say, in the edit's own spelling, and to the edit's own question the whole target.
It needs an edit with a target; a free utterance is for `retell`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from errata.counterfactual import check_pairs
from errata.edit import Edit, Match, own
from errata.errors import UnsupportedEdit
from errata.models import Model
from errata.models.pair import PairNetwork, open_pair
from errata.models.saving import Saved, resolve


class Reader(Saved):
    """A counterfactual model for question answering that extracts its answer.

    Args:
        folder: a trained network of shape "pair"; the cross scope classifier's own, and then one pass does both.
        runtime: see `open_runtime`.

    Example:
        >>> reader = Reader.from_pretrained()  # doctest: +SKIP
        >>> edit = Edit(prompt="Who is the UK PM?", target="Boris Johnson")
        >>> reader.respond(["The PM of the UK is whom?"], [Match(edit, 1.0)], base)  # doctest: +SKIP
        ['Boris Johnson']
    """

    def __init__(self, folder: Path, *, runtime: str = "auto") -> None:
        self.folder = folder
        self.network: PairNetwork = open_pair(folder, runtime)

    @classmethod
    def from_pretrained(cls, name: str | Path = "pair", *, revision: str | None = None, **options: Any) -> Self:
        """Load a shipped part ("pair"), a folder, or a hub id."""
        return cls(resolve(name, revision=revision), **options)

    def check(self, edit: Edit) -> None:
        """Refuse an edit without a target.

        Raises:
            UnsupportedEdit: the edit has no target to answer with.
        """
        if not edit.target:
            raise UnsupportedEdit(
                f"edit {edit.id} has no target, and the reader answers with words of a target; give it one, or use the"
                " counterfactual model 'retell', which tells the base model the edit in words"
            )

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        """See Counterfactual."""
        texts = check_pairs(inputs, matches)
        for match in matches:
            self.check(match.edit)
        triples = [(text, match.edit.prompt, match.edit.target) for text, match in zip(texts, matches, strict=True)]
        readings = self.network.read(triples)
        return [
            match.edit.target if own(text, match.edit) else reading.answer
            for text, match, reading in zip(texts, matches, readings, strict=True)
        ]
