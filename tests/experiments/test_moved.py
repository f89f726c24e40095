"""An editor that changed weights, scored by likelihoods, against values worked out by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from errata.edit import Edit
from errata.errors import UnsupportedModel
from errata.experiments import moved
from errata.problems.cases import Problem
from likelihoods import BASE, PROBLEM, UNDER, Told, sigmoid


class Moves:
    """A weight editor whose edited model has likelihoods that are given."""

    def __init__(self) -> None:
        self.base = self.model = Told(BASE, (0.5, 0.25, 0.25), "hm")
        self.made: list[str] = []

    def edit(self, *edits: Edit) -> Any:
        self.made += [edit.id for edit in edits]
        return SimpleNamespace(model=Told(UNDER, (0.25, 0.5, 0.25), "lovely"))


def test_every_input_is_scored_by_both_models() -> None:
    """In scope l+ = -6/3, l- = -14/2, the base's l+ = -8/3; every token diverges by ln 2 / 4, the shared ones' too."""
    editor, told = Moves(), []
    rows = list(moved.rows(editor, PROBLEM, 3, 7, told.append))  # type: ignore[arg-type]
    assert editor.made == ["jazz"] and sum(told) == len(rows) == 5
    inside, outside = [row for row in rows if row.side == "in"], [row for row in rows if row.side == "out"]
    assert [row.kind for row in outside] == ["same_topic", "other_topic", "other_topic"]
    assert [row.value for row in inside] == pytest.approx([sigmoid(5.0)] * 2)
    assert [row.value for row in outside] == pytest.approx([math.log(2) / 4] * 3)
    assert {(row.expected, row.answer, row.batch, row.seed) for row in rows} == {("hm", "lovely", 3, 7)}
    assert not any(row.right for row in outside) and not any(row.matched for row in rows)


def test_a_batch_that_is_asked_nothing_makes_no_edit() -> None:
    editor = Moves()
    bare = Problem(name="sentiment", split="test", cases=(), shared=(), data_hash="")
    assert list(moved.rows(editor, bare, 0, 0, lambda _: None)) == [] and editor.made == []  # type: ignore[arg-type]


def test_a_model_without_likelihoods_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="claims does not tell how likely a reply is"):
        moved.check(SimpleNamespace(model=SimpleNamespace(name="claims")))  # type: ignore[arg-type]
