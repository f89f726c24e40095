"""The doctor finds each kind of damage, and repairs what can be derived from the log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.memory_contract import DIMENSION, edit, hits, vector, vectors
from errata.memory.doctor import diagnose
from errata.memory.sqlite import SqliteMemory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "errata.db"


@pytest.fixture
def memory(path: Path) -> Iterator[SqliteMemory]:
    with SqliteMemory(path, exact_limit=30) as memory:
        memory.bind("test", DIMENSION)
        memory.add([edit(f"e{i}") for i in range(60)], vectors(60))
        memory.replace(edit("e1", "new"), vector(1))
        memory.retract(["e2"])
        memory.purge(["e3"])
        memory.add([edit("o", space="other")], vector(1))
        yield memory


def wrong(memory: SqliteMemory, **options: bool) -> list[str]:
    return [finding.check for finding in diagnose(memory, **options) if not finding.ok]


def test_a_healthy_memory(memory: SqliteMemory) -> None:
    told = diagnose(memory)
    assert [finding.check for finding in told] == [
        "file", "version", "log", "state", "text search", "vectors", "index", "index files",
    ]  # fmt: skip
    assert wrong(memory) == []
    assert all(finding.detail for finding in told)


def test_an_empty_memory(path: Path) -> None:
    with SqliteMemory(path) as memory:
        assert wrong(memory) == []
        memory.bind("test", DIMENSION)
        assert wrong(memory) == []


def test_an_unbound_or_read_only_memory_is_checked_as_last_bound(memory: SqliteMemory, path: Path) -> None:
    memory.close()
    for read_only in (False, True):
        with SqliteMemory(path, exact_limit=30, read_only=read_only) as again:
            assert wrong(again) == []
            assert again.fingerprint == ""
            assert "recall@10 1.000" in next(f.detail for f in diagnose(again) if f.check == "index")


Sql = tuple[str, ...]
DAMAGE: dict[str, tuple[Sql, list[str], bool]] = {
    "a revision lost": (
        ("DROP TRIGGER revisions_stay", "DELETE FROM revisions WHERE number = 5"), ["log", "state"], False,
    ),
    "the newest revision lost from the log only": (
        ("DROP TRIGGER revisions_stay", "DELETE FROM revisions WHERE number = 64"), ["state"], True,
    ),
    "a text changed": (
        ("DROP TRIGGER revisions_only_erase", "UPDATE revisions SET target = 'x' WHERE number = 10"), ["log"], False,
    ),
    "a revision unreadable": (
        ("DROP TRIGGER revisions_only_erase", "UPDATE revisions SET meta = '{' WHERE number = 10"), ["log"], False,
    ),
    "a time set back": (
        ("DROP TRIGGER revisions_only_erase", "UPDATE revisions SET time = 5 WHERE number = 10"), ["log"], False,
    ),
    "an edit brought back": (("UPDATE edits SET live = 1 WHERE id = 'e2'",), ["state"], True),
    "an edit lost": (("DELETE FROM edits WHERE id = 'e7'",), ["state"], True),
    "an older text in force": (("UPDATE edits SET number = 2 WHERE id = 'e1'",), ["state"], True),
    "a text not searchable": (("DELETE FROM texts WHERE rowid = 7",), ["text search"], True),
    "another text searchable": (("UPDATE texts SET text = 'x' WHERE rowid = 7",), ["text search"], True),
    "a vector lost": (("DELETE FROM vectors WHERE vid = 9",), ["vectors"], False),
    "a vector cut": (("UPDATE vectors SET vector = x'0000' WHERE vid = 9",), ["vectors", "index"], False),
    "a vector not finite": (("UPDATE vectors SET vector = x'007c007c007c007c' WHERE vid = 9",), ["vectors"], False),
    "a scope model forgotten": (("DELETE FROM encoders",), ["vectors", "index"], False),
    "a step not recorded": (("DELETE FROM migrations WHERE name = 'm004_text_search'",), ["version"], False),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_repaired_where_it_can_be(memory: SqliteMemory, name: str) -> None:
    statements, found, repaired = DAMAGE[name]
    memory.refresh()
    with memory.db.writing() as connection:
        for sql in statements:
            connection.execute(sql)
    told = wrong(memory)
    assert set(found) <= set(told) | {"index"}
    assert found[0] in told
    if repaired:
        assert wrong(memory, repair=True) == []
        assert wrong(memory) == []


def test_a_damaged_page_is_found(memory: SqliteMemory, path: Path) -> None:
    memory.close()
    raw = bytearray(path.read_bytes())
    for page in range(len(raw) // 4096 // 2, len(raw) // 4096):
        raw[page * 4096 + 100 : page * 4096 + 900] = b"\xa5" * 800
    path.write_bytes(raw)
    with SqliteMemory(path) as again:
        assert "file" in wrong(again)


def test_wrong_index_files_are_found_and_deleted(memory: SqliteMemory, path: Path) -> None:
    memory.refresh()
    good = path.with_name("errata.db.hnsw")
    held = good.read_bytes()
    spoils: list[Callable[[], object]] = [
        lambda: path.with_name("errata.db.0123456789ab.hnsw").write_bytes(held),
        lambda: path.with_name(f"errata.db.hnsw.{os.getpid()}.tmp").write_bytes(held[:100]),
        lambda: good.write_bytes(held[:-3]),
        lambda: good.write_bytes(held[:50] + b"\x00" + held[51:] if held[50] else held[:50] + b"\x01" + held[51:]),
    ]
    for spoil in spoils:
        spoil()
        assert wrong(memory) == ["index files"]
        assert wrong(memory, repair=True) == []
        memory.refresh()
        assert wrong(memory) == []


def test_a_lossy_index_is_found(memory: SqliteMemory) -> None:
    hits(memory, vector(1))
    index = memory._index
    assert index is not None
    shard = index._shards[index._codes["default"]]
    shard.scrub(np.arange(5, 50))
    assert wrong(memory) == ["index"]
    assert wrong(memory, repair=True) == []


def test_edits_that_wait_for_vectors_are_told(memory: SqliteMemory) -> None:
    missing = memory.bind("second", 2)
    assert wrong(memory) == ["vectors"]
    memory.put_vectors(missing, np.ones((len(missing), 2)))
    assert wrong(memory) == []
