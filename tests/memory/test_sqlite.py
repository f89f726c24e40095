"""The memory in SQLite: the contract, its own operations, and what happens when the file or the disk fails."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import errata
from contract.memory_contract import DIMENSION, MemoryContract, edit, hits, vector, vectors
from contract.store_contract import Again, StoreContract
from errata.edit import Edit, Terms
from errata.errors import ConfigError, StoreError
from errata.memory.doctor import diagnose
from errata.memory.sqlite import SqliteMemory, open_memory


def opened(path: str | Path, **options: object) -> SqliteMemory:
    memory = SqliteMemory(path, **options)  # type: ignore[arg-type]
    memory.bind("test", DIMENSION)
    return memory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "errata.db"


@pytest.fixture
def memory(path: Path) -> Iterator[SqliteMemory]:
    with opened(path) as memory:
        yield memory


class TestFile(StoreContract):
    @pytest.fixture
    def memory(self, path: Path) -> Iterator[SqliteMemory]:
        with opened(path) as memory:
            yield memory
            if not memory.db.closed:
                assert [finding for finding in diagnose(memory) if not finding.ok and finding.check != "vectors"] == []

    @pytest.fixture
    def again(self, path: Path) -> Again:
        return lambda *, bind=True, **options: (opened if bind else SqliteMemory)(path, **options)


class TestRam(MemoryContract):
    @pytest.fixture
    def memory(self) -> Iterator[SqliteMemory]:
        with opened(":memory:") as memory:
            yield memory


class TestFileThroughTheGraph(MemoryContract):
    """A limit of 0 sends even the smallest space through HNSW."""

    @pytest.fixture
    def memory(self, path: Path) -> Iterator[SqliteMemory]:
        with opened(path, exact_limit=0) as memory:
            yield memory


class TestWithoutFullText(MemoryContract):
    @pytest.fixture
    def memory(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteMemory]:
        monkeypatch.setattr("errata.memory.migrations.has_fts5", lambda connection: False)
        with opened(":memory:") as memory:
            assert memory.db.texts is None
            yield memory


# Opening


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "SQLITE:///{}"])
def test_a_path_or_url_opens_a_file(path: Path, form: str) -> None:
    open_memory(form.format(path)).close()
    assert path.is_file()


def test_a_relative_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_memory("sqlite:///a%20b.db").close()
    open_memory("c.db").close()
    assert {"a b.db", "c.db"} <= set(os.listdir(tmp_path))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", ":memory:"])
def test_memory_in_ram(url: str) -> None:
    with open_memory(url) as memory:
        assert memory.path == ":memory:"


@pytest.mark.parametrize("url", ["mongodb://x/y", "http://x", "", "  ", "mysql://"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_memory(url)


@pytest.mark.parametrize("damage", [b"this is not a database" * 100, b"\x00" * 5000, os.urandom(5000)])
def test_no_database(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "x.db").write_bytes(damage)
    with pytest.raises(StoreError, match="errata doctor|not an errata memory"):
        SqliteMemory(tmp_path / "x.db")
    assert (tmp_path / "x.db").read_bytes() == damage


def test_a_folder_is_no_memory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteMemory(tmp_path)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        SqliteMemory(tmp_path / "file" / "errata.db")


def test_another_programs_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    with pytest.raises(StoreError, match="not an errata memory"):
        SqliteMemory(tmp_path / "x.db")


def test_a_newer_errata(path: Path) -> None:
    with opened(path) as memory, memory.db.writing() as connection:
        connection.execute("INSERT INTO migrations VALUES ('m999_future', 'now')")
    with pytest.raises(StoreError, match=r"newer errata.*m999_future"):
        SqliteMemory(path)


def test_corruption_is_told(path: Path) -> None:
    with opened(path) as memory:
        memory.add([edit(f"e{i}", "x" * 500) for i in range(200)], vectors(200))
    raw = bytearray(path.read_bytes())
    for start in range(4096, len(raw), 4096):
        raw[start : start + 600] = os.urandom(600)
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="errata doctor"):
        memory = opened(path)
        try:
            list(memory.history())
            memory.search(vector(1), 5)
        finally:
            memory.db.close()


def test_read_only(path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteMemory(path, read_only=True)
    with opened(path) as memory:
        memory.add([edit("a")], vector(1))
    with opened(path, read_only=True) as memory:
        assert hits(memory, vector(1)) == ["a"]
        for change in (
            lambda: memory.add([edit("b")], vector(1)),
            lambda: memory.retract(["a"]),
            lambda: memory.set_threshold("default", 0.4),
            lambda: memory.purge(["a"]),
            lambda: memory.undo(),
            lambda: memory.rebuild(),
            lambda: memory.bind("new", 3),
        ):
            with pytest.raises(StoreError, match="read-only"):
                change()


def test_a_file_that_became_read_only(memory: SqliteMemory) -> None:
    memory.db.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="only be read"):
        memory.add([edit("a")], vector(1))


# Durability and sharing


CHILD = """
import sys
import numpy as np
from errata.edit import Edit
from errata.memory.sqlite import SqliteMemory
memory = SqliteMemory(sys.argv[1])
memory.bind("test", 4)
for line in sys.stdin:
    word, name = line.split()
    if word == "add":
        memory.add([Edit(prompt=name, id=name)], np.ones((1, 4)))
        print("added", flush=True)
    else:
        print(*[c.edit.id for c in memory.search(np.ones((1, 4)), 9)[0]], flush=True)
