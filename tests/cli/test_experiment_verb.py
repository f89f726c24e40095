from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from errata.cli.experiment import EXPERIMENTS, PRESETS
from errata.errors import ConfigError
from errata.experiments import catalogue, parts
from overlap import tiny_data

Cli = Any


def test_the_verb_knows_every_experiment_and_preset() -> None:
    assert tuple(EXPERIMENTS) == (*catalogue.EXPERIMENTS, "all", *catalogue.COMPARE, "compare")
    assert set(PRESETS) == set(parts.PRESETS)
    for name, group in (("all", catalogue.EXPERIMENTS), ("compare", catalogue.COMPARE)):
        assert [one.name for one in catalogue.chosen(name)] == list(group)
    with pytest.raises(ConfigError, match="did you mean 'table3'"):
        catalogue.chosen("table33")


def test_help_lists_the_names(cli: Cli) -> None:
    shown = cli("experiment", "--help").stdout
    assert all(f"{name} " in shown and told in shown for name, told in EXPERIMENTS.items())


def test_order_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    options = ["--limit", "2", "--out", str(tmp_path / "out"), "--data", str(tiny_data(tmp_path / "data"))]
    told = cli.json("experiment", "order", *options)
    [one] = told["experiments"]
    assert (one["name"], one["ran"], one["kept"], one["why"]) == ("order", 1, 0, {})
    assert told["seconds"] >= 0 and str(tmp_path / "out" / "order" / "order.md") in one["files"]
    again = cli("experiment", "order", *options)
    assert "order (1 of 1 cells)" in again.stderr
    assert "s now; what the tables hold took" in again.stdout
    assert "order" in again.stdout and " 1 " in again.stdout


def test_data_must_be_there(cli: Cli, tmp_path: Path) -> None:
    refused = cli("experiment", "order", "--out", str(tmp_path), "--data", str(tmp_path / "no"), code=2)
    assert "no folder" in refused.stderr
