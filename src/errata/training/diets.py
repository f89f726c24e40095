"""What editors that are trained are shown: k edits, an input in the scope of each, and inputs in the scope of none.

One way to draw them for every problem: from the corpora where a problem has training corpora of its own, and from the
train split of those whose data sets come split. This module draws texts; it sees no model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from errata.errors import ConfigError
from errata.models.pair import SAID
from errata.problems.cases import EditCase, Problem
from errata.problems.fact_check import load_fact_check
from errata.problems.fever_copy import load_fever_copy
from errata.problems.leapofthought import load_leapofthought
from errata.problems.qa import load_qa
from errata.problems.sampler import APART, compared
from errata.problems.sentiment import SENTIMENTS, Topic, load_sentiment, read_topics, topic, trained_questions
from errata.problems.triples import load_triples
from errata.problems.wikipedia import load_wikipedia
from errata.problems.zsre_copy import load_zsre_copy
from errata.training.evidence import EvidenceSources
from errata.training.group import Group
from errata.training.groups import Sources

Told = Sequence[tuple[str, str]]
"""Prompts with their answers."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch of edits with inputs.

    Args:
        told: the edits, as (prompt, answer).
        inside: an input in the scope of each, with the answer that is due.
        outside: inputs that are in the scope of none, as many where there are so many.
        wrong: inputs in scope with an answer that must not be given, where edits demand a manner and no exact answer.
    """

    told: Told
    inside: Told
    outside: Sequence[str]
    wrong: Told = ()


TRIES = 1000
"""Groups that are drawn for an edit before a corpus is thought to have no more."""
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


def examined(problem: Problem, edits: int, count: int) -> list[tuple[list[EditCase], list[str]]]:
    """What an editor is examined on: batches of edits, each with as many inputs in no scope.

    Of a case only those inputs in scope stay that edit success counts, so that the first is no edit's own prompt.

    Args:
        problem: a dev split.
        edits: of a batch, k.
        count: edits in all.
    """
    counted = [tuple(one for one in case.in_scope if one.kind in problem.success) for case in problem.cases]
    usable = [replace(case, in_scope=own) for case, own in zip(problem.cases, counted, strict=True) if own]
    cases = random.Random(0).sample(usable, min(count, len(usable)))
    pool = problem.shared or [one for case in cases for one in case.out_of_scope]
    asked = [one.text for one in random.Random(1).sample(pool, min(len(cases), len(pool)))]
    batches = [cases[at : at + edits] for at in range(0, len(cases), edits)]
    return [(batch, asked[at :: len(batches)]) for at, batch in enumerate(batches)]


def grouped(draw: Callable[[random.Random], Group], untold: str = "") -> Diet:
    """A diet of groups, no two of a batch alike.

    Args:
        draw: one group.
        untold: the answer that an edit without a target teaches; without it such groups are left.
    """

    def drawn(count: int, source: random.Random) -> Drawn:
        kept: dict[str, tuple[Group, tuple[str, str]]] = {}
        tries = 0
        while len(kept) < count:
            tries += 1
            if tries > TRIES * count:
                raise ConfigError(f"no {count} edits that keep apart were found, only {len(kept)}", key="edits")
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
    """A diet of a problem's own cases: no two edits of a batch ask the same or are of one group (`sampler.APART`).

    An input out of scope is as often one that was made for the edit as one of the shared ones, where there are both.
    """
    cases = [case for case in problem.cases if case.in_scope and case.edit.target]
    scopes = {id(case): frozenset(compared(one.text) for one in case.in_scope) for case in cases}
    key = APART.get(problem.name, "")

    def chosen(count: int, source: random.Random) -> list[EditCase]:
        kept: list[EditCase] = []
        asked: set[str] = set()
        groups: set[str] = set()
        for case in source.sample(cases, len(cases)):
            group = case.edit.meta.get(key, "")
            if asked.isdisjoint(scopes[id(case)]) and group not in groups:
                kept.append(case)
                asked |= scopes[id(case)]
                groups |= {group} - {""}
            if len(kept) == count:
                return kept
        raise ConfigError(f"{problem.name} has no {count} edits that keep apart, only {len(kept)}", key="edits")

    def drawn(count: int, source: random.Random) -> Drawn:
        batch = chosen(count, source)
        inside = [source.choice(case.in_scope) for case in batch]
        taken = frozenset().union(*(scopes[id(case)] for case in batch))
        outside = []
        for case in batch:
            own = [one.text for one in case.out_of_scope if compared(one.text) not in taken]
            others = [one.text for one in source.sample(problem.shared, min(4, len(problem.shared)))]
            others = [text for text in others if compared(text) not in taken]
            pool = own if own and (source.random() < 0.5 or not others) else others
            outside += [source.choice(pool)] if pool else []
        return Drawn(
            [(case.edit.prompt, case.edit.target) for case in batch],
            [(one.text, one.answer) for one in inside],
            outside,
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


def _split(load: Callable[..., Problem]) -> Callable[[Path, int], Diet]:
    return lambda data, _: of_problem(load(data, split="train"))


SPLIT: Mapping[str, Callable[..., Problem]] = {
    "zsre_copy": load_zsre_copy,
    "fever_copy": load_fever_copy,
    "wikipedia": load_wikipedia,
    "leapofthought": load_leapofthought,
    "triples": load_triples,
}
"""Problems whose data come in train, dev and test splits: SeProG's."""
DIETS: Mapping[str, Callable[[Path, int], Diet]] = {
    "qa": _questions("qa"),
    "qa_hard": _questions("qa_hard"),
    "fact_check": _evidence,
    "sentiment": lambda data, _: of_topics(read_topics(data, "train")),
    **{name: _split(load) for name, load in SPLIT.items()},
}
"""What is drawn for each problem."""
BASES: Mapping[str, str] = {
    "qa": "mini",
    "qa_hard": "mini",
    "fact_check": "fc",
    "sentiment": "chat",
    "zsre_copy": "mini",
    "fever_copy": "fc",
    "wikipedia": "prose",
    "leapofthought": "lot",
    "triples": "triples",
}
"""The base model that editors are trained for."""
UNTOLD: Mapping[str, str] = {"fact_check": "True"}
"""What an edit without a target teaches, by problem: a piece of evidence is true."""
DEV: Mapping[str, Callable[..., Problem]] = {
    "qa": load_qa,
    "qa_hard": load_qa,  # QA-hard's own data has no dev split
    "fact_check": load_fact_check,
    "sentiment": load_sentiment,
    **SPLIT,
}
"""What an editor is examined on."""
