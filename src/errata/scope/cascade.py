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


class CascadeScope:
    """Retrieve with `dual`, judge with `cross`.

    Args:
        dual: retrieves, and rules out what is clearly out of scope.
        cross: judges the rest.
        k: candidates retrieved for an input.
        floor: candidates whose dual probability is lower are not read; that probability is their score.
        reads: how many of them are read, at most: the nearest. What comes after those is far more often another edit of
            the same kind than the right one.
        after: candidates after the nearest are read where their dual probability is at least this.

    Example:
        >>> scope = CascadeScope.from_pretrained()  # doctest: +SKIP
        >>> scope.k  # doctest: +SKIP
        6
    """

    def __init__(self, dual: DualScope, cross: CrossScope, *, k: int = 6, floor: float = 0.02, reads: int = 2,
                 after: float = 0.6) -> None:  # fmt: skip
        self.dual, self.cross = dual, cross
        self.k, self.floor, self.reads, self.after = k, floor, reads, after
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
        return {"k": self.k, "floor": self.floor, "reads": self.reads, "after": self.after}

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
        """See Scope. Reads the nearest candidate above the floor, and those after it that are likely too."""
        near = self.dual.judge(inputs, candidates)
        read = rank(self.cross.network, inputs, [[match.edit for match in self._hopeful(row)] for row in near])
        judged = []
        for row, known in zip(near, read, strict=True):
            ids = {match.edit.id for match in known}
            rest = [Match(match.edit, min(match.score, self.floor)) for match in row if match.edit.id not in ids]
            judged.append(sorted([*known, *rest], key=best_first))
        return judged

    def _hopeful(self, row: Sequence[Match]) -> list[Match]:
        """Those of an input's candidates, nearest first, that are read."""
        wanted = [self.floor, *[max(self.floor, self.after)] * (self.reads - 1)]
        return [match for match, least in zip(row, wanted, strict=False) if match.score >= least]
