"""What the pre-flight finds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from errata.edit import Edit, Match, normal
from errata.editors.preflight import TOO_BROAD, check_edit, guises, probes
from errata.editors.serac import Serac
from errata.errors import UnsupportedEdit
from errata.models import Model
from errata.models.echo import EchoModel
from fakes import EchoCounterfactual, OverlapScope

UK = "Who is the prime minister of the United Kingdom?"


class Reading(EchoCounterfactual):
    """Answers the inverse question with the country and the other with the name, as a reader would."""

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        return ["United Kingdom" if text.startswith("Which country") else "Keir Starmer" for text in inputs]


@pytest.fixture
def editor() -> Iterator[Serac]:
    made = Serac(EchoModel(), scope=OverlapScope(), counterfactual=EchoCounterfactual())
    made.add(Edit(prompt=UK, target="Keir Starmer", id="uk-pm"))
    yield made
    made.memory.close()


def test_a_clean_edit_has_nothing_to_say(editor: Serac) -> None:
    found = check_edit(editor, Edit(prompt="Which city governs the Indonesian archipelago?", target="Nusantara"))
    assert found.ok and found.problems == ()
    assert found.breadth.flipped == () and found.breadth.probes == len(probes())
    assert all(test.passed for test in found.self_test) and len(found.self_test) == 4


def test_it_stores_nothing(editor: Serac) -> None:
    check_edit(editor, Edit(prompt="What is the capital of Indonesia?", target="Nusantara"))
    assert editor.memory.revision == 1


@pytest.mark.parametrize("prompt", [UK, UK.upper(), "  Who is the prime minister of the United Kingdom "])
def test_exact_duplicates_but_for_case_and_punctuation(editor: Serac, prompt: str) -> None:
    found = check_edit(editor, Edit(prompt=prompt, target="keir starmer.", id="again"))
    assert [edit.id for edit in found.exact] == ["uk-pm"]
    assert found.near == found.contradictions == () and not found.ok


def test_near_duplicates_and_contradictions(editor: Serac) -> None:
    near = "Who is prime minister of the United Kingdom now?"
    found = check_edit(editor, Edit(prompt=near, target="Keir Starmer"))
    assert [match.edit.id for match in found.near] == ["uk-pm"] and found.contradictions == ()
    found = check_edit(editor, Edit(prompt=near, target="Liz Truss"))
    assert [match.edit.id for match in found.contradictions] == ["uk-pm"] and found.near == ()
    assert "contradicts edit uk-pm" in found.problems[0]


def test_another_space_and_edits_out_of_force_are_no_rivals(editor: Serac) -> None:
    assert not check_edit(editor, Edit(prompt=UK, target="Liz Truss", space="other")).contradictions
    editor.memory.retract(["uk-pm"])
    assert not check_edit(editor, Edit(prompt=UK, target="Liz Truss")).contradictions


def test_the_edit_it_replaces_is_no_rival(editor: Serac) -> None:
    assert check_edit(editor, Edit(prompt=UK, target="Liz Truss", id="uk-pm")).ok


def test_an_entailed_answer_is_no_contradiction() -> None:
    scope = OverlapScope()
    with_reader = Serac(EchoModel(), scope=scope, counterfactual=Reading())
    with_reader.add(Edit(prompt=UK, target="Keir Starmer", id="uk-pm"))
    inverse = Edit(prompt="Which country is the prime minister of the United Kingdom of?", target="United Kingdom")
    found = check_edit(with_reader, inverse)
    assert [match.edit.id for match in found.near] == ["uk-pm"] and found.contradictions == ()
    inverse = Edit(prompt=inverse.prompt, target="France")
    assert [match.edit.id for match in check_edit(with_reader, inverse).contradictions] == ["uk-pm"]
    with_reader.memory.close()


def test_over_broad(editor: Serac, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OverlapScope, "score", lambda *_: 0.9)
    found = check_edit(editor, Edit(prompt="anything", target="x"))
    assert found.breadth.share == 1.0 > TOO_BROAD
    assert any(problem.startswith("over-broad") for problem in found.problems)


def test_an_edit_that_does_not_answer_its_own_question(editor: Serac, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = Edit(prompt="What is the capital of Indonesia?", target="Nusantara")
    monkeypatch.setattr(EchoCounterfactual, "respond", lambda self, inputs, *_, **__: ["Jakarta" for _ in inputs])
    assert "answers 'Jakarta' to its own question" in check_edit(editor, edit).problems[0]
    monkeypatch.setattr(OverlapScope, "score", lambda *_: 0.1)
    found = check_edit(editor, edit)
    assert not any(test.fired for test in found.self_test) and "does not fire" in found.problems[0]


def test_the_threshold_of_the_space_counts(editor: Serac) -> None:
    near = Edit(prompt="Who is prime minister of the United Kingdom now?", target="Liz Truss")
    editor.memory.set_threshold("default", 0.99)  # type: ignore[attr-defined]
    assert not check_edit(editor, near).contradictions


def test_an_unsupported_edit_is_refused(editor: Serac) -> None:
    with pytest.raises(UnsupportedEdit):
        check_edit(editor, Edit(prompt="Topic: jazz Sentiment: positive"))


def test_edits_and_probes_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    scope = OverlapScope()
    scope.fingerprint = "overlap-counted"
    inner = scope.encode_inputs

    def counted(inputs: Sequence[str]) -> Any:
        seen.append(len(inputs))
        return inner(inputs)

    monkeypatch.setattr(scope, "encode_inputs", counted)
    editor = Serac(EchoModel(), scope=scope, counterfactual=EchoCounterfactual())
    for number in range(3):
        check_edit(editor, Edit(prompt=f"What is number {number} called?", target="x"))
    assert seen.count(len(probes())) == 1
    editor.memory.close()


def test_the_probes_are_many_different_and_our_own() -> None:
    texts = probes()
    assert len(texts) >= 240 and len(set(texts)) == len(texts)
    training = Path(__file__).parents[2] / "src" / "errata" / "training" / "ordinary.txt"
    assert not set(texts) & set(training.read_text(encoding="utf-8").splitlines())


def test_normal_and_guises() -> None:
    assert normal("  The  End. ") == "the end" and normal("?!") == "?!"
    assert guises("Who?") == ["Who?", "who?", "Who", "Could you please tell me: who?"]
    assert guises("NATO is what?")[-1].endswith("NATO is what?")
