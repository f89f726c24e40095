"""Table 6 of SERAC's paper: time and memory of the base alone and of SERAC, out of scope and in, as edits grow many.

Times are medians of single inputs in one process, taken in turns, so that their ratios hold whatever else the machine
does. Memory is the highest resident set of a fresh process that loads the parts and answers one input.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from errata.editors.serac import Serac, wrap
from errata.errors import ConfigError
from errata.experiments.crowd import encode, real_edits
from errata.experiments.experiment import Cell, Experiment, Progress, Result, Shown
from errata.experiments.measuring import Trio, trio
from errata.experiments.parts import Found, Setting, find, open_base, open_counterfactual, open_scope
from errata.experiments.problem_tables import not_measured
from errata.experiments.published import TABLE6
from errata.experiments.rows import RowFile
from errata.experiments.tables import count, figure, markdown
from errata.memory.sqlite import SqliteMemory

EDITS = (10, 10_000)
INPUTS = 20
"""Inputs of either side that are timed."""
ASKED = ("", "Tell me: ", "Please tell me, ", "I would like to know: ", "Here is a question. ")
"""Before a question: with few edits in memory there are few questions in scope, and none is timed twice."""
WARM = 3
NEEDED = 10 * 2**30
"""Bytes that must be free for models of the paper's sizes: two processes hold T5-large in float32 at a time."""
SIZES = {"preset": "the preset's parts", "paper": "T5-large and T5-small, random weights"}
WAYS = {"base": "base alone", "out": "SERAC, out of scope", "in": "SERAC, in scope"}


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer: by which way, in how many milliseconds, and whether an edit fired."""

    way: str
    input: str
    ms: float
    fired: bool


def _cells(setting: Setting) -> list[Cell]:
    own = trio(setting, "qa")
    paper = Trio(_untrained("t5-large"), find("dual", setting.runs), _untrained("t5-small"))
    cells = []
    for size, parts in (("preset", own), ("paper", paper)):
        short = _too_small() if size == "paper" else ""
        for edits in EDITS:
            config = {**parts.config(), "size": size, "edits": edits, "inputs": INPUTS, "seed": setting.seed}
            config["data"] = setting.data_hash("qa") if edits > EDITS[0] else ""
            run = partial(_measured, setting, parts, edits, config)
            cells.append(Cell(name=f"{size}-{edits}", config=config, run=run, missing=parts.missing or short))
    return cells


def _untrained(shape: str) -> Found:
    return find(f"untrained:{shape}", Path())


def _too_small() -> str:
    """Why models of the paper's sizes are not run on this machine; "" where they are."""
    free = free_memory()
    if free is None or free >= NEEDED:
        return ""
    return f"skipped: {free / 2**30:.1f} GB of memory are free, and models of the paper's sizes want {NEEDED >> 30}"


def free_memory() -> int | None:
    """Bytes that the system can give, None where it does not tell."""
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable:")


