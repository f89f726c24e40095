"""One schema of a PostgreSQL database that holds a memory, shared by many processes and machines.

Two connections a process: one reads, and a search never waits for a write; the other, opened at the first change,
writes. Writers take turns by an advisory lock that is held until the commit, so revisions are numbered without gaps in
the order in which they become visible, and a reader that has seen a number has seen all below. Each change notifies;
a reader also asks for the newest revision now and then, so that a lost notification does no harm.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from errata.errors import StoreError
from errata.memory.database import Connection, Database
from errata.memory.pgmigrations import MIGRATIONS, applied, migrate
from errata.memory.pgsession import Address, Session, explain, psycopg_module
from errata.memory.pgtexts import TsvectorTexts

_LOCK = 0x65727261
"""First half of the advisory locks' keys ("erra"); the second names the schema."""
_STAMP = """
SELECT coalesce(max(number), 0), (SELECT coalesce(max(vid), 0) FROM vectors),
       (SELECT coalesce(max(value), '0') FROM settings WHERE key = 'epoch'),
       (SELECT time FROM revisions ORDER BY number DESC LIMIT 1)
FROM revisions
"""
_REWRITTEN = ("revisions", "vectors", "texts")


class PostgresDatabase(Database):
    """The connections to one memory.

    Args:
        url: see Address.
        read_only: refuse every write; the memory must exist.
        timeout: seconds to wait for another process's write.
        check_after: seconds after which a reader asks for the newest revision even if no notification came; 0 asks
            each time.

    Raises:
        ConfigError: the URL cannot be read.
        MissingExtra: psycopg is not installed.
        StoreError: the server cannot be reached, refuses the user, or holds no memory or a newer errata's.
    """

    kept_vectors = 64 << 20
    kept_edits = 32_768
    like = "ILIKE"
    has_tag = "CASE WHEN r.tags = '' THEN false ELSE jsonb_exists(r.tags::jsonb, ?) END"

    def __init__(self, url: str, *, read_only: bool = False, timeout: float = 30.0, check_after: float = 0.5) -> None:
        address = Address(url)
        super().__init__(address.name, read_only=read_only)
        self.schema, self._check_after = address.schema, check_after
        self._channel = f"errata_{address.schema}"
        self._reader = Session(address, read_only=read_only, channel=self._channel, wait=timeout)
        self._writer = Session(address, wait=timeout)
        self._here = threading.local()
        self._closed, self._pid = False, os.getpid()
        self._commits, self._due = 0, 0.0
        self._version: tuple[object, ...] | None = None
        self.texts = TsvectorTexts(lambda: self.connection)
        try:
            self._prepare()
            self._beside = self._cache_file()
        except BaseException:
            self._reader.drop()
            self._writer.drop()
            raise

    def _prepare(self) -> None:
        with self.reading() as connection:
            missing = len(applied(connection, self.schema)) < len(MIGRATIONS)
        if missing and self.read_only:
            raise StoreError(f"memory {self.name}: opened read-only, but a writer must first make or upgrade it")
        if missing:
            with self._writer.lock, self.guard(), self._writer.transaction("BEGIN"):
                self._writer.execute("SELECT pg_advisory_xact_lock(?, hashtext(?))", (_LOCK, self.schema))
                migrate(self._writer, self.schema)

    def _cache_file(self) -> Path | None:
        """Where this machine keeps the graphs of this memory; None where it cannot."""
        from errata.models.runtime import cache_folder

        folder = cache_folder() / "memories"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            return folder / str(self.value("SELECT value FROM settings WHERE key = 'identity'"))
        return None

    @property
    def closed(self) -> bool:
        """See Database."""
        return self._closed

    @property
    def beside(self) -> Path | None:
        """A name in this machine's cache folder; None where that cannot be written."""
        return self._beside

    @property
    def lock(self) -> threading.RLock:
        """What readers hold; writers do not, but for looking what they have written."""
        self._after_fork()
        return self._reader.lock

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._here = threading.local()
            self._reader.abandon()
            self._writer.abandon()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn psycopg's and the operating system's errors into StoreError (a value that it cannot take: EditError)."""
        try:
            yield
        except (psycopg_module().Error, UnicodeError, OSError) as error:
            raise explain(error, self.name) from error

    def _own(self) -> Session | None:
        """The session of this thread's write transaction, if it is in one."""
        return getattr(self._here, "session", None)

    @property
    def connection(self) -> Connection:
        """See Database."""
        if self._closed:
            raise StoreError(f"memory {self.name}: this memory has been closed; open it again")
        self._after_fork()
        return self._own() or self._reader

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See Database."""
        with self.guard():
            connection = self.connection
            if connection is not self._reader:
                yield connection
                return
            with self.lock:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """See Database."""
        with self.reading() as connection:
            if self._own() is not None or self._reader.inside:
                yield connection
                return
            with self._reader.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See Database."""
        if self.read_only:
            raise StoreError(f"memory {self.name}: opened read-only; nothing can be written")
        if self._closed:
            raise StoreError(f"memory {self.name}: this memory has been closed; open it again")
        self._after_fork()
        session = self._writer
        with session.lock, self.guard():
            try:
                with session.transaction("BEGIN"):
                    session.execute("SELECT pg_advisory_xact_lock(?, hashtext(?))", (_LOCK, self.schema))
                    self._here.session = session
                    yield session
                    session.execute("SELECT pg_notify(?, '')", (self._channel,))
            finally:
                self._here.session = None
                self._commits += 1

    def portions(self, sql: str, values: Sequence[Any] = (), *, size: int = 50_000) -> Iterator[list[Any]]:
        """See Database."""
        with self.snapshot():
            yield from (self._own() or self._reader).portions(sql, values, size)

    def version(self) -> object:
        """See Database; the server is asked where a notification came, this process has written, or time is up."""
        with self.reading():
            heard, commits, now = self._reader.heard(), self._commits, time.monotonic()
            if self._version is None or heard or now >= self._due or self._version[1] != commits:
                self._version = None
                self._due = now + self._check_after
                self._version = (self._pid, commits, *self.all(_STAMP)[0])
            return self._version

    def reclaim(self) -> None:
        """See Database; backups, archived write-ahead logs and standbys keep what they hold."""
        with self._writer.lock, self.guard():
            self._after_fork()
            try:
                for table in _REWRITTEN:
                    self._writer.execute(f"VACUUM (FULL) {table}")
            except psycopg_module().errors.LockNotAvailable as error:
                raise StoreError(
                    f"memory {self.name}: the text is purged, but the tables are in use, so old bytes may linger; "
                    "run `errata doctor --repair` later"
                ) from error

    def soundness(self) -> tuple[bool, str]:
        """Whether the server keeps what it acknowledges."""
        off = [
            name for name in ("fsync", "full_page_writes") if self.value("SELECT current_setting(?)", (name,)) == "off"
        ]
        if off:
            return (
                False,
                f"the server runs with {' and '.join(off)} off and may lose edits in a power cut; switch it on",
            )
        return True, "the server writes to disk what it acknowledges"

    def steps(self) -> tuple[list[str], list[str], str]:
        """See Database."""
        with self.reading() as connection:
            done = applied(connection, self.schema)
        version = self.value("SELECT current_setting('server_version')")
        return done, [step.__name__ for step in MIGRATIONS], f"PostgreSQL {version}"

    def close(self) -> None:
        """See Database."""
        if self._closed:
            return
        self._after_fork()
        self._closed = True
        for session in (self._writer, self._reader):
            with session.lock, self.guard():
                session.drop()
