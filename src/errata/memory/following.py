"""The index of a shared memory, kept abreast of its log: a search first takes in what any process committed.

Only keys, numbers and moments pass from the log to the index; texts stay in the database. Nothing here writes
to the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from errata.errors import StoreError
from errata.memory import Vectors, rows
from errata.memory.index import Index, Searcher
from errata.memory.reading import Reading

_STATE = """
SELECT coalesce(max(number), 0), (SELECT coalesce(max(vid), 0) FROM vectors),
       (SELECT coalesce(max(value), '0') FROM settings WHERE key = 'epoch'),
       (SELECT coalesce(max(number), 0) FROM revisions WHERE kind = 'purge'),
       (SELECT time FROM revisions ORDER BY number DESC LIMIT 1), (SELECT time FROM revisions WHERE number = ?)
FROM revisions
"""
_TOUCHED = "e.row IN (SELECT row FROM revisions WHERE number > ? UNION SELECT row FROM vectors WHERE vid > ?)"
_READ = (
    "SELECT sum(length(vector)) FROM (SELECT vector FROM vectors ORDER BY vid DESC LIMIT ?) newest",
    "SELECT sum(length(prompt)) FROM (SELECT prompt FROM revisions ORDER BY number DESC LIMIT ?) newest",
)
"""Reads the pages of the newest vectors and texts, which searches read."""
_ROWS_READ = 1_000_000
_FEW = 10_000
"""New revisions and vectors that are read at once."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the index has taken in: newest revision and its time, newest vector, rebuilds, newest purge."""

    number: int
    time: int
    key: int
    epoch: int
    purge: int


class Following(Reading):
    """Reading, with an index that follows the log."""

    _version: object = None
    _seen: _Seen | None = None

    def _state(self, before: int) -> tuple[_Seen, int]:
        """What there is to take in, and the time that the log tells of a revision taken in before."""
        number, key, epoch, purge, time, then = self.db.all(_STATE, (before,))[0]
        return _Seen(number, time or 0, key, int(epoch), purge), then or 0

    def _fresh_index(self) -> Index:
        version = self.db.version()
        if self._index is not None and self._version == version:
            return self._index
        with self.db.snapshot():
            seen, index = self._seen or _Seen(0, 0, 0, 0, 0), self._index
            state, then = self._state(seen.number)
            if index is None or state.epoch != seen.epoch or then != seen.time:
                index, seen = self._empty_index(state.purge), _Seen(0, 0, 0, state.epoch, state.purge)
                self._forget()
            index.stamp = (state.number, state.time)
            if not seen.number:
                self._load(index, "true", ())
            elif state.number > seen.number or state.key > seen.key:
                few = state.number - seen.number + state.key - seen.key < _FEW
                self._load(index, _TOUCHED, (seen.number, seen.key), few=few)
            if state.purge != index.purges:
                self._forget()
                kept = self.db.all("SELECT vid FROM vectors WHERE encoder = ?", (self._bound()[0],))
                index.scrub(np.array([key for (key,) in kept], np.int64), state.purge)
        self._index, self._seen, self._version = index, state, version
        return index

    def _empty_index(self, purges: int) -> Index:
        _, fingerprint, dimension = self._bound()
        index = Index(
            dimension,
            self._fetch,
            fingerprint=fingerprint,
            exact_limit=self._exact_limit,
            path=self.db.beside,
            keep=not self.db.read_only,
            verify=self._is_of_log,
            server=self._searcher(),
        )
        index.purges = purges
        return index

    def _searcher(self) -> Searcher | None:
        """What gives the shards of large spaces that the database searches itself; None where this process does."""
        return None

    def _is_of_log(self, stamp: tuple[int, int]) -> bool:
        """Whether the log has a revision of this number and time; one restored from a backup may have not."""
        return self._time_of(stamp[0]) == stamp[1]

    def _time_of(self, number: int) -> int:
        """When a revision was made, in microseconds; 0 for revision 0 and -1 where there is none such."""
        return int(self.db.value("SELECT time FROM revisions WHERE number = ?", (number,)) or (-1 if number else 0))

    def refresh(self, space: str | None = None) -> int:
        """Bring the index up to date now rather than at the next search, and save it.

        Returns the revision it covers.

        Args:
            space: this space's vectors are made ready too; None makes those of all spaces ready.

        Raises:
            EncoderMismatch: no scope model is bound.
        """
        with self.db.lock:
            index = self._fresh_index()
            for name in self.spaces() if space is None else [space]:
                index.describe(name)
            index.save()
            self._read_through()
            return index.stamp[0]

    def _read_through(self) -> None:
        """Read what searches will read, once and in order.

        Each search reads some 20 pages here and there, and one that the system's cache does not hold takes ten times as
        long as all the rest of a search.
        """
        if self.db.in_file:
            for sql in _READ:
                self.db.value(sql, (_ROWS_READ,))

    def describe_index(self, space: str = "default") -> dict[str, object]:
        """How a space is searched: its "kind" (matrix, graph, scan, empty) and the "vectors" it holds."""
        with self.db.lock:
            return self._fresh_index().describe(space)

    @contextmanager
    def as_last_bound(self) -> Iterator[Self]:
        """This memory, bound to the scope model it was bound to last, by whatever process (for checks)."""
        if self._encoder is not None:
            yield self
            return
        sql = """SELECT c.code, c.fingerprint, c.dimension FROM settings s JOIN encoders c
                 ON c.fingerprint = s.value WHERE s.key = 'encoder'"""
        for code, fingerprint, dimension in self.db.all(sql):
            self._encoder = (code, fingerprint, dimension)
        try:
            yield self
        finally:
            self._save_index()
            self._encoder, self._index = None, None

    def sample_vectors(self, space: str, n: int) -> Vectors:
        """Vectors of some n live edits of a space, always the same ones, of shape (at most n, d)."""
        code, _, dimension = self._bound()
        sql = """SELECT v.vector FROM edits e JOIN vectors v
                 ON v.row = e.row AND v.encoder = ? AND v.content = e.content
                 WHERE e.live = 1 AND e.space = ? ORDER BY (v.vid * 7919) % 10007, v.vid LIMIT ?"""
        return rows.vectors_of([vector for (vector,) in self.db.all(sql, (code, space, n))], dimension)

    def wanted_index_files(self) -> set[Path]:
        """Index files that the spaces large enough for one have, or will have."""
        if self._encoder is None:
            return set()
        with self.db.lock:
            index = self._fresh_index()
            index.tidy()
            return index.wanted_files()

    def _save_index(self) -> None:
        """Save what the index has that its file has not; never fails, for the index can be rebuilt."""
        if self._index is None:
            return
        with self.db.lock:
            try:
                self._fresh_index().save()
            except StoreError:
                self._index = None
