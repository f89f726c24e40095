"""Questions of strangers that a network takes for an edit: how they are found, and what groups are made of them."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from errata.training.crowding import HARD, Crowd, nearest
from errata.training.phrasebook import load_phrasebook

ITEM = SimpleNamespace(subject="Kesh", relation="capital", answer="Port Avel", question="What is the capital of Kesh?")
ROW = {"prompt": "Kesh is part of", "target_new": "Asia", "rephrase_prompt": "Kesh belongs to"}
BLOCK = SimpleNamespace(prompt="opening hours of the canteen", target="8 to 3", told=("When is the canteen open?",))


def sources() -> Any:
    return SimpleNamespace(
        items=[ITEM], counterfact=[ROW], facts=[], written=[BLOCK], book=load_phrasebook(),
        asked=["who sang the song of kesh"], ordinary=["Hello!"], squad_questions=["Where was Kesh built?"],
        ask=lambda relation, subject, source: f"{subject}'s {relation}?", task=lambda source: "Write a poem.",
    )  # fmt: skip


def crowd(judge: Any) -> Crowd:
    def by_length(texts: Any) -> np.ndarray:
        return np.eye(8, dtype=np.float32)[[len(str(text)) % 8 for text in texts]]

    return Crowd(sources(), by_length, by_length, judge)


def test_an_edit_keeps_the_questions_that_are_taken_for_it() -> None:
    seen: list[tuple[str, str, str]] = []

    def judge(triples: Any) -> list[float]:
        seen.extend(triples)
        return [HARD if text == "Hello!" and prompt == ROW["prompt"] else HARD - 0.01 for text, prompt, _ in triples]

    found = crowd(judge)
    assert {text for text, *_ in seen} >= {"who sang the song of kesh", "Hello!", "Write a poem."}
    assert {prompt for _, prompt, _ in seen} >= {ROW["prompt"], BLOCK.prompt}
    assert found.strangers == {ROW["prompt"]: ["Hello!"]}
    group = found.group(random.Random(1))
    assert (group.prompt, group.target, group.source) == ("Kesh is part of", "Asia", "crowd")
    assert [one.answer for one in group.inside] == ["Asia"]
    assert len(group.outside) == 1


def test_where_nothing_is_mistaken_it_says_so() -> None:
    with pytest.raises(ValueError, match="takes no stranger's question for an edit"):
        crowd(lambda triples: [0.0] * len(triples))


def test_the_nearest_come_first() -> None:
    edits = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    texts = np.array([[0, 1], [1, 0]], np.float32)
    assert nearest(texts, edits, count=2).tolist() == [[2, 1], [0, 1]]
    assert nearest(texts, edits, count=9).shape == (2, 3)
