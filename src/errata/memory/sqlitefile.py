"""One SQLite file, opened for good keeping: WAL, synchronous=FULL, one connection a process, our own errors.

Safe among threads (a lock), among processes (BEGIN IMMEDIATE, a busy timeout) and over a fork (the child
opens its own connection). Knows the schema only through `migrations`; never sees an edit or a vector.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errata.errors import StoreError
from errata.memory.database import Database
from errata.memory.migrations import MIGRATIONS, applied, migrate
from errata.memory.texts import Fts5

_ABANDONED: list[sqlite3.Connection] = []
"""Connections inherited over a fork: kept, never used and never closed (SQLite forbids both in the child)."""


def explain(error: BaseException, path: str) -> StoreError:
    """The StoreError that tells what an error of SQLite or the system means, and what to do."""
    text, low = str(error), str(error).lower()
    if "disk is full" in low or "no space left" in low:
        advice = "the disk is full; nothing of this change was written: free some space, then repeat it"
    elif "readonly" in low or "read-only" in low:
        advice = "it can only be read; check the permissions of the file and its folder"
    elif "locked" in low or "busy" in low:
        advice = "another process keeps it locked; try again when that has finished"
    elif "malformed" in low or "not a database" in low or "corrupt" in low:
        advice = "it is damaged or no errata memory; run `errata doctor`, or restore it from a backup or an export"
    elif "unable to open" in low:
        advice = "it cannot be opened; check that the path is a file and that you may read and write there"
    elif "closed" in low:
        advice = "this memory has been closed; open it again"
    else:
        advice = "run `errata doctor`; what was acknowledged before is still there"
    return StoreError(f"memory {path}: {advice} ({text})")


class SqliteDatabase(Database):
    """A connection to one memory file (or ":memory:"), reopened in each process that uses it.

    Args:
        path: the file; its folder is created. ":memory:" keeps everything in RAM.
        read_only: refuse every write; the file must exist.
        timeout: seconds to wait for another process's write.

    Raises:
        StoreError: not a database, damaged, written by a newer errata, not writable, disk full.
    """

    like = "LIKE"
    has_tag = "r.tags != '' AND EXISTS (SELECT 1 FROM json_each(r.tags) WHERE value = ?)"
    in_file = True

    def __init__(self, path: str, *, read_only: bool = False, timeout: float = 30.0) -> None:
        super().__init__(path, read_only=read_only)
        self.path, self.timeout, self._commits = path, timeout, 0
        self._lock = threading.RLock()
        self._closed = False
        self._pid = os.getpid()
        self._connection = self._open()
        if self.value("SELECT count(*) FROM sqlite_master WHERE name = 'texts'"):
            self.texts = Fts5(lambda: self.connection, writable=not read_only)

    @property
    def in_memory(self) -> bool:
        """Whether it lives in RAM only."""
        return self.path == ":memory:"

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def beside(self) -> Path | None:
        """The database file itself; None in RAM."""
        return None if self.in_memory else Path(self.path)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn SQLite's and the operating system's errors into StoreError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise explain(error, self.path) from error

    def _open(self) -> sqlite3.Connection:
        with self.guard():
            if not self.in_memory and not self.read_only:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            mode = "?mode=ro" if self.read_only else ""
            name = self.path if self.in_memory else Path(self.path).absolute().as_uri() + mode
            connection = sqlite3.connect(
                name,
                timeout=self.timeout,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
                cached_statements=256,
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout = {int(self.timeout * 1000)}")
        names = applied(connection)
        if not self.read_only and not self.in_memory:
            self._use_wal(connection)
        for pragma in ("synchronous = FULL", "secure_delete = ON", "cache_size = -16000"):
            connection.execute(f"PRAGMA {pragma}")
        missing = len(names) < len(MIGRATIONS)
        if missing and self.read_only:
            raise StoreError(f"memory {self.path}: opened read-only, but it must first be upgraded by a writer")
        if missing:
            connection.execute("BEGIN IMMEDIATE")
            try:
                migrate(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._sync_folder()

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL; SQLite does not wait for others here, so we do."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _sync_folder(self) -> None:
        """Make the file's name survive a power cut."""
        if self.in_memory or os.name != "posix":
            return
        folder = os.open(Path(self.path).absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def lock(self) -> threading.RLock:
        """What every use of the connection holds; a thread may take it again."""
        self._reopen_after_fork()
        return self._lock

    def _reopen_after_fork(self) -> None:
        if self._pid == os.getpid():
            return
        self._lock = threading.RLock()
        if not self.in_memory and not self._closed:
            _ABANDONED.append(self._connection)
            self._connection = self._open()
        self._pid = os.getpid()

    @property
    def connection(self) -> sqlite3.Connection:
        """This process's connection; hold `lock` while using it.

        Raises:
            StoreError: the memory has been closed.
        """
        if self._closed:
            raise StoreError(f"memory {self.path}: this memory has been closed; open it again")
        self._reopen_after_fork()
        return self._connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, locked, with errors translated; each statement sees its own newest state."""
        with self.lock, self.guard():
            yield self.connection

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The connection inside one read transaction: every statement sees the same state."""
        with self.reading() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection inside one write transaction: all of it is durable at the end, or none of it is.

        Raises:
            StoreError: read-only, locked by another process for too long, disk full, damaged.
        """
        if self.read_only:
            raise StoreError(f"memory {self.path}: opened read-only; nothing can be written")
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                self._commits += 1
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def portions(self, sql: str, values: Sequence[Any] = (), *, size: int = 50_000) -> Iterator[list[Any]]:
        """See Database."""
        with self.reading() as connection:
            cursor = connection.execute(sql, values)
            while part := cursor.fetchmany(size):
                yield part

    def version(self) -> object:
        """See Database; SQLite tells of others' commits, and our own are counted."""
        with self.reading() as connection:
            return self._pid, self._commits, connection.execute("PRAGMA data_version").fetchone()[0]

    def reclaim(self) -> None:
        """Rewrite the file without free pages and empty the write-ahead log, so that deleted bytes are gone.

        Raises:
            StoreError: another process is reading; what was deleted stays deleted, its bytes may linger.
        """
        with self.reading() as connection:
            if self.in_memory:
                return
            connection.execute("VACUUM")
            for _ in range(50):
                if not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    return
                time.sleep(0.02)
        raise StoreError(
            f"memory {self.path}: the text is purged, but another process still reads the file, so old "
            "bytes may linger; run `errata doctor --repair` when it has finished"
        )

    def soundness(self) -> tuple[bool, str]:
        """What SQLite's own check of the file finds."""
        told = [row[0] for row in self.all("PRAGMA integrity_check(5)")]
        if told == ["ok"]:
            return True, "SQLite finds no damage"
        advice = "restore a backup, or export what can be read and import it anew"
        return False, f"{'; '.join(map(str, told))}; {advice}"

    def steps(self) -> tuple[list[str], list[str], str]:
        """See Database."""
        done = [name for (name,) in self.all("SELECT name FROM migrations ORDER BY rowid")]
        return done, [step.__name__ for step in MIGRATIONS], f"SQLite {sqlite3.sqlite_version}"

    def close(self) -> None:
        """Close this process's connection; closing twice does no harm."""
        if self._closed:
            return
        if self._pid != os.getpid() and not self.in_memory:
            _ABANDONED.append(self._connection)
            self._closed = True
            return
        with self.lock, self.guard():
            self._closed = True
            self._connection.close()
