"""Cascade: the dual classifier retrieves the nearest edits, the cross classifier reads them again. The default.

The cost of an input does not grow with the memory: one encoding, one search, and a pass for each candidate that the
dual classifier does not rule out. An input may be encoded by a shallow twin of the dual classifier, whose vectors are
nearly the same; edits never are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from errata import zoo
from errata.edit import Candidate, Edit, Match
from errata.errors import ModelError
from errata.models.saving import resolve
from errata.scope.cross import CrossScope, best_first, rank
from errata.scope.dual import DualScope

QUICK = "quick"
"""Name of the shallow twin."""


class CascadeScope:
    """Retrieve with `dual`, judge with `cross`.

    Args:
        dual: retrieves, and rules out what is clearly out of scope.
        cross: judges the rest.
        k: candidates retrieved for an input.
        floor: candidates whose dual probability is lower are not read; that probability is their score.
        reads: how many of them are read, at most: the nearest. What comes after those is far more often another edit of
            the same kind than the right one.
        share: candidates whose dual probability is less than this share of the best one's are not read.
        quick: the shallow twin that encodes inputs; None lets `dual` do it.

    Example:
        >>> scope = CascadeScope.from_pretrained()  # doctest: +SKIP
        >>> scope.k  # doctest: +SKIP
        6
    """

    def __init__(self, dual: DualScope, cross: CrossScope, *, k: int = 6, floor: float = 0.02, reads: int = 2,
                 share: float = 0.5, quick: DualScope | None = None) -> None:  # fmt: skip
        self.dual, self.cross, self.quick = dual, cross, quick
        self._encoder = quick or dual
        self.k, self.floor, self.reads, self.share = k, floor, reads, share
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
        """Load the shipped cascade, or a folder or hub id that holds the folders "dual", "pair" and maybe "quick".

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
            quick = resolve(QUICK) if QUICK in zoo.names() else dual / QUICK
        else:
            folder = resolve(name, revision=revision)
            dual, second, quick = folder / "dual", folder / "pair", folder / QUICK
            if not (dual.is_dir() and second.is_dir()):
                raise ModelError(f"{folder} is no cascade: it needs the folders 'dual' and 'pair'")
        parts = DualScope(dual, runtime=runtime), CrossScope(second, runtime=runtime)
        twin = DualScope(quick, runtime=runtime) if quick.is_dir() else None
        return cls(*parts, quick=twin, **options)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write both networks into a folder, as "dual" and "pair"."""
        self.dual.save_pretrained(Path(folder) / "dual")
        self.cross.save_pretrained(Path(folder) / "pair")
        if self.quick:
            self.quick.save_pretrained(Path(folder) / QUICK)

    def push_to_hub(self, name: str, **options: Any) -> list[str]:
        """Upload the networks as `name`-dual, `name`-pair and maybe `name`-quick; returns their URLs."""
        parts = {"dual": self.dual, "pair": self.cross} | ({QUICK: self.quick} if self.quick else {})
        return [part.push_to_hub(f"{name}-{kind}", **options) for kind, part in parts.items()]

    @property
    def options(self) -> dict[str, Any]:
        """How it retrieves and reads; kept when an editor is saved."""
        return {"k": self.k, "floor": self.floor, "reads": self.reads, "share": self.share}

    @property
    def fingerprint(self) -> str:
        """See Scope: that of the dual network, which makes the vectors."""
        return self.dual.fingerprint

    def encode_inputs(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """See Scope."""
        return self._encoder.encode_inputs(inputs)

    def encode_edits(self, edits: Sequence[Edit]) -> NDArray[np.float32]:
        """See Scope."""
        return self.dual.encode_edits(edits)

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        """See Scope. Reads the nearest candidates, those above the floor and not far behind the best."""
        near = self._encoder.judge(inputs, candidates)
        read = rank(self.cross.network, inputs, [[match.edit for match in self._hopeful(row)] for row in near])
        judged = []
        for row, known in zip(near, read, strict=True):
            ids = {match.edit.id for match in known}
            rest = [Match(match.edit, min(match.score, self.floor)) for match in row if match.edit.id not in ids]
            judged.append(sorted([*known, *rest], key=best_first))
        return judged

    def _hopeful(self, row: Sequence[Match]) -> list[Match]:
        """Those of an input's candidates, nearest first, that are read."""
        return [match for match in row[: self.reads] if match.score >= max(self.floor, self.share * row[0].score)]
