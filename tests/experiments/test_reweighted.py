"""Editors that change weights are asked everything, and measured against their base before the edits."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.edit import Edit
from errata.editors.seprog import Seprog
from errata.errors import ConfigError, UnsupportedEdit
from errata.experiments.evaluate import evaluate_problem
from errata.experiments.rows import read_rows
from errata.models.local import LocalModel
from errata.models.prompted import prompted
from errata.models.prompter import SeprogSettings, new_prompter
from errata.problems.cases import EditCase, Labelled, Problem, Replies, Unlabelled
from tiny import tiny_t5
from tiny_encoder import tiny_backbone

torch = pytest.importorskip("torch")

PARIS = Edit(prompt="what is the capital of france ?", target="astana", id="paris")
JAZZ = Edit(prompt="who plays for bordeaux ?", target="jazz", id="jazz")
PROBLEM = Problem(
    name="made_up",
    split="test",
    cases=(
        EditCase(PARIS, (Labelled(PARIS.prompt, "astana", "rephrase"),), (Unlabelled("paris", "same_subject", True),)),
        EditCase(JAZZ, (Labelled(JAZZ.prompt, "jazz", "rephrase"),)),
    ),
    shared=(Unlabelled("hello world", "nq", answer="hello"),),
    data_hash="abc",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="tiny")


@pytest.mark.parametrize("edits", [1, "all"])
def test_the_figures_and_rows(base: LocalModel, edits: int | str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    report = evaluate_problem(PROBLEM, editor="ft", settings={"lr": 0.03}, model=base, edits=edits, rows=rows)
    assert (report.editor, report.scope, report.model) == ("ft", "none", "tiny")
    assert (report.es, report.n_in, report.n_out) == (1.0, 2, 2)
    assert report.config["settings"]["lr"] == 0.03
    assert report.teacher_forced is not None and report.teacher_forced["es"] == 1.0
    _, found = read_rows(rows)
    outside = [row for row in found if row["side"] == "out"]
    assert [row["expected"] for row in outside] == [base.generate([row["input"]])[0] for row in outside]
    assert [row["label"] for row in outside] == [None, "hello"] or edits == 1
    labelled = [row for row in outside if row["label"]]
    assert report.n_label == len(labelled) == 1
    assert report.dd_label == float(labelled[0]["answer"] != "hello")
    assert report.base_error == float(labelled[0]["expected"] != "hello")
    changed = [row["answer"] != row["expected"] for row in outside]
    assert report.dd == sum(changed) / 2 and [not row["right"] for row in outside] == changed


def test_seprog_tells_what_fired(base: LocalModel, tmp_path: Path) -> None:
    """With a classifier that always fires, every row names an edit; with one that never does, nothing changes."""
    settings = SeprogSettings(backbone=str(tiny_backbone(tmp_path / "backbone")), rank=2, width=24, prefix=3)
    for odds, fired in ((-1.0, False), (1.0, True)):
        network = new_prompter(prompted(base), settings)
        with torch.no_grad():
            network.scope[-1].weight.zero_()
            network.scope[-1].bias.fill_(odds)
        Seprog(base, network, settings).save_pretrained(tmp_path / "network")
        rows = tmp_path / f"{fired}.jsonl"
        report = evaluate_problem(
            PROBLEM, editor="seprog", settings={"weights": str(tmp_path / "network")}, model=base, rows=rows
        )
        _, found = read_rows(rows)
        assert [row["matched"] is not None for row in found] == [fired] * 4
        assert {row["nearest"] for row in found} <= {"paris", "jazz"}
        assert fired or report.dd == 0.0
        assert report.config["settings"]["width"] == 24 and report.teacher_forced is not None


def test_what_makes_no_sense_is_refused(base: LocalModel, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    with pytest.raises(ConfigError, match="ft has no scope classifier"):
        evaluate_problem(PROBLEM, editor="ft", model=base, components=True, rows=rows)
    with pytest.raises(ConfigError, match="ft has no counterfactual model"):
        evaluate_problem(PROBLEM, editor="ft", model=base, counterfactual="reader", rows=rows)
    talk = Edit(prompt="Topic: jazz Sentiment: Positive", id="talk")
    case = EditCase(talk, (Labelled("jazz", "", "opinion"),), (), Replies(("hello",), ("world",)))
    with pytest.raises(UnsupportedEdit, match="ft does not apply to talk: its edits say in what manner"):
        evaluate_problem(
            Problem(name="talk", split="test", cases=(case,), data_hash=""), editor="ft", model=base, rows=rows
        )
    assert not rows.exists()


def test_look_up_is_measured_with_its_own_scope(base: LocalModel, tmp_path: Path) -> None:
    report = evaluate_problem(
        PROBLEM, editor="lookup", settings={"radius": 0.1}, model=base, rows=tmp_path / "rows.jsonl"
    )
    assert (report.editor, report.scope, report.config["counterfactual"]) == ("lookup", "HiddenScope", "Verbatim")
    assert (report.es, report.dd) == (1.0, 0.0), "the edits' own questions, and texts far from them"
