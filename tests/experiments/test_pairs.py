"""Every editor on every problem: measured from end to end, or refused by a named error before anything long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny
from errata.counterfactual import Counterfactual
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.edit import Edit
from errata.editors.catalogue import EDITORS, kind_of
from errata.editors.learned import Learned
from errata.editors.weights import WeightEditor
from errata.errors import ConfigError, ErrataError, ModelError, UnsupportedEdit, UnsupportedModel
from errata.experiments import evaluate
from errata.experiments.evaluate import PROBLEMS, evaluate_problem
from errata.models.classifier import ClaimClassifier
from errata.models.echo import EchoModel
from errata.models.local import LocalModel
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled
from errata.problems.qa_hard import load_qa_hard
from overlap import OverlapScope, SaysTarget, tiny_data
from tiny_editors import TRAINED, tiny_editor
from tiny_hard import hard_data
from tiny_problems import counterfact_data, fact_check_data, few_triples, mill, sentiment_data
from tiny_sets import one_of_each
from tiny_wiki import wiki_data

torch = pytest.importorskip("torch")

REMOTE = "http://localhost:1/v1"
WEIGHTS = tuple(name for name in EDITORS if issubclass(kind_of(name), WeightEditor))
LEARNED = tuple(name for name in WEIGHTS if issubclass(kind_of(name), Learned))
MORE_THAN_TEXT = ("lookup", *WEIGHTS, "seprog")
"""Editors that ask more of a base than answers."""
CLAIMS = ("fact_check", "fever_copy", "leapofthought")
"""Problems whose base is a classifier."""
REFUSED: dict[tuple[str, str], tuple[type[ErrataError], str]] = {
    ("ft", "sentiment"): (UnsupportedEdit, "ft does not apply to sentiment: its edits say in what manner"),
    ("lookup", "sentiment"): (UnsupportedEdit, "lookup does not apply to sentiment: its edits say in what manner"),
    ("seprog", "sentiment"): (UnsupportedEdit, "seprog does not apply to sentiment: its edits say in what manner"),
}
"""Pairs that make no sense; all others run."""


def test_every_editor_with_a_network_is_here() -> None:
    assert {*LEARNED, "seprog"} == set(TRAINED)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = one_of_each(tiny_data(tmp_path_factory.mktemp("data")))
    fact_check_data(folder, test=mill())
    sentiment_data(folder)
    counterfact_data(folder)
    hard_data(folder / "hard")
    wiki_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        yield few_triples(patch, folder)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tiny base model for each problem."""
    folder = tmp_path_factory.mktemp("models")
    text = LocalModel.from_pretrained(tiny.tiny_t5(folder / "t5"), device="cpu", max_new_tokens=4)
    claims = ClaimClassifier.from_pretrained(tiny.tiny_bert_classifier(folder / "bert"), supports=0, refutes=1)
    return {**dict.fromkeys(PROBLEMS, text), **dict.fromkeys(CLAIMS, claims)}


