from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from errata.counterfactual.retell import Retell
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.edit import Edit
from errata.experiments.evaluate import evaluate_problem
from errata.experiments.forcing import Asked, Forcing
from errata.experiments.rows import read_rows
from errata.models.echo import EchoModel
from errata.models.local import LocalModel
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled
from overlap import OverlapScope, SaysTarget

EDIT = Edit(prompt="who directed beta", target="Ann Lee", id="beta")


class Writes(LocalModel):
    """Hits or misses each token of a target as it is told for the prompt, the end of the sequence last."""

    def __init__(self, **hits: list[int]) -> None:
        self.kind, self._name, self.hits = "seq2seq", "writes", hits
        self.asked: list[tuple[str, str]] = []

    def target_matches(self, prompts: Sequence[str], targets: Sequence[str]) -> list[Any]:
        self.asked += zip(prompts, targets, strict=True)
        return [np.array(self.hits[prompt.split()[-1]], np.bool_) for prompt in prompts]


class Under(Seq2SeqCounterfactual):
    """A seq2seq counterfactual model around such a model."""

    def __init__(self, model: Writes) -> None:
        self.separator, self.model = " ", model


ASKED = [
    Asked("one x", EDIT, "Ann Lee", said=False),
    Asked("one y", None, "Bo", said=True),
    Asked("two y", EDIT, "Ann", said=True),
    Asked("two x", None, "Bo Li", said=False),
]


def test_a_sequence_is_right_where_every_token_is() -> None:
    """Who answered is forced on what is due: all tokens hit for x; y's end of the sequence is missed."""
    base, under = Writes(x=[1, 1, 1], y=[1, 0]), Writes(x=[1, 1, 1], y=[1, 0])
    forcing = Forcing(base, Under(under))
    assert forcing.right(ASKED) == [True, False, False, True]
    assert base.asked == [("one y", "Bo"), ("two x", "Bo Li")]
    assert under.asked == [("who directed beta Ann Lee one x", "Ann Lee"), ("who directed beta Ann Lee two y", "Ann")]
    assert forcing.possible and forcing.forced(fired=True) and forcing.forced(fired=False)


def test_what_writes_no_tokens_is_compared_as_it_answered() -> None:
    reader = Forcing(Writes(x=[1, 1, 1], y=[1, 0]), SaysTarget())
    assert reader.right(ASKED) == [False, False, True, True]
    assert reader.possible and not reader.forced(fired=True)
    assert "(SaysTarget) writes no tokens" in reader.note
    remote = Forcing(EchoModel(), Under(Writes(x=[1], y=[0])))
    assert remote.right(ASKED) == [True, True, False, False]
    assert "(echo) tells no token likelihoods" in remote.note
    assert not Forcing(EchoModel(), SaysTarget()).possible


def test_a_base_that_is_told_the_edit_is_forced_behind_the_telling() -> None:
    base = Writes(x=[1], y=[1])
    told = Retell(fact="{prompt}: {target}. {input}")
    assert Forcing(base, told).right(ASKED[:1]) == [True]
    assert base.asked == [("who directed beta: Ann Lee. one x", "Ann Lee")]
    assert not Forcing(base, Retell(system="Be brief.")).forced(fired=True), "another system text is not scored"


def test_a_classifier_writes_no_tokens(tmp_path: Path) -> None:
    model = LocalModel.from_pretrained(tiny.tiny_bert_classifier(tmp_path / "bert"), device="cpu")
    assert not Forcing(model, SaysTarget()).possible


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalModel, Seq2SeqCounterfactual]:
    folder = tmp_path_factory.mktemp("models")
    base = LocalModel.from_pretrained(tiny.tiny_gpt2(folder / "gpt2"), device="cpu", max_new_tokens=4)
    return base, Seq2SeqCounterfactual.from_pretrained(tiny.tiny_t5(folder / "t5"), device="cpu", max_new_tokens=4)


def test_a_whole_run(tmp_path: Path, models: tuple[LocalModel, Seq2SeqCounterfactual]) -> None:
    """The figures are those of the rows; every row is checked against the models' own likelihoods."""
    base, under = models
    edit = Edit(prompt="what is the capital of kazakhstan", target="astana", id="k")
    problem = Problem(
        name="made_up",
        split="test",
        cases=(
            EditCase(
                edit,
                (
                    Labelled("so what is the capital of kazakhstan", "astana", "rephrase"),
                    Labelled("hello world", "paris", "rephrase"),
                    Labelled("what is the capital of kazakhstan", "astana", "same"),
                ),
                (Unlabelled("what is the capital of france", "same_subject", True),),
            ),
        ),
        shared=(Unlabelled("who plays for bordeaux", "nq"),),
    )
    report = evaluate_problem(
        problem, model=base, scope=OverlapScope(), counterfactual=under, rows=tmp_path / "rows.jsonl"
    )
    _, rows = read_rows(tmp_path / "rows.jsonl")
    by_input = {row["input"]: row for row in rows}

    def right(scores: Any, ids: Sequence[int]) -> bool:
        return [int(row.argmax()) for row in scores] == list(ids)

    text = "so what is the capital of kazakhstan"
    prompt = under.text(edit, text)
    [scores], [ids] = under.model.token_log_probs([prompt], ["astana"]), under.model.target_ids([prompt], ["astana"])
    assert by_input[text]["matched"] == "k" and by_input[text]["forced"] == right(scores, ids)
    [scores], [ids] = base.token_log_probs(["hello world"], ["paris"]), base.target_ids(["hello world"], ["paris"])
    assert by_input["hello world"]["matched"] is None and by_input["hello world"]["forced"] == right(scores, ids)
    text = "what is the capital of france"
    said = base.generate([text])[0]
    prompt = under.text(edit, text)
    [scores], [ids] = under.model.token_log_probs([prompt], [said]), under.model.target_ids([prompt], [said])
    assert by_input[text]["matched"] == "k" and by_input[text]["forced"] == right(scores, ids)
    assert by_input["who plays for bordeaux"]["forced"] is True
    assert by_input["what is the capital of kazakhstan"]["forced"] is None, "a kind that is not counted"
    told = report.teacher_forced
    assert told is not None and (told["n_in"], told["n_out"]) == (2, 2)
    assert told["es"] == np.mean(
        [by_input[name]["forced"] for name in (problem.cases[0].in_scope[0].text, "hello world")]
    )
    assert told["dd"] == (0.0 if by_input[text]["forced"] else 0.5)
    assert told["note"].endswith("2 of 2 inputs in scope were forced")
