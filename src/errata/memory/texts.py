"""Full text of the newest revision of each edit, derived from the log: how SQLite's FTS5 keeps it and is asked.

A text is found by words that begin with each of the words asked for. Every method runs inside the caller's
transaction or lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from errata.memory.database import Connection

TEXTS = """SELECT e.row, r.prompt || ' ' || r.target FROM edits e JOIN revisions r ON r.number = e.number
           WHERE r.erased = 0"""
"""The texts as log and current state tell them."""


class Texts(Protocol):
    """A full-text index over the edits' texts, by the integer that stands for an edit."""

    def put(self, texts: Iterable[tuple[int, str]]) -> None:
        """Index texts anew."""
        ...

    def forget(self, rows: Sequence[int]) -> None:
        """Erase texts, their words included."""
        ...

    def rebuild(self) -> None:
        """Derive the whole from log and current state."""
        ...

    def condition(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        """SQL that holds for revisions `r` whose text has words beginning with each of these, and its values."""
        ...

    def wrong(self) -> int:
        """How many texts are indexed wrongly or not at all."""
        ...


class Fts5:
    """Texts in SQLite's FTS5.

    Args:
        connection: gives the connection of the caller's transaction.
        writable: whether FTS5's own check, which writes, may run.
    """

    def __init__(self, connection: Callable[[], Connection], *, writable: bool) -> None:
        self._connection, self._writable = connection, writable

    def put(self, texts: Iterable[tuple[int, str]]) -> None:
        """See Texts."""
        told = list(texts)
        connection = self._connection()
        connection.executemany("DELETE FROM texts WHERE rowid = ?", [(row,) for row, _ in told])
        connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", told)

    def forget(self, rows: Sequence[int]) -> None:
        """See Texts; FTS5 keeps words of deleted texts until it is rebuilt."""
        if rows:
            self._connection().executemany("DELETE FROM texts WHERE rowid = ?", [(row,) for row in rows])
            self._connection().execute("INSERT INTO texts (texts) VALUES ('rebuild')")

    def rebuild(self) -> None:
        """See Texts."""
        self._connection().execute("DELETE FROM texts")
        self._connection().execute(f"INSERT INTO texts (rowid, text) {TEXTS}")

    def condition(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        """See Texts."""
        query = " ".join('"' + word.replace('"', '""') + '"*' for word in words)
        return "r.row IN (SELECT rowid FROM texts WHERE texts MATCH ?)", [query]

    def wrong(self) -> int:
        """See Texts; FTS5 raises an error where its own parts do not agree."""
        connection = self._connection()
        lost = connection.execute(f"SELECT count(*) FROM ({TEXTS} EXCEPT SELECT rowid, text FROM texts)").fetchone()
        extra = connection.execute(f"SELECT count(*) FROM (SELECT rowid, text FROM texts EXCEPT {TEXTS})").fetchone()
        if self._writable:
            connection.execute("INSERT INTO texts (texts) VALUES ('integrity-check')")
        return int(max(lost[0], extra[0]))
