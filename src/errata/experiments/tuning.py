"""How the compared editors were set: the same number of trials for each, on QA's dev edits and no other data.

A trial of an editor that is trained is a short training of its own recipe with one thing changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from errata.experiments.experiment import Cell, Experiment, Result, Shown
from errata.experiments.many_edits import net
from errata.experiments.measuring import contest
from errata.experiments.parts import Setting, find
from errata.experiments.problem_tables import not_measured
from errata.experiments.tables import figure, markdown

EDITS, BATCHES = 10, 6
SAMPLE = 60
"""Inputs of each kind."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One try.

    Args:
        editor: its name.
        what: what was tried.
        settings: the editor's own.
        recipe: of its training, in configs/tuning; "" for an editor that has none.
    """

    editor: str
    what: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""

    @property
    def name(self) -> str:
        """Its cell's."""
        return self.recipe or f"{self.editor}-{self.what.replace(' ', '-')}"


def _trained(editor: str, **tried: str) -> list[Trial]:
    return [Trial(editor, what, recipe=f"{editor}-{name}") for name, what in tried.items()]


TRIALS: Sequence[Trial] = (
    *(Trial("ft", f"lr {lr:g}", {"lr": lr}) for lr in (3e-4, 1e-3, 3e-3)),
    *(Trial("lookup", f"radius {radius:g}", {"radius": radius}) for radius in (1.4, 1.87, 2.5)),
    *_trained("mend", a="c_e 0.1", b="c_e 0.3", c="c_e 1"),
    *_trained("enn", a="c_e 0.1", b="c_e 0.3", c="c_e 1"),
    *_trained("slag", a="likelihoods 0.1", b="likelihoods 0.3", c="likelihoods 1"),
    *_trained("seprog", a="lr 3e-4", b="lr 1e-3", c="lr 3e-3"),
)


def _cells(setting: Setting) -> list[Cell]:
    cells = []
    for trial in TRIALS:
        weights = None
        if trial.recipe:
            out = setting.runs / f"tuning-{trial.recipe}"
            command = f"errata train editor {trial.editor} qa --config configs/tuning/{trial.recipe}.toml --out {out}"
            weights = find(f"tuning-{trial.recipe}", setting.runs, make=command)
        cells.append(
            contest(
                trial.name, setting, "qa", trial.editor, trial.settings, edits=EDITS, batches=BATCHES,
                weights=weights, split="dev",
            )
        )  # fmt: skip
    return cells


def _show(results: Mapping[str, Result]) -> Shown:
    points = {trial.name: net(results[trial.name].figures) for trial in TRIALS}
    best: dict[str, str] = {}
    for trial in TRIALS:
        point, first = points[trial.name], points.get(best.get(trial.editor, ""))
        if point is not None and (first is None or point.y > first.y):
            best[trial.editor] = trial.name
    rows = []
    for trial in TRIALS:
        found, point = results[trial.name].figures, points[trial.name]
        mark = "best" if best.get(trial.editor) == trial.name else ""
        told = [figure(found.get("es")), figure(found.get("dd")), figure(point.y if point else None)]
        rows.append((trial.editor, trial.what, *told, mark))
    text = (
        f"QA's dev edits, {BATCHES} batches of {EDITS}, generated text. Every editor had three trials, the trained ones"
        " of a short training each; what did best is what the comparisons take.\n\n"
        + markdown(("editor", "tried", "ES", "DD", "ES - DD", ""), rows, words=2)
        + not_measured(results)
    )
    return Shown(text)


TUNING = Experiment("tuning", "How the compared editors were set", _cells, _show, SAMPLE)
