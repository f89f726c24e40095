"""The service's own book beside the memory: keys, edits that wait for approval, and the audit of decisions.

One SQLite file next to the memory. Edits themselves and their history are the memory's business.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from errata.errors import StoreError
from errata.settings import default_memory

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
)
"""Named steps of the schema, in order; one that has run is never changed."""
WAIT = 30.0
"""Seconds that another process's write is waited for."""

Statement = tuple[str, tuple[object, ...]]
"""SQL with `?` for values, and the values."""


class Ledger:
    """The book.

    Args:
        path: its file, or ":memory:".

    Raises:
        StoreError: the file cannot be opened, is damaged, or was written by a newer errata.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._lock = threading.RLock()
        try:
            if self.path != ":memory:":
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=WAIT)
            self._use_wal()
            self._db.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the service's ledger {self.path} cannot be opened: {error}") from error

    def _use_wal(self) -> None:
        """Switch to WAL; SQLite does not wait for another process here, so we do."""
        until = time.monotonic() + WAIT
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def _migrate(self) -> None:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, time TEXT NOT NULL) STRICT"
                )
                done = [name for (name,) in self._db.execute("SELECT name FROM migrations ORDER BY rowid")]
                known = [name for name, _ in MIGRATIONS]
                if done != known[: len(done)]:
                    newer = ", ".join(sorted(set(done) - set(known))) or "its steps in another order"
                    raise StoreError(
                        f"the service's ledger {self.path} was written by a newer errata (it knows {newer}); "
                        "upgrade errata"
                    )
                for name, script in MIGRATIONS[len(done) :]:
                    for statement in script.split(";"):
                        if statement.strip():
                            self._db.execute(statement)
                    self._db.execute("INSERT INTO migrations VALUES (?, ?)", (name, now()))
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query finds.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"the service's ledger cannot be read: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, durable when it ends.

        Raises:
            StoreError: it could not be written; nothing was.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    self._roll_back()
                    raise
            except sqlite3.Error as error:
                raise StoreError(f"the service's ledger {self.path} cannot be written: {error}") from error

    def _roll_back(self) -> None:
        """Undo a transaction, unless SQLite did so by itself, as on a full disk."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

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

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        with self._lock:
            self._db.close()


def line(what: str, who: str, space: str, told: Mapping[str, object]) -> Statement:
    """The statement that writes one line of the audit, as of now; see `Ledger.note`."""
    into = "INSERT INTO audit (time, what, who, space, told) VALUES (?, ?, ?, ?, ?)"
    return into, (now(), what, who, space, json.dumps(told, ensure_ascii=False))


def ledger_path(memory: str) -> str:
    """The ledger's file beside a memory's."""
    if memory == ":memory:" or "://" in memory:
        return ":memory:" if memory == ":memory:" else str(default_memory().with_suffix(".service.db"))
    return str(Path(memory).with_suffix(".service.db"))


def now() -> str:
    """This moment in ISO form, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
