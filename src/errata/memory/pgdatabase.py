"""One schema of a PostgreSQL database that holds a memory, shared by many processes and machines.

Writers take turns, so revisions are numbered without gaps in the order in which they become visible, and a reader that
has seen a number has seen all below. Each change notifies; a reader also asks for the newest revision now and then, so
that a lost notification does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from errata.errors import StoreError
from errata.memory.database import Connection, Database
from errata.memory.pgconnections import Connections
from errata.memory.pgmigrations import MIGRATIONS, applied, migrate
from errata.memory.pgsession import Address, psycopg_module
from errata.memory.pgtexts import TsvectorTexts
from errata.memory.pgvector import PREFIX, ServerSearch

_STAMP = """
SELECT coalesce(max(number), 0), (SELECT coalesce(max(vid), 0) FROM vectors),
       (SELECT coalesce(max(value), '0') FROM settings WHERE key = 'epoch'),
       (SELECT time FROM revisions ORDER BY number DESC LIMIT 1)
FROM revisions
"""
_REWRITTEN = ("revisions", "vectors", "texts")


class PostgresDatabase(Connections, Database):
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
        StoreError: the server cannot be reached, refuses the user, has no pgvector where it shall search, or holds no
            memory or a newer errata's.
    """

    kept_vectors = 64 << 20
    kept_edits = 32_768
    like = "ILIKE"
    has_tag = "CASE WHEN r.tags = '' THEN false ELSE jsonb_exists(r.tags::jsonb, ?) END"
    in_file = False

    def __init__(self, url: str, *, read_only: bool = False, timeout: float = 30.0, check_after: float = 0.5) -> None:
        address = Address(url)
        self._check_after, self._channel = check_after, f"errata_{address.schema}"
        super().__init__(address, turn=address.schema, read_only=read_only, timeout=timeout, channel=self._channel)
        self._commits, self._due = 0, 0.0
        self._version: tuple[object, ...] | None = None
        self.texts = TsvectorTexts(lambda: self.connection)
        try:
            self._prepare()
            self.server = ServerSearch(self) if address.search == "server" and not read_only else None
            self._beside = self._cache_file()
        except BaseException:
            for session in self._sessions:
                session.drop()
            raise

    def _prepare(self) -> None:
        with self.reading() as connection:
            missing = len(applied(connection, self.schema)) < len(MIGRATIONS)
        if missing and self.read_only:
            raise StoreError(f"memory {self.name}: opened read-only, but a writer must first make or upgrade it")
        if missing:
            with super().writing() as connection:
                migrate(connection, self.schema)

    def _cache_file(self) -> Path | None:
        """Where this machine keeps the graphs of this memory; None where it cannot."""
        from errata.models.runtime import cache_folder

        folder = cache_folder() / "memories"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            return folder / str(self.value("SELECT value FROM settings WHERE key = 'identity'"))
        return None

    @property
    def beside(self) -> Path | None:
        """A name in this machine's cache folder; None where that cannot be written."""
        return self._beside

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See Database; each change notifies the readers."""
        try:
            with super().writing() as connection:
                yield connection
                connection.execute("SELECT pg_notify(?, '')", (self._channel,))
        finally:
            self._commits += 1

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
        sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = ? AND starts_with(tablename, ?)"
        with self._writer.lock, self.guard():
            self._after_fork()
            near = [name for (name,) in self._writer.execute(sql, (self.schema, PREFIX)).fetchall()]
            try:
                for table in (*_REWRITTEN, *near):
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
