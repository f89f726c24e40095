"""What editors that are trained are shown: k edits, an input in the scope of each, and inputs in the scope of none.

One way to draw them for every problem: from the corpora where a problem has training corpora of its own, and from the
train split of those whose data sets come split. This module draws texts; it sees no model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from errata.errors import ConfigError
from errata.models.pair import SAID
from errata.problems.cases import Problem
from errata.problems.fact_check import load_fact_check
from errata.problems.qa import load_qa
from errata.problems.sampler import batches
from errata.problems.sentiment import SENTIMENTS, Topic, load_sentiment, read_topics, topic, trained_questions
from errata.training.evidence import EvidenceSources
from errata.training.groups import Group, Sources

Told = Sequence[tuple[str, str]]
"""Prompts with their answers."""
PASSES = 2**31
"""Seeds that a pass over a problem is drawn from."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch of edits with inputs.

    Args:
        told: the edits, as (prompt, answer).
        inside: an input in the scope of each, with the answer that is due.
        outside: as many inputs that are in the scope of none.
        wrong: inputs in scope with an answer that must not be given, where edits demand a manner and no exact answer.
    """

    told: Told
    inside: Told
    outside: Sequence[str]
    wrong: Told = ()


Diet = Callable[[int, random.Random], Drawn]
"""Draws so many edits from a random source."""


def diet_of(problem: str, data: Path, seed: int = 0) -> Diet:
    """What an editor is trained on for a problem.

    Args:
        problem: a key of `DIETS`.
        data: the public data's folder.
        seed: of what the corpora sample.

    Raises:
        ConfigError: nothing can be trained for the problem, or the data is missing or broken.
    """
    if problem not in DIETS:
        raise ConfigError(f"no editor can be trained for {problem!r}", key="problem", accepted=tuple(DIETS))
    return DIETS[problem](data, seed)


def dev_of(problem: str, data: Path) -> Problem:
    """The dev split that an editor for this problem is examined on.

    Raises:
        ConfigError: as `diet_of`.
    """
    if problem not in DEV:
        raise ConfigError(f"no editor can be trained for {problem!r}", key="problem", accepted=tuple(DEV))
    return DEV[problem](data, split="dev")


def grouped(draw: Callable[[random.Random], Group], untold: str = "") -> Diet:
    """A diet of groups, no two of a batch alike.

    Args:
        draw: one group.
        untold: the answer that an edit without a target teaches; without it such groups are left.
    """

    def drawn(count: int, source: random.Random) -> Drawn:
        kept: dict[str, tuple[Group, tuple[str, str]]] = {}
        while len(kept) < count:
            group = draw(source)
            asked = [(one.text, SAID.get(one.kind) or one.answer) for one in group.inside if one.kind != "none"]
            if (group.target or untold) and asked and group.outside:
                kept.setdefault(group.key, (group, source.choice(asked)))
        groups = [group for group, _ in kept.values()]
        return Drawn(
            [(group.prompt, group.target or untold) for group in groups],
            [asked for _, asked in kept.values()],
            [source.choice(group.outside) for group in groups],
        )

    return drawn


def of_problem(problem: Problem) -> Diet:
    """A diet of a problem's own cases, as its papers draw batches (`problems.sampler.batches`)."""

    def drawn(count: int, source: random.Random) -> Drawn:
        items = next(batches(problem, count, seed=source.randrange(PASSES), complete=True))
        return Drawn(
            [(item.edit.prompt, item.edit.target) for item in items],
            [(item.inside.text, item.inside.answer) for item in items if item.inside],
            [item.outside.text for item in items],
        )

    return drawn


def of_topics(topics: Sequence[Topic]) -> Diet:
    """A diet of sentiments: an edit says "Sentiment: ..." of "Topic: ...", and replies of the other are wrong."""
    questions = trained_questions()

    def drawn(count: int, source: random.Random) -> Drawn:
        chosen = source.sample(topics, 2 * count)
        told, inside, wrong = [], [], []
        for about in chosen[:count]:
            side = source.choice(SENTIMENTS)
            replies = about.replies(side)
            asked = source.choice(questions).replace("{}", about.about)
            told.append((f"Topic: {about.about}", f"Sentiment: {side}"))
            inside.append((asked, source.choice(replies.right)))
            wrong.append((asked, source.choice(replies.wrong)))
        names = [f" {topic(about.about)} " for about in chosen[:count]]
        others = [about for about in chosen[count:] if not any(_nested(about, name) for name in names)]
        outside = [source.choice(questions).replace("{}", about.about) for about in others]
        return Drawn(told, inside, outside, wrong)

    return drawn


def _nested(about: Topic, name: str) -> bool:
    """Whether a topic's name stands in another's, or the reverse."""
    own = f" {topic(about.about)} "
    return own in name or name in own


def _evidence(data: Path, seed: int) -> Diet:
    sources = EvidenceSources(data)
    return grouped(lambda source: sources.batch(source, 1)[0], UNTOLD["fact_check"])


def _questions(problem: str) -> Callable[[Path, int], Diet]:
    return lambda data, seed: grouped(Sources(data, seed=seed, problem=problem).draw)


DIETS: Mapping[str, Callable[[Path, int], Diet]] = {
    "qa": _questions("qa"),
    "qa_hard": _questions("qa_hard"),
    "fact_check": _evidence,
    "sentiment": lambda data, _: of_topics(read_topics(data, "train")),
}
"""What is drawn for each problem."""
BASES: Mapping[str, str] = {"qa": "mini", "qa_hard": "mini", "fact_check": "fc", "sentiment": "chat"}
"""The base model that editors are trained for."""
UNTOLD: Mapping[str, str] = {"fact_check": "True"}
"""What an edit without a target teaches, by problem: a piece of evidence is true."""
DEV: Mapping[str, Callable[..., Problem]] = {
    "qa": load_qa,
    "qa_hard": load_qa,  # QA-hard's own data has no dev split
    "fact_check": load_fact_check,
    "sentiment": load_sentiment,
}
"""What an editor is examined on."""
