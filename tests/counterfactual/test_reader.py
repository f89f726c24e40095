"""The reader answers with the edit's own words and refuses what it cannot answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.counterfactual.reader import Reader
from errata.edit import Edit, Match
from errata.errors import EditError, UnsupportedEdit
from errata.models.echo import EchoModel
from errata.models.pair import SAID
from tiny_encoder import tiny_backbone, tiny_network


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    home = tmp_path_factory.mktemp("reader")
    return Reader(tiny_network(home / "pair", tiny_backbone(home / "backbone"), "pair"), runtime="torch")


def test_every_answer_is_part_of_the_edit_or_a_verdict(reader: Reader) -> None:
    edit = Edit(prompt="What is the capital of France?", target="Paris")
    inputs = ["who is it", "the capital is paris", "what is france the capital of"]
    answers = reader.respond(inputs, [Match(edit, 1.0)] * 3, EchoModel())
    assert all(answer in SAID.values() or answer in edit.prompt or answer in edit.target for answer in answers)


def test_the_edits_own_question_gets_the_whole_target(reader: Reader) -> None:
    edit = Edit(prompt="When was it opened?", target="7 July 1993, at noon")
    asked = [edit.prompt, "when was it opened", " When  was it opened? "]
    assert reader.respond(asked, [Match(edit, 1.0)] * 3, EchoModel()) == [edit.target] * 3


def test_an_edit_without_target_is_refused_with_a_way_out(reader: Reader) -> None:
    edit = Edit(prompt="Topic: jazz Sentiment: positive")
    with pytest.raises(UnsupportedEdit, match="retell"):
        reader.check(edit)
    with pytest.raises(UnsupportedEdit, match="retell"):
        reader.respond(["jazz?"], [Match(edit, 1.0)], EchoModel())


def test_inputs_and_matches_must_pair_up(reader: Reader) -> None:
    with pytest.raises(EditError, match="one for each"):
        reader.respond(["a", "b"], [Match(Edit(prompt="p", target="t"), 1.0)], EchoModel())


def test_it_saves_and_loads_with_the_same_answers(reader: Reader, tmp_path: Path) -> None:
    reader.save_pretrained(tmp_path)
    again = Reader.from_pretrained(tmp_path, runtime="torch")
    match = Match(Edit(prompt="what is it?", target="the capital of france"), 1.0)
    assert again.respond(["who"], [match], EchoModel()) == reader.respond(["who"], [match], EchoModel())
