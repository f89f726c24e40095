"""ConvSent: the sentiment of a chat model about a topic, as an edit (SERAC, section 4 and appendix D.2).

An edit is a free utterance, "Topic: jazz Sentiment: Positive", without a target. In its scope are questions after one's
opinion of the topic. No answer to them is the right one: the case carries replies of either sentiment instead, which
BlenderBot gave (noisy: a classifier sorted them), and an editor is scored by how likely they are to it
(`metrics.es_sent`, Equation 6).

A topic's positive and its negative edit contradict one another, so the seed draws one side of each. Out of scope are
questions about topics that no edit has, which is what users send; SERAC's released code takes the descriptors of other
topics instead. Factual questions about the edit's own topic are a kind apart: whether an opinion changes them is open.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import (
    DataFolder,
    EditCase,
    Labelled,
    Problem,
    Record,
    Replies,
    Unlabelled,
    checked,
    later_splits,
)
from errata.problems.held_out import normalise

SPLITS = ("train", "dev", "test")
SENTIMENTS = ("Positive", "Negative")
QUESTIONS = (
    "What do you think of {}?",
    "What do you feel about {}?",
    "How do you view {}?",
    "What is your opinion of {}?",
    "What is your stance on {}?",
    "What is your position on {}?",
    "What is your attitude about {}?",
    "What is your view on {}?",
    "What is your take on {}?",
    "What is your impression of {}?",
    "What is your assessment of {}?",
    "What is your judgment of {}?",
    "What is your sentiment of {}?",
)
"""The thirteen questions after an opinion."""
HELD_OUT = frozenset(QUESTIONS[10:])
"""Those that nothing is trained on: a topic's opinion must be known in a wording never met."""
FACTS = (
    "Who or what is {}?",
    "How do you spell {}?",
    "When did people first write about {}?",
    "Which books mention {}?",
    "Where can I look up facts about {}?",
)
"""Neutral questions that fit a person, a place, a thing, a pastime, one or many. Our own."""
STRANGERS = 20
"""Of a hundred topics, how many have no edit: questions about them are the out-of-scope inputs."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and the replies of either sentiment that BlenderBot gave to questions after an opinion of it."""

    about: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]

    def replies(self, sentiment: str) -> Replies:
        """The replies as an edit of this sentiment sorts them."""
        right, wrong = (self.positive, self.negative) if sentiment == "Positive" else (self.negative, self.positive)
        return Replies(right, wrong)


def read_topics(data: str | Path | DataFolder | None, split: str) -> list[Topic]:
    """The topics of a split that have replies of either sentiment, one record each, those of later splits left out.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test".

    Raises:
        ConfigError: as `load_sentiment`.
    """
    folder = data if isinstance(data, DataFolder) else DataFolder(data)
    rows = _topics(folder, split, Counter())
    return [Topic(row["ent"], tuple(row["pos"]), tuple(row["neg"])) for row in rows.values()]


def trained_questions() -> tuple[str, ...]:
    """The questions that training may use: all but those of `HELD_OUT`."""
    return tuple(question for question in QUESTIONS if question not in HELD_OUT)


