from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from errata.errors import ConfigError
from errata.experiments import bench, crowd
from errata.experiments.bench import bench_encode, bench_route
from overlap import OverlapScope

ROUTE = {"edits", "bare_ms", "dual_ms", "cascade_ms", "dual_ratio", "cascade_ratio", "bytes_per_edit"}
ROUTE |= {"import_ratio", "published_ms"}


def route(tmp_path: Path, **options: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"queries": 20, "imported": 100, "published": (10, 100)}
    settings["folder"] = tmp_path / "place"
    return bench_route(**{**settings, "scope": OverlapScope(), **options})


def test_route_with_real_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERRATA_DATA", raising=False)
    seen = []
    found = json.loads(json.dumps(route(tmp_path, edits=300, progress=lambda *told: seen.append(told[0]))))
    assert set(found) >= ROUTE
    assert (found["edits"], found["real_edits"], found["queries"]) == (300, 300, 20)
    assert found["synthetic"] is False and found["note"] == "all edits are real"
    assert list(found["published_ms"]) == ["10", "100"]
    assert found["recall"] == 1.0
    assert all(found[f"{name}_ms"] > 0 for name in ("bare", "dual", "cascade"))
    assert found["bytes_per_edit"] is None or found["bytes_per_edit"] > 0
    assert found["import_per_s"] > 0 and found["imported"] == 100
    assert set(seen) == {"encode", "index", "route", "published"}
    assert list((tmp_path / "place").iterdir()) == [], "the memory is removed"


def test_route_says_when_vectors_are_synthetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REAL_UP_TO", 100)
    monkeypatch.setattr(bench, "SEEDS", 60)
    found = route(tmp_path, edits=300, published=(10, 1_000))
    assert found["synthetic"] is True and found["note"].startswith("240 of 300 vectors are synthetic")
    assert (found["real_edits"], found["synthetic_edits"]) == (60, 240)
    assert list(found["published_ms"]) == ["10"], "not timed with more edits than there are texts"


@pytest.mark.parametrize("options", [{"edits": 1}, {"edits": 10, "queries": 1}])
def test_too_few(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        route(tmp_path, **options)


def test_hits_are_in_memory_and_near_misses_are_not() -> None:
    pool = crowd.real_edits(300, 50, seed=0)
    ids, prompts = {edit.id for edit in pool.edits}, {edit.prompt for edit in pool.edits}
    assert len(ids) == 300
    assert len(pool.hits) == len(pool.misses) == 50
    assert all(query.edit in ids for query in pool.hits)
    assert not prompts & {query.text for query in (*pool.hits, *pool.misses)}
    many = crowd.real_edits(50_000, 1, seed=0)
    assert 30_000 < len(many.edits) == len({edit.id for edit in many.edits})


@pytest.mark.parametrize("unit", [True, False])
def test_synthetic_edits_lie_as_near_as_real_ones(unit: bool) -> None:
    edits = list(crowd.real_edits(80, 1, seed=0).edits)
    vectors = np.random.default_rng(0).standard_normal((80, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) * (1 if unit else 0.5)
    _, gaps = crowd.neighbours(vectors, 5)
    made = list(crowd.synthetic(edits, vectors, 200, seed=0, batch=90))
    assert [len(part) for part, _ in made] == [90, 90, 20]
    away = np.concatenate([theirs for _, theirs in made]) - vectors[np.arange(200) % 80]
    far = np.linalg.norm(away, axis=1)
    assert far.min() >= gaps.min() - 1e-3 and far.max() <= gaps.max() + 1e-3
    texts = [edit.text for edit in made[0][0]]
    assert set(texts) <= {edit.text for edit in edits}
    assert all(texts[at] != edits[at % 80].text for at in range(80)), "a neighbour's text, never its own"
    assert len({edit.id for part, _ in made for edit in part}) == 200


def test_neighbours_by_hand() -> None:
    vectors = np.array([[0, 0], [3, 4], [0, 1], [0, 0]], np.float32)
    near, gaps = crowd.neighbours(vectors, 2)
    assert near[1].tolist()[0] == 2
    assert near[0].tolist() == [3, 2], "an equal vector is a neighbour"
    assert gaps.tolist() == pytest.approx([1, 18**0.5, 1, 1]), "but tells no distance"


def test_nearest_is_exact_whatever_the_batches() -> None:
    random = np.random.default_rng(0)
    edits = list(crowd.real_edits(50, 1, seed=0).edits)
    vectors = random.standard_normal((50, 8)).astype(np.float16).astype(np.float32)
    queries = random.standard_normal((3, 8)).astype(np.float32)
    found = crowd.Nearest(queries, 4)
    for begin in (0, 3, 30):
        end = {0: 3, 3: 30, 30: 50}[begin]
        found.pass_by(edits[begin:end], vectors[begin:end])
    for at, query in enumerate(queries):
        order = ((vectors - query) ** 2).sum(1).argsort()[:4]
        assert found.ids[at] == [edits[place].id for place in order]


def test_encode() -> None:
    found = bench_encode(texts=20, scope=OverlapScope())
    assert found["texts"] == 20
    assert min(found["bare_ms"], found["inputs_per_s"], found["edits_per_s"]) > 0
