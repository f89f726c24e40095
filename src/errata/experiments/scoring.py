"""From rows to figures: edit success and drawdown in all, by easy and hard, and by kind.

Pure functions of rows; nothing is asked here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from errata import metrics
from errata.edit import Decision
from errata.problems.cases import Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One input and what became of it.

    Args:
        side: "in" or "out" of scope.
        kind: how the input came to be.
        hard: whether it counts as hard.
        input: its text.
        expected: what the edit demands; for an out-of-scope input the base model's own answer, None where it was not
            asked for: where no edit fired the answer is the base's.
        answer: the editor's; None where `expected` is.
        edit: the edit it belongs to; None where it belongs to none.
        matched: the edit that answered, None where the base did.
        score: of the best candidate, None where there was none.
        nearest: the best candidate.
        right: in scope, answered as demanded; out of scope, answered as before.
        batch: which batch of edits was in memory.
        seed: of the run.
        forced: `right` under teacher forcing (`forcing`); None where that was not asked.
        given: what the counterfactual model says under the input's own edit, out of scope under the nearest one; None
            where that was not asked.
        label: the gold label of an out-of-scope input whose data have one; then `expected` and `answer` are told.
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
    batch: int = 0
    seed: int = 0
    forced: bool | None = None
    given: str | None = None
    label: str | None = None

    @property
    def value(self) -> float:
        """What the figures average: edit success in scope, drawdown out of it."""
        return float(self.right == (self.side == "in"))

    def more(self) -> dict[str, float]:
        """Further figures of a row in scope, averaged by kind; a row that has some is scored by no text."""
        return {}


def decided(decision: Decision) -> tuple[str | None, float | None, str | None]:
    """What a row tells of a decision: which edit fired, the best score, the best edit."""
    best = decision.nearest[0] if decision.nearest else None
    fired = decision.match.edit.id if decision.match else None
    return fired, best.score if best else None, best.edit.id if best else None


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def scores(said: Sequence[Row], problem: Problem, seed: int, note: str) -> dict[str, Any]:
    """What a report tells of the rows, by the report's keys.

    With rows of several seeds, `es` and `dd` are the means of the seeds' own figures; all else is over all rows.

    Args:
        said: every row of a run.
        problem: tells which kinds count.
        seed: of the bootstrap.
        note: what teacher forcing was, in words.
    """
    inside, outside = counted(said, problem)
    each = by_seed(said, problem)
    return {
        "n_in": len(inside),
        "n_out": len(outside),
        "es": _mean_of(each, "es"),
        "es_ci": _interval(inside, seed),
        "dd": _mean_of(each, "dd"),
        "dd_ci": _interval(outside, seed),
        **_against_labels(outside, seed),
        "easy": _half(inside, outside, hard=False),
        "hard": _half(inside, outside, hard=True),
        "by_kind": _by_kind(said, problem, seed),
        "teacher_forced": _teacher_forced(inside, outside, note),
        "details": _details(inside + outside),
    }


def counted(said: Iterable[Row], problem: Problem) -> tuple[list[Row], list[Row]]:
    """The rows that edit success counts, and those that drawdown counts."""
    rows = list(said)
    return (
        [row for row in rows if row.side == "in" and row.kind in problem.success],
        [row for row in rows if row.side == "out" and row.kind not in problem.apart],
    )


def by_seed(said: Sequence[Row], problem: Problem) -> list[dict[str, Any]]:
    """Each seed's own figures: `seed`, `n_in`, `es`, `n_out`, `dd`, in the order of the rows."""
    told = []
    for seed in dict.fromkeys(row.seed for row in said):
        inside, outside = counted((row for row in said if row.seed == seed), problem)
        told.append(
            {"seed": seed, "n_in": len(inside), "es": _success(inside), "n_out": len(outside), "dd": _drawdown(outside)}
        )
    return told


def _mean_of(each: Iterable[dict[str, Any]], name: str) -> float | None:
    return metrics.mean([one[name] for one in each if one[name] is not None])


def _teacher_forced(inside: Sequence[Row], outside: Sequence[Row], note: str) -> dict[str, Any] | None:
    """Edit success and drawdown of SERAC's released code; None where no part can be teacher-forced."""
    ours = [row.forced for row in inside if row.forced is not None]
    theirs = [not row.forced for row in outside if row.forced is not None]
    if not ours and not theirs:
        return None
    es, dd = metrics.mean(ours), metrics.mean(theirs)
    return {"es": es, "n_in": len(ours), "dd": dd, "n_out": len(theirs), "note": note}


def _success(found: Iterable[Row]) -> float | None:
    return metrics.mean([row.value for row in found])


def _drawdown(found: Iterable[Row]) -> float | None:
    return metrics.mean([row.value for row in found])


def _against_labels(outside: Iterable[Row], seed: int) -> dict[str, Any]:
    """SeProG's drawdown: how many answers differ from the gold label, where there is one (its section 3).

    It counts the base's own errors, which no edit made: `base_error` is what it was before any edit.
    """
    found = [row for row in outside if row.label is not None]
    labels = [row.label or "" for row in found]
    after = metrics.drawdown([row.answer or "" for row in found], labels)
    before = metrics.drawdown([row.expected or "" for row in found], labels)
    return {
        "n_label": len(found),
        "dd_label": metrics.mean(after),
        "dd_label_ci": _interval(found, seed, [float(wrong) for wrong in after]),
        "base_error": metrics.mean(before),
    }


def _interval(found: Sequence[Row], seed: int, values: Sequence[float] | None = None) -> tuple[float, float] | None:
    """An interval of edit success or of drawdown, clustered by edit; an input of no edit is a cluster by its text.

    An edit or an input that several seeds ask is one cluster: asking again tells little that is new.

    Args:
        found: the rows.
        seed: of the bootstrap.
        values: what is averaged, one a row; None takes the rows' own.
    """
    values = [row.value for row in found] if values is None else values
    clusters: list[Hashable] = [("input", row.input) if row.edit is None else ("edit", row.edit) for row in found]
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
            if any(row.label is not None for row in found):
                score |= _against_labels(found, seed)
        told[kind] = score
    return told


def _details(found: Sequence[Row]) -> dict[str, Any]:
    """Scope precision and recall, the reliability of the scores, and either part by split, over what is counted."""
    due = [row.edit if row.side == "in" else None for row in found]
    bars = metrics.reliability(
        [row.score or 0.0 for row in found],
        [row.side == "in" and row.nearest == row.edit for row in found],
    )
    return {
        "scope": asdict(metrics.scope_score([row.matched for row in found], due)),
        "reliability": [asdict(bar) for bar in bars],
        "calibration_error": metrics.calibration_error(bars),
        "components": [asdict(line) for line in metrics.components([_verdict(row) for row in found])],
    }


def _verdict(row: Row) -> metrics.Verdict:
    """What became of the input, part by part (SERAC, Table 4)."""
    known = row.given is not None and row.expected is not None
    answer = bool(metrics.edit_success([row.given or ""], [row.expected or ""])[0]) if known else None
    due = row.edit if row.side == "in" else None
    return metrics.Verdict(row.side, row.hard, row.matched == due, answer)
