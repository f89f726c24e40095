"""What is scored, as pure functions of answers, scores and clusters.

Edit success and drawdown are SERAC's Equations 4 and 5; intervals are bootstrap intervals clustered by edit.
Nothing here knows a model, a file or an edit.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def plain(text: str) -> str:
    """The text without the white space around it: all that exact match forgives here."""
    return text.strip()


def normalised(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces (SQuAD's rule; Rajpurkar et al., 2016, section 6).

    Only for figures that are labelled as normalised.
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def edit_success(
    answers: Sequence[str], expected: Sequence[str], *, by: Callable[[str], str] = plain
) -> NDArray[np.float64]:
    """Per in-scope input 1 where the generated text is what the edit demands, else 0 (ES; SERAC, Equation 4).

    Args:
        answers: generated texts.
        expected: what the edits demand.
        by: what two texts are compared by: `plain` (the figure of record) or `normalised`.
    """
    return _alike(answers, expected, by)


def drawdown(answers: Sequence[str], base: Sequence[str], *, by: Callable[[str], str] = plain) -> NDArray[np.float64]:
    """Per out-of-scope input 1 where the answer differs from the base model's own, else 0 (DD; SERAC, Equation 5).

    Measured on what is said, not on whether the base was right: an editor must not change a wrong answer either.
    """
    return 1.0 - _alike(answers, base, by)


def _alike(left: Sequence[str], right: Sequence[str], by: Callable[[str], str]) -> NDArray[np.float64]:
    if len(left) != len(right):
        raise ValueError(f"{len(left)} answers and {len(right)} to compare them with")
    return np.array([by(a) == by(b) for a, b in zip(left, right, strict=True)], np.float64)


def mean(values: Sequence[float] | NDArray[np.float64]) -> float | None:
    """The mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None


def bootstrap(
    values: Sequence[float] | NDArray[np.float64],
    clusters: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile interval of the mean when whole clusters are drawn anew (Efron & Tibshirani, 1993, chapter 13).

    Inputs of one edit succeed and fail together, so edits are drawn, not inputs. Where all values are alike the
    bootstrap is blind; the exact binomial bound over clusters takes its place (Clopper & Pearson, 1934; with no
    event in n it is about 3.7 / n at 95 %).

    Args:
        values: one an input, between 0 and 1.
        clusters: which edit each belongs to; an input of no edit is a cluster of its own.
        resamples: how often clusters are drawn.
        level: the share of resampled means inside.
        seed: makes it repeatable.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values and {len(clusters)} clusters")
    if not len(values):
        return None
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    each = np.asarray(values, np.float64)
    sums, sizes = np.bincount(codes, each), np.bincount(codes).astype(np.float64)
    tail = (1 - level) / 2
    if (each == each[0]).all() and each[0] in (0.0, 1.0):
        bound = float(1 - tail ** (1 / len(sums)))
        return (0.0, bound) if each[0] == 0 else (1 - bound, 1.0)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    for at in range(resamples):
        drawn = random.integers(0, len(sums), len(sums))
        means[at] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class ScopeScore:
    """How well scope was told, over all inputs.

    Args:
        precision: of the inputs that an edit answered, the share that the right edit answered.
        recall: of the inputs in scope, the share that the right edit answered.
        false_fires: of the inputs out of scope, the share that any edit answered (also those whose answer agrees
            with the base model's, which drawdown does not see).
    """

    precision: float | None
    recall: float | None
    false_fires: float | None


def scope_score(matched: Sequence[str | None], right: Sequence[str | None]) -> ScopeScore:
    """Precision and recall of the scope decision.

    Args:
        matched: the edit that answered each input, None where the base model did.
        right: the edit in whose scope it is, None where it is in none.
    """
    if len(matched) != len(right):
        raise ValueError(f"{len(matched)} decisions and {len(right)} labels")
    pairs = list(zip(matched, right, strict=True))
    fired = [one == due for one, due in pairs if one is not None]
    inside = [one == due for one, due in pairs if due is not None]
    outside = [one is not None for one, due in pairs if due is None]
    return ScopeScore(mean(fired), mean(inside), mean(outside))


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram: scores in [low, high), how many, their mean, and the share that was true."""

    low: float
    high: float
    count: int
    score: float
    share: float


def reliability(scores: Sequence[float], truth: Sequence[bool], *, bins: int = 10) -> tuple[Bin, ...]:
    """A reliability diagram's bars, empty ones left out (DeGroot & Fienberg, 1983).

    Args:
        scores: probabilities; the last bin takes in 1.
        truth: whether what was scored is so.
        bins: how many of equal width.
    """
    if len(scores) != len(truth):
        raise ValueError(f"{len(scores)} scores and {len(truth)} truths")
    each, true = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    place = np.minimum((each * bins).astype(np.int64), bins - 1)
    return tuple(
        Bin(at / bins, (at + 1) / bins, int(here.sum()), float(each[here].mean()), float(true[here].mean()))
        for at in range(bins)
        if (here := place == at).any()
    )


def calibration_error(bars: Sequence[Bin]) -> float | None:
    """Expected calibration error: the mean gap between score and share, weighted by count (Naeini et al., 2015)."""
    total = sum(bar.count for bar in bars)
    return sum(bar.count * abs(bar.score - bar.share) for bar in bars) / total if total else None
