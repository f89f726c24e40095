"""Measure an editor on a problem: edit success, drawdown, and every answer behind them as a row.

All edits are in memory at once, or k at a time in batches, as in the papers' tables; every input takes the editor's one
path. Tuning has no place here: what is read is test data.
"""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from errata._version import __version__
from errata.counterfactual import Counterfactual
from errata.editors.catalogue import get_editor
from errata.editors.serac import Serac
from errata.editors.weights import WeightEditor
from errata.errors import ConfigError
from errata.experiments import likelihood, moved
from errata.experiments.asking import Asker, Progress
from errata.experiments.forcing import Forcing
from errata.experiments.pairs import check_pair
from errata.experiments.presets import MINI, preset_model
from errata.experiments.reweighted import Reasked, Reasker
from errata.experiments.rows import RowFile, commit
from errata.experiments.scoring import Row, by_seed, counted, scores
from errata.experiments.subjects import make_subject
from errata.memory.sqlite import SqliteMemory
from errata.models import Model
from errata.problems.cases import Problem
from errata.problems.counterfact import load_counterfact
from errata.problems.everyday import load_everyday
from errata.problems.fact_check import load_fact_check
from errata.problems.fever_copy import load_fever_copy
from errata.problems.leapofthought import load_leapofthought
from errata.problems.qa import load_qa
from errata.problems.qa_hard import load_qa_hard
from errata.problems.sampler import APART, compared, limited
from errata.problems.sampler import split as in_batches
from errata.problems.sentiment import load_sentiment
from errata.problems.triples import load_triples
from errata.problems.wikipedia import load_wikipedia
from errata.problems.zsre_copy import load_zsre_copy
from errata.scope import Scope
from errata.scope.hidden import HiddenScope

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "qa": load_qa,
    "qa_hard": load_qa_hard,
    "fact_check": load_fact_check,
    "counterfact": load_counterfact,
    "everyday": load_everyday,
    "sentiment": load_sentiment,
    "zsre_copy": load_zsre_copy,
    "fever_copy": load_fever_copy,
    "leapofthought": load_leapofthought,
    "triples": load_triples,
    "wikipedia": load_wikipedia,
}
NONE = "none"
"""The scope classifier of an editor that has none."""
EXACT = "exact, white space around the text aside"
"""How answers are compared."""
Subject = Serac | Reasked
"""What is measured: an editor with a memory, or one without."""
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
    "n_label",
    "dd_label",
    "dd_label_ci",
    "base_error",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one run.

    Args:
        problem: its name.
        editor: the editor's name.
        scope: the scope classifier's name.
        model: the base model's name.
        edits: how many were in memory at once.
        n_in: how often an input that edit success counts was asked, over all seeds.
        n_out: the same of drawdown.
        es: edit success, exact match on generated text.
        es_ci: its interval.
        dd: drawdown, exact match with the base's own answer (SERAC, Equation 5).
        dd_ci: its interval.
        n_label: how often an input that drawdown counts and that has a gold label was asked.
        dd_label: SeProG's drawdown: the share of these whose answer is not the label; None where there are none.
        dd_label_ci: its interval.
        base_error: the same of the base model before any edit: what of `dd_label` no edit did.
        easy: n_in, es, n_out, dd of the easy inputs.
        hard: the same of the hard ones.
        by_kind: every kind, counted or not.
        teacher_forced: `es`, `n_in`, `dd`, `n_out` as SERAC's released code counts them, and a `note`;
            None where neither part tells token likelihoods.
        seed: of sampling and bootstrap.
        config: everything that the figures depend on.
        data_hash: over the files read.
        commit: of the code, None outside a checkout.
        seconds: wall time.
        details: scope precision and recall, reliability, and the accuracy of either part by split; not in the JSON.
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
    n_label: int
    dd_label: float | None
    dd_label_ci: tuple[float, float] | None
    base_error: float | None
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
    model: str | Model | None = None,
    preset: str = MINI,
    counterfactual: str | Counterfactual | None = None,
    settings: Mapping[str, Any] | None = None,
    edits: int | str | None = None,
    split: str = "test",
    seed: int = 0,
    seeds: int = 1,
    limit: int | None = None,
    batches: int | None = None,
    components: bool = False,
    rows: Path | None = None,
    runtime: str = "auto",
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Put a problem's edits into an editor, ask everything, and score the answers.

    With `edits=k` the problem's edits are split into batches of k, of which one at a time is in memory; it is asked its
    own inputs and its share of the others (`problems.sampler.split`). All batches' rows make one report.

    Args:
        problem: a name of `PROBLEMS`, or a problem already loaded.
        editor: a name of `errata.get_editor`.
        scope: "cascade", "dual", "cross", or a scope classifier.
        model: the base model, or its name; None takes the preset's.
        preset: "mini" or "paper", see `experiments.presets`.
        counterfactual: what answers in scope; None is what the problem takes (`presets.SMALL`).
        settings: the editor's own, such as the radius of look-up.
        edits: how many are in memory at once; None or "all" for all of them.
        split: of the data.
        seed: of what a problem draws, the batches, the samples and the bootstrap.
        seeds: with how many seeds all is repeated, from `seed` on: sampling seeds, one and the same trained parts.
        limit: at most so many inputs of each kind, a seeded sample; for trials.
        batches: at most so many of the batches, a seeded sample; for editors whose edits take long.
        components: whether the counterfactual model is asked every counted input, whatever the scope classifier says,
            and the base every out-of-scope one, for the accuracy of either part (`Report.details["components"]`).
        rows: the JSONL file for the rows ("….partial" until complete); None names one in the folder "results".
        runtime: what runs the shipped networks.
        data: folder of the public data; None takes ERRATA_DATA.
        progress: told how far it is.

    Raises:
        ConfigError: an unknown name, a number out of range, or data that is missing or broken.
        ModelError: a part cannot be loaded or failed.
    """
    started = time.perf_counter()
    get_editor(editor)  # an unknown name is told at once
    if seeds < 1:
        raise ConfigError(f"seeds must be 1 or more, not {seeds}", key="seeds")
    k = _count(edits)
    if batches is not None and (batches < 1 or k is None):
        raise ConfigError("batches must be 1 or more, and edits must say of how many", key="batches")
    samples = (
        _sample(_load(problem, split, data, one, k), k, limit, batches, one) for one in range(seed, seed + seeds)
    )
    first = next(samples)  # before a network is loaded: the wishes may be wrong
    check_pair(editor, first.whole, model or preset, settings or {})
    base = preset_model(preset, first.whole.name) if model is None else model
    subject = make_subject(
        editor, first.whole.name, base, scope=scope, counterfactual=counterfactual, runtime=runtime,
        settings=settings or {},
    )  # fmt: skip
    try:
        asker = _asker(subject, first.whole, components)
        _check_edits(subject, first)
        asked = {"runtime": runtime, "preset": preset if model is None else None, "edits": edits, "limit": limit,
                 "seeds": seeds, "components": components,
                 **({} if batches is None else {"batches_asked": batches})}  # fmt: skip
        run: dict[str, Any] = {
            "problem": first.whole.name,
            "editor": editor,
            "scope": _scope_name(subject, scope),
            "model": _name(base),
            "edits": len(first.parts[0].cases),
            "seed": seed,
            "config": _config(subject, first, asker, asked),
            "data_hash": first.whole.data_hash,
            "commit": commit(),
        }
        with RowFile(rows or _place(run), {"run": run}) as file:
            rest = _asked(subject, chain([first], samples), asker, progress or _silent)
            said = list(file.through(rest))
    finally:
        if isinstance(subject, Serac):
            subject.memory.close()
    figures = scores(said, first.whole, seed, _note(said, first.whole, asker))
    run["config"] |= _told(said, first.whole, asker)
    return Report(**run, **figures, seconds=round(time.perf_counter() - started, 2))


# the problem


@dataclass(frozen=True, slots=True)
class _Sample:
    """What one seed asks: a problem, in batches."""

    seed: int
    whole: Problem
    parts: tuple[Problem, ...]


def _load(problem: str | Problem, split: str, data: str | Path | None, seed: int, k: int | None) -> Problem:
    """The problem, drawn by the seed where its loader draws; for batches with all edits, even contradicting ones."""
    if isinstance(problem, Problem):
        return problem
    if problem not in PROBLEMS:
        raise ConfigError(f"problem {problem!r} is not known", key=problem, accepted=tuple(PROBLEMS))
    loader = PROBLEMS[problem]
    takes = inspect.signature(loader).parameters
    options = {"seed": seed, "every": k is not None}
    return loader(data, split=split, **{name: value for name, value in options.items() if name in takes})


def _sample(whole: Problem, k: int | None, limit: int | None, batches: int | None, seed: int) -> _Sample:
    """The problem in batches of k, or all at once."""
    apart = APART.get(whole.name, "")
    if k is None or (k == len(whole.cases) and not apart):
        return _Sample(seed, whole, (whole.limited(limit, seed),))
    if not 1 <= k <= len(whole.cases):
        raise ConfigError(f"{whole.name} has {len(whole.cases)} edits, not {k}", key="edits")
    parts = in_batches(whole, k, seed=seed, apart=apart)
    if batches is not None and batches < len(parts):
        kept = random.Random(f"{seed} batches").sample(range(len(parts)), batches)
        parts = tuple(parts[at] for at in sorted(kept))
    return _Sample(seed, whole, limited(parts, limit, seed))


def _count(edits: int | str | None) -> int | None:
    if edits is None or edits == "all":
        return None
    try:
        return int(edits)
    except ValueError as error:
        raise ConfigError(f"edits must be a number or 'all', not {edits!r}", key="edits") from error


# asking


def _asker(subject: Subject, problem: Problem, components: bool) -> Asker | Reasker:
    """Who asks such an editor.

    Raises:
        ConfigError: either part's accuracy is wanted of an editor that has no parts.
        UnsupportedModel: the problem scores likelihoods, and a part tells none.
    """
    if isinstance(subject, Serac):
        if likelihood.by_likelihood(problem):
            likelihood.check(subject)
        return Asker(Forcing(subject.model, subject.counterfactual), components=components)
    if components:
        raise ConfigError(f"{subject.name} has no scope classifier and no counterfactual model", key="components")
    if likelihood.by_likelihood(problem) and isinstance(subject, WeightEditor):
        moved.check(subject)
    return Reasker(subject)


def _check_edits(subject: Subject, sample: _Sample) -> None:
    """Refuse edits that the editor can make nothing of (raises UnsupportedEdit), before anything is asked."""
    for part in sample.parts:
        for case in part.cases:
            (subject.counterfactual if isinstance(subject, Serac) else subject).check(case.edit)


def _asked(subject: Subject, samples: Iterable[_Sample], asker: Asker | Reasker, progress: Progress) -> Iterator[Row]:
    """Every input of every batch of every seed, answered by an editor that has the batch's edits."""
    for sample in samples:
        _check_edits(subject, sample)
        asker.begin(sample.seed, sample.parts, progress)
        if isinstance(asker, Reasker):
            for number, part in enumerate(sample.parts):
                if isinstance(subject, WeightEditor) and likelihood.by_likelihood(part):
                    yield from moved.rows(subject, part, number, sample.seed, asker.told)
                else:
                    yield from asker.rows(part, number)
        elif isinstance(subject, Serac) and isinstance(asker, Asker):
            yield from _remembered(subject, sample, asker)


