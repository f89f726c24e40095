"""How a change is written down: log, current state, text search and vectors, inside the caller's transaction.

Nothing here decides what a change means (see `changes`), opens a transaction, or searches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from errata.edit import Edit, Revision
from errata.memory import rows
from errata.memory.changes import Change
from errata.memory.database import Database

LOG = f"INSERT INTO revisions ({', '.join(rows.COLUMNS)}) VALUES ({', '.join('?' * len(rows.COLUMNS))})"
"""Writes one revision, from `rows.revision_row`."""
_EDIT = """
INSERT INTO edits (row, id, number, live, space, enabled, valid_from, expires, content)
VALUES (?,?,?,?,?,?,?,?,?)
ON CONFLICT (row) DO UPDATE SET number = excluded.number, live = excluded.live, space = excluded.space,
    enabled = excluded.enabled, valid_from = excluded.valid_from, expires = excluded.expires,
    content = excluded.content
"""
REPLAYED = """
SELECT row, id, number, CASE WHEN kind IN ('retract', 'purge') THEN 0 ELSE 1 END AS live, space, enabled,
    valid_from, expires, content
FROM revisions r WHERE number = (SELECT max(number) FROM revisions x WHERE x.row = r.row)
"""
"""The current state as the log tells it."""
_ERASE = """
UPDATE revisions SET prompt = ?, target = ?, meta = '', source = '', note = '', tags = '', content = ?,
    erased = 1 WHERE row = ?
"""
VECTOR = "INSERT INTO vectors (row, encoder, content, vector) VALUES (?,?,?,?) ON CONFLICT DO NOTHING"
"""Keeps one vector: row, scope model, text, bytes."""


class Writer:
    """Writes revisions and what is derived from them; every method runs inside a transaction of the database.

    Args:
        db: the database.
        clock: tells the time (aware).
    """

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock

    def number(self, wanted: Sequence[Change]) -> list[Revision]:
        """Changes with the numbers and the time they will have, never earlier than the last one's."""
        last = self._db.all("SELECT number, time FROM revisions ORDER BY number DESC LIMIT 1")
        now = rows.moment_of(rows.micros(self._clock()))
        number, time = (0, now) if not last else (last[0][0], max(now, rows.moment_of(last[0][1])))
        return [
            Revision(number=number + i, time=time, kind=change.kind, edit=change.edit, terms=change.terms)
            for i, change in enumerate(wanted, 1)
        ]

    def append(self, revisions: Sequence[Revision]) -> None:
        """Write revisions to the log, and what follows from them to the current state and the text search."""
        connection = self._db.connection
        row_of = self.rows_of(revision.edit for revision in revisions)
        top = self._db.value("SELECT coalesce(max(row), 0) FROM edits")
        for revision in revisions:
            if revision.edit.id not in row_of:
                top += 1
                row_of[revision.edit.id] = top
        log = [rows.revision_row(revision, row_of[revision.edit.id]) for revision in revisions]
        connection.executemany(LOG, log)
        newest = {values[3]: values for values in log}
        states = (
            (v[3], v[4], v[0], int(v[2] not in ("retract", "purge")), v[7], v[15], v[13], v[14], v[16])
            for v in newest.values()
        )
        connection.executemany(_EDIT, states)
        if self._db.texts is not None:
            self._db.texts.put((row, f"{v[5]} {v[6]}") for row, v in newest.items() if v[2] != "purge")

    def rows_of(self, edits: Iterable[Edit]) -> dict[str, int]:
        """The integers that stand for edits' ids, of those there are."""
        ids = dict.fromkeys(edit.id for edit in edits)
        return dict(self._db.where_in("SELECT id, row FROM edits WHERE id IN ({})", ids))

    def keep_vectors(self, edits: Sequence[Edit], blobs: Sequence[bytes], encoder: int) -> None:
        """Keep the vectors of edits in the log, of those texts that have none of this encoder yet."""
        row_of = self.rows_of(edits)
        values = (
            (row_of[edit.id], encoder, rows.content_of(edit), blob) for edit, blob in zip(edits, blobs, strict=True)
        )
        self._db.connection.executemany(VECTOR, values)

    def erase(self, ids: Iterable[str]) -> None:
        """Erase the texts and vectors of edits everywhere in the database."""
        connection = self._db.connection
        found = [row for (row,) in self._db.where_in("SELECT row FROM edits WHERE id IN ({})", ids)]
        for row in found:
            connection.execute(_ERASE, (rows.PURGED, rows.PURGED, b"", row))
            connection.execute("DELETE FROM vectors WHERE row = ?", (row,))
        if self._db.texts is not None:
            self._db.texts.forget(found)

    def replay(self) -> None:
        """Derive current state and text search from the log anew."""
        connection = self._db.connection
        connection.execute("DELETE FROM edits")
        names = "row, id, number, live, space, enabled, valid_from, expires, content"
        connection.execute(f"INSERT INTO edits ({names}) {REPLAYED}")
        if self._db.texts is not None:
            self._db.texts.rebuild()
