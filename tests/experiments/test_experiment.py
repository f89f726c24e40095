"""The runner on cells of our own: what is done is kept, what changed is measured again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from errata.errors import ConfigError, ModelError
from errata.experiments.experiment import Cell, Experiment, Outcome, Progress, Result, Shown, agrees, run_experiment
from errata.experiments.parts import Setting


class Lab:
    """An experiment whose cells tell a number; counts which were run."""

    def __init__(self, *names: str) -> None:
        self.configs: dict[str, dict[str, Any]] = {name: {"weights": "a", "data": "d"} for name in names}
        self.missing: dict[str, str] = {}
        self.ran: list[str] = []
        self.told: list[tuple[str, int, int]] = []
        self.breaks: dict[str, BaseException] = {}

    def cells(self, setting: Setting) -> list[Cell]:
        return [
            Cell(name=name, config=config, run=self._runner(name), missing=self.missing.get(name, ""))
            for name, config in self.configs.items()
        ]

    def _runner(self, name: str) -> Any:
        def run(rows: Path, progress: Progress) -> Mapping[str, Any]:
            self.ran.append(name)
            progress("asking", 1, 2)
            if name in self.breaks:
                raise self.breaks[name]
            rows.write_text(f'{{"row": "{name}"}}\n')
            return {"es": float(len(name)), "pair": (1, 2)}

        return run

    def show(self, results: Mapping[str, Result]) -> Shown:
        text = " ".join(f"{name}={result.figures.get('es', result.why)}" for name, result in results.items())
        return Shown(text, {"drawn": "<svg/>"} if len(results) > 1 else {})

    def run(self, out: Path) -> Outcome:
        return run_experiment(
            Experiment("lab", "A lab", self.cells, self.show), Setting(), out, lambda *told: self.told.append(told)
        )


def test_every_cell_has_its_figures_rows_and_what_they_depend_on(tmp_path: Path) -> None:
    lab = Lab("one", "three")
    outcome = lab.run(tmp_path)
    assert dict(outcome.cells) == {"ran": 2, "kept": 0, "elsewhere": 0, "missing": 0, "failed": 0}
    cell = json.loads((tmp_path / "lab" / "cells" / "three.json").read_text())
    assert (cell["figures"], cell["seed"], cell["data_hash"]) == ({"es": 5.0, "pair": [1, 2]}, 0, "d")
    assert cell["config"] == {"weights": "a", "data": "d"} and {"commit", "seconds"} <= set(cell)
    assert gzip.decompress((tmp_path / "lab" / "cells" / "three.rows.jsonl.gz").read_bytes()) == b'{"row": "three"}\n'
    summary = json.loads((tmp_path / "lab" / "lab.json").read_text())
    assert summary["cells"]["one"]["figures"]["es"] == 3.0
    assert "one=3.0 three=5.0" in (tmp_path / "lab" / "lab.md").read_text()
    assert "![drawn](drawn.svg)" in (tmp_path / "lab" / "lab.md").read_text()
    assert sorted(path.name for path in outcome.files) == ["drawn.svg", "lab.json", "lab.md"]
    assert lab.told == [
        ("lab: one", 0, 2),
        ("lab: one: asking", 1, 2),
        ("lab: three", 1, 2),
        ("lab: three: asking", 1, 2),
        ("lab", 2, 2),
    ]


@pytest.mark.parametrize(
    ("setting", "limit"),
    [(Setting(), 7), (Setting(limit=3), 3), (Setting(full=True), None), (Setting(limit=3, full=True), 3)],
)
def test_an_experiment_takes_its_own_sample_where_no_limit_is_named(
    setting: Setting, limit: int | None, tmp_path: Path
) -> None:
    asked: list[int | None] = []

    def cells(one: Setting) -> list[Cell]:
        asked.append(one.limit)
        return []

    run_experiment(Experiment("lab", "A lab", cells, lambda _: Shown(""), 7), setting, tmp_path, lambda *told: None)
    assert asked == [limit]
    assert (f"limit {limit}" in (tmp_path / "lab" / "lab.md").read_text()) == (limit is not None)


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    lab = Lab("one", "two")
    first = lab.run(tmp_path)
    lab.configs["three"] = {"weights": "a", "data": "d"}
    again = lab.run(tmp_path)
    assert lab.ran == ["one", "two", "three"]
    assert (again.cells["kept"], again.cells["ran"]) == (2, 1)
    assert again.measured >= first.measured, "what the kept cells took is told too"


@pytest.mark.parametrize("key", ["weights", "data"])
def test_a_changed_part_or_data_file_is_measured_again(tmp_path: Path, key: str) -> None:
    lab = Lab("one", "two")
    lab.run(tmp_path)
    lab.configs["one"] = {**lab.configs["one"], key: "b"}
    lab.run(tmp_path)
    assert lab.ran == ["one", "two", "one"]
    lab.run(tmp_path)
    assert len(lab.ran) == 3


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    lab = Lab("one", "two", "three")
    lab.breaks["two"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        lab.run(tmp_path)
    lab.breaks.clear()
    assert lab.run(tmp_path).cells["kept"] == 1
    assert lab.ran == ["one", "two", "two", "three"]


def test_half_a_file_is_no_result(tmp_path: Path) -> None:
    lab = Lab("one")
    lab.run(tmp_path)
    path = tmp_path / "lab" / "cells" / "one.json"
    path.write_text(path.read_text()[:-20])
    lab.run(tmp_path)
    assert lab.ran == ["one", "one"]


def test_a_missing_part_is_told_and_not_run(tmp_path: Path) -> None:
    lab = Lab("one", "two")
    lab.missing["two"] = "not trained: run `errata train …`"
    outcome = lab.run(tmp_path)
    assert lab.ran == ["one"]
    assert dict(outcome.why) == {"two": "not trained: run `errata train …`"}
    assert "two=not trained" in (tmp_path / "lab" / "lab.md").read_text()
    assert not (tmp_path / "lab" / "cells" / "two.json").exists()


def test_what_was_measured_with_a_part_that_is_not_here_stays(tmp_path: Path) -> None:
    lab = Lab("one", "two")
    lab.run(tmp_path)
    lab.missing["two"] = "not trained: run `errata train …`"
    outcome = lab.run(tmp_path)
    assert lab.ran == ["one", "two"] and not outcome.why
    assert (outcome.cells["elsewhere"], outcome.cells["missing"]) == (1, 0)
    lab.configs["two"]["weights"] = "b"  # what it depends on besides is no longer that
    outcome = lab.run(tmp_path)
    assert (outcome.cells["elsewhere"], outcome.cells["missing"]) == (0, 1)


@pytest.mark.parametrize(
    ("then", "now", "may"),
    [
        ({"scope": {"name": "a", "fingerprint": "x"}}, {"scope": {"name": "a", "fingerprint": ""}}, True),
        ({"scope": {"name": "a", "fingerprint": "x"}}, {"scope": {"name": "b", "fingerprint": ""}}, False),
        ({"scope": {"name": "a", "fingerprint": "x"}}, {"scope": {"name": "a", "fingerprint": "y"}}, False),
        ({"parts": [{"fingerprint": "x"}, 1]}, {"parts": [{"fingerprint": ""}, 1]}, True),
        ({"parts": [1]}, {"parts": [1, 2]}, False),
        ({"k": 1, "old": 2}, {"k": 1}, False),
        ({"scope": {"name": "a"}}, {"scope": {"name": "a", "fingerprint": "y"}}, False),
    ],
)
def test_a_part_that_is_not_here_may_be_any(then: object, now: object, may: bool) -> None:
    assert agrees(then, now) is may


def test_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    lab = Lab("one", "two")
    lab.breaks["one"] = ModelError("no weights")
    outcome = lab.run(tmp_path)
    assert (outcome.cells["failed"], outcome.cells["ran"]) == (1, 1)
    assert outcome.why["one"] == "ModelError: no weights"
    lab.breaks.clear()
    assert lab.run(tmp_path).cells["failed"] == 0
    assert lab.ran == ["one", "two", "one"]


def test_a_plot_that_is_no_longer_drawn_goes(tmp_path: Path) -> None:
    lab = Lab("one", "two")
    lab.run(tmp_path)
    assert ElementTree.parse(tmp_path / "lab" / "drawn.svg").getroot().tag == "svg"
    del lab.configs["two"]
    lab.run(tmp_path)
    assert not (tmp_path / "lab" / "drawn.svg").exists()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="results cannot be written"):
        Lab("one").run(tmp_path / "file")


def test_a_setting_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        Setting(preset="papers")
    with pytest.raises(ConfigError, match="1 or more"):
        Setting(seeds=0)
