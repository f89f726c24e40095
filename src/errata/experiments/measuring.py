"""One evaluation as a cell: everything that experiments ask of `evaluate_problem` is asked here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.errors import ConfigError
from errata.experiments.evaluate import PROBLEMS, evaluate_problem
from errata.experiments.experiment import Cell, Progress
from errata.experiments.parts import Found, Setting, find, open_base, open_counterfactual, open_scope
from errata.models import Model
from errata.problems.cases import EditCase, Problem


@dataclass(frozen=True, slots=True)
class Trio:
    """The three parts an evaluation takes."""

    base: Found
    scope: Found
    counterfactual: Found

    @property
    def missing(self) -> str:
        """What is not here, "" where all is."""
        parts = (self.base, self.scope, self.counterfactual)
        return "; ".join(dict.fromkeys(f"{part.name}: {part.missing}" for part in parts if part.missing))

    def config(self) -> dict[str, dict[str, str]]:
        """Names and fingerprints."""
        parts = {"base": self.base, "scope": self.scope, "counterfactual": self.counterfactual}
        return {key: {"name": part.name, "fingerprint": part.fingerprint} for key, part in parts.items()}


def trio(setting: Setting, problem: str, *, scope: Found | None = None, base: Found | None = None) -> Trio:
    """The parts of a problem in this setting, with another scope classifier or base where one is named."""
    parts = setting.parts(problem)
    scope, counterfactual = scope or find(parts.scope, setting.runs), find(parts.counterfactual, setting.runs)
    if (scope.name, counterfactual.name) == ("cascade", "verifier"):  # it reads with the verifier's network, ungated
        scope = replace(scope, fingerprint=f"cascade+{find('dual', setting.runs).fingerprint}")
    return Trio(base or find(parts.base, setting.runs), scope, counterfactual)


def evaluation(
    name: str,
    setting: Setting,
    problem: str,
    *,
    edits: int | None = None,
    parts: Trio | None = None,
    model: Callable[[], Model] | None = None,
    crowd: Callable[[Problem], tuple[Edit, ...]] | None = None,
    components: bool = False,
    batches: int | None = None,
    about: Mapping[str, Any] | None = None,
) -> Cell:
    """A cell that evaluates SERAC on a problem.

    Args:
        name: the cell's.
        setting: seeds, limit, data.
        problem: its name.
        edits: how many at once, in batches that are pooled; None is all of them at once.
        parts: other ones than the setting's for this problem.
        model: makes the base model, where it is not loaded by name; `parts` names it then.
        crowd: further edits that lie in memory with the problem's own.
        components: whether either part's accuracy by split is wanted (SERAC, Table 4).
        batches: at most so many of the batches.
        about: what else the figures depend on.
    """
    three = parts or trio(setting, problem)
    config = {
        "problem": problem,
        **three.config(),
        "edits": "all" if edits is None else edits,
        "components": components,
        "seed": setting.seed,
        "seeds": setting.seeds,
        "limit": setting.limit,
        "data": setting.data_hash(problem),
        **({} if batches is None else {"batches": batches}),
        **(about or {}),
    }

    def run(rows: Path, progress: Progress) -> Mapping[str, Any]:
        return _evaluated(
            setting, problem, three, edits, rows, progress, model=model, crowd=crowd, components=components,
            batches=batches,
        )  # fmt: skip

    return Cell(name=name, config=config, run=run, missing=three.missing)


def contest(
    name: str,
    setting: Setting,
    problem: str,
    editor: str,
    settings: Mapping[str, Any],
    *,
    edits: int,
    batches: int | None = None,
    weights: Found | None = None,
    split: str = "test",
    narrowed: Callable[[Problem, Model], Problem] | None = None,
) -> Cell:
    """A cell that evaluates another editor on a problem.

    Args:
        name: the cell's.
        setting: seeds, limit, data.
        problem: its name.
        editor: a name of `errata.get_editor`; SERAC's cells are `evaluation`'s.
        settings: the editor's own.
        edits: how many at once.
        batches: at most so many of the batches.
        weights: the trained network, of an editor that has one.
        split: of the data.
        narrowed: leaves some of the problem out, by what the base says.
    """
    parts = setting.parts(problem)
    found = {"base": find(parts.base, setting.runs)}
    if editor == "retrieve_prompt":
        found["scope"] = find(parts.scope, setting.runs)
    if weights is not None:
        found["weights"] = weights
    config = {
        "problem": problem,
        "editor": editor,
        "settings": dict(settings),
        **{key: {"name": part.name, "fingerprint": part.fingerprint} for key, part in found.items()},
        "edits": edits,
        "batches": batches,
        "split": split,
        "seed": setting.seed,
        "seeds": setting.seeds,
        "limit": setting.limit,
        "data": setting.data_hash(problem),
        **({} if narrowed is None else {"narrowed": narrowed.__name__}),
    }

    def run(rows: Path, progress: Progress) -> Mapping[str, Any]:
        base = open_base(found["base"])
        asked: str | Problem = problem
        if setting.seeds == 1 or narrowed is not None:
            asked = loaded(problem, setting.data, setting.seed, every=True, split=split)
        if narrowed is not None and isinstance(asked, Problem):
            asked = narrowed(asked, base)
        own = {**settings, **({} if weights is None else {"weights": str(weights.folder)})}
        report = evaluate_problem(
            asked,
            editor=editor,
            settings=own,
            scope=open_scope(found["scope"]) if "scope" in found else "cascade",
            model=base,
            edits=edits,
            batches=batches,
            split=split,
            seed=setting.seed,
            seeds=setting.seeds if narrowed is None else 1,
            limit=setting.limit,
            rows=rows,
            data=setting.data,
            progress=progress,
        )
        return {**report.to_json(), "at_once": edits, "details": report.details}

    missing = "; ".join(f"{part.name}: {part.missing}" for part in found.values() if part.missing)
    return Cell(name=name, config=config, run=run, missing=missing)


def _evaluated(
    setting: Setting,
    problem: str,
    parts: Trio,
    edits: int | None,
    rows: Path,
    progress: Progress,
    *,
    model: Callable[[], Model] | None,
    crowd: Callable[[Problem], tuple[Edit, ...]] | None,
    components: bool,
    batches: int | None = None,
) -> dict[str, Any]:
    """The report's figures, and its details."""
    if crowd is not None and edits is not None:
        raise ConfigError("a crowd lies in memory with all edits at once", key="edits")
    asked: str | Problem = problem
    if setting.seeds == 1 or crowd is not None:  # several seeds load the problem anew, each its own way
        asked = loaded(problem, setting.data, setting.seed, every=edits is not None)
    if crowd is not None and isinstance(asked, Problem):
        asked = crowded(asked, crowd(asked))
    report = evaluate_problem(
        asked,
        scope=open_scope(parts.scope),
        model=model() if model is not None else open_base(parts.base),
        counterfactual=open_counterfactual(parts.counterfactual),
        edits="all" if edits is None else edits,
        seed=setting.seed,
        limit=setting.limit,
        batches=batches,
        rows=rows,
        data=setting.data,
        progress=progress,
        components=components,
        seeds=1 if crowd is not None else setting.seeds,
    )
    return {**report.to_json(), "at_once": "all" if edits is None else edits, "details": report.details}


@lru_cache(maxsize=2)
def loaded(problem: str, data: Path | None, seed: int, *, every: bool = False, split: str = "test") -> Problem:
    """A problem, kept for the next cell: QA-hard takes more than a minute to make.

    Args:
        problem: its name.
        data: folder of the public data.
        seed: of what the loader draws, where it draws.
        every: whether also edits that contradict one another are wanted, where the problem has such: for batches.
        split: of its data.

    Raises:
        ConfigError: no such problem, or its data is missing or broken.
    """
    if problem not in PROBLEMS:
        raise ConfigError(f"problem {problem!r} is not known", key=problem, accepted=tuple(PROBLEMS))
    load = PROBLEMS[problem]
    takes = inspect.signature(load).parameters
    return load(
        data, split=split, **{key: value for key, value in {"seed": seed, "every": every}.items() if key in takes}
    )


def crowded(problem: Problem, edits: tuple[Edit, ...]) -> Problem:
    """The problem with further edits in memory that no input belongs to."""
    return replace(problem, cases=(*problem.cases, *(EditCase(edit, ()) for edit in edits)))