def _kilobytes(path: Path, key: str) -> int | None:
    """Bytes that a line of a file in /proc tells in kB."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), None)


# time


def _measured(
    setting: Setting, parts: Trio, edits: int, config: Mapping[str, Any], rows: Path, progress: Progress
) -> dict[str, Any]:
    """Build the memory, time the three ways, and see what each takes in a process of its own."""
    data = setting.data if setting.data is not None else os.environ.get("ERRATA_DATA") or None
    pool = real_edits(edits, INPUTS, seed=setting.seed, data=data if edits > EDITS[0] else None)
    base, scope = open_base(parts.base), open_scope(parts.scope)
    counterfactual = open_counterfactual(parts.counterfactual)
    inside = [f"{before}{query.text}" for before in ASKED for query in pool.hits][:INPUTS]
    outside = [query.text for query in pool.misses][:INPUTS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edits.db"
        with SqliteMemory(path) as memory:
            editor = wrap(base, scope=scope, counterfactual=counterfactual, memory=memory)
            memory.add(pool.edits, encode(editor.scope, pool.edits, progress))
            with RowFile(rows, {"run": dict(config)}) as file:
                times = list(file.through(_timed(editor, inside, outside, progress)))
        figures = summed(times)
        for at, way in enumerate(WAYS):
            progress("memory", at, len(WAYS))
            text = inside[0] if way == "in" else outside[0]
            figures[way]["peak_bytes"] = peak_of(
                {"parts": asdict(parts), "way": way, "memory": str(path), "text": text}
            )
        progress("memory", len(WAYS), len(WAYS))
    return {"edits": len(pool.edits), "ways": figures}


def _timed(editor: Serac, inside: Sequence[str], outside: Sequence[str], progress: Progress) -> Iterator[Timed]:
    """Every way once an input, in turns; the base answers the questions that are out of scope."""
    base: Callable[[str], bool] = lambda text: not editor.model.generate([text])  # noqa: E731
    edited: Callable[[str], bool] = lambda text: editor.generate([text])[0].decision.match is not None  # noqa: E731
    for at in range(WARM):
        base(f"Warming up, {at}: {outside[0]}")
        edited(f"Warming up, {at}: {inside[0]}")
    total = max(len(inside), len(outside))
    for at in range(total):
        turns = [("base", base, outside), ("out", edited, outside), ("in", edited, inside)]
        for name, way, texts in turns[at % 3 :] + turns[: at % 3]:
            if at < len(texts):
                began = time.perf_counter()
                fired = way(texts[at])
                yield Timed(name, texts[at], round(1e3 * (time.perf_counter() - began), 3), fired)
        progress("time", at + 1, total)


def summed(times: Sequence[Timed]) -> dict[str, dict[str, Any]]:
    """By way: inputs, median milliseconds, and their ratio to the base's.

    Out of scope counts what no edit answered, in scope what one did.
    """
    found: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        ms = [one.ms for one in times if one.way == way and one.fired == (way == "in")]
        found[way] = {"inputs": len(ms), "ms": round(statistics.median(ms), 3) if ms else None}
    base = found["base"]["ms"]
    for told in found.values():
        told["ratio"] = round(told["ms"] / base, 3) if base and told["ms"] is not None else None
    return found


# memory


def peak_of(spec: Mapping[str, Any]) -> int | None:
    """The highest resident set of a fresh process that answers an input, in bytes; None where /proc is not there.

    Args:
        spec: what `peak` takes.

    Raises:
        ConfigError: the process failed.
    """
    code = "import sys; from errata.experiments.costs import peak; print(peak(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", code, json.dumps(spec, default=str)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ConfigError(f"a process that measures memory failed: {done.stderr.strip()[-300:]}")
    told: int | None = json.loads(done.stdout.strip().splitlines()[-1].replace("None", "null"))
    return told


def peak(spec: str) -> int | None:
    """Load the parts, answer one input, and tell the highest resident set of this process in bytes.

    Args:
        spec: JSON with "parts" (a Trio), "way" (a key of `WAYS`), "memory" (a path) and "text".
    """
    asked = json.loads(spec)
    parts = Trio(**{name: _found(part) for name, part in asked["parts"].items()})
    base = open_base(parts.base)
    if asked["way"] == "base":
        base.generate([asked["text"]])
    else:
        with SqliteMemory(asked["memory"]) as memory:
            scope, counterfactual = open_scope(parts.scope), open_counterfactual(parts.counterfactual)
            wrap(base, scope=scope, counterfactual=counterfactual, memory=memory).generate([asked["text"]])
    return resident("VmHWM:")


def resident(key: str) -> int | None:
    """Bytes that this process holds ("VmRSS:") or has held at most ("VmHWM:"); None where /proc is not there."""
    return _kilobytes(Path("/proc/self/status"), key)


def _found(part: Mapping[str, Any]) -> Found:
    return Found(**{**part, "folder": Path(part["folder"]) if part["folder"] else None})


# what is shown


def _show(results: Mapping[str, Result]) -> Shown:
    rows: list[Sequence[object]] = []
    order = [(size, edits) for size in SIZES for edits in EDITS]
    for (size, edits), result in zip(order, results.values(), strict=True):
        beside = TABLE6 if size == "paper" and edits == EDITS[0] else {}
        for way, told in WAYS.items():
            found = result.figures.get("ways", {}).get(way, {})
            ms, gigabytes = beside.get(way, (None, None))
            alone = TABLE6["base"][0]
            peak_bytes = found.get("peak_bytes")
            rows.append(
                (
                    SIZES[size],
                    told,
                    count(edits),
                    figure(found.get("ms"), digits=1, paper=None if ms is None else f"{ms:.0f}"),
                    figure(found.get("ratio"), digits=2, paper=None if ms is None else f"{ms / alone:.2f}"),
                    figure(
                        None if peak_bytes is None else peak_bytes / 1e9,
                        digits=2,
                        paper=None if gigabytes is None else f"{gigabytes:.2f}",
                    ),
                )
            )
    columns = ("parts", "way", "edits", "ms", "times the base", "peak memory, GB")
    note = (
        "One input at a time, median; the ratio is to the base in the same run. Ours is a whole answer on this"
        " machine's CPU (random models write 8 tokens), and the memory of the whole process, Python and torch included."
        " The paper's, in brackets, is one forward pass on a GPU after 10 edits. At the paper's sizes the scope"
        " classifier is our dual one."
    )
    return Shown(f"{note}\n\n{markdown(columns, rows, words=2)}{not_measured(results)}")


TABLE_6 = Experiment("table6", "Time and memory (SERAC, Table 6)", _cells, _show)
