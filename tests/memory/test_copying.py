"""A memory copied from SQLite to PostgreSQL and back is the same memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.memory_contract import DIMENSION, edit, hits, vector, vectors
from errata.edit import Terms
from errata.errors import StoreError
from errata.memory import copying
from errata.memory.copying import CopyReport, copy_memory
from errata.memory.doctor import diagnose
from errata.memory.sqlite import SqliteMemory, open_memory
from errata.memory.store import SqlMemory

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[SqliteMemory]:
    """A memory in which everything has happened."""
    clock = iter(NOON + timedelta(seconds=i) for i in range(1000))
    with SqliteMemory(tmp_path / "old.db", clock=lambda: next(clock)) as memory:
        memory.bind("before", 2)
        memory.add([edit("a")], np.ones((1, 2)))
        memory.bind("test", DIMENSION)
        memory.put_vectors(memory.missing(), vector(1))
        terms = Terms(author="ann", source="s", note="n", tags=("t", "ü"), expires=NOON + timedelta(days=9))
        memory.add([edit(f"e{i}", meta={"k": "v"}) for i in range(30)], vectors(30), terms=terms)
        memory.replace(edit("e1", "São Paulo"), vector(0, 1))
        memory.retract(["e2"], terms=Terms(author="bob"))
        memory.enable(["e3"], on=False)
        memory.purge(["e4"])
        memory.add([edit("o", space="other")], vector(1))
        memory.set_threshold("default", 0.25)
        memory.set_threshold("other", 0.75)
        yield memory


def answers(memory: SqlMemory) -> list[Any]:
    """Everything that can be asked of a memory."""
    queries, late = vectors(9, seed=5), NOON + timedelta(days=10)
    past = memory.checkout(20)
    return [
        list(memory.history()), memory.list(live=False), memory.list(text="sao"), memory.list(tag="ü", author="ann"),
        memory.search(queries, 7), memory.search(queries, 7, at=late), memory.search(queries, 7, space="other"),
        memory.inactive_nearest(vector(1), 9), memory.counts(at=late), memory.spaces(), memory.missing(),
        [memory.threshold(space) for space in ("default", "other", "none")],
        past.list(), past.search(queries, 7), memory.diff(3, memory.revision),
    ]  # fmt: skip


def test_there_and_back(old: SqliteMemory, postgres_url: str, tmp_path: Path) -> None:
    told = answers(old)
    count = old.db.value("SELECT count(*) FROM vectors")
    with open_memory(postgres_url) as shared, SqliteMemory(tmp_path / "back.db") as back:
        for source, target in ((old, shared), (shared, back)):
            steps: list[tuple[int, float]] = []
            report = copy_memory(source, target, progress=lambda rows, part, steps=steps: steps.append((rows, part)))
            assert report == CopyReport(old.revision, count)
            assert steps[-1] == (old.revision + count, 1.0)
            assert target.bind("test", DIMENSION) == []
            assert answers(target) == told
            with target.as_last_bound() as last:
                assert last.fingerprint == "test"
            assert [finding for finding in diagnose(target) if not finding.ok] == []
        assert shared.bind("before", 2) == old.bind("before", 2)
        for memory in (old, shared, back):
            memory.bind("test", DIMENSION)
            [added] = memory.add([edit("new")], vector(0, 0, 1))
            assert added.number == len(told[0]) + 1
            assert hits(memory, vector(0, 0, 1), k=1) == ["new"]
            assert memory.add([edit("new")], vector(0, 0, 1)) == [added]
            memory.bind("third", 3)


def test_a_target_that_is_not_empty_is_refused(old: SqliteMemory, tmp_path: Path) -> None:
    for name in ("edit", "threshold"):
        with SqliteMemory(tmp_path / f"{name}.db") as target:
            target.bind("test", DIMENSION)
            if name == "edit":
                target.add([edit("mine")], vector(1))
            else:
                target.set_threshold("default", 0.5)
            with pytest.raises(StoreError, match="not empty"):
                copy_memory(old, target)
            assert target.revision == (name == "edit")
    with pytest.raises(StoreError, match="not empty"):
        copy_memory(old, old)


def test_a_target_bound_already_is_filled_and_one_bound_otherwise_refused(old: SqliteMemory, tmp_path: Path) -> None:
    with SqliteMemory(tmp_path / "bound.db") as target:
        target.bind("test", DIMENSION)
        copy_memory(old, target)
        assert target.search(vectors(3), 5) == old.search(vectors(3), 5)
    with SqliteMemory(tmp_path / "other.db") as target:
        target.bind("before", 3)
        with pytest.raises(StoreError, match="3 dimensions"):
            copy_memory(old, target)
        assert target.revision == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_interruption_leaves_nothing(
    old: SqliteMemory, kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_PORTION", 7)

    def stop(rows: int, _: float) -> None:
        if rows > old.revision:
            raise KeyboardInterrupt

    url = str(tmp_path / "new.db") if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with open_memory(url) as target:
        with pytest.raises(KeyboardInterrupt):
            copy_memory(old, target, progress=stop)
        assert (target.revision, target.list(live=False)) == (0, [])
        assert target.db.value("SELECT count(*) FROM vectors") == 0
        copy_memory(old, target)
        assert list(target.history()) == list(old.history())
