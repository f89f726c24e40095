from __future__ import annotations

import pytest

from errata.problems.english import a, base, capital, is_date, is_finite, is_participle, past, present, timed, year_of
from errata.problems.english import with_article as the


@pytest.mark.parametrize(
    ("verb", "past_form", "present_form"),
    [
        ("attend", "attended", "attends"),
        ("die", "died", "dies"),
        ("marry", "married", "marries"),
        ("play", "played", "plays"),
        ("stop", "stopped", "stops"),
        ("occur", "occurred", "occurs"),
        ("cross", "crossed", "crosses"),
        ("go", "went", "goes"),
        ("have", "had", "has"),
        ("split", "split", "splits"),
    ],
)
def test_verb_forms(verb: str, past_form: str, present_form: str) -> None:
    assert (past(verb), present(verb)) == (past_form, present_form)
    assert base(verb) == base(past_form) == base(present_form) == verb


def test_what_verbs_look_like() -> None:
    assert base("Boston") is None
    assert is_finite("wrote") and is_finite("was") and not is_finite("write") and not is_finite("Wrote")
    assert is_participle("co-written") and is_participle("located") and not is_participle("narrow-headed")


@pytest.mark.parametrize(
    ("answer", "said", "date"),
    [
        ("1901", "in 1901", True),
        ("May 1901", "in May 1901", True),
        ("3 May 1901", "on 3 May 1901", True),
        ("May 3, 1901", "on May 3, 1901", True),
        ("19th century", "in the 19th century", False),
        ("before the flood", "before the flood", False),
    ],
)
def test_times(answer: str, said: str, date: bool) -> None:
    assert timed(answer) == said
    assert is_date(answer) is date


def test_years() -> None:
    assert year_of("3 May 1901") == year_of("May 3, 1901") == "1901"
    assert year_of("1901") is year_of("May 1901") is year_of("Route 1901") is None


def test_articles() -> None:
    assert the("Vietnam War") == "the Vietnam War"
    assert the("University of Oslo") == "the University of Oslo"
    assert the("heart attack") == "a heart attack"
    assert [the(name) for name in ("The Hague", "Oslo", "lung cancer", "Mary's Museum")] == [
        "The Hague",
        "Oslo",
        "lung cancer",
        "Mary's Museum",
    ]
    assert [a(noun) for noun in ("oiler", "bass", "unit", "the oiler")] == ["an oiler", "a bass", "a unit", "the oiler"]


def test_capitals() -> None:
    assert [capital(text) for text in ("the mill", "eBay", "iPod", "")] == ["The mill", "eBay", "iPod", ""]