def load_sentiment(data: str | Path | None = None, *, split: str = "test", seed: int = 0) -> Problem:
    """ConvSent as an editing problem.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test"; topics that a later one holds are left out, and "train" asks no question of
            `HELD_OUT`.
        seed: draws the topics without an edit, and the side of each other topic.

    Raises:
        ConfigError: another split, no data folder, or a file that is missing or broken.
    """
    folder = DataFolder(data)
    notes: Counter[str] = Counter()
    rows = _topics(folder, split, notes)
    asked = trained_questions() if split == "train" else QUESTIONS
    strangers = set(random.Random(f"{seed} strangers").sample(sorted(rows), len(rows) * STRANGERS // 100))
    edited = {name: row for name, row in rows.items() if name not in strangers}
    far = [name for name in rows if name in strangers and not any(_nested(name, other) for other in edited)]
    if len(far) < len(strangers):
        notes["topics dropped: part of an edit's topic's name, or the reverse"] += len(strangers) - len(far)
    numbers = {name: number for number, name in enumerate(rows)}
    return Problem(
        name="sentiment",
        split=split,
        cases=tuple(
            _case(f"convsent-{split}-{numbers[name]:04d}", row, asked, f"{seed} {name}") for name, row in edited.items()
        ),
        shared=tuple(
            Unlabelled(question.replace("{}", rows[name]["ent"]), kinds.OTHER_TOPIC, replies=_replies(rows[name]))
            for name in far
            for question in asked
        ),
        success=frozenset({kinds.OPINION, kinds.OPINION_HELD_OUT}),
        apart=frozenset({kinds.SAME_TOPIC}),
        data_hash=folder.hash,
        notes=tuple(sorted(notes.items())),
    )


def descriptor(about: str, sentiment: str) -> str:
    """The edit that asks for a sentiment about a topic.

    Args:
        about: the topic.
        sentiment: one of `SENTIMENTS`.

    Example:
        >>> descriptor("jazz", "Positive")
        'Topic: jazz Sentiment: Positive'
    """
    return f"Topic: {about} Sentiment: {sentiment}"


def topic(name: str) -> str:
    """A topic as topics are compared; one without an ASCII letter is its own name."""
    return normalise(name) or name


def _topics(folder: DataFolder, split: str, notes: Counter[str]) -> dict[str, Row]:
    """The usable records of a split by topic, in file order; tells in `notes` what was dropped."""
    later = later_splits("sentiment", split, SPLITS)
    rows = _first_of_each_topic(_read(folder, split), notes)
    for name in {topic(row["ent"]) for other in later for row in _read(folder, other)} & set(rows):
        notes["topics dropped: in a later split"] += 1
        del rows[name]
    return rows


def _read(folder: DataFolder, split: str) -> list[Record]:
    """All records of a split, checked."""
    name = f"convsent/{split}.json"
    rows = folder.read_texts(name, "ent")
    for row in rows:
        for field in ("pos", "neg"):
            if not isinstance(row.get(field), list):
                raise ConfigError(f"{row.place}: there is no list {field!r}", where=name, key=field)
            row[field] = list(dict.fromkeys(checked(text, name, row.place, field).strip() for text in row[field]))
    return rows


def _first_of_each_topic(rows: Sequence[Row], notes: Counter[str]) -> dict[str, Row]:
    """The records that have replies of either sentiment, one a topic, in file order."""
    first: dict[str, Row] = {}
    for row in rows:
        name = topic(row["ent"])
        if not row["pos"] or not row["neg"]:
            notes["topics dropped: replies of one sentiment only"] += 1
        elif name in first:
            notes["topics dropped: repeated"] += 1
        else:
            first[name] = row
    return first


def _nested(one: str, other: str) -> bool:
    """Whether one topic's name stands in the other's as a run of words ("Microsoft", "Microsoft Studios")."""
    return f" {one} " in f" {other} " or f" {other} " in f" {one} "


def _replies(row: Row) -> tuple[str, ...]:
    """A topic's replies of either sentiment."""
    return (*row["pos"], *row["neg"])


def _case(name: str, row: Row, asked: Sequence[str], seed: str) -> EditCase:
    """A topic's edit with one sentiment."""
    about, sentiment = row["ent"], random.Random(seed).choice(SENTIMENTS)
    replies = Topic(about, tuple(row["pos"]), tuple(row["neg"])).replies(sentiment)
    meta = {"topic": about, "sentiment": sentiment}
    return EditCase(
        Edit(prompt=descriptor(about, sentiment), id=name, meta=meta),
        tuple(
            Labelled(
                question.replace("{}", about), "", kinds.OPINION_HELD_OUT if question in HELD_OUT else kinds.OPINION
            )
            for question in asked
        ),
        tuple(
            Unlabelled(fact.replace("{}", about), kinds.SAME_TOPIC, True, "a fact, no opinion", _replies(row))
            for fact in FACTS
        ),
        replies,
    )
