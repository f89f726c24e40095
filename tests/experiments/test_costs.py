from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from errata.experiments import costs
from errata.experiments.costs import TABLE_6, Timed, peak_of, summed
from errata.experiments.experiment import Result
from lab import found, made_up, ran, rows_of


def test_medians_and_ratios_by_hand() -> None:
    times = [Timed("base", "q", ms, False) for ms in (1.0, 2.0, 9.0)]
    times += [Timed("out", "q", 4.0, False), Timed("out", "q", 100.0, True), Timed("out", "q", 6.0, False)]
    times += [Timed("in", "q", 1.0, True), Timed("in", "q", 50.0, False)]
    assert summed(times) == {
        "base": {"inputs": 3, "ms": 2.0, "ratio": 1.0},
        "out": {"inputs": 2, "ms": 5.0, "ratio": 2.5},
        "in": {"inputs": 1, "ms": 1.0, "ratio": 0.5},
    }
    assert summed([])["in"] == {"inputs": 0, "ms": None, "ratio": None}


def test_table_6_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(costs, "EDITS", (3, 30))
    monkeypatch.setattr(costs, "INPUTS", 4)
    monkeypatch.setattr(costs, "free_memory", lambda: 2**30)
    monkeypatch.setattr(costs, "peak_of", lambda spec: asked.append(spec) or 2_500_000_000)
    setting = made_up(monkeypatch, tmp_path)
    outcome = ran(TABLE_6, setting, tmp_path / "results")
    assert (outcome.cells["ran"], outcome.cells["missing"]) == (2, 2)
    assert outcome.why["paper-30"].startswith("skipped: 1.0 GB of memory are free")
    assert [spec["way"] for spec in asked] == ["base", "out", "in"] * 2
    assert json.loads(json.dumps(asked[0], default=str))["parts"]["base"]["place"] == "echo"
    summary = json.loads((tmp_path / "results" / "table6" / "table6.json").read_text())
    ways = summary["cells"]["preset-30"]["figures"]["ways"]
    assert ways["base"]["inputs"] == 4 and ways["base"]["ratio"] == 1.0 and ways["base"]["ms"] > 0
    rows = rows_of((tmp_path / "results" / "table6" / "table6.md").read_text())
    assert len(rows) == 12 and rows[0][-1] == "2.50"


def test_table_6_by_hand() -> None:
    way = {"inputs": 5, "ms": 500.0, "ratio": 1.25, "peak_bytes": 3_400_000_000}
    told = {name: Result(state="missing", why="x") for name in ("preset-10", "preset-10000", "paper-10", "paper-10000")}
    told["paper-10"] = found(ways={"base": way, "out": way, "in": {**way, "peak_bytes": None}})
    rows = rows_of(TABLE_6.show(told).text)
    assert rows[6][1:] == ["base alone", "10", "500.0 [87]", "1.25 [1.00]", "3.40 [2.96]"]
    assert rows[8][1:] == ["SERAC, in scope", "10", "500.0 [31]", "1.25 [0.36]", "– [3.46]"]
    assert rows[9][3] == "–", "the paper tells nothing of 10,000 edits"


def test_a_fresh_process_tells_its_memory(tmp_path: Path) -> None:
    echo = {"name": "echo", "place": "echo", "fingerprint": "", "missing": "", "folder": None}
    parts = {"base": echo, "scope": echo, "counterfactual": echo}
    told = peak_of({"parts": parts, "way": "base", "memory": "", "text": "hello"})
    assert told is None or 10_000_000 < told < 2_000_000_000