@pytest.fixture(scope="module")
def networks(bases: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The folder of a trained editor's network, here untrained, for a problem's base."""
    top = tmp_path_factory.mktemp("networks")

    def folder(editor: str, problem: str) -> Path:
        place = top / f"{editor}-{bases[problem].name}"
        if not place.exists():
            tiny_editor(editor, bases[problem], top / "backbone").save_pretrained(place)
        return place

    return folder


def options_of(editor: str, problem: str, bases: dict[str, Any], networks: Any) -> dict[str, Any]:
    """The editor's parts and settings."""
    options: dict[str, Any] = {"model": bases[problem], "scope": OverlapScope(), "edits": "all"}
    if editor == "serac":
        answers: Counterfactual = SaysTarget()
        if problem == "sentiment":
            base = bases[problem]
            answers = Seq2SeqCounterfactual(base.module, base.tokenizer, max_new_tokens=4)
        options["counterfactual"] = answers
    settings: dict[str, Any] = {"lookup": {"radius": 0.5}, "ft": {"lr": 0.01, "steps": 2}}.get(editor, {})
    if editor in TRAINED:
        settings = {"weights": str(networks(editor, problem))}
    return {**options, "settings": settings}


def loaded(problem: str, data: Path) -> Problem | str:
    """The problem's name; QA-hard with an encoder that is not there for real."""
    if problem != "qa_hard":
        return problem
    return load_qa_hard(data / "hard", encode=OverlapScope().encode_inputs)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("editor", EDITORS)
def test_every_pair(
    editor: str, problem: str, data: Path, bases: dict[str, Any], networks: Any, tmp_path: Path
) -> None:  # fmt: skip
    rows = tmp_path / "rows.jsonl"
    options = options_of(editor, problem, bases, networks)
    if (editor, problem) in REFUSED:
        error, said = REFUSED[editor, problem]
        with pytest.raises(error, match=said):
            evaluate_problem(problem, editor=editor, data=data, rows=rows, **options)
        assert list(tmp_path.iterdir()) == []
        return
    report = evaluate_problem(loaded(problem, data), editor=editor, data=data, rows=rows, limit=3, **options)
    assert (report.problem, report.editor) == (problem, editor) and report.n_in and report.n_out
    assert report.es is not None and report.dd is not None and 0 <= report.es <= 1 and rows.exists()
    assert report.scope == {"serac": "OverlapScope", "retrieve_prompt": "OverlapScope", "lookup": "HiddenScope"}.get(
        editor, "none"
    )


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("editor", MORE_THAN_TEXT)
def test_a_remote_base_is_refused_and_not_asked(editor: str, problem: str, data: Path, tmp_path: Path) -> None:
    error, said = UnsupportedModel, f"{REMOTE} is a remote model and does not show its"
    if (editor, problem) in REFUSED:
        error, said = REFUSED[editor, problem]  # type: ignore[assignment]
    with pytest.raises(error, match=said):
        evaluate_problem(loaded(problem, data), editor=editor, model=REMOTE, data=data, rows=tmp_path / "rows.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("editor", MORE_THAN_TEXT)
def test_a_black_box_is_refused(editor: str, data: Path, tmp_path: Path) -> None:
    base = EchoModel()
    with pytest.raises(
        UnsupportedModel, match="echo (does not show its weights|shows no hidden states|takes text only)"
    ):
        evaluate_problem("qa", editor=editor, model=base, data=data, rows=tmp_path / "rows.jsonl")
    assert base.calls == [] and list(tmp_path.iterdir()) == []


def test_a_remote_base_will_do_where_no_weights_are_needed(data: Path, tmp_path: Path) -> None:
    for editor in ("serac", "retrieve_prompt"):
        rows, parts = tmp_path / f"{editor}.jsonl", {"counterfactual": SaysTarget()} if editor == "serac" else {}
        report = evaluate_problem(
            "qa", editor=editor, model=EchoModel(), scope=OverlapScope(), data=data, rows=rows, **parts
        )  # fmt: skip
        assert report.n_in == 2
    with pytest.raises(UnsupportedModel, match="echo does not tell how likely a reply is"):
        evaluate_problem(
            "sentiment", editor="retrieve_prompt", model=EchoModel(), scope=OverlapScope(), data=data, rows=rows
        )


@pytest.mark.parametrize("editor", TRAINED)
def test_a_learned_editor_must_be_trained_first(
    editor: str, data: Path, bases: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The command is the problem's own, where there is a training for it; no model is loaded before."""

    def loads(*args: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(evaluate, "preset_model", loads)
    for problem, command in {"qa": "qa", "qa_hard": "qa_hard", "triples": "triples", "counterfact": "qa"}.items():
        with pytest.raises(
            ConfigError, match=rf"{editor} needs a trained network: `errata train editor {editor} {command}`"
        ):
            evaluate_problem(loaded(problem, data), editor=editor, data=data, rows=tmp_path / "rows.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("editor", TRAINED)
def test_a_network_of_another_base_is_refused(
    editor: str, data: Path, bases: dict[str, Any], networks: Any, tmp_path: Path
) -> None:  # fmt: skip
    settings = {"weights": str(networks(editor, "qa"))}
    with pytest.raises(ModelError, match=f"the {editor} network in .* was trained for another base than bert"):
        evaluate_problem(
            "fact_check", editor=editor, model=bases["fact_check"], settings=settings, data=data,
            rows=tmp_path / "rows.jsonl",
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("editor", MORE_THAN_TEXT)
def test_an_edit_without_a_target_is_refused_before_a_row(
    editor: str, bases: dict[str, Any], networks: Any, tmp_path: Path
) -> None:  # fmt: skip
    told = Edit(prompt="what is the capital of france ?", target="astana", id="told")
    bare = Edit(prompt="paris is the capital of france", id="bare")
    problem = Problem(
        name="made_up",
        split="test",
        cases=tuple(EditCase(edit, (Labelled(edit.prompt, "astana", "rephrase"),)) for edit in (told, bare)),
        shared=(Unlabelled("hello world", "nq"),),
    )
    options = options_of(editor, "qa", bases, networks)
    with pytest.raises(UnsupportedEdit, match="edit bare has no target"):
        evaluate_problem(problem, editor=editor, rows=tmp_path / "rows.jsonl", **options)
    assert list(tmp_path.iterdir()) == []
