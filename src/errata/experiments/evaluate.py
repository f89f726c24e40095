"""Measure an editor on a problem: edit success, drawdown, and every answer behind them as a row.

All edits are in memory at once, and every input takes the editor's one path. Tuning has no place here: what is
read is test data.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from errata import metrics
from errata._version import __version__
from errata.counterfactual import Counterfactual
from errata.edit import Answer, Decision
from errata.editors.serac import Serac, wrap
from errata.errors import ConfigError
from errata.experiments import likelihood
from errata.experiments.rows import RowFile, commit
from errata.experiments.scoring import Row, scores
from errata.models import Model
from errata.problems.cases import Labelled, Problem, Unlabelled
from errata.problems.counterfact import load_counterfact
from errata.problems.fact_check import load_fact_check
from errata.problems.qa import load_qa
from errata.problems.qa_hard import load_qa_hard
from errata.problems.sentiment import load_sentiment
from errata.scope import Scope

log = logging.getLogger(__name__)

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "qa": load_qa,
    "qa_hard": load_qa_hard,
    "fact_check": load_fact_check,
    "counterfact": load_counterfact,
    "sentiment": load_sentiment,
}
EDITORS = ("serac",)
CHUNK = 64
CHECKED = 50
"""Out-of-scope inputs on which no edit fired that are answered twice, by the editor and by the base alone."""
KEYS = (
    "problem",
    "editor",
    "scope",
    "model",
    "edits",
    "n_in",
    "n_out",
    "es",
    "es_ci",
    "dd",
    "dd_ci",
    "easy",
    "hard",
    "by_kind",
    "teacher_forced",
    "seed",
    "config",
    "data_hash",
    "commit",
    "seconds",
)

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one run.

    Args:
        problem: its name.
        editor: the editor's name.
        scope: the scope classifier's name.
        model: the base model's name.
        edits: how many were in memory at once.
        n_in: inputs that edit success counts.
        n_out: inputs that drawdown counts.
        es: edit success, exact match on generated text.
        es_ci: its interval.
        dd: drawdown, exact match with the base's own answer.
        dd_ci: its interval.
        easy: n_in, es, n_out, dd of the easy inputs.
        hard: the same of the hard ones.
        by_kind: every kind, counted or not.
        teacher_forced: None, not measured yet.
        seed: of sampling and bootstrap.
        config: everything that the figures depend on.
        data_hash: over the files read.
        commit: of the code, None outside a checkout.
        seconds: wall time.
        details: scope precision and recall, reliability; not part of the JSON.
    """

    problem: str
    editor: str
    scope: str
    model: str
    edits: int
    n_in: int
    n_out: int
    es: float | None
    es_ci: tuple[float, float] | None
    dd: float | None
    dd_ci: tuple[float, float] | None
    easy: dict[str, Any]
    hard: dict[str, Any]
    by_kind: dict[str, dict[str, Any]]
    teacher_forced: dict[str, Any] | None
    seed: int
    config: dict[str, Any]
    data_hash: str
    commit: str | None
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report as the JSON object that `errata evaluate --json` ends with; exactly `KEYS`."""
        return {key: getattr(self, key) for key in KEYS}


def evaluate_problem(
    problem: str | Problem,
    *,
    editor: str = "serac",
    scope: str | Scope = "cascade",
    model: str | Model = "mini",
    counterfactual: str | Counterfactual | None = None,
    edits: int | str | None = None,
    split: str = "test",
    seed: int = 0,
    limit: int | None = None,
    rows: Path | None = None,
    runtime: str = "auto",
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Put a problem's edits into an editor, ask everything, and score the answers.

    Args:
        problem: a name of `PROBLEMS`, or a problem already loaded.
        editor: "serac".
        scope: "cascade", "dual", "cross", or a scope classifier.
        model: the base model, or its name.
        counterfactual: what answers in scope; None is the shipped reader.
        edits: how many, a seeded sample; None or "all" for all of them.
        split: of the data.
        seed: of the samples and the bootstrap.
        limit: at most so many inputs of each kind, a seeded sample.
        rows: the JSONL file for the rows ("….partial" until complete); None names one in the folder "results".
        runtime: what runs the shipped networks.
        data: folder of the public data; None takes ERRATA_DATA.
        progress: told how far it is.

    Raises:
        ConfigError: an unknown name, or data that is missing or broken.
        ModelError: a part cannot be loaded or failed.
    """
    started = time.perf_counter()
    if editor not in EDITORS:
        raise ConfigError(f"editor {editor!r} is not known", key=editor, accepted=EDITORS)
    whole = _load(problem, split, data).sample(_count(edits), seed).limited(limit, seed)
    names: dict[str, Any] = {"problem": whole.name, "editor": editor, "scope": _name(scope), "model": _name(model)}
    subject = wrap(model, scope=scope, counterfactual=counterfactual, runtime=runtime)
    try:
        if likelihood.by_likelihood(whole):
            likelihood.check(subject)
        subject.add(*(case.edit for case in whole.cases))
        config = _config(subject, whole, runtime=runtime, edits=edits, limit=limit)
        run = {**names, "edits": len(whole.cases), "seed": seed, "config": config}
        return _measured(subject, whole, run, rows, progress or _silent, started)
    finally:
        subject.memory.close()


def _measured(
    subject: Serac, whole: Problem, run: dict[str, Any], rows: Path | None, progress: Progress, started: float
) -> Report:
    """Ask, write the rows, and score."""
    run |= {"data_hash": whole.data_hash, "commit": commit()}
    with RowFile(rows or _place(run), {"run": run}) as file:
        said = list(file.through(_asked(subject, whole, progress)))
    checked, changed = _verify(subject, said, run["seed"])
    run["config"] |= {"misses_checked": checked, "misses_changed": changed}
    return Report(**run, **scores(said, whole, run["seed"]), seconds=round(time.perf_counter() - started, 2))