def _remembered(subject: Serac, sample: _Sample, asker: Asker) -> Iterator[Row]:
    """Batch after batch, each in a memory of its own."""
    edits = [case.edit for part in sample.parts for case in part.cases]
    vectors = subject.scope.encode_edits(edits)  # at once: a batch of ten would take as long as its vectors
    at = 0
    for number, part in enumerate(sample.parts):
        own = slice(at, at := at + len(part.cases))
        with SqliteMemory(":memory:") as memory:
            editor = Serac(subject.model, scope=subject.scope, counterfactual=subject.counterfactual, memory=memory)
            memory.add(edits[own], vectors[own])
            if likelihood.by_likelihood(part):
                yield from likelihood.rows(editor, part, number, sample.seed, asker.told)
            else:
                yield from asker.rows(editor, part, number)


def _silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


# the report


def _name(part: Any) -> str:
    return part if isinstance(part, str) else str(getattr(part, "name", type(part).__name__))


def _scope_name(subject: Subject, asked: str | Scope) -> str:
    """The scope classifier as it was asked for; look-up brings its own, and who changes weights has none."""
    if not isinstance(subject, Serac):
        return NONE
    return _name(subject.scope if isinstance(subject.scope, HiddenScope) else asked)


def _place(run: dict[str, Any]) -> Path:
    """The default file for rows: "results/qa-serac-cascade-mini-582-seed0.jsonl"."""
    seeds = run["config"]["seeds"]
    seed = f"seed{run['seed']}" if seeds == 1 else f"seeds{run['seed']}-{run['seed'] + seeds - 1}"
    parts = (run["problem"], run["editor"], run["scope"], run["model"], run["edits"], seed)
    name = "-".join("".join(c if c.isalnum() or c in "._" else "_" for c in str(part)) for part in parts)
    return Path("results") / f"{name}.jsonl"


