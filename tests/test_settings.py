"""Recipes are read strictly, and every shipped recipe is the default of its part."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.settings import read_recipe
from errata.training.base import BaseSettings
from errata.training.parts import PARTS, default_settings, part_of, published

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_the_default_of_its_part(path: Path) -> None:
    default = default_settings(path.stem)
    assert read_recipe(path, default) == default


@pytest.mark.parametrize("path", sorted((CONFIGS / "tables").glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_tables_is_read_by_the_command_that_it_tells(path: Path) -> None:
    words = path.read_text().splitlines()[0].partition("errata train ")[2].split()
    assert words[-4:] == ["--config", f"configs/tables/{path.name}", "--out", f"runs/{path.stem}"]
    default = default_settings(part_of(*words[:-4]))
    assert read_recipe(path, default) != default


@pytest.mark.parametrize("path", sorted((CONFIGS / "stages").glob("*.toml")), ids=lambda path: path.stem)
def test_every_later_stage_begins_with_a_trained_part(path: Path) -> None:
    part = path.stem.partition("-")[0]
    found = read_recipe(path, default_settings(part))
    assert found.start and found != default_settings(part)
    words = path.read_text().splitlines()[0].partition("errata train ")[2].split()
    assert words == [part, "--config", f"configs/stages/{path.name}"]


def test_every_part_has_a_recipe() -> None:
    assert {path.stem for path in CONFIGS.glob("*.toml")} == set(PARTS)


def test_values_of_a_recipe_replace_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("width = 64\n[loop]\nsteps = 3\nlr = 1\n")
    settings = read_recipe(path, BaseSettings())
    assert (settings.width, settings.loop.steps, settings.loop.lr, settings.inner) == (64, 3, 1.0, 1024)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("widht = 3", "did you mean 'width'"),
        ("[loop]\nstep = 3", "did you mean 'steps'"),
        ('width = "wide"', "not a int"),
        ("width = ", "cannot be read"),
        ("[loop]\nsteps = 0", "at least 1"),
        ('[loop]\nprecision = "fp8"', "accepted: no, bf16"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_recipe(path, BaseSettings())


def test_a_missing_recipe_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml", BaseSettings())


def test_an_unknown_part_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="did you mean 'scope'"):
        default_settings("scop")
    with pytest.raises(ConfigError, match="did you mean 'scope'"):
        part_of("scop")


@pytest.mark.parametrize(
    ("kind", "problem", "part"),
    [
        ("base", "", "base"),
        ("base", "qa", "base"),
        ("base", "fact_check", "fc"),
        ("base", "leapofthought", "lot"),
        ("base", "triples", "triples"),
        ("base", "wikipedia", "prose"),
        ("scope", "", "scope"),
        ("scope", "qa", "scope-qa"),
        ("scope", "fact_check", "scope-fact_check"),
        ("counterfactual", "qa_hard", "counterfactual-qa_hard"),
        ("counterfactual", "fact_check", "verifier"),
        ("seq2seq", "qa", "seq2seq-qa"),
    ],
)
def test_a_part_is_named_by_kind_and_problem(kind: str, problem: str, part: str) -> None:
    assert part_of(kind, problem) == part
    settings = default_settings(part)
    assert getattr(settings, "problem", problem) == problem or kind == "base"


def test_a_problem_that_a_kind_is_not_trained_for_is_refused() -> None:
    with pytest.raises(ConfigError, match="accepted: fact_check, qa, qa_hard"):
        part_of("counterfactual", "counterfact")
    with pytest.raises(ConfigError, match="no base"):
        part_of("base", "qa_hard")


def test_the_papers_pretrained_models_are_a_preset() -> None:
    assert published(default_settings("scope-qa")).network.backbone == "bert-base-cased"
    mend = published(default_settings("mend-qa"))
    assert (mend.network.ridge, mend.network.steps, mend.network.rank) == (0.0, 1, 1920)
    assert mend.base != default_settings("mend-qa").base
    assert published(default_settings("seq2seq")).start == "google-t5/t5-small"
    with pytest.raises(ConfigError, match="as published"):
        published(BaseSettings())
