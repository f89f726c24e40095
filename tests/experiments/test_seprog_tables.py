"""SeProG's tables: their cells, averages and plots by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from errata.experiments.experiment import Result
from errata.experiments.parts import Parts, Setting
from errata.experiments.seprog_tables import ABLATED, ABLATIONS, METHODS, SEPROG_TABLE, SETS, SIZES
from lab import found, rows_of

NOTHING = Result(state="missing", why="no")


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.setattr(Setting, "data_hash", lambda self, problem: "abc")
    return Setting(runs=tmp_path, presets={"mini": dict.fromkeys(SETS, Parts("echo", "echo", "echo", 10))})


def names(cells: Sequence[object]) -> list[str]:
    return [cell.name for cell in cells]  # type: ignore[attr-defined]


def test_every_editor_on_every_set_at_every_size(setting: Setting) -> None:
    cells = SEPROG_TABLE.cells(setting)
    assert len(cells) == len(set(names(cells))) == len(SETS) * len(METHODS) * len(SIZES) == 210
    by_name = {cell.name: cell for cell in cells}
    assert by_name["mend-triples-20"].missing == "mend-triples: not trained: run `errata train editor mend triples`"
    assert [by_name[f"ft-triples-{k}"].config["batches"] for k in SIZES] == [128, 32, 12, 6, 2, 1]


def test_ablations_share_a_network_but_for_the_one_without_a_classifier(setting: Setting) -> None:
    cells = {cell.name: cell for cell in ABLATIONS.cells(setting)}
    assert len(cells) == len(SETS) * 4 * len(ABLATED)
    assert cells["seprog-no_select-triples-10"].config["settings"] == {"variant": "no_select"}
    assert cells["seprog-no_select-triples-10"].missing == cells["seprog-triples-10"].missing
    assert "--config configs/compare/seprog-bare.toml --out" in cells["seprog-bare-triples-10"].missing


def test_averages_are_over_all_sizes_or_none(setting: Setting) -> None:
    told: dict[str, Result] = dict.fromkeys(names(SEPROG_TABLE.cells(setting)), NOTHING)
    for at, k in enumerate(SIZES):  # 0.0, 0.1 ... 0.5: 0.25 on average
        told[f"mend-triples-{k}"] = found(es=at / 10, dd=0.5, dd_label=0.75)
    told["enn-triples-1"] = found(es=1.0, dd=0.0)
    shown = SEPROG_TABLE.show(told)
    first = {row[0]: row[1:] for row in reversed(rows_of(shown.text)) if len(row) == 13}
    assert first["MEND"] == ["–"] * 8 + ["0.250", "0.500", "–", "–"]
    assert first["ENN"] == ["–"] * 12
    lines = [row for row in rows_of(shown.text) if row[:2] == ["MEND", "DD, label"]]
    assert lines[-1] == ["MEND", "DD, label", *["0.750"] * 6] and lines[0] == ["MEND", "DD, label", *["–"] * 6]
    assert set(shown.plots) == {"seprog-triples-es", "seprog-triples-dd"}
    assert "MEND: 0.000 at 1, 0.100 at 4" in shown.plots["seprog-triples-es"]


def test_a_mean_over_all_sets_needs_them_all(setting: Setting) -> None:
    told: dict[str, Result] = dict.fromkeys(names(SEPROG_TABLE.cells(setting)), NOTHING)
    for at, name in enumerate(SETS):
        told |= {f"seprog-{name}-{k}": found(es=at / 4, dd=0.1) for k in SIZES}
    [row] = [row for row in rows_of(SEPROG_TABLE.show(told).text) if row[0] == "SeProG" and len(row) == 13]
    assert row[-2:] == ["0.500", "0.100"]
