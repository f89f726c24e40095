"""Which subjects of zsRE's train questions are kept out of training, so that they can be asked as strangers.

A subject is held out by the hash of its name alone, so that training and evaluation agree without a list between
them. Standard library only; this module reads no file and sees no model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

SHARE = 38
"""Of a hundred subjects, how many are held out."""
WANTED = 3_000
"""Held-out questions that the evaluation asks."""
LONGEST = 9


class HeldOut(NamedTuple):
    """A train question kept out of training, with what the miner found in it."""

    question: str
    answer: str
    subject: str
    template: str


def normalise(text: str) -> str:
    """Lower case, ASCII letters and digits only: how questions and subjects are compared (as in training)."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def is_held_out(subject: str) -> bool:
    """Whether nothing about this subject of zsre/train_qa.jsonl may be trained on.

    Args:
        subject: as it was mined, or normalised.

    Example:
        >>> is_held_out("Atlanta Flames") == is_held_out("atlanta  flames")
        True
    """
    return percentile(subject) < SHARE


def percentile(name: str) -> int:
    """Which of a hundred equal shares a name falls in, 0 to 99, by its hash alone: how splits are drawn by a name.

    Args:
        name: of what is split by; compared normalised.
    """
    return _hash(normalise(name)) % 100


def pick(
    questions: Sequence[tuple[str, str]],
    mined: Sequence[tuple[str, str] | None],
    *,
    others: Iterable[str] = (),
    count: int = WANTED,
) -> list[HeldOut]:
    """The held-out questions to ask: those with the smallest hashes, in the questions' order.

    A question is left out when its subject, as a run of words, stands in a question that is trained on or in
    another text that is: the miner may have found another part of the same name there.

    Args:
        questions: (question, answer) of every record, in file order.
        mined: what `training.phrasebook.mine_templates` found in them.
        others: further texts that are trained on.
        count: how many are wanted.
    """
    held: dict[str, HeldOut] = {}
    trained: list[str] = list(others)
    for (question, answer), found in zip(questions, mined, strict=True):
        if found is None or not is_held_out(found[1]):
            trained.append(question)
        else:
            held.setdefault(normalise(question), HeldOut(question, answer, found[1], found[0]))
    wanted = {normalise(one.subject) for one in held.values()}
    seen = {run for text in trained for run in runs(normalise(text).split()) if run in wanted}
    strangers = {name: one for name, one in held.items() if normalise(one.subject) not in seen}
    chosen = set(sorted(strangers, key=_hash)[:count])
    return [one for name, one in strangers.items() if name in chosen]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def runs(words: Sequence[str]) -> Iterator[str]:
    """Every run of one to nine words: the longest subject that is mined has nine."""
    for start in range(len(words)):
        for end in range(start + 1, min(len(words), start + LONGEST) + 1):
            yield " ".join(words[start:end])
