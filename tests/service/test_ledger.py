"""The ledger in a file and in PostgreSQL: the contract, opening, and what happens when the server goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from contract.ledger_contract import Again, LedgerContract, fill
from errata.errors import ConfigError, StoreError
from errata.memory.doctor import diagnose
from errata.memory.pgsession import Address
from errata.memory.postgres import PostgresMemory
from errata.memory.sqlite import SqliteMemory, open_memory
from errata.service.keys import Keys
from errata.service.ledger import Ledger
from errata.service.ledgercopy import LedgerReport, copy_all
from errata.service.ledgerfile import FileLedger
from errata.service.ledgerpg import PostgresLedger
from errata.service.ledgers import kept_ledger, ledger_of, open_ledger


@pytest.fixture
def until_end() -> Iterator[Callable[[Any], Any]]:
    """Gives back what it is given, which is closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda one: stack.enter_context(closing(one))


class TestFileLedger(LedgerContract):
    @pytest.fixture
    def again(self, tmp_path: Path, until_end: Any) -> Again:
        return lambda **options: until_end(FileLedger(tmp_path / "ledger.db", **options))

    @pytest.fixture
    def ledger(self, again: Again) -> Ledger:
        return again()


class TestPostgresLedger(LedgerContract):
    @pytest.fixture
    def again(self, postgres_url: str, until_end: Any) -> Again:
        return lambda **options: until_end(PostgresLedger(Address(postgres_url), **options))

    @pytest.fixture
    def ledger(self, again: Again) -> Ledger:
        return again()


# Opening


def test_the_ledger_lies_where_the_memory_does(
    tmp_path: Path, postgres_url: str, until_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("edits.db", f"sqlite:///{tmp_path}/edits.db", tmp_path / "edits.db"):
        with SqliteMemory("edits.db") as memory:
            opened = until_end(open_ledger(url)), until_end(ledger_of(memory))
        assert [Path(one.path).resolve() for one in opened] == [tmp_path / "edits.service.db"] * 2
    with open_memory(postgres_url) as memory:
        one, two = until_end(open_ledger(postgres_url)), until_end(ledger_of(memory))
    one.note("add", "ann", "", {})
    assert [line["who"] for line in two.audit()] == ["ann"]
    with SqliteMemory(":memory:") as memory:
        assert until_end(ledger_of(memory)).path == ":memory:"
    with pytest.raises(ConfigError, match="mysql"):
        open_ledger("mysql://h/d")


def test_a_ledger_that_was_never_made_is_not_made_by_looking(tmp_path: Path, postgres_url: str, until_end: Any) -> None:
    for place in (str(tmp_path / "edits.db"), postgres_url):
        with open_memory(place) as memory:
            assert kept_ledger(memory) is None
            assert until_end(ledger_of(memory)).audit() == []
            assert until_end(kept_ledger(memory)).audit() == []
    with pytest.raises(StoreError, match="cannot be opened"):
        FileLedger(tmp_path / "none.db", read_only=True)
    with pytest.raises(StoreError, match="must first be made"):
        PostgresLedger(Address(postgres_url + "_other"), read_only=True)
    assert sorted(file.name for file in tmp_path.glob("*.db")) == ["edits.db", "edits.service.db"]


def test_an_older_file_is_upgraded_by_a_writer_only(tmp_path: Path, until_end: Any) -> None:
    file = tmp_path / "ledger.db"
    ledger = until_end(FileLedger(file))
    with ledger.writing() as db:
        db.execute("DROP TABLE sessions")
        db.execute("DROP TABLE links")
        db.execute("DROP INDEX audit_space")
        db.execute("ALTER TABLE waiting DROP COLUMN claimed")
        db.execute("DELETE FROM migrations WHERE name IN ('console', 'claims')")
    with pytest.raises(StoreError, match="must first be upgraded"):
        FileLedger(file, read_only=True)
    fill(until_end(FileLedger(file)))
    assert len(until_end(FileLedger(file, read_only=True)).rows("SELECT * FROM sessions")) == 1


def test_a_ledger_and_a_memory_share_a_schema(postgres_url: str, until_end: Any) -> None:
    """Whichever comes first, and however many open it at once."""
    with ThreadPoolExecutor(4) as pool:
        ledger = list(pool.map(lambda _: until_end(PostgresLedger(Address(postgres_url))), range(4)))[0]
    fill(ledger)
    with PostgresMemory(postgres_url) as memory:
        assert [finding for finding in diagnose(memory) if not finding.ok and finding.check != "vectors"] == []
        with ledger.writing() as db, memory.db.writing() as connection:  # neither waits for the other
            db.execute("DELETE FROM links")
            connection.execute("DELETE FROM encoders")


def test_a_schema_that_cannot_take_a_ledger(postgres_url: str) -> None:
    schema = Address(postgres_url).schema
    role = f"role_{schema}"
    with PostgresMemory(postgres_url) as memory:
        with memory.db.writing() as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN")
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            connection.execute(f"GRANT SELECT ON migrations TO {role}")
        with pytest.raises(StoreError, match="may not do that; grant it USAGE and CREATE"):
            PostgresLedger(Address(postgres_url.replace("postgres@", f"{role}@")))
        with memory.db.writing() as connection:
            connection.execute("DROP TABLE migrations")
    with pytest.raises(StoreError, match="not an errata memory"):
        PostgresLedger(Address(postgres_url))


# The server


def test_connections_that_were_ended_are_not_noticed(postgres_url: str, until_end: Any) -> None:
    ledger = until_end(PostgresLedger(Address(postgres_url)))
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()"
    for n in range(2):
        ledger.note("add", "ann", "", {"n": n})
        with PostgresMemory(postgres_url) as memory, memory.db.reading() as connection:
            connection.execute(end)
        assert len(ledger.audit()) == n + 1
    with pytest.raises(StoreError), ledger.writing() as db:
        db.execute("DELETE FROM audit")
        with PostgresMemory(postgres_url) as memory, memory.db.reading() as connection:
            connection.execute(end)
    assert len(ledger.audit()) == 2


# Migrating


def test_a_memory_takes_its_ledger_along(tmp_path: Path, postgres_url: str, until_end: Any) -> None:
    with SqliteMemory(tmp_path / "old.db") as old, open_memory(postgres_url) as shared:
        ledger = until_end(ledger_of(old))
        secret, lines = fill(ledger), ledger.audit()
        with open_memory(tmp_path / "old.db", read_only=True) as source:
            assert copy_all(source, shared)[1] == LedgerReport(keys=2, approvals=2, audit=6)
        with SqliteMemory(tmp_path / "back.db") as back, open_memory(postgres_url, read_only=True) as source:
            copy_all(source, back)
            for memory in (shared, back):
                book = until_end(ledger_of(memory))
                assert book.audit() == lines and Keys(book).caller(secret) is not None


def test_a_ledger_that_cannot_be_taken_along_stops_all(tmp_path: Path, until_end: Any) -> None:
    with SqliteMemory(tmp_path / "old.db") as old, SqliteMemory(tmp_path / "new.db") as new:
        old.set_threshold("default", 0.25)
        fill(until_end(ledger_of(old)))
        there = until_end(ledger_of(new))
        there.note("key", "command line", "", {})
        with pytest.raises(StoreError, match="1 rows of audit"):
            copy_all(old, new)
        assert new.threshold("default") is None
        assert len(there.audit()) == 1
