"""What readers and writers of the log ask of a SQL database, and the few things that databases say differently.

SQL is written once, with `?` for values, in words that SQLite and PostgreSQL both understand; `sqlitefile` and
`pgdatabase` fill in the rest. Nothing here knows an edit or a vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from errata.memory.texts import Texts

NO_LIMIT = (1 << 62) - 1
"""A LIMIT that limits nothing, for any database."""


class Connection(Protocol):
    """What statements run on inside a transaction."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Any:
        """Run one statement; returns a cursor."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """Run one statement for each row of values."""
        ...


class Database(ABC):
    """A database that holds a memory, safe among threads and processes and over a fork.

    Args:
        name: how messages call it: a path, or a URL without user and password.
        read_only: refuse every write.
    """

    like: str
    """The operator that compares with a pattern, whatever the letters' case."""
    has_tag: str
    """SQL that holds for revisions `r` with a tag, which is its one value."""
    kept_vectors = 0
    """Bytes of vectors, and how many edits, that a process keeps so as not to ask again: more for a far-off server."""
    kept_edits = 4_096
    in_file: bool
    """Whether rows are read from a file of this machine, which its cache had better hold."""
    texts: Texts | None = None
    """Full-text search, or None where texts must be compared one by one."""

    def __init__(self, name: str, *, read_only: bool) -> None:
        self.name, self.read_only = name, read_only

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether `close` was called."""

    @property
    @abstractmethod
    def beside(self) -> Path | None:
        """The file whose name the index files begin with, on this machine; None keeps them in RAM."""

    @property
    @abstractmethod
    def lock(self) -> AbstractContextManager[Any]:
        """What a reader holds over several statements; a thread may take it again."""

    @property
    @abstractmethod
    def connection(self) -> Connection:
        """What this thread's statements run on: its own transaction, if it has one open.

        Raises:
            StoreError: the memory has been closed, or the server cannot be reached.
        """

    @abstractmethod
    def guard(self) -> AbstractContextManager[None]:
        """Turn the database's and the operating system's errors into StoreError."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """The connection, locked, with errors translated; each statement sees its own newest state."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Connection]:
        """The connection inside one read transaction: every statement sees the same state."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Connection]:
        """The connection inside one write transaction: at the end all of it is durable, or none of it is.

        One process writes at a time.

        Raises:
            StoreError: read-only, kept waiting by another process for too long, disk full, damaged.
        """

    @abstractmethod
    def version(self) -> object:
        """Changes whenever anything was committed, by whatever process, and when the process has forked."""

    @abstractmethod
    def portions(self, sql: str, values: Sequence[Any] = (), *, size: int = 50_000) -> Iterator[list[Any]]:
        """The rows of a query, `size` at a time, without holding all of them; run it inside `snapshot`."""

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Every row of a query."""
        with self.reading() as connection:
            rows: list[Any] = connection.execute(sql, values).fetchall()
        return rows

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """First value of a query's first row, or None where there is no row."""
        with self.reading() as connection:
            row = connection.execute(sql, values).fetchone()
        return row[0] if row else None

    def where_in(self, sql: str, values: Iterable[Any], before: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows of a query with `IN ({})` in it, asked in portions of at most 500 values."""
        wanted = list(values)
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            yield from self.all(sql.format(",".join("?" * len(part))), (*before, *part))

    @abstractmethod
    def reclaim(self) -> None:
        """Rewrite what holds deleted rows, so that their bytes are gone.

        Raises:
            StoreError: somebody is reading; what was deleted stays deleted, its bytes may linger.
        """

    @abstractmethod
    def soundness(self) -> tuple[bool, str]:
        """Whether the database itself is well, and what was found."""

    @abstractmethod
    def steps(self) -> tuple[list[str], list[str], str]:
        """Names of the schema's steps recorded, of those known, and the database's own version."""

    @abstractmethod
    def close(self) -> None:
        """Close this process's connections; closing twice does no harm."""
