"""What the tests of experiments share: a made-up problem under four names, parts without weights, a setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from errata.edit import Edit
from errata.experiments import measuring
from errata.experiments.experiment import Experiment, Outcome, Result, run_experiment
from errata.experiments.parts import Parts, Setting
from errata.experiments.problem_tables import NAMES
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled
from overlap import OverlapScope, SaysTarget, tiny_data

ALPHA = Edit(prompt="which family does alpha belong to", target="Beetles", id="alpha")
BETA = Edit(prompt="who directed beta", target="Ann Lee", id="beta")
PROBLEM = Problem(
    name="made_up",
    split="test",
    cases=(
        EditCase(
            ALPHA,
            (
                Labelled("which family does alpha really belong to", "Beetles", "rephrase"),
                Labelled("alpha", "Beetles", "rephrase", hard=True),
                Labelled("which family does alpha belong to", "beetles.", "same"),
            ),
            (
                Unlabelled("which order does alpha belong to", "same_subject", hard=True),
                Unlabelled("alpha belong to family", "same_subject_cloze", hard=True),
            ),
        ),
        EditCase(BETA, (Labelled("so who directed beta", "Ann Lee", "rephrase"),)),
    ),
    shared=(
        Unlabelled("how far is the moon", "nq"),
        Unlabelled("who directed gamma", "other_subject", hard=True),
        Unlabelled("who directed the beta", "other_subject", hard=True),
    ),
    apart=frozenset({"same_subject_cloze"}),
    data_hash="abc",
)
"""Words in common decide: 6/7, 1/6 ("alpha") and 3/4 in scope; 5/7 ("order"), 4/6 (apart), 0, 2/4 and 3/4 out of it."""
PARTS = Parts("echo", "cascade", "reader", 2)
DONE = Result(state="ran", seconds=1.0)


def made_up(monkeypatch: pytest.MonkeyPatch, folder: Path, **parts: Parts) -> Setting:
    """A setting over tiny data; scope and counterfactual are fakes, every problem is the made-up one of two edits."""
    monkeypatch.setattr("errata.editors.serac.make_scope", lambda *args, **options: OverlapScope())
    monkeypatch.setattr("errata.editors.serac.make_counterfactual", lambda *args, **options: SaysTarget())
    monkeypatch.setattr(measuring, "PROBLEMS", dict.fromkeys(NAMES, lambda data, split: PROBLEM))
    measuring.loaded.cache_clear()
    table = {name: parts.get(name, PARTS) for name in NAMES}
    return Setting(data=tiny_data(folder / "data"), runs=folder / "runs", presets={"mini": table})


def ran(experiment: Experiment, setting: Setting, out: Path) -> Outcome:
    """Run it without a word."""
    return run_experiment(experiment, setting, out, lambda *told: None)


def found(**figures: Any) -> Result:
    """A result with these figures."""
    return Result(state="ran", figures=figures, seconds=1.0)


def rows_of(text: str, start: str = "| ") -> list[list[str]]:
    """The cells of a page's tables, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith(start)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for at, row in enumerate(cells) if not _head(lines[at], text)]


def _head(line: str, text: str) -> bool:
    return f"{line}\n|---" in text


def results(names: Sequence[str], told: Mapping[str, Result]) -> dict[str, Result]:
    """Results by name; what is not told is missing."""
    return {name: told.get(name, Result(state="missing", why="not trained: run `x`")) for name in names}
