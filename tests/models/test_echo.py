"""EchoModel: a base model for tests, which must behave like the real ones."""

import pytest

from errata.errors import ConfigError, EditError
from errata.models import Model
from errata.models.echo import EchoModel


def test_table_answers_and_other_prompts_are_repeated() -> None:
    model: Model = EchoModel({"a?": "b"})
    assert model.generate(["a?", "c?", "a?"]) == ["b", "c?", "b"]


def test_default_answers_every_prompt_outside_the_table() -> None:
    assert EchoModel({"a?": "b"}, default="").generate(["a?", "c?"]) == ["b", ""]


def test_calls_are_recorded_with_their_options() -> None:
    model = EchoModel()
    model.generate(["a"], max_new_tokens=3)
    model.generate(["b", "c"])
    assert [(call.prompts, dict(call.options)) for call in model.calls] == [
        (("a",), {"max_new_tokens": 3}),
        (("b", "c"), {}),
    ]


def test_no_prompts_give_no_answers() -> None:
    assert EchoModel().generate([]) == []


def test_stop_cuts_the_answer() -> None:
    assert EchoModel(default="yes\nno").generate(["a"], stop="\n") == ["yes"]


def test_changing_the_table_afterwards_changes_nothing() -> None:
    table = {"a?": "b"}
    model = EchoModel(table)
    table["a?"] = "c"
    assert model.generate(["a?"]) == ["b"]


@pytest.mark.parametrize("prompts", ["one text", b"bytes", [""], ["  "], [None], ["a\x00"], ["\ud800"]])
def test_unusable_prompts_are_refused(prompts: object) -> None:
    with pytest.raises(EditError):
        EchoModel().generate(prompts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"max_token": 3},
        {"max_new_tokens": 0},
        {"max_new_tokens": 1.5},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"seed": -1},
        {"stop": [""]},
        {"stop": 3},
    ],
)
def test_unknown_options_and_values_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        EchoModel().generate(["a"], **options)


def test_a_misspelt_option_gets_the_nearest_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'max_new_tokens'"):
        EchoModel().generate(["a"], max_new_token=3)


@pytest.mark.parametrize("answers", ["text", [("a", "b")], {"a": 1}, {"": "b"}])
def test_a_table_that_is_not_text_to_text_is_refused(answers: object) -> None:
    with pytest.raises(EditError):
        EchoModel(answers)  # type: ignore[arg-type]
