"""How fast, how large: the routing decision over a big memory against one bare encoder forward, in one run.

Every time is taken on this machine in this process, interleaved, so that ratios hold whatever else the machine does.
What is compared and how is told in docs/evaluation.md.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from errata.counterfactual.retell import Retell
from errata.edit import Decision, Edit
from errata.editors.serac import Serac, make_scope
from errata.errors import ConfigError
from errata.experiments.crowd import REAL_UP_TO, SEEDS, Nearest, Pool, Query, fill_memory, real_edits
from errata.experiments.rows import commit
from errata.memory.sqlite import SqliteMemory
from errata.memory.transfer import import_edits
from errata.models.echo import EchoModel
from errata.problems.cases import DATA
from errata.scope import Scope

Progress = Callable[[str, int, int], None]
PUBLISHED = (10, 100, 1_000)
WARM = 5
TIED = 1e-3
"""Squared distances that differ by less are equal: which of two such edits the index finds does not matter."""


def _silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def bench_route(
    *,
    edits: int = 1_000_000,
    queries: int = 200,
    seed: int = 0,
    runtime: str = "auto",
    data: str | Path | None = None,
    folder: Path | None = None,
    imported: int = 2_000,
    published: Sequence[int] = PUBLISHED,
    scope: Any = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Time the routing decision with dual and with cascade over a memory of many edits.

    Args:
        edits: in the memory.
        queries: half of them hits, half near misses.
        seed: of texts and synthetic vectors.
        runtime: what runs the networks.
        data: folder of the public data, for more real texts; None takes ERRATA_DATA where it is set.
        folder: where the memory is built (made if missing), in a temporary folder that is removed afterwards.
        imported: real edits that the import is timed with.
        published: memory sizes at which the published way is timed.
        scope: a cascade (with `.dual`) to measure instead of the shipped one.
        progress: told how far it is.

    Raises:
        ConfigError: fewer than two edits or queries.
        ModelError, StoreError: a part or the memory failed.
    """
    if edits < 2 or queries < 2:
        raise ConfigError("bench needs at least 2 edits and 2 queries", key="edits" if edits < 2 else "queries")
    tell = progress or _silent
    cascade: Any = scope if scope is not None else make_scope("cascade", runtime)
    real = edits if edits <= REAL_UP_TO else SEEDS
    pool = real_edits(real, queries // 2, seed=seed, data=data or os.environ.get(DATA) or None)
    asked = [*pool.hits, *pool.misses]
    dual: Scope = cascade.dual
    nearest = Nearest(dual.encode_inputs([query.text for query in asked]), dual.k or 6)
    result: dict[str, Any] = {"edits": edits, "runtime": runtime, "queries": len(asked), "seed": seed}
    with _workplace(folder) as place:
        path = Path(place) / "edits.db"
        result |= _build(path, dual, pool, edits, nearest=nearest, seed=seed, progress=tell)
        result |= _resident(path, dual, edits)
        result |= _route(path, cascade, asked, nearest, tell)
        result |= _import(Path(place), dual, pool.edits[:imported])
        result |= _published(dual, pool, published, result["dual_ms"], tell)
    return {**result, "commit": commit()}


def _workplace(folder: Path | None) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder, below `folder` where one is named."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folder)


def _build(
    path: Path, dual: Scope, pool: Pool, edits: int, *, nearest: Nearest, seed: int, progress: Progress
) -> dict[str, Any]:
    """Make the memory and its index on disk."""
    began = time.perf_counter()
    with SqliteMemory(path) as memory:
        memory.bind(dual.fingerprint, dual.dimension)
        made = fill_memory(memory, dual, pool, edits, nearest=nearest, seed=seed, progress=progress)
        filled = time.perf_counter()
        progress("index", 0, edits)
        memory.search(nearest.queries[:1], 1)
        indexed = time.perf_counter()
        progress("index", edits, edits)
    disk = sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file())
    graph = sum(file.stat().st_size for file in path.parent.iterdir() if ".hnsw" in file.name)
    note = (
        f"{made:,} of {edits:,} vectors are synthetic: around {len(pool.edits):,} encoded real edits, as far from them "
        "as these are from their nearest neighbours, carrying those neighbours' texts"
        if made
        else "all edits are real"
    )
    return {
        "synthetic": made > 0,
        "note": note,
        "real_edits": edits - made,
        "synthetic_edits": made,
        "fill_s": round(filled - began, 2),
        "index_build_s": round(indexed - filled, 2),
        "disk_bytes_per_edit": round(disk / edits, 1),
        "index_bytes_per_edit": round(graph / edits, 1),
    }


