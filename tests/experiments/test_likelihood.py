"""Sentiment is scored by likelihoods along the editor's one path, against values worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from errata.counterfactual.retell import Retell
from errata.errors import UnsupportedModel
from errata.experiments.evaluate import KEYS, Report, evaluate_problem
from errata.experiments.likelihood import LikelihoodRow, pooled
from errata.experiments.rows import read_rows
from errata.models.echo import EchoModel
from likelihoods import BASE, PROBLEM, UNDER, Told, sigmoid
from overlap import OverlapScope, SaysTarget


def evaluated(tmp_path: Path, **options: Any) -> Report:
    parts = {
        "model": Told(BASE, (0.5, 0.25, 0.25), "hm"),
        "counterfactual": Told(UNDER, (0.25, 0.5, 0.25), "lovely"),
        **options,
    }
    return evaluate_problem(PROBLEM, scope=OverlapScope(), rows=tmp_path / "rows.jsonl", **parts)


def test_edit_success_by_hand(tmp_path: Path) -> None:
    """Fired: l+ = -6/3, l- = -14/2, the base's l+ = -8/3. Not fired: l+ = -8/3 and l- = -4/2 are the base's."""
    report = evaluated(tmp_path)
    fired, missed = sigmoid(5.0), sigmoid(-2 / 3)
    assert report.n_in == 2
    assert report.es == pytest.approx((fired + missed) / 2)
    kinds = report.by_kind
    assert kinds["opinion"]["es"] == kinds["opinion"]["z_sent"] == pytest.approx(fired)
    assert kinds["opinion_held_out"]["es"] == pytest.approx(missed)
    assert kinds["opinion"]["z_topic"] == kinds["opinion_held_out"]["z_topic"] == 1.0
    assert kinds["opinion"]["es_normalised"] is None, "no text is due"
    assert (kinds["opinion"]["right_edit"], kinds["opinion_held_out"]["right_edit"]) == (1.0, 0.0)


def test_replies_that_became_less_likely_cost_edit_success(tmp_path: Path) -> None:
    off = Told({**UNDER, "good": (-3.0, -3.0)}, (0.25, 0.5, 0.25), "off topic")
    kind = evaluated(tmp_path, counterfactual=off).by_kind["opinion"]
    assert kind["z_topic"] == pytest.approx(math.exp(-10 / 3 + 8 / 3))
    assert kind["es"] == pytest.approx(sigmoid(-10 / 3 + 7) * math.exp(-2 / 3))


def test_drawdown_is_a_divergence_where_an_edit_fires_and_zero_elsewhere(tmp_path: Path) -> None:
    """KL of (1/2, 1/4, 1/4) from (1/4, 1/2, 1/4) is ln 2 / 2 - ln 2 / 4, at every token."""
    report = evaluated(tmp_path)
    assert (report.n_out, report.dd) == (2, pytest.approx(math.log(2) / 4 / 2))
    assert report.by_kind["other_topic"]["fired"] == 0.5
    assert report.by_kind["same_topic"]["dd"] == pytest.approx(math.log(2) / 4)
    assert not report.by_kind["same_topic"]["counted"]
    assert report.details["scope"]["false_fires"] == 0.5


def test_rows_hold_the_replies_before_and_after_and_every_figure(tmp_path: Path) -> None:
    report = evaluated(tmp_path)
    run, rows = read_rows(tmp_path / "rows.jsonl")
    assert "z_sent times z_topic" in run["config"]["match"]
    assert tuple(report.to_json()) == KEYS
    found = {row["input"]: row for row in rows}
    row = found["topic jazz sentiment"]
    assert (row["expected"], row["answer"], row["matched"], row["right"]) == ("hm", "lovely of jazz", "jazz", True)
    assert (row["log_right"], row["log_wrong"]) == (-2.0, -7.0) and row["log_base"] == pytest.approx(-8 / 3)
    row = found["what about jazz"]
    assert (row["answer"], row["matched"], row["right"]) == ("hm", None, False)
    row = found["how far is the moon"]
    assert (row["answer"], row["kl"], row["right"]) == (None, 0.0, True)
    row = found["topic sentiment positive rain"]
    assert (row["expected"], row["answer"], row["right"]) == ("hm", "lovely of jazz", False)


def test_the_counterfactual_is_asked_only_where_an_edit_fires(tmp_path: Path) -> None:
    under = Told(UNDER, (0.25, 0.5, 0.25), "lovely")
    evaluated(tmp_path, counterfactual=under)
    assert set(under.asked) == {"topic jazz sentiment"}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"model": EchoModel()}, "echo does not tell how likely a reply is.*model='chat'"),
        ({"counterfactual": SaysTarget()}, "SaysTarget does not tell how likely.*counterfactual='dialogue'"),
        ({"counterfactual": Told(UNDER, (0.5, 0.5), "x", "a", "b")}, "different vocabularies"),
    ],
)
def test_parts_without_comparable_likelihoods_are_refused(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedModel, match=said):
        evaluated(tmp_path, **parts)
    assert list(tmp_path.iterdir()) == []


def test_the_pooled_figure_averages_likelihoods_before_it_takes_equation_6() -> None:
    def row(batch: int, right: float, wrong: float, base: float) -> LikelihoodRow:
        return LikelihoodRow(
            "in", "opinion", False, "x", None, None, "e", "e", 0.9, "e", True, batch=batch,
            log_right=right, log_wrong=wrong, log_base=base,
        )  # fmt: skip

    rows = [row(0, -1.0, -9.0, -2.0), row(0, -3.0, -3.0, -2.0), row(1, -2.0, -2.0, -1.0)]
    first = 1 / (1 + math.exp(-4.0))  # right -2, wrong -6, base -2
    second = 0.5 * math.exp(-1.0)
    assert pooled(rows) == pytest.approx((first + second) / 2)
    assert pooled([]) is None


def test_a_base_that_is_told_the_edit_is_asked_how_likely_replies_then_are(tmp_path: Path) -> None:
    """Retrieve and prompt: the likelihoods of the base model, of a prompt that tells the edit first."""
    base = Told(BASE, (0.5, 0.25, 0.25), "hm")
    report = evaluated(tmp_path, model=base, counterfactual=Retell(utterance="{prompt} | {input}"))
    told = [text for text in base.asked if "|" in text]
    assert set(told) == {"Topic: jazz Sentiment: Positive | topic jazz sentiment"}
    assert report.by_kind["opinion"]["es"] == pytest.approx(sigmoid(-2 / 3)) and report.dd == 0.0
