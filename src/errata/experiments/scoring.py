"""From rows to figures: edit success and drawdown in all, by easy and hard, and by kind.

Pure functions of rows; nothing is asked here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from errata import metrics
from errata.problems.cases import Problem


@dataclass(frozen=True, slots=True)
class Row:
    """One input and what became of it.

    Args:
        side: "in" or "out" of scope.
        kind: how the input came to be.
        hard: whether it counts as hard.
        input: its text.
        expected: what the edit demands; for an out-of-scope input the base model's own answer, None where no edit
            fired: it is not asked for then, since the answer is the base's.
        answer: the editor's; None where `expected` is.
        edit: the edit it belongs to; None where it belongs to none.
        matched: the edit that answered, None where the base did.
        score: of the best candidate, None where there was none.
        nearest: the best candidate.
        right: in scope, answered as demanded; out of scope, answered as before.
    """

    side: Literal["in", "out"]
    kind: str
    hard: bool
    input: str
    expected: str | None
    answer: str | None
    edit: str | None
    matched: str | None
    score: float | None
    nearest: str | None
    right: bool

    @property
    def value(self) -> float:
        """What the figures average: edit success in scope, drawdown out of it."""
        return float(self.right == (self.side == "in"))

    def more(self) -> dict[str, float]:
        """Further figures of a row in scope, averaged by kind; a row that has some is scored by no text."""
        return {}


def scores(said: Sequence[Row], problem: Problem, seed: int) -> dict[str, Any]:
    """What a report tells of the rows, by the report's keys.

    Args:
        said: every row of a run.
        problem: tells which kinds count.
        seed: of the bootstrap.
    """
    inside = [row for row in said if row.side == "in" and row.kind in problem.success]
    outside = [row for row in said if row.side == "out" and row.kind not in problem.apart]
    return {
        "n_in": len(inside),
        "n_out": len(outside),
        "es": _success(inside),
        "es_ci": _interval(inside, seed),
        "dd": _drawdown(outside),
        "dd_ci": _interval(outside, seed),
        "easy": _half(inside, outside, hard=False),
        "hard": _half(inside, outside, hard=True),
        "by_kind": _by_kind(said, problem, seed),
        "teacher_forced": None,
        "details": _details(inside + outside),
    }


def _success(found: Iterable[Row]) -> float | None:
    return metrics.mean([row.value for row in found])


def _drawdown(found: Iterable[Row]) -> float | None:
    return metrics.mean([row.value for row in found])


def _interval(found: Sequence[Row], seed: int) -> tuple[float, float] | None:
    """An interval of edit success or of drawdown, clustered by edit; inputs of no edit stand alone."""
    values = [row.value for row in found]
    clusters: list[Hashable] = [at if row.edit is None else row.edit for at, row in enumerate(found)]
    return metrics.bootstrap(values, clusters, seed=seed)


def _half(inside: Sequence[Row], outside: Sequence[Row], *, hard: bool) -> dict[str, Any]:
    ours = [row for row in inside if row.hard == hard]
    theirs = [row for row in outside if row.hard == hard]
    return {"n_in": len(ours), "es": _success(ours), "n_out": len(theirs), "dd": _drawdown(theirs)}


def _by_kind(said: Sequence[Row], problem: Problem, seed: int) -> dict[str, dict[str, Any]]:
    kinds: dict[tuple[str, str], list[Row]] = {}
    for row in said:
        kinds.setdefault((row.side, row.kind), []).append(row)
    told = {}
    for (side, kind), found in kinds.items():
        score: dict[str, Any] = {"side": side, "n": len(found)}
        if side == "in":
            answers, due = [row.answer or "" for row in found], [row.expected or "" for row in found]
            loose = metrics.edit_success(answers, due, by=metrics.normalised)
            matched = [row.matched == row.edit for row in found]
            score |= {"counted": kind in problem.success, "es": _success(found), "es_ci": _interval(found, seed)}
            each = [row.more() for row in found]
            score |= {"es_normalised": None if each[0] else metrics.mean(loose), "right_edit": metrics.mean(matched)}
            score |= {name: metrics.mean([one[name] for one in each]) for name in each[0]}
        else:
            fired = [row.matched is not None for row in found]
            score |= {"counted": kind not in problem.apart, "dd": _drawdown(found), "dd_ci": _interval(found, seed)}
            score |= {"fired": metrics.mean(fired)}
        told[kind] = score
    return told


def _details(counted: Sequence[Row]) -> dict[str, Any]:
    """Scope precision and recall, and the reliability of the scores, over the inputs that are counted."""
    due = [row.edit if row.side == "in" else None for row in counted]
    bars = metrics.reliability(
        [row.score or 0.0 for row in counted],
        [row.side == "in" and row.nearest == row.edit for row in counted],
    )
    return {
        "scope": asdict(metrics.scope_score([row.matched for row in counted], due)),
        "reliability": [asdict(bar) for bar in bars],
        "calibration_error": metrics.calibration_error(bars),
    }
