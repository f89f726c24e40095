"""The verifier: reads a piece of evidence and a claim together and says "True" or "False" (SERAC's FC, section 4).

For edits without a target, whose prompt is the evidence. It weighs the two verdicts alone and never answers with a
span. Whether the evidence bears on the claim at all is the scope classifier's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from errata.counterfactual import check_pairs
from errata.edit import Edit, Match
from errata.models import Model
from errata.models.pair import PairNetwork, open_pair
from errata.models.saving import Saved, resolve


class Verifier(Saved):
    """A counterfactual model for fact checking that answers "True" or "False".

    Args:
        folder: a trained network of shape "pair"; the cross scope classifier's own, and then one pass does both.
        runtime: see `open_runtime`.

    Example:
        >>> verifier = Verifier.from_pretrained()  # doctest: +SKIP
        >>> edit = Edit(prompt="The mill has six wheels.")
        >>> verifier.respond(["The mill has more than four wheels."], [Match(edit, 1.0)], base)  # doctest: +SKIP
        ['True']
    """

    def __init__(self, folder: Path, *, runtime: str = "auto") -> None:
        self.folder = folder
        self.network: PairNetwork = open_pair(folder, runtime)

    @classmethod
    def from_pretrained(cls, name: str | Path = "verifier", *, revision: str | None = None, **options: Any) -> Self:
        """Load a shipped part ("verifier"), a folder, or a hub id."""
        return cls(resolve(name, revision=revision), **options)

    def check(self, edit: Edit) -> None:
        """Accept any edit: evidence is its prompt, and where it has a target both are read."""

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        """See Counterfactual."""
        texts = check_pairs(inputs, matches)
        triples = [(text, match.edit.prompt, match.edit.target) for text, match in zip(texts, matches, strict=True)]
        return [str(reading.verdict > 0) for reading in self.network.read(triples)]
