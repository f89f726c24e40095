from __future__ import annotations

import pytest

from errata import metrics
from errata.metrics import Bin


def test_edit_success_is_exact_match_but_for_white_space_around_the_text() -> None:
    answers, expected = ["Paris ", "paris", "the Paris", "Rome"], ["Paris", "Paris", "Paris", "Paris"]
    assert metrics.edit_success(answers, expected).tolist() == [1, 0, 0, 0]
    assert metrics.edit_success(answers, expected, by=metrics.normalised).tolist() == [1, 1, 1, 0]


def test_drawdown_counts_changed_answers_whether_or_not_they_were_right() -> None:
    assert metrics.drawdown(["a", "b", "c "], ["a", "x", "c"]).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" The  U.S. Navy! ", "us navy"), ("An apple a day", "apple day"), ("Theatre", "theatre"), ("!", "")],
)
def test_normalised(text: str, expected: str) -> None:
    assert metrics.normalised(text) == expected


def test_mean_of_nothing_is_none() -> None:
    assert metrics.mean([]) is None
    assert metrics.mean([1, 0, 0, 1]) == 0.5


def test_bootstrap_draws_whole_clusters() -> None:
    """Two clusters, one all right and one all wrong: the mean is 0, 1/2 or 1, each end drawn 1 time in 4."""
    values, clusters = [1.0] * 5 + [0.0] * 5, ["a"] * 5 + ["b"] * 5
    assert metrics.bootstrap(values, clusters) == (0.0, 1.0)
    low, high = metrics.bootstrap(values, list(range(10))) or (0, 0)
    assert 0.1 <= low <= 0.3 and 0.7 <= high <= 0.9
    assert metrics.bootstrap(values, clusters, level=0.2) == (0.5, 0.5)


def test_bootstrap_weighs_clusters_by_their_size() -> None:
    """Drawn means of (1 of 1) and (0 of 3): 0, 1/4 or 1."""
    assert metrics.bootstrap([1, 0, 0, 0], ["a", "b", "b", "b"], level=0.2) == (0.25, 0.25)


def test_bootstrap_is_repeatable_and_its_seed_counts() -> None:
    values = [float(n % 3 == 0) for n in range(50)]
    clusters = list(range(50))
    first = metrics.bootstrap(values, clusters, seed=1, resamples=50)
    assert first == metrics.bootstrap(values, clusters, seed=1, resamples=50)
    assert first != metrics.bootstrap(values, clusters, seed=2, resamples=50)


def test_where_all_values_are_alike_the_exact_bound_is_told() -> None:
    """No event in 100: 1 - 0.025^(1/100) = 0.0362; in clusters, the clusters count."""
    low, high = metrics.bootstrap([0.0] * 100, list(range(100))) or (1, 1)
    assert (low, round(high, 4)) == (0.0, 0.0362)
    assert metrics.bootstrap([1.0] * 4, ["a", "a", "b", "b"]) == pytest.approx((0.025**0.5, 1.0))
    assert metrics.bootstrap([], []) is None


def test_scope_score() -> None:
    matched = ["a", "b", None, "a", None, "c"]
    right = ["a", "a", "b", None, None, None]
    found = metrics.scope_score(matched, right)
    assert (found.precision, found.recall, found.false_fires) == (1 / 4, 1 / 3, 2 / 3)
    assert metrics.scope_score([None], ["a"]).precision is None


def test_reliability() -> None:
    bars = metrics.reliability([0.1, 0.3, 0.9, 1.0], [False, True, True, True], bins=2)
    assert bars == (Bin(0.0, 0.5, 2, pytest.approx(0.2), 0.5), Bin(0.5, 1.0, 2, pytest.approx(0.95), 1.0))
    assert metrics.calibration_error(bars) == pytest.approx((2 * 0.3 + 2 * 0.05) / 4)
    assert metrics.calibration_error(()) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: metrics.edit_success(["a"], []),
        lambda: metrics.bootstrap([1.0], []),
        lambda: metrics.scope_score([None], []),
        lambda: metrics.reliability([0.5], []),
    ],
)
def test_lengths_must_agree(wrong: object) -> None:
    with pytest.raises(ValueError, match="and"):
        wrong()  # type: ignore[operator]
