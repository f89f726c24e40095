"""The shared memory: one schema of a PostgreSQL database, served to many processes on many machines.

The server keeps the log, the current state and the vectors; each process keeps an index of its own, which follows the
log. So a search costs no round trip beyond the texts it has not seen yet, and finds what the same memory in SQLite
finds. Any PostgreSQL from 12 on will do; no extension is needed. Where the server has pgvector, it can search large
spaces itself (`search=server`): a process then builds no graph and holds none, and a search costs a round trip.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from errata.memory.index import Searcher
from errata.memory.pgdatabase import PostgresDatabase
from errata.memory.store import SqlMemory


class PostgresMemory(SqlMemory):
    """The memory of edits in PostgreSQL; see Memory for what each operation promises.

    An edit acknowledged by one process is seen by the next search of every other one, at the latest `check_after`
    seconds later. While the server cannot be reached every call raises StoreError; when it is back, the next call
    connects again.

    Args:
        url: `postgresql://user:password@host:port/database`, with libpq's options after `?`; `schema=name` names the
            schema, "errata" unless given, which is made if the role may. libpq's environment variables (PGPASSWORD)
            and password file serve too. `search=server` has the server search spaces above `exact_limit`, by pgvector
            0.8 or newer; a read-only memory searches here all the same.
        exact_limit: up to so many edits a space is searched exactly, above it through an HNSW graph in RAM, kept in
            the cache folder (ERRATA_CACHE) of this machine.
        read_only: refuse every write; the memory must exist.
        clock: tells the time (aware); the log's times never go back, even if it does or two machines' differ.
        timeout: seconds to wait for another process's write.
        check_after: seconds after which a search asks the server for news even if no notification came; 0 asks at
            each search, which then sees every edit acknowledged before it began.

    Raises:
        ConfigError: the URL cannot be read.
        MissingExtra: psycopg is not installed.
        StoreError: the server cannot be reached, refuses the user, has no pgvector where it shall search, or holds no
            memory or a newer errata's.
    """

    def __init__(
        self,
        url: str,
        *,
        exact_limit: int = 20_000,
        read_only: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout: float = 30.0,
        check_after: float = 0.5,
    ) -> None:
        db = PostgresDatabase(url, read_only=read_only, timeout=timeout, check_after=check_after)
        self._server = db.server
        super().__init__(db, exact_limit=exact_limit, clock=clock)

    def _searcher(self) -> Searcher | None:
        server = self._server
        if server is None:
            return None
        code, _, dimension = self._bound()
        return lambda space: server.shard(code, dimension, space, self._fetch)
