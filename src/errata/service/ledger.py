"""The service's own book beside the memory: keys, edits that wait for approval, and the audit of decisions.

Where it is kept, `ledgerfile` and `ledgerpg` say. Edits themselves and their history are the memory's business.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from errata.memory.database import Connection

MIGRATIONS: Sequence[tuple[str, str]] = (
    (
        "first",
        """
        CREATE TABLE keys (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, spaces TEXT NOT NULL, digest TEXT NOT NULL,
            made TEXT NOT NULL, expires TEXT, revoked TEXT
        ) STRICT;
        CREATE TABLE waiting (
            id INTEGER PRIMARY KEY AUTOINCREMENT, space TEXT NOT NULL, kind TEXT NOT NULL, asked TEXT NOT NULL,
            author TEXT NOT NULL, key TEXT NOT NULL, made TEXT NOT NULL, settled TEXT, verdict TEXT, by_whom TEXT
        ) STRICT;
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL,
            space TEXT NOT NULL, told TEXT NOT NULL
        ) STRICT;
        CREATE INDEX audit_what ON audit (what, id);
        CREATE TABLE idempotent (
            who TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
            made TEXT NOT NULL, PRIMARY KEY (who, key)
        ) STRICT;
        """,
    ),
    (
        "console",
        """
        CREATE TABLE sessions (digest TEXT PRIMARY KEY, key TEXT NOT NULL, expires TEXT NOT NULL) STRICT;
        CREATE TABLE links (digest TEXT PRIMARY KEY, expires TEXT NOT NULL) STRICT;
        CREATE INDEX audit_space ON audit (what, space, id);
        """,
    ),
    ("claims", "ALTER TABLE waiting ADD COLUMN claimed TEXT"),
)
"""Named steps of the schema, in order, as SQLite has it; one that has run is never changed."""

Statement = tuple[str, tuple[object, ...]]
"""SQL with `?` for values, and the values."""


class Ledger(ABC):
    """The book. SQL is written once, with `?` for values, in words that SQLite and PostgreSQL both understand."""

    @abstractmethod
    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query finds.

        Raises:
            StoreError: the ledger cannot be read.
        """

    @abstractmethod
    def writing(self) -> AbstractContextManager[Connection]:
        """A write transaction, durable when it ends; one at a time, whoever shares the ledger.

        Raises:
            StoreError: it could not be written; nothing was.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the ledger; closing twice does no harm."""

    @abstractmethod
    def renumber(self, db: Connection) -> None:
        """Let new rows be numbered above those that were written with numbers of their own, in this transaction."""

    def note(self, what: str, who: str, space: str, told: Mapping[str, object]) -> None:
        """One line of the audit.

        Args:
            what: "decision", "add", "approve", "key" and so on.
            who: the key's name, or "anonymous".
            space: whose edits.
            told: whatever else there is to tell, as JSON has it.
        """
        self.note_all([(what, who, space, told)])

    def note_all(self, lines: Sequence[tuple[str, str, str, Mapping[str, object]]]) -> None:
        """Several lines of the audit in one transaction."""
        with self.writing() as db:
            for one in lines:
                db.execute(*line(*one))

    def audit(self, *, what: str = "", after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Lines of the audit, oldest first."""
        keys = ("id", "time", "what", "who", "space", "told")
        sql = f"SELECT {', '.join(keys)} FROM audit WHERE id > ? AND (? = '' OR what = ?) ORDER BY id LIMIT ?"
        return [
            dict(zip(keys, (*row[:5], json.loads(row[5])), strict=True))
            for row in self.rows(sql, (after, what, what, limit))
        ]


def statements(script: str) -> list[str]:
    """The statements of a step."""
    return [part for part in script.split(";") if part.strip()]


def line(what: str, who: str, space: str, told: Mapping[str, object]) -> Statement:
    """The statement that writes one line of the audit, as of now; see `Ledger.note`."""
    into = "INSERT INTO audit (time, what, who, space, told) VALUES (?, ?, ?, ?, ?)"
    return into, (now(), what, who, space, json.dumps(told, ensure_ascii=False))


def now(later: float = 0.0) -> str:
    """This moment, or one so many seconds later, in ISO form, UTC."""
    return (datetime.now(UTC) + timedelta(seconds=later)).isoformat(timespec="milliseconds")
