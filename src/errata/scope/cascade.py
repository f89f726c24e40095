"""Cascade: the dual classifier retrieves the nearest edits, the cross classifier reads them again. The default.

The cost of an input does not grow with the memory: one encoding, one search, and a pass for each candidate that the
dual classifier does not rule out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Match
from errata.errors import ModelError
from errata.models.saving import resolve
from errata.scope.cross import CrossScope, best_first, rank
from errata.scope.dual import DualScope

CLEAR = 0.9
"""A score from which a read candidate is taken without reading those that are far behind it."""
CLOSE = 0.5
"""Share of the best candidate's dual probability from which another is read together with it."""


class CascadeScope:
    """Retrieve with `dual`, judge with `cross`.

    Args:
        dual: retrieves, and rules out what is clearly out of scope.
        cross: judges the rest.
        k: candidates retrieved for an input.
        floor: candidates whose dual probability is lower are not read; that probability is their score.
        wave: how many candidates are read at first, at most; the others only when none of these passes `CLEAR`.
        share: candidates whose dual probability is less than this share of the best one's are not read.

    Example:
        >>> scope = CascadeScope.from_pretrained()  # doctest: +SKIP
        >>> scope.k  # doctest: +SKIP
        6
    """

    def __init__(self, dual: DualScope, cross: CrossScope, *, k: int = 6, floor: float = 0.02, wave: int = 2,
                 share: float = 0.2) -> None:  # fmt: skip
        self.dual, self.cross = dual, cross
        self.k, self.floor, self.wave, self.share = k, floor, wave, share
        self.dimension = dual.dimension

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        pair: str | Path = "pair",
        revision: str | None = None,
        runtime: str = "auto",
        **options: Any,
    ) -> Self:
        """Load the shipped cascade, or a folder or hub id that holds the folders "dual" and "pair".

        Args:
            name: None for the shipped one.
            pair: the shipped one's second stage: a shipped part, a folder or a hub id.
            revision: branch, tag or commit on the hub.
            runtime: see `open_runtime`.
            options: as for the class.

        Raises:
            ModelError: there is no such part, or a folder of it is missing.
        """
        if name is None:
            dual, second = resolve("dual"), resolve(pair)
        else:
            folder = resolve(name, revision=revision)
            dual, second = folder / "dual", folder / "pair"
            if not (dual.is_dir() and second.is_dir()):
                raise ModelError(f"{folder} is no cascade: it needs the folders 'dual' and 'pair'")
        return cls(DualScope(dual, runtime=runtime), CrossScope(second, runtime=runtime), **options)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write both networks into a folder, as "dual" and "pair"."""
        self.dual.save_pretrained(Path(folder) / "dual")
        self.cross.save_pretrained(Path(folder) / "pair")

    def push_to_hub(self, name: str, **options: Any) -> list[str]:
        """Upload both networks as `name`-dual and `name`-pair; returns their URLs."""
        return [
            self.dual.push_to_hub(f"{name}-dual", **options),
            self.cross.push_to_hub(f"{name}-pair", **options),
        ]

    @property
    def options(self) -> dict[str, Any]:
        """How it retrieves and reads; kept when an editor is saved."""
        return {"k": self.k, "floor": self.floor, "wave": self.wave, "share": self.share}

    @property
    def fingerprint(self) -> str:
        """See Scope: that of the dual network, which makes the vectors."""
        return self.dual.fingerprint

    def encode_inputs(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """See Scope."""
        return self.dual.encode_inputs(inputs)

    def encode_edits(self, edits: Sequence[Edit]) -> NDArray[np.float32]:
        """See Scope."""
        return self.dual.encode_edits(edits)

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        """See Scope. Reads candidates above the floor and not far behind the best, nearest first, in two waves."""
        near = self.dual.judge(inputs, candidates)
        least = [max(self.floor, self.share * row[0].score) if row else 0.0 for row in near]
        hopeful = [[match for match in row if match.score >= low] for row, low in zip(near, least, strict=True)]
        waves = [self._first_wave(row) for row in hopeful]
        first = rank(self.cross.network, inputs, [_edits(row[:wave]) for row, wave in zip(hopeful, waves, strict=True)])
        unsure = [at for at, row in enumerate(first) if len(hopeful[at]) > waves[at] and row[0].score < CLEAR]
        later = [_edits(hopeful[at][waves[at] :]) for at in unsure]
        second = rank(self.cross.network, [inputs[at] for at in unsure], later)
        read = dict(zip(unsure, second, strict=True))
        judged = []
        for at, row in enumerate(near):
            known = [*first[at], *read.get(at, [])]
            ids = {match.edit.id for match in known}
            rest = [Match(match.edit, min(match.score, self.floor)) for match in row if match.edit.id not in ids]
            judged.append(sorted([*known, *rest], key=best_first))
        return judged

    def _first_wave(self, row: Sequence[Match]) -> int:
        """How many candidates are read at first: those that come near the best, at most `wave`."""
        return sum(match.score >= CLOSE * row[0].score for match in row[: self.wave])


def _edits(row: Sequence[Match]) -> list[Edit]:
    return [match.edit for match in row]
