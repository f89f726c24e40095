"""The ledger of a memory in a file: one SQLite file next to it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errata.errors import StoreError
from errata.memory.database import Connection
from errata.service.ledger import MIGRATIONS, Ledger, now, statements

WAIT = 30.0
"""Seconds that another process's write is waited for."""


class FileLedger(Ledger):
    """The ledger in one SQLite file, which several processes of this machine may share.

    Args:
        path: its file, or ":memory:".
        read_only: refuse every write; the file must exist.

    Raises:
        StoreError: the file cannot be opened, is damaged, or was written by a newer errata.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path, self.read_only = str(path), read_only
        self._lock = threading.RLock()
        try:
            if self.path != ":memory:" and not read_only:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            name = Path(self.path).absolute().as_uri() + "?mode=ro" if read_only else self.path
            self._db = sqlite3.connect(name, check_same_thread=False, isolation_level=None, timeout=WAIT, uri=read_only)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the service's ledger {self.path} cannot be opened: {error}") from error

    def _prepare(self) -> None:
        if self.read_only:
            if len(self._done()) < len(MIGRATIONS):
                raise StoreError(f"the service's ledger {self.path} must first be upgraded: start `errata serve` once")
            return
        self._use_wal()
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, time TEXT NOT NULL) STRICT")
            for name, script in MIGRATIONS[len(self._done()) :]:
                for statement in statements(script):
                    self._db.execute(statement)
                self._db.execute("INSERT INTO migrations VALUES (?, ?)", (name, now()))
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

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

    def _roll_back(self) -> None:
        """Undo a transaction, unless SQLite did so by itself, as on a full disk."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _done(self) -> list[str]:
        """Names of the steps that have run."""
        done = [name for (name,) in self._db.execute("SELECT name FROM migrations ORDER BY rowid")]
        if done != [name for name, _ in MIGRATIONS[: len(done)]]:
            newer = ", ".join(sorted(set(done) - {name for name, _ in MIGRATIONS})) or "its steps in another order"
            raise StoreError(
                f"the service's ledger {self.path} was written by a newer errata (it knows {newer}); upgrade errata"
            )
        return done

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See Ledger."""
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"the service's ledger cannot be read: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """See Ledger."""
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

    def renumber(self, db: Connection) -> None:
        """See Ledger; SQLite looks for itself."""

    def close(self) -> None:
        """See Ledger."""
        with self._lock:
            self._db.close()