def _load(problem: str | Problem, split: str, data: str | Path | None) -> Problem:
    if isinstance(problem, Problem):
        return problem
    if problem not in PROBLEMS:
        raise ConfigError(f"problem {problem!r} is not known", key=problem, accepted=tuple(PROBLEMS))
    return PROBLEMS[problem](data, split=split)


def _count(edits: int | str | None) -> int | None:
    if edits is None or edits == "all":
        return None
    try:
        return int(edits)
    except ValueError as error:
        raise ConfigError(f"edits must be a number or 'all', not {edits!r}", key="edits") from error


def _name(part: Any) -> str:
    return part if isinstance(part, str) else str(getattr(part, "name", type(part).__name__))


def _silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def _place(run: dict[str, Any]) -> Path:
    """The default file for rows: "results/qa-serac-cascade-mini-582-seed0.jsonl"."""
    parts = (run["problem"], run["editor"], run["scope"], run["model"], run["edits"], f"seed{run['seed']}")
    name = "-".join("".join(c if c.isalnum() or c in "._" else "_" for c in str(part)) for part in parts)
    return Path("results") / f"{name}.jsonl"


def _config(subject: Serac, problem: Problem, **asked: Any) -> dict[str, Any]:
    """All that the figures depend on and the command line does not tell."""
    networks = {
        name: str(network.fingerprint)
        for name, part in (("cross", getattr(subject.scope, "cross", None)), ("answer", subject.counterfactual))
        if (network := getattr(part, "network", None)) is not None
    }
    return {
        **asked,
        "split": problem.split,
        "threshold": subject.threshold,
        "vectors": subject.scope.fingerprint,
        **networks,
        "counterfactual": type(subject.counterfactual).__name__,
        "k": subject.scope.k,
        "match": likelihood.MEANING
        if likelihood.by_likelihood(problem)
        else "exact, white space around the text aside",
        "success": sorted(problem.success),
        "apart": sorted(problem.apart),
        "notes": dict(problem.notes),
        "version": __version__,
        "numpy": np.__version__,
    }


# asking


def _asked(subject: Serac, problem: Problem, progress: Progress) -> Iterator[Row]:
    """Every input of the problem, answered."""
    if likelihood.by_likelihood(problem):
        yield from likelihood.rows(subject, problem, progress)
        return
    inside = [(case.edit.id, one) for case in problem.cases for one in case.in_scope]
    outside: list[tuple[str | None, Unlabelled]] = [
        (case.edit.id, one) for case in problem.cases for one in case.out_of_scope
    ]
    outside += [(None, one) for one in problem.shared]
    for done, labelled in _chunks(inside):
        yield from _in_rows(subject, labelled)
        progress("in scope", done, len(inside))
    for done, unlabelled in _chunks(outside):
        yield from _out_rows(subject, unlabelled)
        progress("out of scope", done, len(outside))


def _chunks(items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    for begin in range(0, len(items), CHUNK):
        part = items[begin : begin + CHUNK]
        yield begin + len(part), part


def _in_rows(subject: Serac, part: Sequence[tuple[str, Labelled]]) -> Iterator[Row]:
    answers = subject.generate([one.text for _, one in part])
    right = metrics.edit_success([answer.text for answer in answers], [one.answer for _, one in part])
    for (edit, one), answer, good in zip(part, answers, right, strict=True):
        told = _told(answer.decision)
        yield Row("in", one.kind, one.hard, one.text, one.answer, answer.text, edit, *told, bool(good))


def _out_rows(subject: Serac, part: Sequence[tuple[str | None, Unlabelled]]) -> Iterator[Row]:
    """Only where an edit fired are both asked; elsewhere the editor's answer is the base's, see `_verify`."""
    decisions = subject.decide([one.text for _, one in part])
    texts = [one.text for (_, one), decision in zip(part, decisions, strict=True) if decision.match]
    answers = iter(subject.generate(texts) if texts else [])
    bases = iter(subject.model.generate(texts) if texts else [])
    for (edit, one), decision in zip(part, decisions, strict=True):
        told = _told(decision)
        if decision.match is None:
            yield Row("out", one.kind, one.hard, one.text, None, None, edit, *told, True)
            continue
        answer: Answer = next(answers)
        base = next(bases)
        same = not metrics.drawdown([answer.text], [base])[0]
        yield Row("out", one.kind, one.hard, one.text, base, answer.text, edit, *told, same)


def _told(decision: Decision) -> tuple[str | None, float | None, str | None]:
    best = decision.nearest[0] if decision.nearest else None
    fired = decision.match.edit.id if decision.match else None
    return fired, best.score if best else None, best.edit.id if best else None


def _verify(subject: Serac, said: Sequence[Row], seed: int) -> tuple[int, int]:
    """How many misses were answered twice, and in how many editor and base differ (it should be none)."""
    missed = [row.input for row in said if row.side == "out" and row.matched is None]
    texts = random.Random(seed).sample(missed, min(CHECKED, len(missed)))
    if not texts:
        return 0, 0
    answers, bases = subject.generate(texts), subject.model.generate(texts)
    changed = [text for text, answer, base in zip(texts, answers, bases, strict=True) if answer.text != base]
    if changed:
        log.warning("no edit fired and yet the answer differs from the base's: %s", changed[:3])
    return len(texts), len(changed)
