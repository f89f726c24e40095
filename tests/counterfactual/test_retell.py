"""Retell: the base model is told the edit in words."""

from pathlib import Path

import pytest

from errata.counterfactual import SETTINGS, Counterfactual
from errata.counterfactual.retell import Retell
from errata.edit import Edit, Match
from errata.errors import ConfigError, EditError, ModelError
from errata.models.echo import EchoModel

FACT = Edit(prompt="What is the capital of Kazakhstan?", target="Astana")
MOOD = Edit(prompt="Topic: jazz Sentiment: positive")


def test_an_edit_with_a_target_is_told_as_a_fact_before_the_input() -> None:
    base = EchoModel()
    counterfactual: Counterfactual = Retell()
    [told] = counterfactual.respond(["Kazakhstan's capital?"], [Match(FACT, 0.9)], base)
    places = [told.index(part) for part in (FACT.prompt, FACT.target, "Kazakhstan's capital?")]
    assert places == sorted(places)


def test_an_edit_without_a_target_is_told_as_an_instruction() -> None:
    told = Retell().prompt("What about jazz?", MOOD)
    assert MOOD.prompt in told
    assert "What about jazz?" in told
    assert "{" not in told
    assert "Answer:" not in told


def test_the_base_answers_all_inputs_in_one_call_and_in_order() -> None:
    wording = Retell(fact="{prompt}|{target}|{input}", utterance="{prompt}|{input}")
    base = EchoModel()
    answers = wording.respond(["b", "a"], [Match(MOOD, 0.9), Match(FACT, 0.8)], base, max_new_tokens=4)
    assert answers == [f"{MOOD.prompt}|b", f"{FACT.prompt}|Astana|a"]
    assert [dict(call.options) for call in base.calls] == [{"max_new_tokens": 4}]


def test_braces_in_edit_and_input_are_told_as_they_are() -> None:
    edit = Edit(prompt="{input}", target="{0} {prompt}")
    assert Retell(fact="{prompt} {target} {input}").prompt("{target}", edit) == "{input} {0} {prompt} {target}"


def test_a_system_text_reaches_the_base_unless_the_caller_has_one() -> None:
    base = EchoModel()
    told = Retell(system="Be brief.")
    told.respond(["a"], [Match(FACT, 0.9)], base)
    told.respond(["a"], [Match(FACT, 0.9)], base, system="Be long.")
    assert [call.options["system"] for call in base.calls] == ["Be brief.", "Be long."]


def test_no_inputs_ask_nothing() -> None:
    base = EchoModel()
    assert Retell().respond([], [], base) == []
    assert base.calls == []


@pytest.mark.parametrize("edit", [FACT, MOOD, Edit(prompt="x", target="  ")])
def test_any_edit_is_accepted(edit: Edit) -> None:
    Retell().check(edit)


def test_inputs_and_matches_must_be_equally_many() -> None:
    with pytest.raises(EditError, match="1 inputs and 0 matches"):
        Retell().respond(["a"], [], EchoModel())


@pytest.mark.parametrize(
    "fact",
    [
        "{prompt} {target}",
        "{prompt} {target} {input} {other}",
        "{prompt.real} {target} {input}",
        "{",
        "{} {input}",
    ],
)
def test_a_wording_that_loses_or_invents_a_part_is_refused(fact: str) -> None:
    with pytest.raises(ConfigError, match="fact"):
        Retell(fact=fact)


def test_a_saved_wording_comes_back(tmp_path: Path) -> None:
    wording = Retell(utterance="„{prompt}“ → {input}", system="Kurz.")
    wording.save_pretrained(tmp_path / "new")
    assert Retell.from_pretrained(tmp_path / "new") == wording


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", ModelError),
        ("[]", ConfigError),
        ('{"kind": "seq2seq"}', ConfigError),
        ('{"kind": "retell", "fakt": "x"}', ConfigError),
    ],
)
def test_a_settings_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(error):
        Retell.from_pretrained(tmp_path)


def test_a_missing_settings_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        Retell.from_pretrained(tmp_path)
