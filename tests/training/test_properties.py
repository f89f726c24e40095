"""The base of LeapOfThought: what it is trained on, that one command trains it, and that its name loads it."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from errata.errors import ConfigError, ModelError
from errata.experiments.presets import preset_model
from errata.models.load import RUNS, load_model
from errata.training.making import train_part
from errata.training.properties import PropertySettings, drawn, train_properties
from tiny_encoder import tiny_backbone
from tiny_sets import leap, leap_data

pytest.importorskip("torch")


def data(folder: Path) -> Path:
    """Paris has numbers and france has none."""
    rows = [leap(f"ash{n}", "paris", str(n), True) for n in range(12)]
    rows += [leap(f"elm{n}", "france", str(n), False) for n in range(40)]
    return leap_data(folder, rows, rows)


def test_half_of_a_batch_holds() -> None:
    facts = [("a", True), *((str(n), False) for n in range(9))]
    assert Counter(holds for _, holds in drawn(facts, 8, random.Random(0))) == {True: 4, False: 4}


def test_one_command_trains_it_and_its_name_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="errata train base leapofthought --out runs/lot"):
        load_model("lot")
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'[network]\nbackbone = "{tiny_backbone(tmp_path / "backbone")}"\nrank = 2\n'
        "[loop]\nsteps = 60\nbatch = 16\nlr = 2e-2\nwarmup = 5\n"
    )
    figures = train_part("base", "leapofthought", config=recipe, out=Path("runs/lot"), data=data(tmp_path / "data"))
    assert (figures["facts"], figures["facts accuracy"]) == (52, 1.0)
    assert figures["facts majority"] == pytest.approx(40 / 52)
    card = json.loads((RUNS / "lot" / "model" / "card.json").read_text())
    assert card["part"] == "lot" and card["data"] == ["leapofthought/dev.jsonl", "leapofthought/test.jsonl"]
    model = preset_model("mini", "leapofthought")
    assert model.name == "lot"
    assert model.generate(["A paris has a 3.", "A france has a 3."]) == ["True", "False"]


def test_facts_of_one_verdict_alone_are_refused(tmp_path: Path) -> None:
    rows = [leap("ash", "paris", "1", True)]
    with pytest.raises(ConfigError, match="all true or all false"):
        train_properties(PropertySettings(), tmp_path / "run", leap_data(tmp_path, rows, rows))
