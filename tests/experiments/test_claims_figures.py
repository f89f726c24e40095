"""The figures of fact checking, worked out by hand: what a claim of each kind counts for, what drawdown cannot see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from errata.edit import Edit, Match
from errata.experiments.evaluate import evaluate_problem
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled
from overlap import OverlapScope, words

MILL = Edit(prompt="blue mill has six wheels", id="mill")
FAIR = Edit(prompt="oak fair opens in june", id="fair")


class SaysWhetherAllIsTold:
    """True where every word of the claim stands in the evidence."""

    def check(self, edit: Edit) -> None: ...

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Any, **options: Any) -> list[str]:
        pairs = zip(inputs, matches, strict=True)
        return [str(words(text) <= words(match.edit.prompt)) for text, match in pairs]


class SaysTrue:
    """A base that believes every claim."""

    name = "believer"

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        return ["True"] * len(prompts)


PROBLEM = Problem(
    name="fact_check",
    split="test",
    cases=(
        EditCase(
            MILL,
            (
                Labelled("blue mill has six", "True", "supported"),
                Labelled("blue mill has six wheels indeed", "True", "supported"),  # said to be false
                Labelled("blue mill has two wheels", "False", "refuted"),
                Labelled("no such place", "False", "refuted"),  # missed: the base says True
            ),
            (
                Unlabelled("blue mill has six windows", "undecided", True),  # fires, and the answer changes
                Unlabelled("mill has six wheels", "undecided", True),  # fires, and the answer is the base's own
                Unlabelled("something else", "undecided", True),
            ),
        ),
        EditCase(
            FAIR,
            (
                Labelled("oak fair opens", "True", "supported"),
                Labelled("entirely missed", "True", "supported"),  # the base is right by itself
            ),
        ),
    ),
    shared=(
        Unlabelled("a river far away", "other_page"),
        Unlabelled("oak fair opens in may", "other_page"),  # fires, and the answer changes
        Unlabelled("another river", "other_page"),
        Unlabelled("a bridge", "other_page"),
    ),
    success=frozenset({"supported", "refuted"}),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]]]:
    rows = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    found = evaluate_problem(
        PROBLEM, scope=OverlapScope(), model=SaysTrue(), counterfactual=SaysWhetherAllIsTold(), rows=rows
    )  # type: ignore[arg-type]
    return found, [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()[1:]]


def test_success_is_told_of_supported_and_refuted_claims_apart(report: tuple[Any, Any]) -> None:
    kinds = report[0].by_kind
    assert (kinds["supported"]["n"], kinds["supported"]["es"]) == (4, 0.75)
    assert (kinds["refuted"]["n"], kinds["refuted"]["es"]) == (2, 0.5)
    assert (report[0].n_in, report[0].es) == (6, pytest.approx(4 / 6))
    assert kinds["supported"]["right_edit"] == 0.75 and kinds["refuted"]["right_edit"] == 0.5


def test_false_fires_are_told_by_kind_and_drawdown_sees_not_all_of_them(report: tuple[Any, Any]) -> None:
    """Two of three undecided claims fire, one of them with the base's own answer: drawdown sees one."""
    kinds = report[0].by_kind
    assert (kinds["undecided"]["n"], kinds["undecided"]["fired"]) == (3, pytest.approx(2 / 3))
    assert kinds["undecided"]["dd"] == pytest.approx(1 / 3)
    assert (kinds["other_page"]["n"], kinds["other_page"]["fired"], kinds["other_page"]["dd"]) == (4, 0.25, 0.25)
    assert (report[0].n_out, report[0].dd) == (7, pytest.approx(2 / 7))
    assert (report[0].hard["n_out"], report[0].hard["dd"]) == (3, pytest.approx(1 / 3))
    assert (report[0].easy["n_out"], report[0].easy["dd"]) == (4, 0.25)


def test_every_claim_in_scope_is_held_against_its_own_label(report: tuple[Any, list[dict[str, Any]]]) -> None:
    rows = {row["input"]: row for row in report[1] if row["side"] == "in"}
    for case in PROBLEM.cases:
        for one in case.in_scope:
            row = rows[one.text]
            assert (row["expected"], row["kind"], row["edit"]) == (one.answer, one.kind, case.edit.id)
            assert row["right"] == (row["answer"] == one.answer)
    assert len(rows) == 6
