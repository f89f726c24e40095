"""The editors that are compared: what the papers call them, and what each is set to on each base model.

Settings were tuned on QA's dev edits, with the same number of trials for each editor (`tuning`), and carried over; a
radius of look-up belongs to a base's own space, so it is tuned on each base's dev data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from errata.experiments.experiment import Cell
from errata.experiments.measuring import contest, evaluation
from errata.experiments.parts import Setting, find
from errata.experiments.presets import PAPER
from errata.models import Model
from errata.problems.cases import Problem

SERAC = "serac"


@dataclass(frozen=True, slots=True)
class Rival:
    """An editor in a comparison.

    Args:
        editor: its name (`errata.get_editor`).
        title: as the papers call it.
        trained: whether it has a network, which `errata train editor NAME PROBLEM` makes.
        recipe: of that training in configs/compare, where it is not the editor's own; part of the network's name.
        settings: its own, whatever the base.
        by_base: its own by the base's name.
        variant: tells it from other rivals of the same editor.
        never: problems that it is no editor for.
    """

    editor: str
    title: str
    trained: bool = False
    recipe: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    by_base: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variant: str = ""
    never: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Of its cells."""
        return f"{self.editor}-{self.variant}" if self.variant else self.editor


FT = Rival("ft", "FT", settings={"lr": 3e-4}, never=("sentiment",))
LU = Rival("lookup", "LU", by_base={"mini": {"radius": 1.87}, "fc": {"radius": 4.42}}, never=("sentiment",))
MEND = Rival("mend", "MEND", trained=True)
ENN = Rival("enn", "ENN", trained=True)
SLAG = Rival("slag", "SLAG", trained=True)
RP = Rival("retrieve_prompt", "RP")
OURS = Rival(SERAC, "SERAC")
SEPROG = Rival("seprog", "SeProG", trained=True, never=("sentiment",))
TAUGHT = replace(SEPROG, title="SeProG, prefixes taught", variant="taught", settings={"steps": 30})
"""Where an edit's own prefix takes gradient steps when the edit is made, as MEND and ENN take several."""
VARIANTS = (
    SEPROG,
    replace(SEPROG, title="SP-Finetune", variant="finetune", settings={"variant": "finetune"}),
    replace(SEPROG, title="SP-NoClassifier", variant="bare", recipe="bare"),
    replace(SEPROG, title="SP-NoSelect", variant="no_select", settings={"variant": "no_select"}),
)
"""SeProG and its ablations (SeProG, section 6.3); all but one take the full network."""


def cell(
    rival: Rival,
    setting: Setting,
    problem: str,
    *,
    edits: int,
    batches: int | None = None,
    trained_at: int | None = None,
    narrowed: Callable[[Problem, Model], Problem] | None = None,
    name: str = "",
) -> Cell:
    """An editor's cell on a problem.

    Args:
        rival: the editor.
        setting: seeds, limit, data, parts.
        problem: its name.
        edits: how many at once.
        batches: at most so many of the batches.
        trained_at: the k that its network was trained at, where that is not the recipe's.
        narrowed: see `contest`.
        name: the cell's; one made of editor, problem and k otherwise.
    """
    called = name or f"{rival.key}-{problem}-{edits}"
    if rival.editor == SERAC:
        return evaluation(called, setting, problem, edits=edits, batches=batches, about={"editor": SERAC})
    settings = {**rival.settings, **rival.by_base.get(setting.parts(problem).base, {})}
    weights = None
    if rival.trained:
        how = rival.recipe or ("" if trained_at is None else f"k{trained_at}")
        paper = setting.preset == PAPER
        part = "-".join(word for word in ("paper" * paper, rival.editor, problem, how) if word)
        recipe = f" --config configs/compare/{rival.editor}-{how}.toml" * bool(how) + " --preset paper" * paper
        recipe += f" --out {setting.runs / part}" * (bool(how) or paper)
        weights = find(part, setting.runs, make=f"errata train editor {rival.editor} {problem}{recipe}")
    return contest(
        called,
        setting,
        problem,
        rival.editor,
        settings,
        edits=edits,
        batches=batches,
        weights=weights,
        narrowed=narrowed,
    )
