"""The small things that are done to texts before a network sees them."""

from __future__ import annotations

import random

import pytest

from errata.training.texts import normal, renamed


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