def _parts_of(subject: Subject) -> dict[str, Any]:
    """What the editor is made of."""
    if not isinstance(subject, Serac):
        return {"settings": asdict(subject.settings), "untold": subject.untold}
    networks = {
        name: str(network.fingerprint)
        for name, part in (
            ("gate", getattr(subject.scope, "gate", None)),
            ("cross", getattr(subject.scope, "cross", None)),
            ("answer", subject.counterfactual),
        )
        if (network := getattr(part, "network", None)) is not None
    }
    return {
        "threshold": subject.threshold,
        "vectors": subject.scope.fingerprint,
        **networks,
        "counterfactual": type(subject.counterfactual).__name__,
        "k": subject.scope.k,
    }


def _config(subject: Subject, sample: _Sample, asker: Asker | Reasker, asked: dict[str, Any]) -> dict[str, Any]:
    """All that the figures depend on and the command line does not tell."""
    problem = sample.whole
    held = sum(len(part.cases) for part in sample.parts)
    return {
        **asked,
        "split": problem.split,
        "batches": len(sample.parts),
        "edits_measured": held,
        "edits_left": len(problem.cases) - held,
        **_parts_of(subject),
        "match": likelihood.MEANING if likelihood.by_likelihood(problem) else EXACT,
        "teacher_forcing": asker.note,
        "success": sorted(problem.success),
        "apart": sorted(problem.apart),
        "notes": dict(problem.notes),
        "version": __version__,
        "numpy": np.__version__,
    }


def _note(said: Sequence[Row], problem: Problem, asker: Asker | Reasker) -> str:
    """What teacher forcing was in this run."""
    inside, _ = counted(said, problem)
    forced = sum(asker.forces(fired=row.matched is not None) for row in inside)
    return f"{asker.note}; {forced:,} of {len(inside):,} inputs in scope were forced"


def _told(said: Sequence[Row], problem: Problem, asker: Asker | Reasker) -> dict[str, Any]:
    """What the configuration tells of the run when it is over."""
    inside, outside = counted(said, problem)
    return {
        "by_seed": by_seed(said, problem),
        "es_pooled": likelihood.pooled(inside),
        "distinct_in": len({compared(row.input) for row in inside}),
        "distinct_out": len({compared(row.input) for row in outside}),
        **({"misses_checked": asker.checked, "misses_changed": asker.changed} if isinstance(asker, Asker) else {}),
    }
