"""The bundled base model's diet, tokenizer and training, at a size that takes seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.models.local import LocalModel
from errata.problems.facts import load_facts, load_relations, questions
from errata.training.base import BaseSettings, Diet, train_base, train_tokenizer
from errata.training.making import train_part

pytest.importorskip("torch")

SMALL = BaseSettings(width=32, inner=64, heads=2, encoder_layers=1, decoder_layers=1, vocabulary=400)


def test_no_held_out_wording_is_ever_drawn() -> None:
    diet, source = Diet(SMALL), random.Random(0)
    kept = {question.lower().rstrip("?. ") for fact in load_facts() for question in questions(fact, held_out=True)}
    drawn = {diet.draw(source)[0].lower().rstrip("?. ") for _ in range(5000)}
    assert len(drawn) > 3000 and not drawn & kept


def test_true_and_false_statements_are_true_and_false() -> None:
    diet, source = Diet(BaseSettings(true_false=1.0)), random.Random(0)
    facts = {(fact.relation, fact.subject): fact.answer for fact in load_facts()}
    said = {
        template.format(subject=subject, answer=answer).lower().rstrip(".")
        for (relation, subject), answer in facts.items()
        for template in load_relations()[relation].state
    }
    verdicts = [0, 0]
    for _ in range(300):
        text, verdict = diet.draw(source)
        statement = text.split(": ", 1)[1].lower().rstrip(".")
        assert (statement in said) == (verdict == "True"), text
        verdicts[verdict == "True"] += 1
    assert min(verdicts) > 90


def test_exams_ask_every_fact() -> None:
    diet = Diet(SMALL)
    exam = diet.exam(held_out=True)
    assert len(exam) >= 3 * len(load_facts()) and len(diet.exam(held_out=True, limit=10)) == 10


@pytest.mark.parametrize("text", ["São Tomé and Príncipe", "C6H12O6", "+33", "  two  spaces", "日本 ☃ x"])
def test_the_tokenizer_gives_every_text_back(text: str) -> None:
    tokenizer = train_tokenizer(["what is the capital of France?", "Paris"] * 5, 300)
    back = tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)
    assert back.removeprefix(" ") == text.removeprefix(" ")


def test_too_large_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 8,000,000"):
        train_base(BaseSettings(width=512, encoder_layers=8), tmp_path)


def test_one_command_trains_a_base_that_loads_and_answers(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        "width = 32\ninner = 64\nheads = 2\nencoder_layers = 1\ndecoder_layers = 1\nvocabulary = 400\nexam = 20\n"
        '[loop]\nsteps = 2\nbatch = 4\nprecision = "no"\nevaluate_every = 0\n'
    )
    figures = train_part("base", config=recipe, out=tmp_path / "run", data=None)
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert card["figures"] == {name: pytest.approx(value, abs=1e-4) for name, value in figures.items()}
    assert card["data_hash"] and card["recipe"]["loop"]["steps"] == 2
    model = LocalModel.from_pretrained(tmp_path / "run" / "model")
    assert len(model.generate(["What is the capital of France?"])) == 1