# memory


def resident(path: str, fingerprint: str, dimension: str) -> int | None:
    """By how many bytes this process grows when it opens a memory and searches it; None where /proc is not there."""
    query = np.zeros((1, int(dimension)), np.float32)
    query[0, 0] = 1.0
    with SqliteMemory(":memory:", exact_limit=1) as small:
        small.bind(fingerprint, int(dimension))
        small.add([Edit(prompt=f"warm {n}", target="up") for n in range(3)], np.repeat(query, 3, 0))
        small.search(query, 1)
    gc.collect()
    before = _resident_bytes()
    with SqliteMemory(path) as memory:
        memory.bind(fingerprint, int(dimension))
        memory.search(query, 6)
        gc.collect()
        after = _resident_bytes()
    return None if before is None or after is None else after - before


def _resident_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _resident(path: Path, dual: Scope, edits: int) -> dict[str, Any]:
    """Resident growth of a fresh process that opens the memory; the texts stay on disk."""
    code = "import sys, json; from errata.experiments.bench import resident; print(json.dumps(resident(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, str(path), dual.fingerprint, str(dual.dimension)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ConfigError(f"the memory could not be opened by another process: {done.stderr.strip()[-300:]}")
    grown = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        "bytes_per_edit": None if grown is None else round(grown / edits, 1),
        "bytes_note": "resident growth of a fresh process that opens and searches the memory; texts stay on disk",
    }


# time


def _route(path: Path, cascade: Any, asked: Sequence[Query], nearest: Nearest, progress: Progress) -> dict[str, Any]:
    """Medians of a bare encoding and of both routing decisions, one input at a time, taken in turns."""
    dual: Scope = cascade.dual
    times: dict[str, list[float]] = {"bare": [], "dual": [], "cascade": []}
    decided: list[Decision] = []
    _warm(path)
    with SqliteMemory(path) as memory:
        editors = {
            name: Serac(EchoModel(), scope=scope, counterfactual=Retell(), memory=memory)
            for name, scope in (("dual", dual), ("cascade", cascade))
        }
        ways: dict[str, Callable[[str], Any]] = {
            "bare": lambda text: dual.encode_inputs([text]),
            "dual": lambda text: editors["dual"].decide([text]),
            "cascade": lambda text: editors["cascade"].decide([text])[0],
        }
        for warm in range(WARM):
            for way in ways.values():
                way(f"What was the {warm}th question that warms things up about {asked[0].text}")
        for at, query in enumerate(asked):
            turn = at % len(ways)
            for name in [*ways, *ways][turn : turn + len(ways)]:
                began = time.perf_counter()
                found = ways[name](query.text)
                times[name].append(1e3 * (time.perf_counter() - began))
                decided += [found] if name == "cascade" else []
            progress("route", at + 1, len(asked))
        read = _reranked(cascade, memory, asked, nearest)
    ms = {f"{name}_ms": round(statistics.median(each), 3) for name, each in times.items()}
    ratios = {
        f"{name}_ratio": round(ms[f"{name}_ms"] / ms["bare_ms"], 3) if ms["bare_ms"] else None
        for name in ("dual", "cascade")
    }
    p95 = {f"{name}_p95_ms": round(float(np.quantile(each, 0.95)), 3) for name, each in times.items()}
    return {**ms, **ratios, **p95, **read, **_right(asked, decided)}


def _warm(path: Path) -> None:
    """Read the memory's file once, so that the system has it in its cache as that of a server some time at work.

    From a cold cache a search waits for the disk, row by row. Only while no memory is open in this process:
    closing a file of its own here would let go of SQLite's locks on it.
    """
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def _reranked(cascade: Any, memory: SqliteMemory, asked: Sequence[Query], nearest: Nearest) -> dict[str, Any]:
    """How much of the true nearest the index found, and how many different texts the cascade could not rule out."""
    found = memory.search(nearest.queries, nearest.k)
    hit = [
        sum(candidate.distance <= far[-1] + TIED for candidate in row) / len(far)
        for row, far in zip(found, nearest.far, strict=True)
    ]
    near = cascade.dual.judge([query.text for query in asked], found)
    floor = getattr(cascade, "floor", 0.0)
    texts = [len({match.edit.text for match in row if match.score >= floor}) for row in near]
    return {"recall": round(statistics.mean(hit), 4), "reranked": round(statistics.mean(texts), 2)}


