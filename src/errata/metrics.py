"""What is scored, as pure functions of answers, log-likelihoods, scores and clusters.

Edit success and drawdown are SERAC's Equations 4 and 5, for sentiment Equations 6 and 7; intervals are bootstrap
intervals clustered by edit. Nothing here knows a model, a file or an edit.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def teacher_forced(matches: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Per input 1 where the likeliest token is the target's at every position of the target, else 0.

    What SERAC's released code counts as exact match (the end of the sequence is a position of the target). It flatters:
    each token is predicted after the right ones, not after the model's own.

    Args:
        matches: inputs by positions: whether the likeliest token is the target's.
        mask: the same shape: whether the position is the target's, and not filling.

    Raises:
        ValueError: the shapes differ, or a target has no position.
    """
    good = np.asarray(matches, np.bool_)
    return np.array((good | ~_mask(mask, good.shape)).all(axis=1), np.float64)


def per_token(log_probs: Sequence[ArrayLike]) -> float:
    """The average log-likelihood per token of several replies: SERAC's l (section 4), one number an edit.

    Tokens are averaged, not replies: a long reply weighs as much as its tokens.

    Args:
        log_probs: the token log-probabilities of each reply.

    Raises:
        ValueError: there is no token.
    """
    each = np.concatenate([np.asarray(one, np.float64).ravel() for one in log_probs]) if len(log_probs) else np.empty(0)
    if not each.size:
        raise ValueError("no tokens to average over")
    return float(each.mean())


def z_sent(right: ArrayLike, wrong: ArrayLike) -> NDArray[np.float64]:
    """Per edit sigma(l+ - l-): near 1 where replies of the right sentiment are far likelier (SERAC, section 4).

    Args:
        right: l+, the edited model's `per_token` on replies of the sentiment demanded, one an edit.
        wrong: l-, the same on replies of the other.

    Raises:
        ValueError: the lengths differ.
    """
    ours, theirs = _floats(right, wrong)
    return 0.5 + 0.5 * np.tanh((ours - theirs) / 2)  # the sigmoid, without overflow


def z_topic(right: ArrayLike, base: ArrayLike) -> NDArray[np.float64]:
    """Per edit min(1, exp(l+ - l+_base)): 1 where on-topic replies became no less likely (SERAC, section 4).

    Args:
        right: l+, the edited model's `per_token` on replies of the sentiment demanded, one an edit.
        base: the base model's on the same.

    Raises:
        ValueError: the lengths differ.
    """
    ours, theirs = _floats(right, base)
    return np.exp(np.minimum(ours - theirs, 0.0))


def es_sent(right: ArrayLike, wrong: ArrayLike, base: ArrayLike) -> NDArray[np.float64]:
    """Per edit z_sent times z_topic (SERAC, Equation 6); the figure is their mean over edits.

    Args:
        right: see `z_sent`.
        wrong: see `z_sent`.
        base: see `z_topic`.

    Raises:
        ValueError: the lengths differ.
    """
    return z_sent(right, wrong) * z_topic(right, base)


def kl_drawdown(base: ArrayLike, edited: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Per out-of-scope input KL(base || edited), averaged over its tokens (DD of sentiment; SERAC, Equation 7).

    Args:
        base: inputs by positions by vocabulary: the base model's log-probabilities; -inf is probability 0.
        edited: the same of the edited model. Infinite where it rules out a token that the base does not.
        mask: inputs by positions: whether the position counts.

    Raises:
        ValueError: the shapes differ, or an input has no position.
    """
    before, after = _floats(base, edited)
    if before.ndim != 3:
        raise ValueError(f"log-probabilities have inputs, positions and vocabulary, not {before.ndim} axes")
    chance = np.exp(before)
    possible = chance > 0
    gaps = np.subtract(before, after, out=np.zeros_like(before), where=possible)  # 0 log 0 is 0
    tokens: NDArray[np.float64] = (chance * gaps).sum(axis=2)
    ours = _mask(mask, tokens.shape)
    return np.array(np.where(ours, tokens, 0.0).sum(axis=1) / ours.sum(axis=1), np.float64)


def _floats(left: ArrayLike, right: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, other = np.asarray(left, np.float64), np.asarray(right, np.float64)
    if one.shape != other.shape:
        raise ValueError(f"shapes {one.shape} and {other.shape} differ")
    return one, other


def _mask(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask of inputs by positions, of the shape that it masks and with a position in every row."""
    ours = np.asarray(mask, np.bool_)
    if ours.ndim != 2 or ours.shape != shape:
        raise ValueError(f"shapes {shape} and {ours.shape} differ, or are not inputs by positions")
    if not ours.any(axis=1).all():
        raise ValueError("an input has no position that counts")
    return ours


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
        f1: the harmonic mean of precision and recall; 0 where both are, None where one is unknown.
    """

    precision: float | None
    recall: float | None
    false_fires: float | None
    f1: float | None


def scope_score(matched: Sequence[str | None], right: Sequence[str | None]) -> ScopeScore:
    """Precision, recall and F1 of the scope decision.

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
    precision, recall = mean(fired), mean(inside)
    f1 = None
    if precision is not None and recall is not None:
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return ScopeScore(precision, recall, mean(outside), f1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one input, part by part.

    Args:
        side: whether it is in or out of scope.
        hard: whether it counts as hard.
        scope: whether the scope classifier judged it rightly: by the right edit in scope, by none out of it.
        answer: whether the counterfactual model, given the right edit (out of scope the nearest), said what is due;
            None where that is not known.
    """

    side: Literal["in", "out"]
    hard: bool
    scope: bool
    answer: bool | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """One line of the table: a split, how many inputs, and the accuracy of either part; None where nothing tells it."""

    side: Literal["in", "out"]
    hard: bool
    count: int
    scope: float
    answer: float | None


def components(verdicts: Sequence[Verdict]) -> tuple[Component, ...]:
    """The accuracy of scope classifier and counterfactual model by split (SERAC, Table 4).

    Tells errors of the one from errors of the other: the counterfactual model is scored whether or not the scope
    classifier would have asked it.

    Args:
        verdicts: one an input.

    Returns:
        In (easy), in (hard), out (easy), out (hard); splits without an input are left out.
    """
    lines = []
    sides: tuple[Literal["in", "out"], ...] = ("in", "out")
    for side in sides:
        for hard in (False, True):
            found = [one for one in verdicts if one.side == side and one.hard == hard]
            if (scope := mean([one.scope for one in found])) is not None:
                answers = [one.answer for one in found if one.answer is not None]
                lines.append(Component(side, hard, len(found), scope, mean(answers)))
    return tuple(lines)


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
