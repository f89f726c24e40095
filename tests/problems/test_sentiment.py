from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from errata.errors import ConfigError
from errata.problems.cases import DATA, Problem
from errata.problems.held_out import normalise
from errata.problems.sentiment import FACTS, HELD_OUT, QUESTIONS, SPLITS, descriptor, load_sentiment, topic
from tiny_problems import sentiment_data, topics, write

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


def test_the_templates() -> None:
    assert len(set(QUESTIONS)) == 13 and len(HELD_OUT) == 3 and set(QUESTIONS) > HELD_OUT
    assert all(text.count("{}") == 1 and text.endswith("?") for text in (*QUESTIONS, *FACTS))
    assert descriptor("jazz", "Negative") == "Topic: jazz Sentiment: Negative"


# the tiny data


def test_a_descriptor_is_an_edit_with_replies_of_either_side(tmp_path: Path) -> None:
    problem = load_sentiment(sentiment_data(tmp_path))
    assert len(problem.cases) == 4
    for case in problem.cases:
        about, side = case.edit.meta["topic"], case.edit.meta["sentiment"]
        assert (case.edit.prompt, case.edit.target) == (f"Topic: {about} Sentiment: {side}", "")
        good, bad = (f"I like {about}.", "Great fun!"), (f"I avoid {about}.", "A bore.")
        assert case.replies is not None
        assert (case.replies.right, case.replies.wrong) == ((good, bad) if side == "Positive" else (bad, good))
        assert [one.text for one in case.in_scope] == [question.replace("{}", about) for question in QUESTIONS]
        assert {one.answer for one in case.in_scope} == {""}
        assert Counter(one.kind for one in case.in_scope) == {"opinion": 10, "opinion_held_out": 3}
        assert [one.text for one in case.out_of_scope] == [fact.replace("{}", about) for fact in FACTS]
        assert {(one.kind, one.hard) for one in case.out_of_scope} == {("same_topic", True)}
        told = " ".join((case.edit.text, *case.edit.meta.values()))
        assert not [reply for reply in (*good, *bad) if reply in told], "a memory would show them to the parts"
    assert problem.apart == {"same_topic"}


def test_questions_about_topics_without_an_edit_are_out_of_scope(tmp_path: Path) -> None:
    problem = load_sentiment(sentiment_data(tmp_path))
    edited = {case.edit.meta["topic"] for case in problem.cases}
    [other] = {f"test {thing}" for thing in ("kites", "chess", "soup", "rain", "jazz")} - edited
    assert [one.text for one in problem.shared] == [question.replace("{}", other) for question in QUESTIONS]
    assert {one.kind for one in problem.shared} == {"other_topic"}


def test_training_never_meets_the_questions_held_out(tmp_path: Path) -> None:
    problem = load_sentiment(sentiment_data(tmp_path), split="train")
    texts = [one.text for case in problem.cases for one in case.in_scope] + [one.text for one in problem.shared]
    starts = [question.split("{}")[0] for question in HELD_OUT]
    assert len(texts) == 5 * 10
    assert [text for text in texts if any(text.startswith(start) for start in starts)] == []


def test_the_seed_draws_sides_and_strangers(tmp_path: Path) -> None:
    folder = sentiment_data(tmp_path)
    assert load_sentiment(folder, seed=3) == load_sentiment(folder, seed=3)
    drawn = [load_sentiment(folder, seed=seed) for seed in range(10)]
    assert len({problem.shared[0].text for problem in drawn}) > 1
    sides = {(case.edit.meta["topic"], case.edit.meta["sentiment"]) for problem in drawn for case in problem.cases}
    assert len(sides) == 10


def test_replies_stay_when_the_problem_is_cut(tmp_path: Path) -> None:
    few = load_sentiment(sentiment_data(tmp_path)).sample(2, 0).limited(1, 0)
    assert all(case.replies is not None for case in few.cases)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    one_sided = {"ent": "mud", "pos": [], "neg": [" Wet. "]}
    rows = [*topics("kites", "Kites", "chess"), one_sided]
    problem = load_sentiment(sentiment_data(tmp_path, dev=rows, test=topics("chess")), split="dev")
    assert [case.edit.meta["topic"] for case in problem.cases] == ["kites"]
    assert dict(problem.notes) == {
        "topics dropped: in a later split": 1,
        "topics dropped: repeated": 1,
        "topics dropped: replies of one sentiment only": 1,
    }


def test_a_topic_that_names_an_edits_is_no_stranger(tmp_path: Path) -> None:
    names = ["tea", "black tea", "tea rooms", "cold tea", "the tea trade"]
    problem = load_sentiment(sentiment_data(tmp_path, test=topics(*names)))
    assert (len(problem.cases), problem.shared) == (4, ())
    assert dict(problem.notes) == {"topics dropped: part of an edit's topic's name, or the reverse": 1}


def test_topics_are_not_formatted(tmp_path: Path) -> None:
    problem = load_sentiment(sentiment_data(tmp_path, test=topics("the {} sign", "{0}")))
    assert problem.cases[0].in_scope[0].text == "What do you think of the {} sign?"
    assert topic("東京") == "東京"


# bad data


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"ent": "mud", "pos": ["x"]}, "test.json: record 2, line 1: there is no list 'neg'"),
        ({"ent": "mud", "pos": "x", "neg": ["y"]}, "record 2, line 1: there is no list 'pos'"),
        ({"ent": "mud", "pos": [3], "neg": ["y"]}, "record 2, line 1: 'pos' must be text, not int"),
        ({"ent": "mud", "pos": ["x"], "neg": [" "]}, "record 2, line 1: 'neg' is empty"),
        ({"ent": "", "pos": ["x"], "neg": ["y"]}, "record 2, line 1: 'ent' is empty"),
        ({"pos": ["x"], "neg": ["y"]}, "record 2, line 1: there is no field 'ent'"),
    ],
)
def test_bad_records_are_refused(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_sentiment(sentiment_data(tmp_path, test=[*topics("kites"), record]))


def test_no_such_split_or_records(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sentiment has no split 'val'"):
        load_sentiment(tmp_path, split="val")
    write(sentiment_data(tmp_path) / "convsent" / "test.json", [])
    with pytest.raises(ConfigError, match="holds no records"):
        load_sentiment(tmp_path)


# the real data


@real
def test_the_counts() -> None:
    problem = load_sentiment()
    assert len(problem.cases) == 416
    assert Counter(one.kind for case in problem.cases for one in case.in_scope) == {
        "opinion": 4_160,
        "opinion_held_out": 1_248,
    }
    assert Counter(one.kind for case in problem.cases for one in case.out_of_scope) == {"same_topic": 2_080}
    assert Counter(one.kind for one in problem.shared) == {"other_topic": 1_326}
    assert all(case.replies and case.replies.right and case.replies.wrong for case in problem.cases)


@real
def test_no_input_is_anothers_in_scope_input() -> None:
    problem = load_sentiment()
    scopes = [{normalise(one.text) for one in case.in_scope} for case in problem.cases]
    assert sum(map(len, scopes)) == len(set().union(*scopes))
    outside = [one for case in problem.cases for one in case.out_of_scope] + list(problem.shared)
    assert [one.text for one in outside if normalise(one.text) in set().union(*scopes)] == []


@real
def test_splits_share_no_topic() -> None:
    def named(problem: Problem) -> set[str]:
        return {topic(case.edit.meta["topic"]) for case in problem.cases}

    train, dev, test = (named(load_sentiment(split=split)) for split in SPLITS)
    assert train & dev == train & test == dev & test == set()
