"""The memory of edits: an append-only log (the truth) and an index over vectors (rebuildable).

A memory stores vectors and compares them; it never makes them and never sees a model.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Revision, Terms

Vectors = NDArray[np.float32]
Moment = int | datetime
"""A revision number, or an aware datetime."""


class Memory(Protocol):
    """The edits in force and how they came to be.

    Vectors are float32 of shape (n, d), made by the scope model whose fingerprint the memory is bound to.
    """

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 for an empty log."""
        ...

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the scope model the memory is bound to; "" while it is bound to none."""
        ...

    def bind(self, fingerprint: str, dimension: int) -> list[Edit]:
        """Say which scope model's vectors are used from now on; returns the live edits that have none yet."""
        ...

    def missing(self, *, limit: int | None = None) -> builtins.list[Edit]:
        """Live edits without a vector of the scope model bound to; they cannot match until they get one."""
        ...

    def put_vectors(self, edits: Sequence[Edit], vectors: Vectors) -> None:
        """Store vectors for edits already in the log (those that `bind` or `missing` returned)."""
        ...

    def add(
        self, edits: Sequence[Edit], vectors: Vectors, *, terms: Terms | Sequence[Terms] | None = None
    ) -> builtins.list[Revision]:
        """Add edits in one transaction; durable when it returns. Returns each edit's newest revision.

        An edit already there unchanged adds no revision; terms None leaves an edit that is there its own.
        """
        ...

    def replace(self, edit: Edit, vector: Vectors, *, terms: Terms | None = None) -> Revision:
        """Give the edit of this id another text (and other terms)."""
        ...

    def retract(self, ids: Sequence[str], *, terms: Terms | None = None) -> builtins.list[Revision]:
        """Take edits out of force; their history stays."""
        ...

    def enable(self, ids: Sequence[str], *, on: bool = True, terms: Terms | None = None) -> builtins.list[Revision]:
        """Switch edits on or off."""
        ...

    def get(self, id: str) -> Revision:
        """The newest revision of an edit, by its id or by four or more first characters of only one."""
        ...

    def find(self, ids: Iterable[str]) -> dict[str, Revision]:
        """Newest revisions of the edits with exactly these ids; unknown ids are left out."""
        ...

    def list(
        self,
        *,
        space: str | None = None,
        tag: str = "",
        author: str = "",
        text: str = "",
        live: bool = True,
        enabled: bool | None = None,
        limit: int | None = None,
        after: int = 0,
    ) -> builtins.list[Revision]:
        """Newest revision of each edit, in order of its number; live=False takes in retracted and purged."""
        ...

    def history(self, id: str | None = None, *, after: int = 0, limit: int | None = None) -> Iterator[Revision]:
        """The log, oldest first, of one edit or of all."""
        ...

    def search(
        self, vectors: Vectors, k: int, *, space: str = "default", at: datetime | None = None
    ) -> builtins.list[builtins.list[Candidate]]:
        """The k nearest edits in force in a space at a moment (default: now), for each of (n, d) vectors."""
        ...

    def inactive_nearest(
        self, vector: Vectors, k: int, *, space: str = "default", at: datetime | None = None
    ) -> builtins.list[tuple[Candidate, str]]:
        """The k nearest edits that cannot match in a space, each with the reason (for explanations)."""
        ...

    def spaces(self) -> builtins.list[str]:
        """Names of the spaces that hold live edits, sorted."""
        ...

    def counts(self, *, at: datetime | None = None) -> dict[str, dict[str, int]]:
        """Number of edits by space and state (in force, disabled, expired, retracted and so on)."""
        ...

    def threshold(self, space: str) -> float | None:
        """The space's own threshold, or None if it has none."""
        ...

    def close(self) -> None:
        """Let go of files and memory; closing twice does no harm."""
        ...
