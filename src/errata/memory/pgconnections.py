"""A process's connections to one schema of a PostgreSQL database, safe among threads and over a fork.

One reads, and a reader never waits for a write; the other, opened at the first change, writes. Writers take turns by an
advisory lock that is held until the commit. What the schema holds is not known here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from errata.errors import StoreError
from errata.memory.database import Connection
from errata.memory.pgsession import Address, Session, explain, psycopg_module

_LOCK = 0x65727261
"""First half of the advisory locks' keys ("erra"); the second names what is written."""


class Connections:
    """The two connections.

    Args:
        address: the server and the schema.
        turn: names the lock that those who write the same things take turns by.
        read_only: refuse every write.
        timeout: seconds to wait for another process's write.
        channel: the reader listens to notifications of this name; "" to none.
    """

    def __init__(
        self, address: Address, *, turn: str, read_only: bool = False, timeout: float = 30.0, channel: str = ""
    ) -> None:
        self.address, self.schema, self._turn = address, address.schema, turn
        self.name, self.read_only, self._timeout = address.name, read_only, timeout
        self._reader = Session(address, read_only=read_only, channel=channel, wait=timeout)
        self._writer = Session(address, wait=timeout)
        self._sessions = [self._writer, self._reader]
        self._here = threading.local()
        self._closed, self._pid = False, os.getpid()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def lock(self) -> threading.RLock:
        """What readers hold; writers do not, but for looking what they have written."""
        self._after_fork()
        return self._reader.lock

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._here = threading.local()
            for session in self._sessions:
                session.abandon()

    def another(self) -> Session:
        """One more connection, for what neither reads nor writes the log; closed with the rest."""
        session = Session(self.address, wait=self._timeout)
        self._sessions.append(session)
        return session

    def take_turn(self, session: Session) -> None:
        """Wait until nobody else writes, and keep others from writing until the session's transaction ends."""
        session.execute("SELECT pg_advisory_xact_lock(?, hashtext(?))", (_LOCK, self._turn))

    def _open(self) -> None:
        if self._closed:
            raise StoreError(f"memory {self.name}: this memory has been closed; open it again")
        self._after_fork()

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
        """What this thread's statements run on: its own transaction, if it has one open.

        Raises:
            StoreError: it has been closed.
        """
        self._open()
        return self._own() or self._reader

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection, locked, with errors translated; each statement sees its own newest state."""
        with self.guard():
            connection = self.connection
            if connection is not self._reader:
                yield connection
                return
            with self.lock:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """The connection inside one read transaction: every statement sees the same state."""
        with self.reading() as connection:
            if self._own() is not None or self._reader.inside:
                yield connection
                return
            with self._reader.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction at a time: at the end all of it is durable, or none of it is.

        Raises:
            StoreError: read-only, kept waiting for too long, or the server cannot be reached.
        """
        if self.read_only:
            raise StoreError(f"memory {self.name}: opened read-only; nothing can be written")
        self._open()
        session = self._writer
        with session.lock, self.guard(), session.transaction("BEGIN"):
            self.take_turn(session)
            self._here.session = session
            try:
                yield session
            finally:
                self._here.session = None

    def portions(self, sql: str, values: Sequence[Any] = (), *, size: int = 50_000) -> Iterator[list[Any]]:
        """The rows of a query, `size` at a time, without holding all of them."""
        with self.snapshot():
            yield from (self._own() or self._reader).portions(sql, values, size)

    def close(self) -> None:
        """Close the connections; closing twice does no harm."""
        if self._closed:
            return
        self._after_fork()
        self._closed = True
        for session in self._sessions:
            with session.lock, self.guard():
                session.drop()
