"""Inputs of several sentences: what is looked for, and that the nearest edits of all of it are found."""

from __future__ import annotations

from typing import Any

import pytest

import errata
from errata.edit import Candidate, Edit
from errata.editors.retrieving import asking, retrieve
from errata.models.echo import EchoModel
from fakes import EchoCounterfactual, OverlapScope

ASKED = "How many days of leave do I get at Norvane?"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (ASKED, []),
        ("norvane annual leave", []),
        (f"I start in May. {ASKED}", [ASKED]),
        (f"{ASKED} I start in May, and I work full time.", [ASKED]),
        (f"Hi there!\n\n{ASKED}\nThanks a lot, Jo", [ASKED]),
        (f"Is the port open? It was shut. {ASKED} I forgot.", ["Is the port open?", ASKED]),
        ("One is here. Two is here. Three is here. Four is here.", ["One is here.", "Three is here.", "Four is here."]),
        (
            f'A user wrote "{ASKED}" Reply that we look into it.',
            [f'A user wrote "{ASKED}'],
        ),
        ("Yes. No. Maybe.", []),
    ],
)
def test_sentences_that_ask(text: str, parts: list[str]) -> None:
    assert asking(text) == (text, *parts)


def test_an_edit_is_as_near_as_its_nearest_sentence() -> None:
    one, two, three = (Edit(prompt=name, target="t", id=name) for name in ("one", "two", "three"))
    rows = {
        "whole. the first bit? the last bit?": [Candidate(one, 0.9), Candidate(two, 1.0)],
        "the first bit?": [Candidate(two, 0.2), Candidate(one, 0.95)],
        "the last bit?": [Candidate(three, 0.5), Candidate(one, 0.6)],
    }
    texts: list[str] = []

    class Numbered(OverlapScope):
        def encode_inputs(self, inputs: Any) -> Any:
            texts.extend(inputs)
            return super().encode_inputs(inputs)

    def search(vectors: Any, k: int) -> Any:
        assert len(vectors) == len(texts)
        return [rows.get(text, [Candidate(one, 0.1)]) for text in texts]

    found = retrieve(Numbered(), search, ["whole. the first bit? the last bit?", "single"], 2)
    assert [[(one.edit.id, one.distance) for one in row] for row in found] == [
        [("two", 0.2), ("three", 0.5)],
        [("one", 0.1)],
    ]


def test_a_question_after_other_words_finds_its_edit_and_why_tells_the_same() -> None:
    edit = Edit(prompt=ASKED, target="27")
    editor = errata.wrap(EchoModel(), scope=OverlapScope(), counterfactual=EchoCounterfactual()).edit(edit)
    text = f"The weather was lovely on the coast all week and we swam before breakfast every day. {ASKED}"
    [decision] = editor.decide([text])
    assert decision.nearest[0].edit.id == edit.id
    assert editor.explain(text).decision == decision
