"""A memory that stopped at the schema's first step comes up to now with all it held."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.memory_contract import DIMENSION, edit, hits, vector, vectors
from errata.edit import Terms
from errata.memory.doctor import diagnose
from errata.memory.migrations import MIGRATIONS, m001_log
from errata.memory.sqlite import SqliteMemory


def lived(memory: Any) -> None:
    """Give a memory some history."""
    memory.bind("test", DIMENSION)
    memory.add([edit("kept", "Astana zebra"), edit("gone"), edit("purged", "a secret")], vectors(3))
    memory.replace(edit("kept", "Nur-Sultan zebra"), vector(1), terms=Terms(author="ann", tags=("geo",)))
    memory.retract(["gone"])
    memory.purge(["purged"])
    memory.add([edit("off", space="other")], vector(0, 1))
    memory.disable(["off"])


def intact(memory: Any, before: list[Any]) -> None:
    """Whether history, current state, text search and index are those of `lived`."""
    assert list(memory.history()) == before
    assert {one.edit.id: one.kind for one in memory.list(live=False)} == {
        "kept": "replace", "gone": "retract", "purged": "purge", "off": "disable",
    }  # fmt: skip
    assert [one.edit.target for one in memory.list(text="zeb", tag="geo")] == ["Nur-Sultan zebra"]
    assert memory.list(text="secret", live=False) == []
    missing = memory.bind("test", DIMENSION)  # vectors came with a later step, and are made anew
    memory.put_vectors(missing, np.concatenate([vector(1)] * len(missing)))
    assert hits(memory, vector(1)) == ["kept"]
    assert [finding for finding in diagnose(memory) if not finding.ok] == []
    memory.add([edit("new")], vector(0, 0, 1))
    assert memory.revision == len(before) + 1


def test_a_file_of_the_first_step(tmp_path: Path) -> None:
    with SqliteMemory(tmp_path / "now.db") as memory:
        lived(memory)
        before = list(memory.history())
        log = memory.db.all("SELECT * FROM revisions ORDER BY number")
    old = sqlite3.connect(tmp_path / "old.db")
    with old:
        m001_log(old)
        old.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, time TEXT NOT NULL)")
        old.execute("INSERT INTO migrations VALUES ('m001_log', '2026-01-01')")
        old.executemany(f"INSERT INTO revisions VALUES ({', '.join('?' * len(log[0]))})", log)
    old.close()
    with SqliteMemory(tmp_path / "old.db") as memory:
        assert memory.db.steps()[0] == [step.__name__ for step in MIGRATIONS]
        intact(memory, before)


def test_a_postgresql_schema_of_the_first_step(postgres_url: str) -> None:
    pytest.importorskip("psycopg")
    from errata.memory.postgres import PostgresMemory

    with PostgresMemory(postgres_url) as memory:
        lived(memory)
        before = list(memory.history())
        with memory.db.writing() as connection:
            for table in ("texts", "settings", "encoders", "vectors", "edits"):
                connection.execute(f"DROP TABLE {table}")
            connection.execute("DELETE FROM migrations WHERE name != 'm001_log'")
    with PostgresMemory(postgres_url) as memory:
        intact(memory, before)
