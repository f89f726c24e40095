"""What is asked about an edit, and what is held against it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from errata.problems.english import year_of
from errata.problems.sentiment import FACTS
from errata.training.groups import Sources, asked
from errata.training.texts import normal


@pytest.mark.parametrize(
    ("text", "prompt", "target", "answer"),
    [
        ("In which year did Ann Lee die?", "When did Ann Lee die?", "7 July 1993", "1993"),
        ("In which year did Ann Lee die?", "What year did Ann Lee die?", "7 July 1993", "7 July 1993"),
        ("When was it that Ann Lee died?", "When did Ann Lee die?", "7 July 1993", "7 July 1993"),
        ("In which year did Ann Lee die?", "When did Ann Lee die?", "1993", "1993"),
        ("Who leads in which year?", "Who leads?", "Bo", "Bo"),
    ],
)
def test_a_question_after_the_year_is_answered_with_the_year(text: str, prompt: str, target: str, answer: str) -> None:
    found = asked(text, prompt, target, random.Random(3))
    assert (found.kind, found.answer) == ("span", answer)


def test_without_a_target_only_the_scope_is_known() -> None:
    found = asked("Who leads?", "Bo leads.", "", random.Random(3))
    assert (found.kind, found.answer) == ("none", "")


@pytest.fixture(scope="module")
def sources() -> Sources:
    if not os.environ.get("ERRATA_DATA"):
        pytest.skip("ERRATA_DATA is not set: the public data is not at hand")
    return Sources(Path(os.environ["ERRATA_DATA"]))


def test_strangers_often_share_a_word_with_the_edit(sources: Sources) -> None:
    source = random.Random(0)
    about = {word for found in sources.stranger_words.values() for word in normal(found[0]).split()[:1]}
    word = next(word for word in sorted(sources.stranger_words) if word not in about)
    drawn = [sources.stranger(source, f"Which {word} is it?") for _ in range(200)]
    shared = sum(word in normal(text).split() for text in drawn)
    assert 60 < shared < 160, "half of them, give or take"


def test_a_topic_is_asked_for_facts_too_but_not_in_the_wordings_that_are_measured(sources: Sources) -> None:
    source = random.Random(0)
    groups = [sources.topic_group(source) for _ in range(300)]
    measured = {normal(fact.replace("{}", "")) for fact in FACTS}
    for group in groups:
        topic = group.key.removeprefix("topic|")
        about = [text for text in group.outside if topic in normal(text)]
        assert about, "a fact about the topic itself lies outside"
        assert not any(normal(text).replace(topic, "").strip() in measured for text in about)


def test_years_are_asked_of_days(sources: Sources) -> None:
    source = random.Random(0)
    groups = [sources.entailed_group(source) for _ in range(400)]
    years = [
        one for group in groups for one in group.inside if one.kind == "span" and one.answer == year_of(group.target)
    ]
    assert len(years) > 8


def test_written_edits_keep_their_sides(sources: Sources) -> None:
    source = random.Random(0)
    blocks = {normal(block.prompt): block for block in sources.written}
    kinds = set()
    for _ in range(400):
        group = sources.written_group(source)
        block = blocks[group.key.removeprefix("written|")]
        assert group.prompt in (block.prompt, *block.told)
        assert len(group.outside) == len(block.outside)
        for one in group.inside:
            kinds.add(one.kind)
            assert one.answer == (group.target if one.kind == "span" else "")
            if one.kind != "span":
                assert one.text in (block.yes if one.kind == "yes" else block.no) and group.target == block.target
    assert kinds == {"span", "yes", "no"}
