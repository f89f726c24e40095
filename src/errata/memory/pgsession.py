"""One connection to a PostgreSQL server: opened when needed, and again when it was lost.

A statement outside a transaction that finds the connection lost is tried once more on a new one, so a server that
was restarted in between is not noticed. Nothing here knows what the statements mean, but for the errors they raise.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from errata.errors import ConfigError, EditError, MissingExtra, StoreError

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 5
"""How long a server is given to answer when a connection is opened."""
PAUSE = 0.25
"""Seconds in which, after a failed attempt, no other one is made: callers are refused at once."""
_ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
"""How soon a peer that went away without a word is noticed (seconds; milliseconds)."""
SEARCHING = ("SET hnsw.ef_search = 128", "SET hnsw.iterative_scan = strict_order")
"""How widely pgvector searches, and that it goes on where more is asked for."""
_ABANDONED: list[Any] = []
"""Connections inherited over a fork: kept, never used and never closed, for the parent still talks over them."""
SEARCHERS = ("here", "server")
"""Who may search a large space: this process, through a graph in RAM, or the server, through pgvector."""
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")


def psycopg_module() -> Any:
    """The module psycopg.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("psycopg", "postgres") from error
    return psycopg


class Address:
    """A PostgreSQL URL, taken apart.

    Args:
        url: `postgresql://user:password@host:port/database?option=value`; beside libpq's options, `schema` names
            the schema that holds the memory ("errata" unless given), and `search` who searches large spaces: "here"
            (unless given) or "server".

    Raises:
        ConfigError: the URL, the schema's name or who searches cannot be used; the message never holds the password.
    """

    def __init__(self, url: str) -> None:
        base, _, query = url.partition("?")
        options = [part for part in query.split("&") if part]
        own = {"schema": "errata", "search": "here"}
        rest = []
        for part in options:
            name, _, value = part.partition("=")
            if name in own:
                own[name] = unquote(value)
            else:
                rest.append(part)
        self.schema, self.search = own["schema"], own["search"]
        self.conninfo = "?".join([base, "&".join(rest)]) if rest else base
        if not _SCHEMA.fullmatch(self.schema):
            raise ConfigError(
                f"the schema {self.schema!r} cannot be used; take up to 40 of a-z, 0-9 and _, beginning with a letter",
                key="schema",
            )
        if self.search not in SEARCHERS:
            raise ConfigError(f"search={self.search!r} is not known", key="search", accepted=SEARCHERS)
        try:
            parts = psycopg_module().conninfo.conninfo_to_dict(self.conninfo)
        except psycopg_module().Error:
            told = "the memory's URL cannot be read; write postgresql://user:password@host:5432/database"
            raise ConfigError(told, key="memory") from None
        host, port = parts.get("host", "localhost"), parts.get("port")
        place = f"{host}{f':{port}' if port else ''}/{parts.get('dbname', '')}"
        self.name = f"postgresql://{place}?schema={self.schema}"


def explain(error: BaseException, name: str) -> StoreError | EditError:
    """The error of ours that tells what an error of psycopg means, and what to do."""
    psycopg = psycopg_module()
    state = getattr(error, "sqlstate", None) or ""
    told = " ".join(str(error).split())
    if isinstance(error, psycopg.DataError | UnicodeError):
        return EditError(f"a value cannot be stored or compared with: {told}")
    if state.startswith("53") and state != "53300":
        advice = "the server's disk or memory is full; nothing of this change was written: free some space, then repeat"
    elif state == "25006":
        advice = "it is read-only (opened so, or a standby); nothing can be written"
    elif state in ("55P03", "40P01", "57014"):
        advice = "another process keeps it locked; nothing was written: try again when that has finished"
    elif state == "42501":
        advice = (
            "the database's role may not do that; grant it USAGE and CREATE on the schema, or let its owner open it"
        )
    elif state.startswith("28") or "authentication" in told or "no password" in told:
        advice = "the server refuses the user or password; check the URL"
    elif state == "3D000" or "does not exist" in told and "database" in told:
        advice = "there is no such database; create it first"
    elif isinstance(error, psycopg.OperationalError):
        advice = "the server cannot be reached or went away; it is tried again at the next call"
    else:
        advice = "run `errata doctor`; what was acknowledged before is still there"
    return StoreError(f"memory {name}: {advice} ({told})")