def _right(asked: Sequence[Query], decided: Sequence[Decision]) -> dict[str, Any]:
    """How many hits fired, and how many near misses did not: speed without this would mean little."""
    fired = [decision.match is not None for decision in decided]
    hits = [one for query, one in zip(asked, fired, strict=True) if query.edit is not None]
    misses = [not one for query, one in zip(asked, fired, strict=True) if query.edit is None]
    return {
        "hits_fired": round(statistics.mean(hits), 4) if hits else None,
        "misses_refused": round(statistics.mean(misses), 4) if misses else None,
    }


def _import(place: Path, dual: Scope, edits: Sequence[Edit]) -> dict[str, Any]:
    """Edits a second of `import_edits` from JSONL into a file, against the encoder alone on the same edits."""
    file = place / "import.jsonl"
    lines = (json.dumps({"prompt": edit.prompt, "target": edit.target}) for edit in edits)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    dual.encode_edits(edits[:8])
    alone = []
    began = time.perf_counter()
    dual.encode_edits(edits)
    alone.append(time.perf_counter() - began)
    with SqliteMemory(place / "imported.db") as memory:
        memory.bind(dual.fingerprint, dual.dimension)
        began = time.perf_counter()
        import_edits(memory, file, dual.encode_edits)
        whole = time.perf_counter() - began
    began = time.perf_counter()
    dual.encode_edits(edits)
    alone.append(time.perf_counter() - began)
    return {
        "import_ratio": round(statistics.mean(alone) / whole, 3),
        "import_per_s": round(len(edits) / whole, 1),
        "encode_per_s": round(len(edits) / statistics.mean(alone), 1),
        "imported": len(edits),
    }


def _published(dual: Scope, pool: Pool, sizes: Sequence[int], dual_ms: float, progress: Progress) -> dict[str, Any]:
    """The published way: every input encodes the whole memory again (SERAC's released code), in the fastest runtime."""
    times, ratios = {}, {}
    for size in sizes:
        texts = [edit.text for edit in pool.edits[:size]]
        if len(texts) < size:
            continue
        each = []
        for query in pool.hits[: 5 if size <= 100 else 2]:
            began = time.perf_counter()
            memory = dual.encode_inputs(texts)
            vector = dual.encode_inputs([query.text])
            int(((memory - vector) ** 2).sum(1).argmin())
            each.append(1e3 * (time.perf_counter() - began))
        times[str(size)] = round(statistics.median(each), 3)
        ratios[str(size)] = round(times[str(size)] / dual_ms, 1) if dual_ms else None
        progress("published", size, max(sizes))
    return {"published_ms": times, "published_ratio": ratios}


def bench_encode(*, texts: int = 256, runtime: str = "auto", scope: Any = None, seed: int = 0) -> dict[str, Any]:
    """How fast inputs and edits are encoded: one at a time, and in batches.

    Args:
        texts: how many of each.
        runtime: what runs the network.
        scope: a dual scope classifier to measure instead of the shipped one.
        seed: of the texts.
    """
    dual: Scope = scope if scope is not None else make_scope("dual", runtime)
    pool = real_edits(texts, texts, seed=seed)
    inputs = [edit.prompt for edit in pool.edits]
    dual.encode_inputs(inputs[:8])
    single = []
    for text in inputs[:50]:
        began = time.perf_counter()
        dual.encode_inputs([text])
        single.append(1e3 * (time.perf_counter() - began))
    began = time.perf_counter()
    dual.encode_inputs(inputs)
    batch = time.perf_counter() - began
    dual.encode_edits(pool.edits[:8])
    began = time.perf_counter()
    dual.encode_edits(pool.edits)
    edits = time.perf_counter() - began
    return {
        "runtime": runtime,
        "texts": len(inputs),
        "bare_ms": round(statistics.median(single), 3),
        "inputs_per_s": round(len(inputs) / batch, 1),
        "edits_per_s": round(len(inputs) / edits, 1),
        "commit": commit(),
    }
