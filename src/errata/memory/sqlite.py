"""The default memory: one SQLite file. And `open_memory`, which opens any memory by its path or URL.

When a change returns, it survives kill -9 and a power cut. Several processes may share the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from errata.errors import ConfigError
from errata.memory.sqlitefile import SqliteDatabase
from errata.memory.store import SqlMemory


def open_memory(url: str | Path, *, exact_limit: int = 20_000, read_only: bool = False) -> SqlMemory:
    """Open (or make) the memory that a path or URL names.

    Args:
        url: a file path, ":memory:", "sqlite:///relative/path" or "sqlite:////absolute/path", or
            "postgresql://user@host/database" (see `PostgresMemory`).
        exact_limit: up to so many edits a space is searched exactly.
        read_only: refuse every write; the memory must exist.

    Raises:
        ConfigError: another kind of URL.
        MissingExtra: a PostgreSQL URL, and psycopg is not installed.
        StoreError: the memory cannot be opened, is damaged, no memory, or written by a newer errata.
    """
    path = path_of(url)
    if path is not None:
        return SqliteMemory(path, exact_limit=exact_limit, read_only=read_only)
    from errata.memory.postgres import PostgresMemory

    return PostgresMemory(str(url), exact_limit=exact_limit, read_only=read_only)


def path_of(url: str | Path) -> str | None:
    """The file (or ":memory:") that a path or an sqlite URL names; None for a PostgreSQL URL.

    Raises:
        ConfigError: another kind of URL.
    """
    text = str(url)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)
    kind = scheme[1].lower() if scheme else ""
    if not text.strip():
        raise ConfigError("the memory's path is empty; name a file or sqlite:///file", key="memory")
    if kind == "sqlite":
        return unquote(re.sub(r"^sqlite:(///?)?", "", text, flags=re.IGNORECASE)) or ":memory:"
    if kind in ("postgresql", "postgres"):
        return None
    if kind and "://" in text:
        raise ConfigError(
            f"a memory cannot be opened from {text.split('://')[0]}://",
            key=kind,
            accepted=("sqlite", "postgresql", "a file path"),
        )
    return text


class SqliteMemory(SqlMemory):
    """The memory of edits in one SQLite file; see Memory for what each operation promises.

    Args:
        path: the file (its folder is made), or ":memory:".
        exact_limit: up to so many edits a space is searched exactly, above it through an HNSW graph beside
            the file.
        read_only: refuse every write; the file must exist.
        clock: tells the time (aware); the log's times never go back, even if it does.
        timeout: seconds to wait for another process's write.

    Raises:
        StoreError: the file cannot be opened, is damaged, no memory, or written by a newer errata.

    Example:
        >>> import numpy as np
        >>> from errata.edit import Edit
        >>> memory = SqliteMemory(":memory:")
        >>> memory.bind("a scope model", 2)
        []
        >>> _ = memory.add([Edit(prompt="Capital of Kazakhstan?", target="Astana")], np.ones((1, 2)))
        >>> memory.search(np.ones((1, 2)), 1)[0][0].edit.target
        'Astana'
    """

    def __init__(
        self,
        path: str | Path,
        *,
        exact_limit: int = 20_000,
        read_only: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout: float = 30.0,
    ) -> None:
        db = SqliteDatabase(str(path), read_only=read_only, timeout=timeout)
        super().__init__(db, exact_limit=exact_limit, clock=clock)

    @property
    def path(self) -> str:
        """The file, or ":memory:"."""
        return self.db.name