"""


def child(path: Path, code: str = CHILD) -> subprocess.Popen[str]:
    source = str(Path(errata.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )


def test_two_processes_see_each_others_edits(path: Path) -> None:
    def ask(line: str) -> str:
        assert other.stdin and other.stdout
        other.stdin.write(line + "\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    with opened(path) as memory, child(path) as other:
        assert ask("search -") == ""
        memory.add([edit("mine")], np.ones((1, 4)))
        assert ask("search -") == "mine"
        assert ask("add theirs") == "added"
        assert hits(memory, np.ones((1, 4))) == ["mine", "theirs"]
        memory.retract(["theirs"])
        assert ask("search -") == "mine"
        other.communicate()
        assert other.returncode == 0


def test_a_locked_file_is_told(path: Path) -> None:
    with (
        opened(path, timeout=0.05) as one,
        opened(path) as two,
        two.db.writing(),
        pytest.raises(StoreError, match="locked"),
    ):
        one.add([edit("a")], vector(1))


# Failing disks


@pytest.mark.parametrize("batch", [1, 500])
def test_a_full_disk_leaves_nothing_half_written(memory: SqliteMemory, batch: int) -> None:
    memory.add([edit("first")], vector(1))
    pages = memory.db.value("PRAGMA page_count")
    memory.db.connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    kept = 1
    with pytest.raises(StoreError, match="disk is full; nothing of this change was written"):
        for start in range(0, 100_000, batch):
            memory.add([edit(f"e{start + i}", "x" * 300) for i in range(batch)], vectors(batch))
            kept += batch
    assert memory.revision == kept
    assert len(memory.list()) == kept
    memory.db.connection.execute("PRAGMA max_page_count = 1000000")
    memory.add([edit("last")], vector(1))
    assert memory.revision == kept + 1
    assert all(finding.ok for finding in diagnose(memory))


LIMITED = """
import resource, sys
import numpy as np
from errata.edit import Edit
from errata.errors import StoreError
from errata.memory.sqlite import SqliteMemory
memory = SqliteMemory(sys.argv[1])
memory.bind("test", 4)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
try:
    for i in range(2000):
        memory.add([Edit(prompt="x" * 2000, id=f"e{i}")], np.ones((1, 4)))
        print(f"e{i}", flush=True)
