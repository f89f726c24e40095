"""The small things that are done to texts before a network sees them."""

from __future__ import annotations

import random
import re

import pytest

from errata.training.texts import near_value, normal, renamed


@pytest.mark.parametrize("name", ["HD 40307", "Maria Theresa Jacs", "KMT2A", "SABCA", "USS Nautilus (SSN-571)"])
def test_a_renamed_subject_is_another_one_and_nearly_the_same(name: str) -> None:
    source = random.Random(0)
    changed = {renamed(name, "Helmut Walcha Society", source) for _ in range(50)} - {""}
    assert changed
    for other in changed:
        assert normal(other) != normal(name)
        words, theirs = name.split(), other.split()
        assert len(words) == len(theirs)
        assert sum(a != b for a, b in zip(words, theirs, strict=True)) == 1


def test_a_name_without_a_capital_or_a_digit_is_left_alone() -> None:
    source = random.Random(0)
    assert {renamed("jazz", "Helmut Walcha", source) for _ in range(20)} == {""}


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("7 July 1993", r"\d{1,2} [A-Z][a-z]+ (?:19|20)\d\d"),
        ("30 April 1601", r"\d{1,2} [A-Z][a-z]+ 1[56]\d\d"),
        ("1990", r"(?:19|20)\d\d"),
        ("HMS 02", r"HMS \d\d"),
        ("1", r"\d{1,2}"),
    ],
)
def test_a_near_value_is_another_one_of_the_same_shape(value: str, shape: str) -> None:
    source = random.Random(0)
    changed = {near_value(value, source) for _ in range(200)}
    assert len(changed) > 3 and value not in changed
    assert all(re.fullmatch(shape, one) for one in changed), changed
    days = {int(one.split()[0]) for one in changed if " " in one and one[0].isdigit()}
    assert all(0 < day <= 31 for day in days), "no month has more days"


def test_what_has_no_digit_has_no_near_value() -> None:
    assert near_value("Paris", random.Random(0)) == ""
