"""The growing list of changes that overlays share, each overlay seeing a prefix of it.

Position i counts for an overlay of size n when i < n and no later position below n speaks of the same edit.
Appending never changes what a shorter prefix sees. Nothing here knows of a parent memory.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np

from errata.edit import Candidate, Revision
from errata.memory import Vectors, rows
from errata.memory.index import ALWAYS, NEVER
from errata.memory.shards import distances, nearest

_ARRAYS = ("_vectors", "_norms", "_ended", "_active", "_has", "_space", "_start", "_end")


class Buffer:
    """Revisions and vectors, append-only; `size` in each method tells how long a prefix is looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revisions: list[Revision] = []
        self._positions: dict[str, list[int]] = {}
        self._codes: dict[str, int] = {}
        self.dimension = 0
        self._vectors = np.zeros((0, 0), np.float32)
        self._norms = np.zeros(0, np.float32)
        self._ended, self._start, self._end = (np.zeros(0, np.int64) for _ in range(3))
        self._active, self._has = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        self._space = np.zeros(0, np.int32)

    def grown(self, size: int, revisions: Sequence[Revision], vectors: Vectors | None) -> Buffer:
        """A buffer of this prefix and then these revisions; this very one where nobody grew it yet.

        Args:
            size: the prefix.
            revisions: what to append.
            vectors: (n, d), or None where the revisions take edits out of force.
        """
        with self._lock:
            if len(self._revisions) == size:
                self._append(revisions, vectors)
                return self
            copy = self._copy(size)
        copy._append(revisions, vectors)
        return copy

    def _copy(self, size: int) -> Buffer:
        copy = Buffer()
        copy._revisions, copy.dimension, copy._codes = (
            self._revisions[:size],
            self.dimension,
            dict(self._codes),
        )
        for id, positions in self._positions.items():
            if positions[0] < size:
                copy._positions[id] = positions[: bisect_left(positions, size)]
        for name in _ARRAYS:
            setattr(copy, name, getattr(self, name)[:size].copy())
        copy._ended[copy._ended >= size] = NEVER
        return copy

    def _append(self, revisions: Sequence[Revision], vectors: Vectors | None) -> None:
        size, end = len(self._revisions), len(self._revisions) + len(revisions)
        if vectors is not None and not self.dimension and len(vectors):
            self.dimension = vectors.shape[1]
            self._vectors = np.zeros((len(self._ended), self.dimension), np.float32)
        if end > len(self._ended):
            room = max(16, end, 2 * len(self._ended))
            for name in _ARRAYS:
                old = getattr(self, name)
                longer = np.zeros((room, *old.shape[1:]), old.dtype)
                longer[: len(old)] = old
                setattr(self, name, longer)
        for position, revision in enumerate(revisions, size):
            terms, positions = revision.terms, self._positions.setdefault(revision.edit.id, [])
            if positions:
                self._ended[positions[-1]] = position
            positions.append(position)
            self._ended[position] = NEVER
            self._active[position] = revision.live and terms.enabled
            self._space[position] = self._codes.setdefault(revision.edit.space, len(self._codes))
            self._start[position] = ALWAYS if terms.valid_from is None else rows.micros(terms.valid_from)
            self._end[position] = NEVER if terms.expires is None else rows.micros(terms.expires)
            self._has[position] = vectors is not None
        if vectors is not None and len(vectors):
            self._vectors[size:end] = vectors
            self._norms[size:end] = np.einsum("ij,ij->i", vectors, vectors)
        self._revisions.extend(revisions)

    # Vectors of another scope model

    def emptied(self, size: int, dimension: int) -> Buffer:
        """A copy of the prefix whose vectors are yet to be given, of another dimension."""
        with self._lock:
            copy = self._copy(size)
        copy.dimension = dimension
        copy._vectors = np.zeros((size, dimension), np.float32)
        copy._has[:] = False
        return copy

    def missing(self, size: int) -> list[Revision]:
        """Newest revisions of live edits that have no vector."""
        with self._lock:
            gaps = np.flatnonzero(~self._has[:size] & (self._ended[:size] >= size)).tolist()
        return [self._revisions[i] for i in gaps if self._revisions[i].live]

    def put(self, size: int, vectors: Mapping[str, Vectors]) -> None:
        """Give the newest revisions of these edits their vectors, of shape (d,) each."""
        with self._lock:
            for id, vector in vectors.items():
                position = self._last(size, id)
                self._vectors[position], self._has[position] = vector, True
                self._norms[position] = float(vector @ vector)

    # Revisions

    def _last(self, size: int, id: str) -> int:
        """Position of the newest revision of an edit, or -1."""
        positions = self._positions.get(id, ())
        count = bisect_left(positions, size)
        return positions[count - 1] if count else -1

    def newest(self, size: int, id: str) -> Revision | None:
        """The newest revision of an edit, or None where the prefix says nothing of it."""
        position = self._last(size, id)
        return None if position < 0 else self._revisions[position]

    def newest_of_all(self, size: int) -> list[Revision]:
        """The newest revision of each edit, in order."""
        with self._lock:
            kept = np.flatnonzero(self._ended[:size] >= size).tolist()
        return [self._revisions[i] for i in kept]

    def revisions(self, size: int) -> list[Revision]:
        """All revisions, oldest first."""
        return self._revisions[:size]

    def beginning(self, size: int, prefix: str) -> list[Revision]:
        """The newest revisions of edits whose ids begin so."""
        return [one for one in self.newest_of_all(size) if one.edit.id.startswith(prefix)]

    # Search

    def search(self, size: int, queries: Vectors, k: int, space: str, at: int) -> list[list[Candidate]]:
        """The k nearest edits in force (and ties) for (n, d) queries, at a moment in microseconds."""
        with self._lock:
            code = self._codes.get(space, -1)
            good = self._active[:size] & self._has[:size] & (self._ended[:size] >= size)
            good &= (self._space[:size] == code) & (self._start[:size] <= at) & (at < self._end[:size])
            vectors, norms = self._vectors[:size], self._norms[:size]
        if not good.any():
            return [[] for _ in queries]
        found, every = [], np.arange(size)
        for query in queries:
            coarse = norms - 2.0 * (vectors @ query)
            coarse[~good] = np.inf
            slack = 1e-5 * (1.0 + float(norms.max()) + float(query @ query))
            keys, far = nearest(query, coarse, every, vectors, slack, k)
            pairs = zip(keys.tolist(), far.tolist(), strict=True)
            found.append([Candidate(self._revisions[key].edit, distance) for key, distance in pairs])
        return found

    def distances(self, size: int, query: Vectors) -> list[tuple[Revision, float]]:
        """Every edit's newest revision that has a vector, with its squared distance to a (d,) query."""
        with self._lock:
            kept = np.flatnonzero(self._has[:size] & (self._ended[:size] >= size))
            vectors = self._vectors[kept] if len(kept) else np.zeros((0, len(query)), np.float32)
        far = distances(query, vectors).tolist()
        return [(self._revisions[i], distance) for i, distance in zip(kept.tolist(), far, strict=True)]
