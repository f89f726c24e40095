"""Tasks, surroundings and questions in two steps: slots are filled, and nothing is asked that has no filling."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from errata.problems.english import proper
from errata.training.corpora import Item
from errata.training.phrasebook import load_phrasebook
from errata.training.questions import Questions
from errata.training.texts import lines


def some() -> Any:
    """What is drawn from, without the public data."""
    made: Any = SimpleNamespace(
        tasks=lines("tasks.txt"), surroundings=lines("surroundings.txt"), attributes=lines("attributes.txt"),
        claims=["Kesh has nine ports.", "Arden has nine ports."], book=load_phrasebook(), templates={},
    )  # fmt: skip
    for name in ("ask", "ask_attribute", "attribute"):
        setattr(made, name, getattr(Questions, name).__get__(made))
    return made


def test_a_task_quotes_a_question_names_a_subject_holds_a_text_or_none_of_it() -> None:
    source = random.Random(0)
    with_all = [Questions.task(some(), source, "Who runs Kesh?", "Ann Lee") for _ in range(300)]
    assert not [text for text in with_all if "{" in text and "[" not in text]
    share = {part: sum(part in text for text in with_all) / 300 for part in ("Who runs Kesh?", "Ann Lee", "nine ports")}
    assert 0.5 < share["Who runs Kesh?"] < 0.7 and share["Ann Lee"] > 0.08 and share["nine ports"] > 0.05
    bare = [Questions.task(some(), source) for _ in range(100)]
    assert not [text for text in bare if "{question}" in text or "{subject}" in text]


def test_an_input_stands_whole_among_other_sentences() -> None:
    source = random.Random(0)
    texts = [Questions.among(some(), "who runs kesh", source) for _ in range(60)]
    assert all("who runs kesh" in text and len(text) > 15 and "{" not in text for text in texts)
    assert any(text.startswith("who runs kesh") for text in texts) and any(text.endswith("kesh") for text in texts)


def test_two_steps_ask_after_something_of_the_answer_that_it_can_have() -> None:
    source = random.Random(0)
    found = [Questions.two_steps(some(), Item("Arden", "director", ""), source) for _ in range(60)]
    assert all("Arden" in text for text in found)
    assert any("birth" in text or "born" in text for text in found)
    assert not any("capital" in text or "premiere" in text for text in found)


def test_a_name_in_a_question() -> None:
    assert proper("Who is the CFO of Harrow Bank?") == "Harrow Bank"
    assert proper("What is Kesh's capital?") == "Kesh"
    assert proper("what is the boiling point of water?") == proper("Water boils at") == ""
