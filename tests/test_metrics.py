from __future__ import annotations

import math

import numpy as np
import pytest

from errata import metrics
from errata.metrics import Bin, Component, Verdict


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


def test_teacher_forced_is_all_or_nothing() -> None:
    """The first input misses only where the mask is 0, the second misses one token of its three, the third none."""
    matches = [[1, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]]
    mask = [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert metrics.teacher_forced(matches, mask).tolist() == [1, 0, 1]


def test_per_token_averages_tokens_and_not_replies() -> None:
    """(-1 - 2 - 3 - 6) / 4 = -3; the mean of the replies' means would be (-2 - 6) / 2 = -4."""
    assert metrics.per_token([[-1.0, -2.0, -3.0], [-6.0]]) == -3
    assert metrics.per_token([np.array([-1.0]), []]) == -1


def test_z_sent() -> None:
    """sigma(ln 3) = 3 / (1 + 3) = 0.75; sigma(0) = 1/2; sigma(-ln 4) = 1 / (1 + 4) = 0.2; far apart it is 1 or 0."""
    right, wrong = [-2.0, -1.0, -5.0, 0.0, -2_000.0], [-2.0 - math.log(3), -1.0, -5.0 + math.log(4), -2_000.0, 0.0]
    assert metrics.z_sent(right, wrong).tolist() == pytest.approx([0.75, 0.5, 0.2, 1.0, 0.0])


def test_z_topic() -> None:
    """exp(-2 - -1) = 1 / e = 0.3679; likelier than the base's counts as 1, never as more; far less likely is 0."""
    assert metrics.z_topic([-2.0, -1.0, -1.0, -3_000.0], [-1.0, -1.0, -4.0, 0.0]).tolist() == pytest.approx(
        [1 / math.e, 1.0, 1.0, 0.0]
    )


def test_es_sent_is_their_product_by_edit() -> None:
    """First edit: sigma(-2 - -2 + ln 3) = 0.75, and exp(-2 - -2 + ln 2) is cut to 1: 0.75.

    Second edit: sigma(-4 - -4) = 0.5, and exp(-4 - -4 + -ln 2) = 0.5: 0.25. Their mean, the figure, is 0.5.
    """
    right, wrong, base = [-2.0, -4.0], [-2.0 - math.log(3), -4.0], [-2.0 - math.log(2), -4.0 + math.log(2)]
    found = metrics.es_sent(right, wrong, base)
    assert found.tolist() == pytest.approx([0.75, 0.25])
    assert metrics.mean(found) == pytest.approx(0.5)


def logs(*chances: list[list[float]]) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.array(chances))


def test_kl_drawdown_is_averaged_over_the_tokens_that_count() -> None:
    """First input, base (1/2, 1/2) and edited (1/4, 3/4) at its first token, alike at its second, the third is filling.

    KL = 1/2 ln((1/2) / (1/4)) + 1/2 ln((1/2) / (3/4)) = 1/2 (ln 2 + ln 2/3) = 1/2 ln 4/3 = 0.1438; over two tokens
    0.0719. Second input: base (1, 0), edited (1/2, 1/2): 1 ln 2 + 0 = 0.6931, in one token.
    """
    base = logs([[0.5, 0.5], [0.3, 0.7], [1.0, 0.0]], [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    edited = logs([[0.25, 0.75], [0.3, 0.7], [0.0, 1.0]], [[0.5, 0.5], [0.1, 0.9], [0.1, 0.9]])
    found = metrics.kl_drawdown(base, edited, [[1, 1, 0], [1, 0, 0]])
    assert found.tolist() == pytest.approx([math.log(4 / 3) / 4, math.log(2)])


def test_kl_of_a_token_ruled_out_is_infinite_and_of_the_same_model_nothing() -> None:
    base, edited = logs([[0.5, 0.5]], [[1.0, 0.0]]), logs([[1.0, 0.0]], [[1.0, 0.0]])
    assert metrics.kl_drawdown(base, edited, [[1], [1]]).tolist() == [math.inf, 0.0]
    assert metrics.kl_drawdown(edited, edited, [[1], [1]]).tolist() == [0.0, 0.0]


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
    # 2 * 1/4 * 1/3 / (1/4 + 1/3) = 1/6 / (7/12) = 2/7
    assert found.f1 == pytest.approx(2 / 7)
    assert metrics.scope_score(["b"], ["a"]).f1 == 0
    assert metrics.scope_score([None], ["a"]).precision is None
    assert metrics.scope_score([None], ["a"]).f1 is None


def test_components_by_split() -> None:
    """In (easy): scope 2 of 3, answers 1 of the 2 that are known; in (hard): 0 of 1 and 1 of 1; out (hard): 1 of 2."""
    verdicts = [
        Verdict("out", True, True),
        Verdict("in", False, True, True),
        Verdict("in", False, True, False),
        Verdict("in", False, False),
        Verdict("out", True, False),
        Verdict("in", True, False, True),
    ]
    assert metrics.components(verdicts) == (
        Component("in", False, 3, pytest.approx(2 / 3), 0.5),
        Component("in", True, 1, 0.0, 1.0),
        Component("out", True, 2, 0.5, None),
    )
    assert metrics.components([]) == ()


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
        lambda: metrics.z_sent([0.0], [0.0, 1.0]),
        lambda: metrics.z_topic([0.0], [0.0, 1.0]),
        lambda: metrics.es_sent([0.0], [0.0], [0.0, 1.0]),
        lambda: metrics.kl_drawdown([[[0.0]]], [[[0.0, 0.0]]], [[1]]),
        lambda: metrics.kl_drawdown([[0.0]], [[0.0]], [[1]]),
        lambda: metrics.kl_drawdown([[[0.0]]], [[[0.0]]], [[1, 1]]),
        lambda: metrics.teacher_forced([[1, 1]], [[1]]),
        lambda: metrics.teacher_forced([1, 1], [1, 1]),
    ],
)
def test_lengths_must_agree(wrong: object) -> None:
    with pytest.raises(ValueError, match="and"):
        wrong()  # type: ignore[operator]


@pytest.mark.parametrize(
    "empty",
    [
        lambda: metrics.per_token([]),
        lambda: metrics.per_token([[], []]),
        lambda: metrics.teacher_forced([[1], [1]], [[1], [0]]),
        lambda: metrics.kl_drawdown([[[0.0]]], [[[0.0]]], [[0]]),
    ],
)
def test_nothing_cannot_be_averaged(empty: object) -> None:
    with pytest.raises(ValueError, match="no "):
        empty()  # type: ignore[operator]