@lru_cache(maxsize=512)
def _translated(sql: str) -> bytes:
    """SQL with `?` for values as psycopg wants it."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


class Session:
    """One connection, for one thread at a time; hold `lock` while using it.

    Args:
        address: the server and the schema.
        read_only: refuse every write.
        channel: listen to notifications of this name; "" to none.
        wait: seconds that a lock is waited for.
    """

    def __init__(self, address: Address, *, read_only: bool = False, channel: str = "", wait: float = 30.0) -> None:
        self._address, self._read_only, self._channel, self._wait = address, read_only, channel, wait
        self.lock = threading.RLock()
        self.inside = False
        self._news = True
        self._connection: psycopg.Connection[Any] | None = None
        self._refused: tuple[float, str] | None = None

    # The connection

    def _open(self) -> psycopg.Connection[Any]:
        driver = psycopg_module()
        if self._refused is not None and time.monotonic() < self._refused[0]:
            raise StoreError(self._refused[1])
        try:
            connection: psycopg.Connection[Any] = driver.connect(
                self._address.conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, **_ALIVE
            )
            try:
                connection.add_notify_handler(self._heard)
                connection.execute(self._settings().encode())
            except BaseException:
                connection.close()
                raise
        except driver.Error as error:
            told = str(explain(error, self._address.name))
            self._refused = (time.monotonic() + PAUSE, told)
            raise StoreError(told) from error
        self._refused, self._news = None, True
        return connection

    def _settings(self) -> str:
        """Statements that a fresh connection begins with. A server that waits for its standbys goes on doing so."""
        alive = (
            "SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false)"
        )
        durable = (
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        statements = [
            f'SET search_path TO "{self._address.schema}"',
            f"SET lock_timeout = {int(self._wait * 1000)}",
            "SET idle_in_transaction_session_timeout = 60000",
            "SET client_encoding = 'UTF8'",
            f"SET default_transaction_read_only = {'on' if self._read_only else 'off'}",
            *([] if self._read_only else [durable]),
            alive,
            *(SEARCHING if self._address.search == "server" else ()),
            *([f'LISTEN "{self._channel}"'] if self._channel else []),
        ]
        return "; ".join(statements)

    def _heard(self, _: object) -> None:
        self._news = True

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection, opened now if there is none or it was lost.

        Raises:
            StoreError: the server cannot be reached; within a transaction: it was lost.
        """
        if self._connection is not None and self._connection.closed and not self.inside:
            self.drop()
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def drop(self) -> None:
        """Close the connection; the next statement opens another."""
        connection, self._connection = self._connection, None
        self.inside, self._news = False, True
        if connection is not None:
            connection.close()

    def abandon(self) -> None:
        """Forget the connection, which a parent process still uses."""
        if self._connection is not None:
            _ABANDONED.append(self._connection)
        self._connection, self.inside, self._news = None, False, True
        self.lock = threading.RLock()

    def heard(self) -> bool:
        """Whether a notification came, or a connection was opened, since this was last asked. Asks no server."""
        if self._connection is not None:
            try:
                for _ in range(2):  # a server that goes away says so first; the second look finds it gone
                    self._connection.pgconn.consume_input()
                while self._connection.pgconn.notifies() is not None:
                    self._news = True
            except psycopg_module().OperationalError:
                self.drop()
        heard, self._news = self._news, False
        return heard or self._connection is None

    # Statements

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any:
        """Run one statement with `?` for values; returns a cursor."""
        try:
            return self._run(sql, values)
        except psycopg_module().OperationalError:
            if self.inside or not self._lost():
                raise
            self.drop()
            return self._run(sql, values)

    def _run(self, sql: str, values: Sequence[Any]) -> Any:
        return self.connection.cursor(binary=True).execute(_translated(sql), tuple(values))

    def _lost(self) -> bool:
        return self._connection is None or self._connection.closed or self._connection.broken

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """Run one statement for each row of values."""
        cursor = self.connection.cursor()
        cursor.executemany(_translated(sql), rows)
        return cursor

    def portions(self, sql: str, values: Sequence[Any], size: int) -> Iterator[list[Any]]:
        """Rows of a query, `size` at a time, inside a transaction."""
        with self.connection.cursor(name=f"errata_{os.urandom(6).hex()}", binary=True) as cursor:
            cursor.execute(_translated(sql), tuple(values))
            while part := cursor.fetchmany(size):
                yield part
                if len(part) < size:
                    return

    @contextmanager
    def transaction(self, begin: str) -> Iterator[None]:
        """One transaction: committed at the end, rolled back where anything was raised.

        Raises:
            StoreError: the connection was lost while it committed, so that nobody knows whether it did.
        """
        self.execute(begin)
        self.inside = True
        try:
            yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self.inside = False

    def _commit(self) -> None:
        psycopg = psycopg_module()
        try:
            done = self._run("COMMIT", ()).statusmessage
        except psycopg.OperationalError as error:
            told = "it was lost while a change was being committed: look whether it was, then repeat what was not"
            raise StoreError(f"memory {self._address.name}: {told} ({error})") from error
        if done != "COMMIT":
            raise StoreError(f"memory {self._address.name}: the server rolled the change back; nothing was written")

    def _roll_back(self) -> None:
        """Roll back, or where that is not possible drop the connection, which rolls back as well."""
        try:
            if self._lost():
                self.drop()
            else:
                self._run("ROLLBACK", ())
        except psycopg_module().Error:
            self.drop()
