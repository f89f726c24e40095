from __future__ import annotations

import pytest

from errata.models.numbers import compared, numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("342 people", [("count", 342)]),
        ("1,752 tests and 2,000 , 5", [("count", 1752), ("count", 2000), ("count", 5)]),
        ("$ 1.2 million", [("count", 1_200_000)]),
        ("62 % of 100 critics", [("percent", 62), ("count", 100)]),
        ("four percent", [("count", 4)]),
        ("in 2018", [("year", 2018)]),
        ("2018 years ago, by 2,018", [("year", 2018), ("count", 2018)]),
        ("on April 12 , 2020", [("date", 412), ("year", 2020)]),
        ("on 12 Apr 2020", [("date", 412), ("year", 2020)]),
        ("twenty-one albums, fifteen songs", [("count", 21), ("count", 15)]),
        ("two hundred thousand", [("count", 200)]),
        ("the A320, COVID-19 and one of them", []),
    ],
)
def test_the_numbers_of_a_text(text: str, found: list[tuple[str, float]]) -> None:
    assert [(number.kind, number.value) for number in numbers(text)] == found


@pytest.mark.parametrize(
    ("text", "other", "told"),
    [
        ("more than 300", "342 died", "more than 300 [more]"),
        ("fewer than 400 .", "342 died", "fewer than 400 [less] ."),
        ("exactly 342", "342 of 500", "exactly 342 [same]"),
        ("over 120 goals", "353 goals in 130 games", "over 120 [more] goals"),
        ("after April 15", "as of April 12 , 2020", "after April 15 [less]"),
        ("above 54 %", "a score of 54 out of 100", "above 54 % [same]"),
        ("in 2019", "12 people", "in 2019"),
        ("1,200 people", "1600 people", "1,200 [more] people"),
        ("nothing to count", "342", "nothing to count"),
        ("342 people", "nothing to count", "342 people"),
    ],
)
def test_each_number_is_compared_with_the_nearest_of_its_kind(text: str, other: str, told: str) -> None:
    assert compared(text, other) == told