except StoreError:
    print("refused", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_file_that_may_not_grow(path: Path) -> None:
    with child(path, LIMITED) as other:
        told = other.communicate()[0].split()
    assert told[-1] == "refused"
    assert len(told) > 5
    with opened(path) as memory:
        assert [r.edit.id for r in memory.list()] == told[:-1]
        assert all(finding.ok for finding in diagnose(memory))


# Purge


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


SECRET = "Xylophagous"


@pytest.mark.parametrize("limit", [20_000, 5])
def test_purge_erases_every_byte(path: Path, limit: int) -> None:
    with opened(path, exact_limit=limit) as memory, opened(path, exact_limit=limit) as other:
        memory.add([edit(f"e{i}") for i in range(20)], vectors(20))
        secret = Edit(id="s", prompt=f"prompt {SECRET}", target=SECRET, meta={SECRET: SECRET})
        memory.add(
            [secret], vector(0.5, 0.5, 0.5, 0.5), terms=Terms(note=SECRET, source=SECRET, tags=(SECRET,), author="ann")
        )
        memory.replace(Edit(id="s", prompt=f"again {SECRET}", space="default"), vector(0, 0, 0.6, 0.8))
        memory.retract(["s"])
        memory.undo()
        assert hits(memory, vector(0, 0, 0.6, 0.8), k=1) == hits(other, vector(0, 0, 0.6, 0.8), k=1) == ["s"]
        memory.refresh()
        held = files_of(path)
        assert SECRET.encode() in held
        assert SECRET.lower().encode()[:8] in held.lower()
        view = memory.checkout(21)
        assert hits(view, vector(0.5, 0.5, 0.5, 0.5), k=1) == ["s"]
        [told] = memory.purge(["s"], terms=Terms(author="bob", note="asked to"))
        assert (told.kind, told.edit.prompt, told.edit.target, told.terms.author) == (
            "purge",
            "[purged]",
            "[purged]",
            "bob",
        )
        assert "s" not in hits(memory, vector(0, 0, 0.6, 0.8), k=30) + hits(other, vector(0, 0, 0.6, 0.8), k=30)
        held = files_of(path).lower()
        for trace in (SECRET.lower().encode(), SECRET[:6].lower().encode(), np.float16([0, 0, 0.6, 0.8]).tobytes()):
            assert trace not in held
        assert {r.edit.prompt for r in memory.history("s")} == {"[purged]"}
        assert {r.edit.target for r in memory.history("s")} == {"[purged]"}
        assert view.list(text=SECRET) == []
        assert "s" not in hits(view, vector(0.5, 0.5, 0.5, 0.5), k=30)
        for looked in (memory, other, view):
            assert SECRET not in str(looked._edits._kept)
        assert "s" not in [r.edit.id for r in view.list()]
        assert memory.purge(["s"]) == [told]
        assert memory.counts()["default"]["purged"] == 1
        assert all(finding.ok for finding in diagnose(memory))


def test_purged_vectors_leave_the_index_file(path: Path) -> None:
    marked = np.array([[0.1, -0.7, 0.1, 0.7]], np.float32)
    marked /= np.linalg.norm(marked)
    trace = (marked * 127).astype(np.int8).tobytes()
    with opened(path, exact_limit=5) as memory:
        memory.add([edit(f"e{i}") for i in range(50)], vectors(50))
        memory.add([edit("s")], marked)
        memory.refresh()
        file = path.with_name("errata.db.hnsw")
        assert trace in file.read_bytes()
        memory.purge(["s"])
        assert trace not in file.read_bytes()
    with opened(path, exact_limit=5) as memory:
        assert len(hits(memory, marked, k=60)) == 50


def test_an_index_file_older_than_a_purge_is_scrubbed_when_loaded(path: Path) -> None:
    with opened(path, exact_limit=5) as memory:
        memory.add([edit(f"e{i}") for i in range(50)], vectors(50))
        memory.refresh()
    file = path.with_name("errata.db.hnsw")
    old = file.read_bytes()
    trace = np.clip(vectors(50)[7] * 127, -127, 127).astype(np.int8).tobytes()
    assert trace in old
    with opened(path, exact_limit=5) as memory:
        memory.purge(["e7"])
    file.write_bytes(old)
    with opened(path, exact_limit=5) as memory:
        assert "e7" not in hits(memory, vectors(50)[7:8])
    assert trace not in file.read_bytes()


# Order


def test_order_of_adding_does_not_matter(tmp_path: Path) -> None:
    edits, made = [edit(f"e{i}") for i in range(30)], np.repeat(vectors(10), 3, axis=0)
    answers = []
    for seed in range(3):
        order = list(range(30))
        random.Random(seed).shuffle(order)
        with opened(tmp_path / f"{seed}.db") as memory:
            for part in (order[:7], order[7:8], order[8:]):
                memory.add([edits[i] for i in part], made[part])
            answers.append(memory.search(vectors(8, seed=4), 7))
    assert answers[0] == answers[1] == answers[2]
