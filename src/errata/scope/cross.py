"""Cross: input and edit descriptor read together, every edit of the memory for every input (SERAC, section 3.1).

Exact and slow: its cost grows with the memory. The cascade reads only the edits that a dual classifier retrieved.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Match, own
from errata.models.pair import PairNetwork, Triple, open_pair
from errata.models.saving import Saved, resolve


class CrossScope(Saved):
    """The cross scope classifier. It has no vectors: all edits are equally near, and each is read.

    Args:
        folder: a trained network of shape "pair".
        runtime: see `open_runtime`.

    Example:
        >>> CrossScope.from_pretrained("pair").k is None  # doctest: +SKIP
        True
    """

    k: int | None = None
    dimension = 1
    fingerprint = "cross-no-vectors"

    def __init__(self, folder: Path, *, runtime: str = "auto") -> None:
        self.folder = folder
        self.network: PairNetwork = open_pair(folder, runtime)

    @classmethod
    def from_pretrained(cls, name: str | Path = "pair", *, revision: str | None = None, **options: Any) -> Self:
        """Load a shipped part ("pair"), a folder, or a hub id."""
        return cls(resolve(name, revision=revision), **options)

    def encode_inputs(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """See Scope; zeros."""
        return np.zeros((len(inputs), 1), np.float32)

    def encode_edits(self, edits: Sequence[Edit]) -> NDArray[np.float32]:
        """See Scope; zeros."""
        return np.zeros((len(edits), 1), np.float32)

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        """See Scope."""
        return rank(self.network, inputs, [[found.edit for found in row] for row in candidates])


def rank(network: PairNetwork, inputs: Sequence[str], edits: Sequence[Sequence[Edit]]) -> list[list[Match]]:
    """Each input's edits with the probability that reading the two together gives, best first, ties by id.

    An edit's own prompt is in its scope (SERAC, section 2), whatever a network makes of it.
    """
    triples: list[Triple] = [
        (text, edit.prompt, edit.target) for text, row in zip(inputs, edits, strict=True) for edit in row
    ]
    readings = iter(network.read(triples))
    judged = [
        [Match(edit, max(next(readings).probability, float(own(text, edit)))) for edit in row]
        for text, row in zip(inputs, edits, strict=True)
    ]
    return [sorted(row, key=best_first) for row in judged]


def best_first(match: Match) -> tuple[float, str]:
    """Sort key: the higher score first, equal scores by the edit's id."""
    return -match.score, match.edit.id
