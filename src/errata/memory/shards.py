"""The ways a process searches a space's vectors: a matrix in RAM, an HNSW graph, a scan of stored vectors.

A shard holds keys (integers) and vectors. It is told with each search which keys are allowed, and it knows
nothing of edits, validity or SQL. Distances are always recomputed from the stored vectors in float64, so that
all agree.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from errata.memory import Vectors
from errata.models.native import hnsw_class

Keys = NDArray[np.int64]
Found = tuple[Keys, NDArray[np.float64]]
"""Keys and squared distances, nearest first; ties with the last one wanted are all kept."""
Fetch = Callable[[Keys], Vectors]
"""Reads stored vectors (float32, one row a key, in the keys' order)."""
Allowed = Callable[[Keys], NDArray[np.bool_]]

_BLOCK = 8192
_REACH = 128
"""How widely a query searches a graph (HNSW's ef): 64 loses 1 exact match in 100 of close neighbours, this 1 in 500."""
_LINKS = 24
"""Links of a vector in a graph (HNSW M): where many crowd around one, 16 leave 6 in 100 unreachable, 24 hardly any."""
_FILLER = 1 << 62
"""First of the keys that overwrite erased vectors in a graph; never allowed."""

log = logging.getLogger(__name__)


class Shard(Protocol):
    """One space's vectors."""

    kind: str
    """What it is: "matrix", "graph", "scan" or "server"."""

    @property
    def keys(self) -> Keys:
        """Keys held."""
        ...

    def __len__(self) -> int: ...

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Take in more vectors, of shape (n, d)."""
        ...

    def settle(self, keys: Keys) -> None:
        """These keys have been added, and no more for now."""
        ...

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[Found]:
        """The k nearest allowed keys (and ties with the k-th) of each query."""
        ...

    def scrub(self, keys: Keys) -> None:
        """Overwrite these keys' vectors; they are never allowed again."""
        ...


def distances(query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
    """Squared Euclidean distances of a (d,) query to (n, d) vectors; each depends on its own vector only."""
    difference = vectors.astype(np.float64) - query
    result: NDArray[np.float64] = np.square(difference, out=difference).sum(axis=1)
    return result


def cut(keys: Keys, found: NDArray[np.float64], k: int) -> Found:
    """The k nearest, nearest first, and all that are as near as the k-th."""
    order = np.argsort(found, kind="stable")
    keys, found = keys[order], found[order]
    if len(found) > k:
        last = int(np.searchsorted(found, found[k - 1], side="right"))
        keys, found = keys[:last], found[:last]
    return keys, found


def nearest(query: Vectors, coarse: NDArray[np.float32], keys: Keys, vectors: Vectors, slack: float, k: int) -> Found:
    """Exact k nearest from coarse distances (inf: not allowed) that are wrong by at most `slack`."""
    if k < len(coarse):
        edge = np.partition(coarse, k - 1)[k - 1]
        rows = np.flatnonzero((coarse <= edge + 2 * slack) & np.isfinite(coarse))
    else:
        rows = np.flatnonzero(np.isfinite(coarse))
    return cut(keys[rows], distances(query, vectors[rows]), k)


def widening(k: int, size: int, allowed: Allowed, reach: Callable[[int], Keys]) -> Keys | None:
    """More allowed keys than the k nearest, from a search that cannot tell which are; None where a scan is better.

    Args:
        k: how many are wanted.
        size: how many keys there are.
        allowed: which may be found.
        reach: so many nearest keys, allowed or not.
    """
    fetch = 2 * k + 8
    while True:
        keys = reach(min(fetch, size))
        keys = keys[allowed(keys)]
        if len(keys) >= min(2 * k, k + 4) or fetch >= size:
            return keys if len(keys) >= k or fetch < size else None
        if fetch > 4096:
            return None
        fetch *= 4


class MatrixShard:
    """Exact search over a float32 matrix in RAM."""

    kind = "matrix"

    def __init__(self, dimension: int) -> None:
        self._matrix = np.zeros((0, dimension), np.float32)
        self._norms = np.zeros(0, np.float32)
        self._keys = np.zeros(0, np.int64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def keys(self) -> Keys:
        """Keys held, in order of arrival."""
        return self._keys[: self._size]

    @property
    def vectors(self) -> Vectors:
        """Vectors held, in the keys' order."""
        return self._matrix[: self._size]

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Append, growing by half."""
        end = self._size + len(keys)
        if end > len(self._keys):
            room = max(end, 64, int(len(self._keys) * 1.5))
            for name in ("_matrix", "_norms", "_keys"):
                old = getattr(self, name)
                new = np.zeros((room, *old.shape[1:]), old.dtype)
                new[: self._size] = old[: self._size]
                setattr(self, name, new)
        self._matrix[self._size : end] = vectors
        self._norms[self._size : end] = np.einsum("ij,ij->i", vectors, vectors)
        self._keys[self._size : end] = keys
        self._size = end

    def settle(self, keys: Keys) -> None:
        """See Shard; nothing is left to do."""

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[Found]:
        """See Shard; O(n d) a query."""
        keys, vectors, norms = self.keys, self.vectors, self._norms[: self._size]
        barred = ~allowed(keys)
        if barred.all():
            return [(np.zeros(0, np.int64), np.zeros(0))] * len(queries)
        found = []
        portion = max(1, 4_000_000 // len(keys))
        for start in range(0, len(queries), portion):
            part = queries[start : start + portion]
            coarse = norms - 2.0 * (part @ vectors.T)
            coarse[:, barred] = np.inf
            for query, row in zip(part, coarse, strict=True):
                slack = 1e-5 * (1.0 + float(norms.max()) + float(query @ query))
                found.append(nearest(query, row, keys, vectors, slack, k))
        return found

    def within(self, query: Vectors, bound: float) -> tuple[Keys, Vectors]:
        """Keys and vectors no further from a (d,) query than this squared distance, give or take a rounding."""
        norms, own = self._norms[: self._size], float(query @ query)
        coarse = norms - 2.0 * (self.vectors @ query) + own
        rows = np.flatnonzero(coarse <= bound + 2e-5 * (1.0 + own))
        return self.keys[rows], self.vectors[rows]

    def scrub(self, keys: Keys) -> None:
        """See Shard."""
        self._matrix[: self._size][np.isin(self.keys, keys)] = 0.0


class ScanShard:
    """Exact search that reads the stored vectors each time: slow, but holds only keys."""

    kind = "scan"

    def __init__(self, fetch: Fetch) -> None:
        self.keys = np.zeros(0, np.int64)
        self._fetch = fetch

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Remember the keys; the vectors stay where they are."""
        self.keys = np.concatenate([self.keys, keys])

    def settle(self, keys: Keys) -> None:
        """See Shard; nothing is left to do."""

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[Found]:
        """See Shard; reads every allowed vector once for all queries."""
        keys = self.keys[allowed(self.keys)]
        best: list[Found] = [(np.zeros(0, np.int64), np.zeros(0))] * len(queries)
        for part, vectors in blocks(keys, self._fetch):
            block = MatrixShard(queries.shape[1])
            block.add(part, vectors)
            for i, (more, far) in enumerate(block.search(queries, k, lambda keys: np.ones(len(keys), np.bool_))):
                best[i] = cut(np.concatenate([best[i][0], more]), np.concatenate([best[i][1], far]), k)
        return best

    def scrub(self, keys: Keys) -> None:
        """See Shard."""
        self.keys = self.keys[~np.isin(self.keys, keys)]


def scan(fetch: Fetch, keys: Keys, query: Vectors, k: int, allowed: Allowed) -> Found:
    """The k nearest of these keys, exactly, by reading the vectors of all that are allowed."""
    shard = ScanShard(fetch)
    shard.keys = np.sort(keys)
    return shard.search(query[None, :], k, allowed)[0]


class GraphShard:
    """Approximate search over an HNSW graph (usearch), its finds re-ranked by exact distance.

    Unit vectors are kept as int8, others as float16. Where few keys are allowed, more and more are fetched;
    when that ceases to pay, the allowed vectors are scanned, so an edit in force is never lost to its many
    dead neighbours. A few vectors in a thousand cannot be reached in such a graph, not even by themselves:
    `settle` finds them, and they are searched exactly beside it.
    """

    kind = "graph"

    def __init__(self, dimension: int, fetch: Fetch, *, unit: bool, threads: int = 0) -> None:
        self._fetch, self._dimension, self._threads = fetch, dimension, threads
        self.unit = unit
        self.lost = MatrixShard(dimension)
        self.checked = 0
        self.graph = hnsw_class()(
            ndim=dimension,
            metric="l2sq",
            dtype="i8" if unit else "f16",
            connectivity=_LINKS,
            expansion_add=96,
            expansion_search=_REACH,
        )

    def __len__(self) -> int:
        return len(self.graph)

    @property
    def keys(self) -> Keys:
        """Keys held, in no order; without those that fill the place of erased vectors."""
        keys = np.asarray(self.graph.keys, dtype=np.uint64).astype(np.int64)
        return keys[keys < _FILLER]

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Insert into the graph, in parallel."""
        if len(keys):
            self.graph.add(keys.astype(np.uint64), vectors, threads=self._threads)

    def settle(self, keys: Keys) -> None:
        """See Shard; searches for these vectors, or for all where the graph has grown to twice what was."""
        doubled = len(keys) >= 1000 and len(self) >= 2 * self.checked
        self.check(np.sort(self.keys) if doubled else keys)

    def check(self, keys: Keys) -> None:
        """Search for each of these keys' vectors, less widely than a query does; those not found count as lost."""
        self.graph.expansion_search = _REACH // 2
        for part, vectors in blocks(keys, self._fetch):
            found = self.graph.search(vectors, min(18, len(self.graph)), threads=self._threads)
            told = np.asarray(found.keys).reshape(len(part), -1).astype(np.int64)
            far = np.asarray(found.distances).reshape(len(part), -1)
            missed = (told != part[:, None]).all(axis=1) & (far[:, -1] > 0) & ~np.isin(part, self.lost.keys)
            self.lost.add(part[missed], vectors[missed])
        self.checked = max(self.checked, len(keys))

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[Found]:
        """See Shard; recall below 1 (`errata doctor` measures it)."""
        return [self._one(query, k, allowed) for query in queries]

    def _one(self, query: Vectors, k: int, allowed: Allowed) -> Found:
        def reach(fetch: int) -> Keys:
            self.graph.expansion_search = max(_REACH, fetch)
            keys: Keys = self.graph.search(query, fetch, threads=1).keys.astype(np.int64)
            return keys

        keys = widening(k, len(self.graph), allowed, reach)
        if keys is None:
            return scan(self._fetch, self.keys, query, k, allowed)
        found = cut(keys, distances(query, self._fetch(keys)), k)
        return self._with_lost(query, found, k, allowed) if len(self.lost) else found

    def _with_lost(self, query: Vectors, found: Found, k: int, allowed: Allowed) -> Found:
        """What the graph found, and what it cannot reach that is as near; mostly there is none."""
        keys, far = found
        near, vectors = self.lost.within(query, far[k - 1] if len(far) >= k else np.inf)
        if not len(near):
            return found
        rows = np.flatnonzero(allowed(near) & ~np.isin(near, keys))
        both = np.concatenate([far, distances(query, vectors[rows])])
        return cut(np.concatenate([keys, near[rows]]), both, k)

    def scrub(self, keys: Keys) -> None:
        """Take keys out and write zeros over the places they held."""
        held = keys[np.asarray(self.graph.contains(keys.astype(np.uint64)), dtype=np.bool_)] if len(keys) else keys
        if not len(held):
            return
        self.lost.scrub(keys)
        self.graph.remove(held.astype(np.uint64), compact=True)
        zeros = np.zeros((len(held), self._dimension), np.float32)
        zeros[:, 0] = 1.0
        first = _FILLER + int(np.random.default_rng().integers(1 << 60))
        self.graph.add(np.arange(first, first + len(held), dtype=np.uint64), zeros, threads=1)
        log.info("overwrote %d vectors in the index", len(held))

    def save(self, path: Path) -> None:
        """Write the graph to a file."""
        self.graph.save(str(path))

    def load(self, path: Path) -> None:
        """Read the graph from a file whose checksum has been verified."""
        self.graph.load(str(path))


def blocks(keys: Keys, fetch: Fetch, size: int = _BLOCK) -> Iterator[tuple[Keys, Vectors]]:
    """Keys and their vectors in portions."""
    for start in range(0, len(keys), size):
        part = keys[start : start + size]
        yield part, fetch(part)
