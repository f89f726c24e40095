"""The base model of `wikipedia`: its windows, its batches, and a few steps of its training."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.models.local import LocalModel
from errata.problems.wikipedia import WINDOW
from errata.training.base import train_tokenizer
from errata.training.making import train_part
from errata.training.prose import ProseSettings, Windows, batch_of, build, surprise
from tiny_wiki import wiki_data

torch = pytest.importorskip("torch")


def test_whole_windows_end_and_short_runs_break_off() -> None:
    run = [f"w{at}" for at in range(WINDOW + 2)]
    windows, source = Windows([run, ["a", "b"], ["alone"]], 0.5), random.Random(0)
    drawn = {windows.draw(source) for _ in range(100)}
    assert drawn == {("a b", False)} | {(" ".join(run[at : at + WINDOW]), True) for at in range(3)}
    assert {Windows([run, ["a", "b"]], 1.0).draw(source)[1] for _ in range(20)} == {True}


def test_text_without_a_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="no 22 known words follow one another"):
        Windows([["a", "b"]], 0.5)


def test_a_batch_ends_what_ends_and_hides_the_padding() -> None:
    tokenizer = train_tokenizer(["a b c"], 300)
    ids = {word: tokenizer(word)["input_ids"][0] for word in "abc"}
    batch = batch_of([("a b c", True), ("b", False)], tokenizer)
    assert batch["input_ids"].tolist() == [[ids["a"], ids["b"], ids["c"], 1], [ids["b"], 0, 0, 0]]
    assert batch["labels"].tolist() == [[ids["a"], ids["b"], ids["c"], 1], [ids["b"], -100, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]


def test_surprise_is_weighed_by_token() -> None:
    """A model whose every logit is the same is as surprised by any token: ln of the vocabulary."""
    tokenizer = train_tokenizer(["a b c"], 300)
    module = build(ProseSettings(width=8, layers=1, heads=1), len(tokenizer)).eval()
    with torch.no_grad():
        module.transformer.wte.weight.zero_()
    texts = [("a b c", True), ("b c", False), ("a c a c a", True)]
    assert surprise(module, tokenizer, texts, batch=2) == pytest.approx(math.log(len(tokenizer)), rel=1e-5)


def test_one_command_trains_a_model_that_goes_on(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        "width = 16\nlayers = 1\nheads = 2\nvocabulary = 400\n"
        '[loop]\nsteps = 2\nbatch = 4\nprecision = "no"\nevaluate_every = 0\n'
    )
    data = wiki_data(tmp_path / "data")
    figures = train_part("base", "wikipedia", config=recipe, out=tmp_path / "run", data=data)
    folder = tmp_path / "run" / "model"
    card = json.loads((folder / "card.json").read_text())
    assert card["part"] == "prose" and card["figures"]["words"] == figures["words"] == 6 * 30
    assert "errata train base wikipedia" in (folder / "README.md").read_text()
    model = LocalModel.from_pretrained(folder)
    assert model.kind == "causal" and len(model.generate(["v0 the v0w0"])) == 1
    assert model.token_log_probs(["v0 the"], ["v0w0 the"])
