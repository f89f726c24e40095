"""Cascade: the dual classifier retrieves the nearest edits, the cross classifier reads them again. The default.

The cost of an input does not grow with the memory: one encoding, one search, and a pass for each candidate that the
dual classifier does not rule out. Most of these are out of scope all the same, such as the same question about another
subject; a gate of half the layers, if there is one, refuses those before the cross classifier reads the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from errata import zoo
from errata.edit import Candidate, Edit, Match, own
from errata.errors import ModelError
from errata.models.saving import resolve
from errata.scope.cross import CrossScope, best_first, rank
from errata.scope.dual import DualScope

GATE = "gate"


class CascadeScope:
    """Retrieve with `dual`, judge with `cross`.

    Args:
        dual: retrieves, and rules out what is clearly out of scope.
        cross: judges the rest.
        k: candidates retrieved for an input.
        floor: candidates whose dual probability is lower are not read; that probability is their score.
        reads: how many of them are read, at most: the nearest. What comes after those is far more often another edit of
            the same kind than the right one.
        gate: refuses candidates that have a target, from its own bound on; None lets all pass.
        after: candidates after the nearest are read where their dual probability is at least this.

    Example:
        >>> scope = CascadeScope.from_pretrained()  # doctest: +SKIP
        >>> scope.k  # doctest: +SKIP
        6
    """

    def __init__(self, dual: DualScope, cross: CrossScope, *, k: int = 6, floor: float = 0.02, reads: int = 2,
                 after: float = 0.6, gate: CrossScope | None = None) -> None:  # fmt: skip
        self.dual, self.cross, self.gate = dual, cross, gate
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
        """Load the shipped cascade, or a folder or hub id that holds the folders "dual", "pair" and maybe "gate".

        Args:
            name: None for the shipped one.
            pair: the shipped one's second stage: a shipped part, a folder or a hub id. The shipped gate stands before
                the shipped pair alone.
            revision: branch, tag or commit on the hub.
            runtime: see `open_runtime`.
            options: as for the class.

        Raises:
            ModelError: there is no such part, or a folder of it is missing.
        """
        if name is None:
            dual, second = resolve("dual"), resolve(pair)
            first = zoo.path(GATE) if str(pair) == "pair" and GATE in zoo.names() else None
        else:
            folder = resolve(name, revision=revision)
            dual, second, first = folder / "dual", folder / "pair", folder / GATE
            if not (dual.is_dir() and second.is_dir()):
                raise ModelError(f"{folder} is no cascade: it needs the folders 'dual' and 'pair'")
        if first is not None and first.is_dir():
            options.setdefault("gate", CrossScope(first, runtime=runtime))
        return cls(DualScope(dual, runtime=runtime), CrossScope(second, runtime=runtime), **options)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the networks into a folder, as "dual", "pair" and maybe "gate"."""
        self.dual.save_pretrained(Path(folder) / "dual")
        self.cross.save_pretrained(Path(folder) / "pair")
        if self.gate:
            self.gate.save_pretrained(Path(folder) / GATE)

    def push_to_hub(self, name: str, **options: Any) -> list[str]:
        """Upload the networks as `name`-dual, `name`-pair and maybe `name`-gate; returns their URLs."""
        parts = {"dual": self.dual, "pair": self.cross} | ({GATE: self.gate} if self.gate else {})
        return [part.push_to_hub(f"{name}-{kind}", **options) for kind, part in parts.items()]

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
        read = rank(self.cross.network, inputs, self._passed(inputs, [self._hopeful(row) for row in near]))
        judged = []
        for row, known in zip(near, read, strict=True):
            ids = {match.edit.id for match in known}
            rest = [Match(match.edit, min(match.score, self.floor)) for match in row if match.edit.id not in ids]
            judged.append(sorted([*known, *rest], key=best_first))
        return judged

    def _passed(self, inputs: Sequence[str], rows: Sequence[Sequence[Match]]) -> list[list[Edit]]:
        """The edits of each row that the gate lets pass; it is asked about those alone that have a target.

        What has none (a topic and a sentiment, a piece of evidence) covers inputs that share hardly a word with it: too
        much for half of the layers.
        """
        edits = [[match.edit for match in row] for row in rows]
        if self.gate is None:
            return edits
        asked = [
            (text, edit.prompt, edit.target) for text, row in zip(inputs, edits, strict=True) for edit in row
            if edit.target and not own(text, edit)
        ]  # fmt: skip
        open_to = iter(self.gate.network.passes(asked))
        return [
            [edit for edit in row if not edit.target or own(text, edit) or next(open_to)]
            for text, row in zip(inputs, edits, strict=True)
        ]

    def _hopeful(self, row: Sequence[Match]) -> list[Match]:
        """Those of an input's candidates, nearest first, that are read."""
        least = max(self.floor, self.after)
        return [one for at, one in enumerate(row[: self.reads]) if one.score >= (least if at else self.floor)]
