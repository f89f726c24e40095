from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from errata.edit import Edit
from errata.errors import ConfigError
from errata.experiments import many_edits
from errata.experiments.many_edits import FIGURE_3, crowd_for
from errata.experiments.measuring import crowded, evaluation
from errata.problems.cases import EditCase, Problem, Unlabelled
from errata.problems.held_out import is_held_out
from lab import found, made_up, ran, results, rows_of
from overlap import tiny_data
from tiny_problems import counterfact_data, twin, write

EDIT = Edit(prompt="Who directed Lima?", target="Al", id="lima", meta={"subject": "Lima"})
PROBLEM = Problem(
    name="qa",
    split="test",
    cases=(EditCase(EDIT, ()),),
    shared=(Unlabelled("who directed Rome?", "train_other_subject"), Unlabelled("where is Arbon", "nq")),
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = counterfact_data(tiny_data(tmp_path / "data"))
    rows = [twin(1, "Cadiz", "Sofia", "", ""), twin(2, "Lima", "Sofia", "", ""), twin(3, "Essen", "Sofia", "", "")]
    write(folder / "counterfact" / "train.json", rows)
    facts = [
        {"sub_label": "Essen", "obj_label": "Ruhr"},
        {"sub_label": "Fargo", "obj_label": "Dakota"},
        {"sub_label": "Fargo", "obj_label": "Minnesota"},
    ]
    write(folder / "pararel/data/trex_lms_vocab/P1.jsonl", facts)
    patterns = ["[X] lies in [Y].", "[Y] is where [X] lies.", "[X] is found in [Y] ."]
    write(folder / "pararel/data/pattern_data/graphs_json/P1.jsonl", [{"pattern": text} for text in patterns])
    write(folder / "pararel/data/trex_lms_vocab/P2.jsonl", facts)
    return folder


def test_the_crowd_contradicts_nothing(data: Path) -> None:
    """Out: Lima (an edit's), Rome (a stranger's), held-out subjects, a second object or target, P2 without wordings."""
    told = {edit.prompt: edit.target for edit in crowd_for(PROBLEM, data=data, total=1_000, seed=0)}
    zsre = {f"Who directed {name}?": "Bo" for name in ("Oslo", "Cairo", "Bonn") if not is_held_out(name)}
    assert told == {
        **zsre,
        "Arbon is a twin city of": "Lima",
        "Bergen is a twin city of": "Rome",
        "Cadiz is a twin city of": "Sofia",
        "Dover is a twin city of": "Kiev",
        "Essen is a twin city of": "Sofia",
        "Fargo lies in": "Dakota",
        "Fargo is found in": "Dakota",
    }


def test_a_larger_crowd_holds_the_smaller(data: Path) -> None:
    few, many = (crowd_for(PROBLEM, data=data, total=total, seed=3) for total in (3, 6))
    assert len(few) == 2 and many[:2] == few and len(many) == 5
    assert crowd_for(PROBLEM, data=data, total=1, seed=3) == ()


def test_the_crowd_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = made_up(monkeypatch, tmp_path)
    crowd = (Edit(prompt="how far is the moon", target="Far", id="moon"),)
    figures = evaluation("crowd", setting, "qa", crowd=lambda problem: crowd).run(tmp_path / "r.jsonl", lambda *_: None)
    assert (figures["edits"], figures["n_in"], figures["n_out"]) == (3, 3, 4)
    assert figures["by_kind"]["nq"]["dd"] == 1.0, "the moon is now in an edit's scope"
    with pytest.raises(ConfigError, match="all edits at once"):
        evaluation("crowd", setting, "qa", edits=1, crowd=lambda problem: crowd).run(tmp_path / "r", lambda *_: None)
    assert [case.edit.id for case in crowded(PROBLEM, crowd).cases] == ["lima", "moon"]


def test_figure_3_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_edits, "SIZES", (1, 2))
    monkeypatch.setattr(many_edits, "CROWDS", ())
    outcome = ran(FIGURE_3, made_up(monkeypatch, tmp_path), tmp_path / "results")
    assert (outcome.cells["ran"], outcome.cells["missing"], outcome.cells["failed"]) == (2, 6, 0)
    assert "errata train scope qa --config configs/tables/qa-k10.toml" in outcome.why["k10-1"]
    assert sorted(path.name for path in outcome.files if path.suffix == ".svg") == ["figure3-beyond.svg", "figure3.svg"]


def test_figure_3_by_hand() -> None:
    names = [f"{editor}-{k}" for editor in many_edits.EDITORS for k in many_edits.SIZES]
    names += [f"crowd-{size}" for size in many_edits.CROWDS]
    one = found(es=0.99, es_ci=[0.98, 1.0], dd=0.01, dd_ci=[0.0, 0.03])
    full = replace(one, figures={**one.figures, "by_kind": {"nq": {"dd": 0.02, "dd_ci": [0.01, 0.04], "fired": 0.05}}})
    shown = FIGURE_3.show(results(names, {"shipped-10": one, "crowd-50000": full}))
    rows = rows_of(shown.text)
    interval = ["0.990 (0.980 to 1.000)", "0.010 (0.000 to 0.030)"]
    assert rows[2] == ["shipped", "10", *interval, "0.980"]
    assert rows[-1] == ["50,000", *interval, "0.020 (0.010 to 0.040)", "0.050"]
    assert rows[-4][0] == "582", "all of the problem's own, from the cell above"
    assert "shipped: 0.980 at 10." in shown.plots["figure3"]
    assert "trained at" not in shown.plots["figure3"], "what was not measured is not drawn"
    assert FIGURE_3.show(results(names, {})).plots == {}
