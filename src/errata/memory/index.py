"""The index: which vectors are nearest among the edits in force in a space. Rebuildable, never the truth.

Each space is searched on its own: exactly while it is small, through an HNSW graph kept beside the database
when it is large. The state of each edit (space, on or off, validity) lies in arrays by vector key, so an edit
costs RAM of its vector in the graph and some 46 bytes. The index knows integers and vectors only; texts, ids
and SQL it never sees.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.errors import StoreError
from errata.memory import Vectors, indexfile
from errata.memory.shards import Fetch, Found, GraphShard, Keys, MatrixShard, ScanShard, Shard, blocks

NEVER = np.iinfo(np.int64).max
ALWAYS = np.iinfo(np.int64).min

Verify = Callable[[tuple[int, int]], bool]
Searcher = Callable[[str], Shard]
"""Gives the shard of a space by its name."""

log = logging.getLogger(__name__)


class Index:
    """Nearest edits in force, by vector key.

    Args:
        dimension: of the vectors.
        fetch: reads stored vectors by key.
        fingerprint: of the scope model that made them; an index file of another one is not used.
        exact_limit: up to so many edits a space is searched exactly.
        path: the database file, beside which graphs are kept; None keeps them in RAM.
        graph: False scans stored vectors instead of building a graph (for short-lived views).
        keep: whether index files may be written and deleted.
        verify: whether a stamp that an index file tells (revision number, its time) is of this very log; a
            file left behind by a database since restored or replaced is not used.
        server: gives the shard of a large space that the database itself searches; None builds graphs here.
    """

    def __init__(
        self,
        dimension: int,
        fetch: Fetch,
        *,
        fingerprint: str = "",
        exact_limit: int = 20_000,
        path: Path | None = None,
        graph: bool = True,
        keep: bool = True,
        verify: Verify = lambda stamp: True,
        server: Searcher | None = None,
    ) -> None:
        self.dimension, self.fingerprint, self.exact_limit = dimension, fingerprint, exact_limit
        self.path, self.purges, self._keep = path, 0, keep
        self.stamp: tuple[int, int] = (0, 0)
        self._fetch, self._use_graph, self._verify, self._server = fetch, graph, verify, server
        self._codes: dict[str, int] = {}
        self._shards: OrderedDict[int, Shard] = OrderedDict()
        self._unsaved: dict[int, int] = {}
        self._space = np.full(0, -1, np.int32)
        self._on, self._placed = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        self._number, self._start, self._end = (np.zeros(0, np.int64) for _ in range(3))
        self._current = np.zeros(0, np.int64)

    # State of the edits

    def update(
        self,
        rows: Keys,
        keys: Keys,
        spaces: list[str],
        numbers: Keys,
        on: NDArray[np.bool_],
        start: Keys,
        end: Keys,
    ) -> None:
        """Take in the newest state of some edits; arrays of shape (n,).

        Args:
            rows: which edit.
            keys: key of the vector of its text, 0 where it has none.
            spaces: its space.
            numbers: its newest revision.
            on: whether it is live and enabled.
            start: first microsecond it holds, ALWAYS where open.
            end: first microsecond it no longer holds, NEVER where open.
        """
        if not len(rows):
            return
        self._grow(int(rows.max()), int(keys.max()))
        old = self._current[rows]
        self._on[old[old != keys]] = False
        self._current[rows] = keys
        codes = np.fromiter((self._codes.setdefault(s, len(self._codes)) for s in spaces), np.int32, len(spaces))
        there = keys > 0
        keys = keys[there]
        self._space[keys], self._number[keys], self._on[keys] = codes[there], numbers[there], on[there]
        self._start[keys], self._end[keys] = start[there], end[there]
        self._left(np.concatenate([old, keys]))
        fresh = keys[self._on[keys] & ~self._placed[keys]]
        for code in np.unique(self._space[fresh]) if len(self._shards) else ():
            if int(code) in self._shards:
                self._place(int(code), np.sort(fresh[self._space[fresh] == code]))

    def _left(self, keys: Keys) -> None:
        """Those out of force are placed anew should they come back: another process may tidy the server's meanwhile."""
        theirs = [code for code, shard in self._shards.items() if shard.kind == "server"]
        if theirs:
            self._placed[keys[~self._on[keys] & np.isin(self._space[keys], theirs)]] = False

    def _grow(self, row: int, key: int) -> None:
        """Make room in the arrays, by half at a time."""
        self._current = _extended(self._current, row + 1, 0)
        self._space = _extended(self._space, key + 1, -1)
        for name in ("_on", "_placed", "_number", "_start", "_end"):
            setattr(self, name, _extended(getattr(self, name), len(self._space), 0))

    def allowed(self, keys: Keys, code: int, at: int) -> NDArray[np.bool_]:
        """Which keys are in force in a space at a moment (microseconds)."""
        known = keys < len(self._space)
        if not known.all():
            keys = np.where(known, keys, 0)
        result: NDArray[np.bool_] = (
            self._on[keys] & (self._space[keys] == code) & (self._start[keys] <= at) & (at < self._end[keys]) & known
        )
        return result

    # Search

    def search(self, queries: Vectors, k: int, space: str, at: int) -> list[Found]:
        """Revision numbers and distances of the k nearest edits in force (with ties), for (n, d) queries."""
        code = self._codes.get(space)
        if code is None:
            return [(np.zeros(0, np.int64), np.zeros(0))] * len(queries)
        shard = self._shard(code)
        found = shard.search(queries, k, lambda keys: self.allowed(keys, code, at))
        return [(self._number[keys], far) for keys, far in found]

    def describe(self, space: str) -> dict[str, Any]:
        """How a space is searched: kind ("matrix", "graph", "scan", "server", "empty") and number of vectors."""
        code = self._codes.get(space)
        if code is None:
            return {"kind": "empty", "vectors": 0}
        shard = self._shard(code)
        return {"kind": shard.kind, "vectors": len(shard.keys)}

    def _shard(self, code: int) -> Shard:
        """The space's shard, built or loaded when first asked for; the least used matrices are dropped."""
        if code in self._shards:
            self._shards.move_to_end(code)
            return self._shards[code]
        wanted = np.flatnonzero(self._on & (self._space == code))
        shard: Shard
        if len(wanted) <= self.exact_limit:
            shard = MatrixShard(self.dimension)
            self._delete_file(code)
        elif not self._use_graph:
            shard = ScanShard(self._fetch)
        elif self._server is not None:
            shard = self._server(self._space_of(code))
        else:
            shard = self._loaded(code) or self._new_graph(wanted)
        self._shards[code] = shard
        held = shard.keys[shard.keys < len(self._placed)]
        self._placed[self._space == code] = False
        self._placed[held] = True
        self._place(code, wanted[~self._placed[wanted]])
        self._drop_matrices(code)
        return self._shards[code]

    def _new_graph(self, wanted: Keys) -> GraphShard:
        sample = self._fetch(np.sort(wanted[:: max(1, len(wanted) // 256)]))
        return GraphShard(self.dimension, self._fetch, unit=_are_unit(sample))

    def _place(self, code: int, keys: Keys) -> None:
        """Put vectors into a space's shard; a matrix that outgrows the limit becomes a graph."""
        shard = self._shards[code]
        for part, vectors in blocks(keys, self._fetch):
            if isinstance(shard, GraphShard) and shard.unit and not _are_unit(vectors):
                shard = self._rebuilt(code, unit=False)
            shard.add(part, vectors)
            self._placed[part] = True
            self._unsaved[code] = self._unsaved.get(code, 0) + len(part)
        if not self._use_graph:
            return
        shard.settle(keys)
        held = len(shard)
        if isinstance(shard, MatrixShard) and held > self.exact_limit:
            living = shard.keys[self._on[shard.keys]]
            if len(living) > self.exact_limit and self._server is None:
                self._rebuilt(code, unit=_are_unit(shard.vectors))
            else:
                self._forget(code)
        elif isinstance(shard, GraphShard) and self._unsaved.get(code, 0) > max(10_000, held // 5):
            self._save(code)

    def _rebuilt(self, code: int, *, unit: bool) -> GraphShard:
        """A graph of the space's placed keys that are on, put in the place of its shard."""
        keys = np.flatnonzero(self._on & self._placed & (self._space == code))
        log.info("building an index over %d vectors", len(keys))
        graph = GraphShard(self.dimension, self._fetch, unit=unit)
        self._placed[self._space == code] = False
        for part, vectors in blocks(keys, self._fetch):
            graph.add(part, vectors)
        graph.check(keys)
        self._placed[keys] = True
        self._shards[code] = graph
        self._unsaved[code] = len(keys)
        return graph

    def _forget(self, code: int) -> None:
        """Drop a shard; the next search builds it anew, without its dead."""
        self._shards.pop(code, None)
        self._unsaved.pop(code, None)
        self._placed[self._space == code] = False

    def _drop_matrices(self, keep: int) -> None:
        """Keep matrices of small spaces within four times the exact limit, dropping the least used."""
        sizes = {code: len(s.keys) for code, s in self._shards.items() if isinstance(s, MatrixShard)}
        for code, size in list(sizes.items()):
            if sum(sizes.values()) <= 4 * self.exact_limit:
                break
            if code != keep:
                del sizes[code]
                self._forget(code)
                log.debug("dropped a matrix of %d vectors", size)

    # Files

    def file_of(self, space: str) -> Path | None:
        """Where a space's graph is kept."""
        if self.path is None:
            return None
        part = "" if space == "default" else f".{hashlib.sha256(space.encode()).hexdigest()[:12]}"
        return self.path.with_name(f"{self.path.name}{part}.hnsw")

    def wanted_files(self) -> set[Path]:
        """Files of the spaces that are too large to be searched exactly."""
        if self._server is not None:
            return set()
        large = (self.file_of(s) for s, code in self._codes.items() if self.size_of(code) > self.exact_limit)
        return {path for path in large if path is not None}

    def size_of(self, code: int) -> int:
        """Number of live and enabled edits of a space."""
        return int(np.count_nonzero(self._on & (self._space == code)))

    def tidy(self) -> None:
        """Delete the files of spaces that have become small enough to be searched exactly."""
        for code in self._codes.values():
            if self._server is not None or self.size_of(code) <= self.exact_limit:
                self._delete_file(code)

    def _note(self, space: str) -> dict[str, Any]:
        return {"space": space, "fingerprint": self.fingerprint, "dimension": self.dimension}

    def _space_of(self, code: int) -> str:
        return next(name for name, value in self._codes.items() if value == code)

    def _loaded(self, code: int) -> GraphShard | None:
        """The graph kept beside the database, or None where it is missing or not to be trusted."""
        space = self._space_of(code)
        path = self.file_of(space)
        if path is None or not path.exists():
            return None
        try:
            note = indexfile.note_of(path)
            if not indexfile.matches(note, self._note(space)):
                raise StoreError(f"{path.name} belongs to another scope model or space")
            number, time = note["stamp"]
            if not self._verify((int(number), int(time))):
                raise StoreError(f"{path.name} belongs to another log")
            shard = GraphShard(self.dimension, self._fetch, unit=bool(note.get("unit")))
            shard.load(path)
            lost = np.array(note["lost"], np.int64)
            shard.lost.add(lost, self._fetch(lost))
            shard.checked = int(note["checked"])
        except (StoreError, RuntimeError, ValueError, TypeError, KeyError) as error:
            log.warning("index is rebuilt: %s", error)
            return None
        dead = shard.keys
        dead = dead[(dead >= len(self._space)) | ~self._on[np.minimum(dead, len(self._on) - 1)]]
        if len(dead) * 2 > len(shard):
            return None
        self._unsaved[code] = 0
        if note.get("purges") != self.purges:
            self._unsaved[code] = len(shard)
            shard.scrub(dead)
        return shard

    def _save(self, code: int) -> None:
        shard, path = self._shards.get(code), self.file_of(self._space_of(code))
        if path is None or not self._keep or not isinstance(shard, GraphShard) or not self._unsaved.get(code):
            return
        if self.size_of(code) <= self.exact_limit:
            self._delete_file(code)
            return
        note = {
            **self._note(self._space_of(code)),
            "unit": shard.unit,
            "purges": self.purges,
            "count": len(shard),
        }
        note |= {"stamp": self.stamp, "lost": shard.lost.keys.tolist(), "checked": shard.checked}
        try:
            indexfile.write(path, shard.save, note)
        except (OSError, RuntimeError) as error:
            log.warning("index %s was not saved and will be rebuilt when next opened: %s", path.name, error)
            return
        self._unsaved[code] = 0

    def _delete_file(self, code: int) -> None:
        path = self.file_of(self._space_of(code))
        if path is not None and self._keep:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def save(self) -> None:
        """Write every graph that has changed; a failure is logged, for the index can always be rebuilt."""
        for code in list(self._shards):
            self._save(code)

    def scrub(self, kept: Keys, purges: int) -> None:
        """Overwrite every vector whose key is not in `kept`, in RAM and in the files.

        Args:
            kept: keys that still exist in the store.
            purges: number of the newest purge; index files that do not tell it are scrubbed when next loaded.
        """
        self.purges = purges
        for code, space in [(code, space) for space, code in self._codes.items()]:
            path = self.file_of(space)
            if code not in self._shards and (path is None or not path.exists()):
                continue
            shard = self._shard(code)
            shard.scrub(np.setdiff1d(shard.keys, kept))
            self._unsaved[code] = max(1, self._unsaved.get(code, 0))
        self.save()


def _extended(array: NDArray[Any], size: int, fill: int) -> NDArray[Any]:
    """The array, or a longer copy of it that holds at least `size` values."""
    if size <= len(array):
        return array
    longer = np.full(max(size, 64, int(len(array) * 1.5)), fill, array.dtype)
    longer[: len(array)] = array
    return longer


def _are_unit(vectors: Vectors) -> bool:
    """Whether all vectors have length 1, within what float16 leaves of it."""
    return bool(np.all(np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1.0) < 5e-3))
