"""Large spaces searched by the server, through pgvector: no graph to build and to hold in each process.

A space's vectors lie in a table of their own, with an HNSW index. It is derived from `vectors`: whoever searches puts
in what it lacks, and a vector that is purged takes its row along, so processes that never heard of it do no harm. What
it finds is measured again with the vectors as stored, so that distances are those of every other search.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from errata.errors import StoreError
from errata.memory import Vectors
from errata.memory.pgconnections import Connections
from errata.memory.pgsession import Session, psycopg_module
from errata.memory.shards import Allowed, Fetch, Found, Keys, cut, distances, scan, widening

PREFIX = "near_"
"""What the tables' names begin with."""
_LEAST = (0, 8)
"""The first pgvector that goes on searching where what it found may not match."""
_LINKS, _REACH = 24, 96
"""As in `errata.memory.shards`: fewer links leave vectors that many crowd around out of reach."""
_FILLING = 0x6E656172
"""First half of the advisory lock that one process holds while it fills a table ("near")."""
_ADVICE = (
    "search=server needs pgvector 0.8 or newer: have it installed on the server and CREATE EXTENSION vector run in the"
    " database, or leave search=server out of the URL"
)

log = logging.getLogger(__name__)


class ServerSearch:
    """pgvector in the schema of one memory.

    Args:
        db: the memory's connections.

    Raises:
        StoreError: the server has no pgvector, or one that is too old, and the role may not install it.
    """

    def __init__(self, db: Connections) -> None:
        self._db, self.session = db, db.another()
        with self.using() as session:
            found = self._installed(session) or self._install(session)
        if found is None or found[1] < _LEAST:
            told = "there is none" if found is None else f"its version is {'.'.join(map(str, found[1]))}"
            raise StoreError(f"memory {db.name}: {_ADVICE} ({told})")
        self.place = found[0]

    def _installed(self, session: Session) -> tuple[str, tuple[int, ...]] | None:
        """The schema that the extension is in, and its version."""
        sql = """SELECT n.nspname::text, e.extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                 WHERE e.extname = 'vector'"""
        row = session.execute(sql).fetchone()
        return (row[0], tuple(int(part) for part in row[1].split(".")[:3])) if row else None

    def _install(self, session: Session) -> tuple[str, tuple[int, ...]] | None:
        try:
            session.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        except psycopg_module().Error as error:
            if found := self._installed(session):  # another process was quicker
                return found
            told = " ".join(str(error).split())
            raise StoreError(f"memory {self._db.name}: {_ADVICE} ({told})") from error
        return self._installed(session)

    @contextmanager
    def using(self) -> Iterator[Session]:
        """The connection that fills and searches, locked, with errors translated."""
        with self._db.guard(), self.session.lock:
            yield self.session

    @contextmanager
    def filling(self, table: str) -> Iterator[Session]:
        """A transaction that others who fill the table wait for, as long as it takes."""
        with self.using() as session, session.transaction("BEGIN"):
            session.execute("SET LOCAL lock_timeout = 0")
            session.execute("SELECT pg_advisory_xact_lock(?, hashtext(?))", (_FILLING, f"{self._db.schema}.{table}"))
            yield session

    def tidy(self, table: str) -> None:
        """Delete what is of no edit in force: while no change is made, so that nothing comes back meanwhile."""
        with self.using() as session, session.transaction("BEGIN"):
            self._db.take_turn(session)
            session.execute(
                f"""DELETE FROM {table} WHERE vid NOT IN (SELECT v.vid FROM vectors v
                    JOIN edits e ON e.row = v.row AND e.content = v.content WHERE e.live = 1 AND e.enabled = 1)"""
            )

    def shard(self, encoder: int, dimension: int, space: str, fetch: Fetch) -> ServerShard:
        """The shard of a space's vectors by one scope model."""
        table = f"{PREFIX}{encoder}_{hashlib.sha256(space.encode()).hexdigest()[:12]}"
        with self.filling(table) as session:
            session.execute(
                f"""CREATE TABLE IF NOT EXISTS {table} (vid BIGINT PRIMARY KEY REFERENCES vectors ON DELETE CASCADE,
                    near {self.place}.halfvec({dimension}) NOT NULL)"""
            )
        self.tidy(table)
        return ServerShard(self, table, fetch)


class ServerShard:
    """One space's vectors in a table of the server; see `errata.memory.shards.Shard`.

    Args:
        server: whose it is.
        table: which.
        fetch: reads stored vectors by key.
    """

    kind = "server"

    def __init__(self, server: ServerSearch, table: str, fetch: Fetch) -> None:
        self._server, self._table, self._fetch = server, table, fetch
        self._half = f"{server.place}.halfvec"
        with server.using() as session:
            held = session.execute(f"SELECT vid FROM {table}").fetchall()
            there = session.execute("SELECT to_regclass(?)", (f"{table}_index",)).fetchone()[0]
        self._keys = {key for (key,) in held}
        self._indexed = there is not None

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> Keys:
        """Keys held, in order."""
        return np.fromiter(sorted(self._keys), np.int64, len(self._keys))

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Put in those that the table lacks; one that has been purged meanwhile is left out."""
        sql = f"""INSERT INTO {self._table} (vid, near) SELECT v.vid, ?::{self._half} FROM vectors v WHERE v.vid = ?
                  ON CONFLICT DO NOTHING"""
        told = zip(map(_written, vectors), keys.tolist(), strict=True)
        with self._server.using() as session, session.transaction("BEGIN"):
            session.executemany(sql, told)
        self._keys.update(keys.tolist())

    def settle(self, keys: Keys) -> None:
        """See Shard; the first time, the index is built."""
        if self._indexed:
            return
        log.info("the server builds an index over %d vectors", len(self))
        ways = f"{self._server.place}.halfvec_l2_ops"
        with self._server.filling(self._table) as session:
            session.execute("SET LOCAL maintenance_work_mem = '256MB'")
            session.execute(
                f"""CREATE INDEX IF NOT EXISTS {self._table}_index ON {self._table} USING hnsw (near {ways})
                    WITH (m = {_LINKS}, ef_construction = {_REACH})"""
            )
            session.execute(f"ANALYZE {self._table}")
        self._indexed = True

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[Found]:
        """See Shard; a round trip and more a query, recall below 1."""
        return [self._one(query, k, allowed) for query in queries]

    def _one(self, query: Vectors, k: int, allowed: Allowed) -> Found:
        sql = f"""SELECT vid FROM {self._table} ORDER BY near OPERATOR({self._server.place}.<->) ?::{self._half}
                  LIMIT ?"""
        near = _written(query)

        def reach(fetch: int) -> Keys:
            with self._server.using() as session:
                found = session.execute(sql, (near, fetch)).fetchall()
            return np.array([key for (key,) in found], np.int64)

        keys = widening(k, len(self), allowed, reach)
        if keys is None:
            return scan(self._fetch, self.keys, query, k, allowed)
        return cut(keys, distances(query, self._fetch(keys)), k)

    def scrub(self, keys: Keys) -> None:
        """See Shard; the rows have gone with their vectors."""
        self._keys.difference_update(keys.tolist())


def _written(vector: Vectors) -> str:
    """A (d,) vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector.tolist()))}]"
