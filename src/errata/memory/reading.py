"""Everything that is read from a memory in SQL: the same code for the memory as it is and as it was.

`Reading` asks the database and its index. Whether "newest" means newest of all or newest up to a revision is
the one difference between a memory and the view that `checkout` returns. Nothing here writes.
"""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import numpy as np

from errata.edit import Candidate, Edit, Revision
from errata.errors import EditError, EncoderMismatch
from errata.memory import Moment, Vectors, rows
from errata.memory.cache import COLUMNS, Edits
from errata.memory.database import NO_LIMIT, Database
from errata.memory.diffing import Diff, compare
from errata.memory.index import ALWAYS, NEVER, Index
from errata.memory.shards import Keys, blocks, cut, distances
from errata.memory.vectorcache import VectorCache

LIVE = "r.kind NOT IN ('retract', 'purge') AND r.erased = 0"


class Reading:
    """The reading half of a memory in SQL.

    Args:
        db: the database.
        upto: newest revision that counts; None for all there are.
        exact_limit: see Index.
    """

    def __init__(self, db: Database, *, upto: int | None, exact_limit: int) -> None:
        self.db, self._upto, self._exact_limit = db, upto, exact_limit
        self._edits, self._vectors = Edits(db), VectorCache(db.kept_vectors)
        self._index: Index | None = None
        self._encoder: tuple[int, str, int] | None = None

    # What "newest" means

    @property
    def _newest(self) -> str:
        """FROM and WHERE of a query over the newest revision `r` of each edit."""
        if self._upto is None:
            return "edits e JOIN revisions r ON r.number = e.number WHERE true"
        newest = f"SELECT max(x.number) FROM revisions x WHERE x.row = r.row AND x.number <= {self._upto}"
        return f"revisions r WHERE r.number <= {self._upto} AND r.number = ({newest})"

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 for an empty log."""
        return (
            int(self.db.value("SELECT coalesce(max(number), 0) FROM revisions")) if self._upto is None else self._upto
        )

    @abstractmethod
    def _now(self) -> datetime:
        """The moment that validity is judged at unless another is given."""

    # Edits by id

    def find(self, ids: Iterable[str]) -> dict[str, Revision]:
        """Newest revisions of the edits with exactly these ids; unknown ids are left out."""
        which = "e.id IN ({})" if self._upto is None else "r.row IN (SELECT row FROM edits WHERE id IN ({}))"
        sql = f"SELECT {COLUMNS} FROM {self._newest} AND {which}"
        return {row[4]: rows.read_revision(row) for row in self.db.where_in(sql, dict.fromkeys(ids))}

    def get(self, id: str) -> Revision:
        """The newest revision of an edit, found by its id or by the first characters (4 or more) of only one.

        Raises:
            EditError: no such edit (the message tells the nearest ids), or several begin so.
        """
        if not isinstance(id, str) or not id:
            raise EditError(f"an edit's id must be text, not {id!r}")
        found = self.find([id])
        if found:
            return found[id]
        begins = self._beginning(id, 6) if len(id) >= 4 else []
        if len(begins) == 1:
            return self.find(begins)[begins[0]]
        if begins:
            raise EditError(f"several edits' ids begin with {id!r}: {', '.join(begins)}; give more characters")
        near = get_close_matches(id, self._beginning(id[:2], 500) or self._beginning("", 500), n=3)
        advice = f"nearest ids: {', '.join(near)}" if near else "`list` shows the ids there are"
        raise EditError(f"no edit has the id {id!r}; {advice}")

    def _beginning(self, prefix: str, limit: int) -> builtins.list[str]:
        sql = f"SELECT r.id FROM {self._newest} AND r.id >= ? AND r.id < ? ORDER BY r.id LIMIT {limit}"
        if self._upto is None:
            sql = f"SELECT e.id FROM edits e WHERE e.id >= ? AND e.id < ? ORDER BY e.id LIMIT {limit}"
        return [id for (id,) in self.db.all(sql, (prefix, prefix + "\U0010ffff"))]

    # Lists

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
        """Newest revision of each edit, in order of its number.

        Args:
            space: only this space's.
            tag: only those with this tag.
            author: only this author's.
            text: only those whose prompt or target has words beginning with each of these words.
            live: leave out retracted and purged edits.
            enabled: only enabled (True) or only disabled (False) ones.
            limit: at most so many.
            after: only those whose newest revision has a higher number (the last one of the page before).
        """
        where, values = ["r.number > ?"], [after]
        filters: builtins.list[tuple[bool, str, Any]] = [
            (space is not None, "r.space = ?", space),
            (bool(author), "r.author = ?", author),
            (bool(tag), self.db.has_tag, tag),
            (enabled is not None, "r.enabled = ?", int(bool(enabled))),
        ]
        for wanted, condition, value in filters:
            if wanted:
                where.append(condition)
                values.append(value)
        if live:
            where.append(LIVE)
        if text.strip():
            condition, terms = self._text_condition(text)
            where.append(condition)
            values.extend(terms)
        if limit is not None and limit < 0:
            raise EditError(f"limit must be 0 or more, not {limit}")
        sql = f"SELECT {COLUMNS} FROM {self._newest} AND {' AND '.join(where)} ORDER BY r.number LIMIT ?"
        return [rows.read_revision(row) for row in self.db.all(sql, (*values, NO_LIMIT if limit is None else limit))]

    def _text_condition(self, text: str) -> tuple[str, builtins.list[Any]]:
        """SQL that holds for revisions with all of the text's words, and its values."""
        words = [word for word in text.replace("\x00", " ").split() if any(c.isalnum() for c in word)]
        if self._upto is None and words and self.db.texts is not None:
            return self.db.texts.condition(words)
        parts = [part.replace("!", "!!").replace("%", "!%").replace("_", "!_") for part in words or [text.strip()]]
        both = f"(r.prompt || ' ' || r.target) {self.db.like} ? ESCAPE '!'"
        return " AND ".join([both] * len(parts)), [f"%{part}%" for part in parts]

    def history(self, id: str | None = None, *, after: int = 0, limit: int | None = None) -> Iterator[Revision]:
        """The log, oldest first, of one edit or of all; read in portions while it is walked.

        Raises:
            EditError: no edit has this id.
        """
        exact = None if id is None else self.get(id).edit.id
        return self._walk(exact, after, limit)

    def _walk(self, id: str | None, after: int, limit: int | None) -> Iterator[Revision]:
        one = "" if id is None else "r.row = (SELECT row FROM edits WHERE id = ?) AND"
        log = f"revisions r WHERE {one} r.number > ? AND r.number <= ?"
        sql = f"SELECT {COLUMNS} FROM {log} ORDER BY r.number LIMIT ?"
        newest, left = self.revision, limit
        while left is None or left > 0:
            size = 1000 if left is None else min(1000, left)
            page = self.db.all(sql, (*(() if id is None else (id,)), after, newest, size))
            for row in page:
                yield rows.read_revision(row)
            if len(page) < size:
                return
            after, left = page[-1][0], None if left is None else left - len(page)

    # Moments

    def number_at(self, moment: Moment) -> int:
        """The revision in force at a moment: a revision's number, or an aware datetime.

        Raises:
            EditError: no such revision, or a moment without a time zone.
        """
        if isinstance(moment, datetime):
            sql = "SELECT coalesce(max(number), 0) FROM revisions WHERE number <= ? AND time <= ?"
            return int(self.db.value(sql, (self.revision, rows.micros(moment))))
        if isinstance(moment, bool) or not isinstance(moment, int):
            raise EditError(f"a moment must be a revision number or a datetime, not {moment!r}")
        if not 0 <= moment <= self.revision:
            raise EditError(f"there is no revision {moment}; the newest is {self.revision}")
        return moment

    def moment_at(self, number: int) -> datetime:
        """When a revision was made; the beginning of 1970 for revision 0."""
        return rows.moment_of(self.db.value("SELECT time FROM revisions WHERE number = ?", (number,)) or 0)

    def diff(self, a: Moment, b: Moment) -> Diff:
        """What changed from moment `a` to moment `b` (which may be the earlier one).

        Raises:
            EditError: see `number_at`.
        """
        low, high = self.number_at(a), self.number_at(b)
        touched = "SELECT DISTINCT row FROM revisions WHERE number > ? AND number <= ?"
        sql = f"""SELECT {COLUMNS} FROM ({touched}) t JOIN revisions r
                  ON r.number = (SELECT max(number) FROM revisions WHERE row = t.row AND number <= ?)
                  ORDER BY r.number"""
        span = (min(low, high), max(low, high))
        states = []
        for number in (low, high):
            found = [row for row in self.db.all(sql, (*span, number)) if not row[17]]
            revisions = (rows.read_revision(row) for row in found)
            states.append({revision.edit.id: revision for revision in revisions if revision.live})
        return compare(*states)

    # Vectors

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the scope model the memory is bound to; "" while it is bound to none."""
        return self._encoder[1] if self._encoder else ""

    def _bound(self) -> tuple[int, str, int]:
        """Code, fingerprint and dimension of the scope model bound to.

        Raises:
            EncoderMismatch: none is.
        """
        if self._encoder is None:
            raise EncoderMismatch("no scope model is bound to this memory; call bind(fingerprint, dimension) first")
        return self._encoder

    def missing(self, *, limit: int | None = None) -> builtins.list[Edit]:
        """Live edits without a vector of the scope model bound to (they cannot match), in order of number."""
        code = self._bound()[0]
        sql = f"""SELECT {COLUMNS} FROM {self._newest} AND {LIVE} AND NOT EXISTS
                  (SELECT 1 FROM vectors v WHERE v.row = r.row AND v.encoder = ? AND v.content = r.content)
                  ORDER BY r.number LIMIT ?"""
        found = self.db.all(sql, (code, NO_LIMIT if limit is None else limit))
        return [rows.read_revision(row).edit for row in found]

    def _fetch(self, keys: Keys) -> Vectors:
        """Stored vectors by key, in the keys' order; zeros for one that has been purged meanwhile."""
        dimension = self._bound()[2]
        wanted = keys.tolist()
        sql = "SELECT vid, vector FROM vectors WHERE vid IN ({})"
        found = self._vectors.of(wanted, lambda keys: self.db.where_in(sql, keys))
        none = bytes(2 * dimension)
        return rows.vectors_of([found.get(key, none) for key in wanted], dimension)

    def _forget(self) -> None:
        """Forget texts and vectors kept (after a purge, or where the log is another one)."""
        self._edits.clear()
        self._vectors.clear()

    def _load(self, index: Index, where: str, values: Sequence[Any], *, few: bool = False) -> None:
        """Tell the index the newest state of the edits that a condition selects.

        Args:
            index: what is told.
            where: the condition, after WHERE.
            values: of the condition.
            few: whether there are few enough to be read at once.
        """
        sql = f"""SELECT r.row, coalesce(v.vid, 0), r.space, r.number, r.enabled = 1 AND {LIVE}, r.valid_from, r.expires
                  FROM {
            self._newest.replace(
                " WHERE ",
                " LEFT JOIN vectors v ON v.row = r.row AND v.encoder = ? AND v.content = r.content WHERE ",
                1,
            )
        } AND {where}"""
        given = (self._bound()[0], *values)
        for part in filter(None, [self.db.all(sql, given)]) if few else self.db.portions(sql, given):
            row, key, space, number, on, start, end = zip(*part, strict=True)
            index.update(
                np.array(row, np.int64),
                np.array(key, np.int64),
                builtins.list(space),
                np.array(number, np.int64),
                np.array(on, np.bool_),
                np.array([ALWAYS if moment is None else moment for moment in start], np.int64),
                np.array([NEVER if moment is None else moment for moment in end], np.int64),
            )

    @abstractmethod
    def _fresh_index(self) -> Index:
        """The index, brought up to date."""

    def search(
        self, vectors: Vectors, k: int, *, space: str = "default", at: datetime | None = None
    ) -> builtins.list[builtins.list[Candidate]]:
        """The k nearest edits in force in a space at a moment, for each of (n, d) vectors.

        Distances are squared Euclidean, from the vectors as stored (float16); equal distances are ordered by
        id.

        Raises:
            EncoderMismatch: no scope model is bound, or the vectors have another dimension.
            EditError: k below 1, vectors that are not finite, a moment without time zone.
        """
        queries = rows.as_vectors(vectors, None, self._bound()[2])
        if k < 1:
            raise EditError(f"k must be 1 or more, not {k}")
        moment = rows.micros(self._now() if at is None else at)
        with self.db.lock:
            found = self._fresh_index().search(queries, k, space, moment)
            return [self._candidates(numbers, far, k) for numbers, far in found]

    def _candidates(self, numbers: Keys, far: Any, k: int) -> builtins.list[Candidate]:
        edits = self._edits.of(numbers.tolist())
        candidates = [Candidate(edit, distance) for edit, distance in zip(edits, far.tolist(), strict=True)]
        candidates.sort(key=lambda candidate: (candidate.distance, candidate.edit.id))
        return candidates[:k]

    def inactive_nearest(
        self, vector: Vectors, k: int, *, space: str = "default", at: datetime | None = None
    ) -> builtins.list[tuple[Candidate, str]]:
        """The k nearest edits that cannot match in a space at a moment, each with the reason.

        Reasons are those of `Revision.inactive_because` ("retracted", "disabled", "not yet valid", "expired")
        and "in space 'x'". Reads every such edit's vector: for explanations, not for the path of each input.

        Raises:
            EncoderMismatch, EditError: see `search`.
        """
        code, _, dimension = self._bound()
        query = rows.as_vectors(vector, 1, dimension)[0]
        moment = self._now() if at is None else at
        now = rows.micros(moment)
        out = f"""NOT ({LIVE} AND r.enabled = 1 AND r.space = ? AND coalesce(r.valid_from <= ?, true)
                  AND coalesce(r.expires > ?, true))"""
        newest = self._newest.replace(
            " WHERE ",
            " JOIN vectors v ON v.row = r.row AND v.encoder = ? AND v.content = r.content WHERE ",
            1,
        )
        found = self.db.all(f"SELECT v.vid, r.number FROM {newest} AND {out}", (code, space, now, now))
        number_of = dict(found)
        best, far = np.zeros(0, np.int64), np.zeros(0)
        for keys, stored in blocks(np.array(sorted(number_of), np.int64), self._fetch):
            best, far = cut(np.concatenate([best, keys]), np.concatenate([far, distances(query, stored)]), k)
        told = []
        for key, distance in zip(best.tolist(), far.tolist(), strict=True):
            sql = f"SELECT {COLUMNS} FROM revisions r WHERE r.number = ?"
            revision = rows.read_revision(self.db.all(sql, (number_of[key],))[0])
            reason = revision.inactive_because(moment) or f"in space {revision.edit.space!r}"
            told.append((Candidate(revision.edit, distance), reason))
        return sorted(told, key=lambda item: (item[0].distance, item[0].edit.id))[:k]

    # Summaries

    def spaces(self) -> builtins.list[str]:
        """Names of the spaces that hold live edits, sorted."""
        return [name for (name,) in self.db.all(f"SELECT DISTINCT r.space FROM {self._newest} AND {LIVE} ORDER BY 1")]

    def counts(self, *, at: datetime | None = None) -> dict[str, dict[str, int]]:
        """Number of edits by space and state.

        States: "in force", "disabled", "not yet valid", "expired", "retracted", "purged"; a space has all of
            them.
        """
        moment = rows.micros(self._now() if at is None else at)
        state = """CASE WHEN r.erased = 1 THEN 'purged' WHEN r.kind = 'retract' THEN 'retracted'
                   WHEN r.enabled = 0 THEN 'disabled' WHEN r.valid_from > ? THEN 'not yet valid'
                   WHEN r.expires <= ? THEN 'expired' ELSE 'in force' END"""
        sql = f"SELECT r.space, {state}, count(*) FROM {self._newest} GROUP BY 1, 2"
        counted: dict[str, dict[str, int]] = {}
        names = ("in force", "disabled", "not yet valid", "expired", "retracted", "purged")
        for space, name, count in self.db.all(sql, (moment, moment)):
            counted.setdefault(space, dict.fromkeys(names, 0))[name] = count
        return counted

    def threshold(self, space: str) -> float | None:
        """The space's own threshold, or None if it has none."""
        value = self.db.value("SELECT value FROM settings WHERE key = ?", (f"threshold:{space}",))
        return None if value is None else float(value)
