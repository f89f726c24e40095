"""The one path: search, judge, then the counterfactual model or the base's own words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from errata.counterfactual.verbatim import Verbatim
from errata.edit import Answer, Edit, Match, Terms
from errata.editors.serac import Serac, decision, make_counterfactual, make_scope, wrap
from errata.errors import ConfigError, ConflictError, EditError, ErrataError, ModelError, UnsupportedEdit
from errata.memory.sqlite import SqliteMemory
from errata.models.echo import EchoModel
from fakes import EchoCounterfactual, OverlapScope

UK = Edit(prompt="Who is the prime minister of the United Kingdom?", target="Keir Starmer", id="uk-pm")
INDONESIA = Edit(prompt="What is the capital of Indonesia?", target="Nusantara", id="indonesia")
JAPAN = Edit(prompt="What is the capital of Japan?", target="Kyoto", id="japan")
EDITS = (UK, INDONESIA, JAPAN)
QUESTIONS = [
    "Who is prime minister of the United Kingdom?", "What is the capital of Indonesia", "the capital of Japan is what?",
    "What is the capital of France?", "Good morning", UK.prompt,
]  # fmt: skip


@pytest.fixture
def editor() -> Iterator[Serac]:
    made = new()
    yield made
    made.memory.close()


def new(memory: Any = None, **options: Any) -> Serac:
    parts: dict[str, Any] = {"scope": OverlapScope(), "counterfactual": EchoCounterfactual(), **options}
    return wrap(EchoModel(), memory=memory, **parts)


def said(answers: list[Answer]) -> list[tuple[str, str]]:
    return [(one.text, one.decision.match.edit.id if one.decision.match else "") for one in answers]


def test_with_no_edits_every_answer_is_the_bases(editor: Serac) -> None:
    answers = editor.generate(QUESTIONS)
    assert [one.text for one in answers] == editor.model.generate(QUESTIONS)
    assert not any(one.edited for one in answers)
    assert "no edit in force" in answers[0].decision.reason


def test_a_hit_goes_to_the_counterfactual_and_a_miss_to_the_base(editor: Serac) -> None:
    editor.add(UK)
    hit, miss = editor.generate([QUESTIONS[0], "Good morning"])
    assert (hit.text, hit.edited, str(hit)) == ("Keir Starmer", True, "Keir Starmer")
    assert hit.decision.match is not None and hit.decision.match.score >= hit.decision.threshold == 0.5
    assert (miss.text, miss.edited) == ("Good morning", False)
    assert miss.decision.nearest[0].edit.id == "uk-pm" and "out of scope" in miss.decision.reason


def test_the_base_is_asked_for_the_misses_only_and_in_one_call(editor: Serac) -> None:
    editor.add(UK)
    editor.generate([*QUESTIONS, "another"], max_new_tokens=5)
    assert isinstance(editor.model, EchoModel)
    [call] = editor.model.calls
    assert call.prompts == (*QUESTIONS[1:5], "another") and call.options == {"max_new_tokens": 5}
    editor.generate([UK.prompt])
    assert len(editor.model.calls) == 1


def test_add_then_retract_restores_the_bases_answers(editor: Serac) -> None:
    before = said(editor.generate(QUESTIONS))
    editor.add(*EDITS)
    assert said(editor.generate(QUESTIONS)) != before
    editor.memory.retract([edit.id for edit in EDITS])
    assert said(editor.generate(QUESTIONS)) == before


def test_order_and_batches_do_not_matter() -> None:
    outcomes = []
    for order in itertools.permutations(EDITS):
        one = new()
        for edit in order:
            one.add(edit)
        outcomes.append(said(one.generate(QUESTIONS)))
        one.memory.close()
    batch = new()
    batch.add(*EDITS)
    assert {tuple(outcome) for outcome in outcomes} == {tuple(said(batch.generate(QUESTIONS)))}
    batch.memory.close()


def test_edit_gives_a_new_editor_and_leaves_the_old_one(editor: Serac) -> None:
    editor.add(UK)
    before = said(editor.generate(QUESTIONS))
    edited = editor.edit(INDONESIA).edit(JAPAN)
    assert said(edited.generate(QUESTIONS))[1:3] == [("Nusantara", "indonesia"), ("Kyoto", "japan")]
    assert said(editor.generate(QUESTIONS)) == before and editor.memory.revision == 1
    without = edited.without("uk-pm", "japan")
    assert {id for _, id in said(without.generate(QUESTIONS))} == {"", "indonesia"}
    assert said(edited.generate(QUESTIONS))[0] == ("Keir Starmer", "uk-pm")


def test_what_was_added_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    first = new(tmp_path / "errata.db")
    first.add(*EDITS)
    before = said(first.generate(QUESTIONS))
    first.memory.close()
    scope = OverlapScope()
    again = new(tmp_path / "errata.db", scope=scope)
    assert said(again.generate(QUESTIONS)) == before
    assert scope.encoded == []  # each edit is encoded once, when it is added
    again.memory.close()


def test_another_scope_model_makes_its_own_vectors(tmp_path: Path) -> None:
    first = new(tmp_path / "errata.db")
    first.add(*EDITS)
    first.memory.close()
    scope = OverlapScope()
    scope.fingerprint = "overlap-2"
    again = new(tmp_path / "errata.db", scope=scope)
    assert sorted(scope.encoded) == sorted(edit.id for edit in EDITS)
    assert said(again.generate([UK.prompt])) == [("Keir Starmer", "uk-pm")]
    again.memory.close()


def test_spaces_have_their_own_edits_and_thresholds(tmp_path: Path) -> None:
    memory = SqliteMemory(tmp_path / "errata.db")
    editor = new(memory)
    editor.add(UK)
    assert not editor.generate([UK.prompt], space="other")[0].edited
    memory.set_threshold("default", 0.95)
    assert editor.threshold == 0.95 and editor.threshold_of("other") == 0.5
    assert not editor.generate(["Is the prime minister of the United Kingdom here?"])[0].edited
    assert editor.generate([UK.prompt])[0].edited
    assert new(memory, threshold=0.1).threshold == 0.1
    memory.close()


def test_validity(editor: Serac) -> None:
    now = datetime.now(UTC)
    editor.add(UK, terms=Terms(expires=now + timedelta(days=1)))
    assert editor.generate([UK.prompt])[0].edited
    assert not editor.generate([UK.prompt], at=now + timedelta(days=2))[0].edited


def test_replace_and_conflicts(editor: Serac) -> None:
    editor.add(UK)
    with pytest.raises(ConflictError):
        editor.add(Edit(prompt="other", target="text", id="uk-pm"))
    editor.replace(Edit(prompt=UK.prompt, target="Someone", id="uk-pm"))
    assert editor.generate([UK.prompt])[0].text == "Someone"


class Broken:
    """A part that fails in one method."""

    def __init__(self, part: Any, method: str, error: Exception) -> None:
        self.part, self.method, self.error = part, method, error

    def __getattr__(self, name: str) -> Any:
        if name == self.method:
            return self.fail
        return getattr(self.part, name)

    def fail(self, *_: Any, **__: Any) -> Any:
        raise self.error


BROKEN = [("scope", OverlapScope, "judge"), ("counterfactual", EchoCounterfactual, "respond")]


@pytest.mark.parametrize(("part", "kind", "method"), BROKEN)
def test_a_failure_is_raised_under_its_name(part: str, kind: Any, method: str) -> None:
    for error, expected in ((RuntimeError("broken"), ErrataError), (ModelError("broken"), ModelError)):
        editor = new(**{part: Broken(kind(), method, error)})
        editor.add(UK)
        with pytest.raises(expected, match="broken"):
            editor.generate([UK.prompt])
        editor.memory.close()


@pytest.mark.parametrize(("part", "kind", "method"), BROKEN)
def test_a_failure_is_counted_and_left_to_the_base(part: str, kind: Any, method: str) -> None:
    editor = new(**{part: Broken(kind(), method, RuntimeError("broken"))}, on_error="base")
    editor.add(UK)
    [answer] = editor.generate([UK.prompt])
    assert (answer.text, answer.edited) == (UK.prompt, False)
    assert part in answer.decision.reason and editor.failures[part] == 1
    editor.memory.close()


def test_bad_inputs_and_edits(editor: Serac) -> None:
    for bad in ([""], ["x\x00"], ["x" * 5000], "one text", [3]):
        with pytest.raises(EditError):
            editor.generate(bad)  # type: ignore[arg-type]
    for wrong in ("no edit", Edit(prompt="no target")):
        with pytest.raises((EditError, UnsupportedEdit)):
            editor.add(wrong)  # type: ignore[arg-type]
        with pytest.raises((EditError, UnsupportedEdit)):
            editor.edit(wrong)  # type: ignore[arg-type]
    assert editor.generate([]) == [] and editor.decide([]) == []
    assert editor.memory.revision == 0


@pytest.mark.parametrize("options", [{"on_error": "ignore"}, {"threshold": 1.5}, {"scope": "nonsense"}])
def test_bad_settings(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        new(**options)


def test_parts_by_name() -> None:
    assert make_counterfactual("verbatim") == Verbatim()
    with pytest.raises(ConfigError, match="cascade"):
        make_scope("cascad")
    with pytest.raises(ModelError):
        make_counterfactual("/no/such/folder")


def test_equation_1() -> None:
    strong, weak = Match(UK, 0.5), Match(JAPAN, 0.4999)
    assert decision([strong, weak], 0.5).match == strong
    assert decision([weak], 0.5).match is None
    assert decision([], 0.5).nearest == ()
