"""Time and memory of editing: which phases are measured, and the table by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.experiments import editing_costs
from errata.experiments.editing_costs import COSTS, METHODS, SIZES
from errata.experiments.experiment import Result
from errata.experiments.parts import Parts, Setting
from errata.experiments.rivals import FT
from errata.models.local import LocalModel
from lab import found, ran, rows_of
from tiny import tiny_t5


def test_either_phase_is_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def process(wish: dict[str, object]) -> dict[str, object]:
        asked.append((wish["editor"], wish["edits"], wish["phase"]))
        if wish["editor"] == "enn":
            raise ConfigError("a process that measures enn failed: out of memory")
        return {"seconds": 0.5, "bytes": 3_000_000}

    monkeypatch.setattr(editing_costs, "_process", process)
    monkeypatch.setattr(Setting, "data_hash", lambda self, problem: "abc")
    setting = Setting(presets={"mini": {"zsre_copy": Parts("echo", "echo", "echo", 10)}})
    outcome = ran(COSTS, setting, tmp_path)
    assert (outcome.cells["ran"], outcome.cells["failed"]) == (len(SIZES) * (len(METHODS) - 1), len(SIZES))
    assert ("ft", 64, "train") not in asked and ("mend", 128, "train") in asked and ("ft", 128, "infer") in asked
    page = (tmp_path / "seprog-costs" / "seprog-costs.md").read_text()
    assert ["MEND", "64", "0.50", "3", "0.50", "3"] in rows_of(page)
    assert ["FT", "64", "–", "–", "0.50", "3"] in rows_of(page) and ["ENN", "128", *"––––"] in rows_of(page)
    with gzip.open(tmp_path / "seprog-costs" / "cells" / "mend-64.rows.jsonl.gz", "rt") as file:
        run, *rows = map(json.loads, file)
    assert run["run"]["editor"] == "mend" and [row["phase"] for row in rows] == ["train", "infer"]


def test_a_cell_tells_what_its_costs_depend_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Setting, "data_hash", lambda self, problem: "abc")
    told = {cell.name: cell.config for cell in COSTS.cells(Setting(runs=tmp_path))}
    assert told["ft-64"]["settings"] == FT.settings and told["slag-64"]["settings"]["network"]
    assert [one.partition("+")[0] for one in told["serac-64"]["parts"]] == ["cascade", "reader"]


def test_fine_tuning_is_timed_as_it_is_compared(tmp_path: Path) -> None:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path / "t5"), device="cpu", name="tiny")
    assert editing_costs._untrained("ft", model).settings.lr == FT.settings["lr"]


def test_the_table_by_hand() -> None:
    told = {f"{rival.editor}-{size}": Result(state="missing", why="no") for rival in METHODS for size in SIZES} | {
        "seprog-64": found(train_seconds=1.234, train_bytes=2_500_000, infer_seconds=0.1, infer_bytes=None)
    }
    assert ["SeProG", "64", "1.23", "2", "0.10", "–"] in rows_of(COSTS.show(told).text)


def test_a_process_that_fails_is_a_named_error() -> None:
    with pytest.raises(ConfigError, match="measures mend failed"):
        editing_costs._process({"editor": "mend", "phase": "infer", "edits": 1, "base": "/nowhere", "data": "/nowhere"})


def test_what_a_phase_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr(editing_costs, "_inference", lambda wish: lambda: done.append(wish["edits"]))
    told = json.loads(editing_costs.measure(json.dumps({"phase": "infer", "edits": 3})))
    assert done == [3] * 4 and told["seconds"] >= 0 and told["bytes"] >= 0
