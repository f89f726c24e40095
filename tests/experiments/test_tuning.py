"""How the compared editors were set: as many trials for each, and the best of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from errata.experiments.experiment import Result
from errata.experiments.tuning import TRIALS, TUNING
from errata.settings import read_recipe
from errata.training.parts import default_settings
from lab import found, made_up, rows_of

RECIPES = Path(__file__).parents[2] / "configs" / "tuning"


def test_every_editor_has_as_many_trials() -> None:
    assert set(Counter(trial.editor for trial in TRIALS).values()) == {3}
    assert len({trial.name for trial in TRIALS}) == len(TRIALS)


def test_every_trained_trial_has_a_recipe_of_its_editor() -> None:
    assert {path.stem for path in RECIPES.glob("*.toml")} == {trial.recipe for trial in TRIALS if trial.recipe}
    for trial in TRIALS:
        if trial.recipe:
            default = default_settings(f"{trial.editor}-qa")
            assert read_recipe(RECIPES / f"{trial.recipe}.toml", default) != default


def test_the_best_of_each_editor_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {cell.name: cell for cell in TUNING.cells(made_up(monkeypatch, tmp_path))}
    assert list(cells) == [trial.name for trial in TRIALS]
    assert {cell.config["split"] for cell in cells.values()} == {"dev"}, "tuned on no test file"
    assert "--config configs/tuning/mend-a.toml --out" in cells["mend-a"].missing
    told = dict.fromkeys(cells, Result(state="missing", why="no"))
    told |= {"mend-a": found(es=0.5, dd=0.1), "mend-b": found(es=0.9, dd=0.6), "ft-lr-0.001": found(es=0.1, dd=0.2)}
    marked = {(row[0], row[1]): row[-1] for row in rows_of(TUNING.show(told).text)}
    assert {pair for pair, mark in marked.items() if mark == "best"} == {("mend", "c_e 0.1"), ("ft", "lr 0.001")}
