"""The index: exact, graph and scan agree; filters hold inside it; its file is used only when it fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from errata.edit import Edit, Terms
from errata.errors import StoreError
from errata.memory import Vectors, indexfile
from errata.memory.index import ALWAYS, NEVER, Index
from errata.memory.shards import GraphShard, MatrixShard, ScanShard, cut, distances
from errata.memory.sqlite import SqliteMemory

D = 16


def drawn(n: int, seed: int = 0, *, unit: bool = True) -> Vectors:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, D))
    made = centres[rng.integers(0, 40, n)] + 0.5 * rng.normal(size=(n, D))
    if unit:
        made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made.astype(np.float32)


def edits(n: int, start: int = 0, space: str = "default") -> list[Edit]:
    return [Edit(prompt=f"p{i}", id=f"{space[0]}{i:05}", space=space) for i in range(start, start + n)]


def ids(memory: SqliteMemory, queries: Vectors, k: int, space: str = "default") -> list[list[str]]:
    return [[c.edit.id for c in row] for row in memory.search(queries, k, space=space)]


def recall(found: list[list[str]], right: list[list[str]]) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, right, strict=True)]))


def opened(path: Path, limit: int = 100, fingerprint: str = "test") -> SqliteMemory:
    memory = SqliteMemory(path, exact_limit=limit)
    memory.bind(fingerprint, D)
    return memory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "errata.db"


@pytest.fixture
def big(path: Path) -> Iterator[SqliteMemory]:
    """1,500 edits, through the graph."""
    with opened(path) as memory:
        memory.add(edits(1500), drawn(1500))
        memory.refresh()
        yield memory


def kind(memory: SqliteMemory, space: str = "default") -> object:
    return memory.describe_index(space)["kind"]


def graph_file(path: Path) -> Path:
    return path.with_name("errata.db.hnsw")


# One answer, three ways


@pytest.mark.parametrize("unit", [True, False])
def test_graph_and_scan_agree_with_exact_search(tmp_path: Path, unit: bool) -> None:
    made, queries = drawn(1500, unit=unit) * (1 if unit else 3), drawn(40, seed=5, unit=unit)
    with opened(tmp_path / "a.db") as graph, opened(tmp_path / "b.db", limit=5000) as exact:
        for memory in (graph, exact):
            memory.add(edits(1500), made)
        assert (kind(graph), kind(exact)) == ("graph", "matrix")
        right = exact.search(queries, 10)
        assert graph.scanning().search(queries, 10) == right
        found = graph.search(queries, 10)
        assert recall(ids(graph, queries, 10), ids(exact, queries, 10)) > 0.97
        known = [{c.edit.id: c.distance for c in row} for row in right]
        for row, told in zip(found, known, strict=True):
            assert all(told.get(c.edit.id, c.distance) == c.distance for c in row)


def test_distances_are_those_of_the_stored_vectors(big: SqliteMemory) -> None:
    [query] = drawn(1, seed=6)
    held = drawn(1500).astype(np.float16).astype(np.float64)
    right = np.sort(((held - query) ** 2).sum(axis=1))[:5]
    assert [c.distance for c in big.search(query[None], 5)[0]] == pytest.approx(right, abs=1e-12)


def test_exact_search_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    for n, k in [(1, 1), (5, 3), (5, 5), (5, 9), (300, 7)]:
        made = rng.integers(-2, 3, size=(n, 3)).astype(np.float32)  # many equal distances
        shard = MatrixShard(3)
        shard.add(np.arange(n)[: n // 2], made[: n // 2])
        shard.add(np.arange(n)[n // 2 :], made[n // 2 :])
        query = rng.integers(-2, 3, size=3).astype(np.float32)
        good = rng.random(n) < 0.7
        [(keys, far)] = shard.search(query[None], k, lambda keys, good=good: good[keys])
        right = ((made - query) ** 2).sum(axis=1)[good]
        edge = np.sort(right)[min(k, len(right)) - 1] if len(right) else -1.0
        assert sorted(keys.tolist()) == np.flatnonzero(good & (((made - query) ** 2).sum(axis=1) <= edge)).tolist()
        assert far.tolist() == sorted(right[right <= edge].tolist())


def test_cut_keeps_ties_with_the_last() -> None:
    keys, far = cut(np.array([1, 2, 3, 4]), np.array([2.0, 1.0, 2.0, 3.0]), 2)
    assert (keys.tolist(), far.tolist()) == ([2, 1, 3], [1.0, 2.0, 2.0])


def test_a_distance_depends_on_its_own_vector_only() -> None:
    made, [query] = drawn(100), drawn(1, seed=3)
    together = distances(query, made)
    assert all(distances(query, made[i : i + 1])[0] == together[i] for i in range(100))


@pytest.mark.parametrize("k", [1, 700, 5000, 10**9])
def test_any_k(big: SqliteMemory, k: int) -> None:
    [row] = big.search(drawn(1, seed=1), k)
    assert len(row) == min(k, 1500)
    assert len({c.edit.id for c in row}) == len(row)


def test_vectors_that_the_graph_cannot_reach_are_found_all_the_same(path: Path) -> None:
    with opened(path) as memory:
        memory.add(edits(300), drawn(300))
        hits = memory.search(drawn(300), 1)
        shard = memory._index._shards[0] if memory._index else None
        assert isinstance(shard, GraphShard)
        shard.graph.remove(np.arange(10, 20, dtype=np.uint64))
        assert sum(a != b for a, b in zip(hits, memory.search(drawn(300), 1), strict=True)) >= 10
        shard.check(np.arange(1, 301))
        lost = shard.lost.keys.tolist()
        assert set(lost) >= set(range(10, 20)), "and whatever the graph, built by several threads, reached through them"
        assert memory.search(drawn(300), 1) == hits
        assert memory._index is not None
        memory._index._unsaved[0] = 1
    assert indexfile.note_of(graph_file(path))["lost"] == lost
    with opened(path) as memory:
        assert memory.search(drawn(300), 1) == hits


def test_close_neighbours_are_told_apart(path: Path) -> None:
    centres = np.random.default_rng(1).normal(size=(20, 64))
    made = np.repeat(centres, 150, axis=0) + 0.1 * np.random.default_rng(2).normal(size=(3000, 64))
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    with SqliteMemory(path, exact_limit=100) as memory:
        memory.bind("test", 64)
        memory.add(edits(3000), made)
        found = ids(memory, made, 1)
        assert sum(row != [f"d{i:05}"] for i, row in enumerate(found)) <= 3


# Filters


def test_a_small_space_in_a_big_memory_finds_its_edits(big: SqliteMemory) -> None:
    far = -drawn(3)
    big.add(edits(3, space="small"), far)
    assert sorted(ids(big, drawn(1), 10, space="small")[0]) == ["s00000", "s00001", "s00002"]
    assert not any(name.startswith("s") for name in ids(big, far[:1], 1500)[0])


def test_edits_in_force_behind_a_thousand_dead_are_found(big: SqliteMemory) -> None:
    order = ids(big, drawn(1), 1500)[0]
    big.retract(order[:500])
    big.enable(order[500:900], on=False)
    big.add(
        [big.get(name).edit for name in order[900:1200]],
        np.zeros((300, D)),
        terms=Terms(expires=big.get(order[0]).time),
    )
    assert kind(big) == "graph"
    assert ids(big, drawn(1), 5)[0] == order[1200:1205]
    assert ids(big, drawn(1), 400)[0] == order[1200:]
    big.enable(order[500:501])
    assert ids(big, drawn(1), 2)[0] == [order[500], order[1200]]


def test_edits_in_force_behind_thousands_of_dead_are_found_by_a_scan(path: Path) -> None:
    with opened(path) as memory:
        query = drawn(1)
        near = query + 0.01 * np.random.default_rng(7).normal(size=(5000, D))
        memory.add(edits(5500), np.concatenate([near, -drawn(500)]).astype(np.float32))
        memory.search(query, 1)
        memory.retract([f"d{i:05}" for i in range(5000)])
        found = ids(memory, query, 5)
        assert found == [[c.edit.id for c in memory.scanning().search(query, 5)[0]]]
        assert len(found[0]) == 5


def test_every_edit_is_found_by_its_own_vector_after_growing(path: Path) -> None:
    made = drawn(400)
    with opened(path, limit=50) as memory:
        for start in range(0, 400, 20):
            memory.add(edits(20, start), made[start : start + 20])
            assert ids(memory, made[start : start + 1], 1) == [[f"d{start:05}"]]
        assert kind(memory) == "graph"
        found = ids(memory, made, 1)
        assert np.mean([row == [f"d{i:05}"] for i, row in enumerate(found)]) > 0.98


def test_a_replaced_edit_is_found_by_its_new_vector_only(big: SqliteMemory) -> None:
    old, new = drawn(1500)[7:8], -drawn(1500)[7:8]
    big.replace(Edit(prompt="changed", id="d00007"), new)
    assert ids(big, new, 1) == [["d00007"]]
    assert "d00007" not in ids(big, old, 20)[0]
    big.undo()
    assert ids(big, old, 1) == [["d00007"]]
    assert "d00007" not in ids(big, new, 20)[0]


def test_unit_vectors_joined_by_others_are_searched_rightly(big: SqliteMemory) -> None:
    made = drawn(30, seed=8) * 4
    big.add(edits(30, 1500), made)
    assert ids(big, made, 1) == [[f"d{1500 + i:05}"] for i in range(30)]
    assert (
        recall(
            ids(big, drawn(20, seed=2), 10),
            [[c.edit.id for c in r] for r in big.scanning().search(drawn(20, seed=2), 10)],
        )
        > 0.95
    )


def test_many_spaces_do_not_all_stay_in_ram(path: Path) -> None:
    with opened(path, limit=10) as memory:
        for number in range(12):
            memory.add(edits(9, space=f"{number:x}space"), drawn(9, seed=number))
        for turn in range(2):
            for number in range(12):
                assert len(ids(memory, drawn(1), 20, space=f"{number:x}space")[0]) == 9, turn
        index = memory._index
        assert index is not None
        assert sum(len(shard) for shard in index._shards.values()) <= 40


def test_ram_an_edit() -> None:
    index = Index(D, lambda keys: drawn(len(keys)))
    n = 50_000
    keys = np.arange(1, n + 1)
    always, never = np.full(n, ALWAYS), np.full(n, NEVER)
    index.update(keys, keys, ["s"] * n, keys, np.ones(n, bool), always, never)
    held = sum(value.nbytes for value in vars(index).values() if isinstance(value, np.ndarray))
    assert held / n < 70


# The file


def test_the_graph_is_kept_beside_the_file_and_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as memory:
        memory.add(edits(300), drawn(300))
        before = memory.search(drawn(9, seed=3), 5)
    note = indexfile.note_of(graph_file(path))
    assert (note["fingerprint"], note["dimension"], note["count"], note["unit"]) == ("test", D, 300, True)
    assert note["stamp"][0] == 300

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("built anew")

    monkeypatch.setattr(GraphShard, "add", fail)
    with opened(path) as memory:
        assert memory.search(drawn(9, seed=3), 5) == before


def damage(file: Path, how: str) -> None:
    raw = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "cut":
        file.write_bytes(raw[: len(raw) // 2])
    elif how == "flipped":
        file.write_bytes(raw[:3000] + bytes([raw[3000] ^ 255]) + raw[3001:])
    elif how == "noise":
        file.write_bytes(os.urandom(len(raw)))
    elif how == "folder":
        file.unlink()
        file.mkdir()
    else:
        end = raw.rindex(b'{"space"')
        note = json.loads(raw[end : raw.rindex(b"}") + 1]) | json.loads(how)
        text = json.dumps(note).encode()
        file.write_bytes(raw[:end] + text + len(text).to_bytes(8, "little") + b"errata-hnsw-1\n")


@pytest.mark.parametrize(
    "how",
    [
        "missing", "empty", "cut", "flipped", "noise", "folder",
        '{"fingerprint": "other"}', '{"dimension": 8}', '{"space": "other"}', '{"stamp": [300, 12345]}',
        '{"stamp": [9999, 0]}', '{"bytes": 17}', '{"sha256": "0"}', '{"stamp": null}', '{"stamp": "x"}',
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_not_used(path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    with opened(path) as memory:
        memory.add(edits(300), drawn(300))
        memory.refresh()
        right = [[c.edit.id for c in row] for row in memory.scanning().search(drawn(20, seed=3), 5)]
    damage(graph_file(path), how)
    with opened(path) as memory:
        assert recall(ids(memory, drawn(20, seed=3), 5), right) > 0.97
        assert kind(memory) == "graph"
    assert ("index is rebuilt" in caplog.text) == (how != "missing")
    if how != "folder":
        assert indexfile.note_of(graph_file(path))["fingerprint"] == "test"


def test_a_file_left_behind_by_a_replaced_database_is_not_used(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db") as one, opened(tmp_path / "b.db") as two:
        one.add(edits(300), drawn(300))
        two.add(edits(300), drawn(300, seed=1))
        one.refresh()
        right = ids(two, drawn(1), 5)
    (tmp_path / "b.db.hnsw").write_bytes((tmp_path / "a.db.hnsw").read_bytes())
    with opened(tmp_path / "b.db") as two:
        assert ids(two, drawn(1), 5) == right


def test_a_file_that_is_behind_catches_up(path: Path) -> None:
    with opened(path) as memory:
        memory.add(edits(300), drawn(300))
        memory.refresh()
    old = graph_file(path).read_bytes()
    with opened(path) as memory:
        memory.add(edits(50, 300), -drawn(50))
        memory.retract(["d00000"])
    graph_file(path).write_bytes(old)
    with opened(path) as memory:
        assert ids(memory, -drawn(50), 1) == [[f"d{300 + i:05}"] for i in range(50)]
        assert "d00000" not in ids(memory, drawn(1), 50)[0]


def test_another_scope_models_vectors_are_never_searched(path: Path) -> None:
    with opened(path) as memory:
        memory.add(edits(300), drawn(300))
    with opened(path, fingerprint="second") as memory:
        assert memory.search(drawn(1), 5) == [[]]
        assert len(memory.missing()) == 300
        memory.put_vectors(memory.missing(), -drawn(300))
        assert ids(memory, -drawn(300)[:5], 1) == [[f"d{i:05}"] for i in range(5)]
    with opened(path) as memory:
        assert ids(memory, drawn(300)[:5], 1) == [[f"d{i:05}"] for i in range(5)]


def test_an_index_that_cannot_be_saved_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph_file(path).mkdir()
    with opened(path) as memory:
        memory.add(edits(300), drawn(300))
        assert len(ids(memory, drawn(1), 5)[0]) == 5
    assert "was not saved" in caplog.text
    with opened(path) as memory:
        assert len(memory.list()) == 300


def test_each_large_space_has_its_file(path: Path) -> None:
    with opened(path) as memory:
        memory.add(edits(150) + edits(150, space="other"), drawn(300))
        memory.refresh()
        files = memory.index_files()
        assert len(files) == 2
        assert {indexfile.note_of(file)["space"] for file in files} == {"default", "other"}
        assert set(files) == memory.wanted_index_files()


def test_a_space_that_shrank_needs_no_file(path: Path) -> None:
    with opened(path) as memory:
        memory.add(edits(150), drawn(150))
        memory.refresh()
        assert len(memory.index_files()) == 1
    with opened(path) as memory:
        memory.retract([f"d{i:05}" for i in range(100)])
    with opened(path) as memory:
        assert len(ids(memory, drawn(1), 100)[0]) == 50
        assert kind(memory) == "matrix"
        assert memory.index_files() == []


def test_half_dead_graphs_are_built_anew(path: Path) -> None:
    with opened(path) as memory:
        memory.add(edits(500), drawn(500))
        memory.refresh()
    with opened(path) as memory:
        memory.retract([f"d{i:05}" for i in range(300)])
    with opened(path) as memory:
        assert memory.describe_index() == {"kind": "graph", "vectors": 200}


def test_the_note_is_refused_when_it_is_not_one(tmp_path: Path) -> None:
    file = tmp_path / "x.hnsw"
    for raw in (
        b"",
        b"x" * 100,
        b"{}" + (2).to_bytes(8, "little") + b"errata-hnsw-1\n",
        b"9" * 22 + b"errata-hnsw-1\n",
    ):
        file.write_bytes(raw)
        with pytest.raises(StoreError, match=r"x\.hnsw"):
            indexfile.note_of(file)


def test_writing_a_file_leaves_the_old_one_when_it_fails(tmp_path: Path) -> None:
    file = tmp_path / "x.hnsw"
    indexfile.write(file, lambda to: to.write_bytes(b"first") and None, {"a": 1})

    def fail(to: Path) -> None:
        to.write_bytes(b"second")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        indexfile.write(file, fail, {"a": 2})
    assert indexfile.note_of(file)["a"] == 1
    assert os.listdir(tmp_path) == ["x.hnsw"]


def test_scan_shards_forget_scrubbed_keys() -> None:
    shard = ScanShard(lambda keys: drawn(len(keys)))
    shard.add(np.array([1, 2, 3]), drawn(3))
    shard.scrub(np.array([2]))
    assert shard.keys.tolist() == [1, 3]
    matrix = MatrixShard(D)
    matrix.add(np.array([1, 2]), drawn(2))
    matrix.scrub(np.array([2]))
    assert not matrix.vectors[1].any()
    assert matrix.vectors[0].any()


def test_half_written_files_of_dead_processes_are_swept_away(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    names = [f"errata.db.hnsw.{dead.pid}.tmp", f"errata.db.hnsw.{os.getpid()}.tmp", "errata.db.hnsw.x.tmp", "y.tmp"]
    for name in names:
        path.with_name(name).write_bytes(b"half")
    with opened(path):
        assert [name for name in names if path.with_name(name).exists()] == names[1:]
