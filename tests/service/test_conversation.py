"""Follow-ups: made whole where one reading is left, declined where two are, left alone where they stand alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.models import Turn
from errata.service.conversation import DECLINED, Question, names, question

CASES = [line.split("\t") for line in (Path(__file__).parent / "follow_ups.tsv").read_text("utf-8").splitlines()]


def read(asked: str, answer: str, turn: str) -> Question:
    return question([Turn("user", asked), Turn("assistant", answer), Turn("user", turn)])


def due(turn: str, expected: str) -> Question:
    if expected == "-":
        return DECLINED
    return Question(turn, "alone") if expected == "=" else Question(expected, "resolved")


@pytest.mark.parametrize(("asked", "answer", "turn", "expected"), CASES)
def test_a_follow_up(asked: str, answer: str, turn: str, expected: str) -> None:
    assert read(asked, answer, turn) == due(turn, expected)


def test_a_first_turn_is_taken_as_it_is() -> None:
    assert question([Turn("user", "and its capital?")]) == Question("and its capital?", "alone")
    assert question([Turn("user", "  ")]) == DECLINED


def test_names_are_runs_of_capitals_without_the_word_that_opens() -> None:
    assert names("Which team does Lionel Messi play for?") == ["Lionel Messi"]
    assert names("Who is the CEO of Apple?") == ["Apple"]
    assert names("Did the University of Oxford open in 1096?") == ["University of Oxford"]
    assert names("What is Portugal's capital?") == ["Portugal"]
