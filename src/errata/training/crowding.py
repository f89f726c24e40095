"""Questions that have nothing to do with an edit, and that a trained network takes for it all the same.

In a large memory every question is near some edit: "who sings the theme song of Alice" finds "Name That Tune was
released on". Drawn at random such pairs never meet, so they are looked for, among all edits that there is something
to make from, by the networks as they are. Texts and callables; never a memory or a test file.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from errata.edit import Edit
from errata.problems.facts import fill, load_relations
from errata.training.group import Group, Inside
from errata.training.groups import Sources
from errata.training.texts import fill_in, normal, spoken

NEAREST = 4
"""Edits that are judged for a question: the nearest."""
HARD = 0.1
"""Out-of-scope questions are kept where the network gives them this probability at least."""
ASKED = 8_000
"""SQuAD's questions that are asked, beside all Natural Questions and our own."""
TASKS = 2_000
"""Tasks that are asked."""
_ROWS = 512

Judge = Callable[[Sequence[tuple[str, str, str]]], Sequence[float]]
"""Probability of each (input, prompt, target) triple."""


@dataclass(frozen=True, slots=True)
class Told:
    """An edit with other wordings of it; `key` as in `Group`."""

    prompt: str
    target: str
    told: tuple[str, ...]
    key: str


class Crowd:
    """Edits of the corpora, each with the questions of strangers that are taken for it.

    Args:
        sources: the corpora.
        encode_texts: vectors of inputs, of shape (n, d).
        encode_edits: vectors of edits, of shape (n, d).
        judge: the network that is to learn.
        seed: of the wordings and of the questions that are asked.

    Raises:
        ValueError: the network mistakes none.
    """

    def __init__(
        self,
        sources: Sources,
        encode_texts: Callable[[Sequence[str]], NDArray[np.float32]],
        encode_edits: Callable[[Sequence[Edit]], NDArray[np.float32]],
        judge: Judge,
        *,
        seed: int = 0,
    ) -> None:
        source = random.Random(seed)
        edits, texts = edits_of(sources, source), questions_of(sources, source)
        near = nearest(
            encode_texts(texts), encode_edits([Edit(prompt=edit.prompt, target=edit.target) for edit in edits])
        )
        pairs = [(text, edits[at]) for text, row in zip(texts, near.tolist(), strict=True) for at in row]
        scores = judge([(text, edit.prompt, edit.target) for text, edit in pairs])
        taken: dict[str, list[str]] = defaultdict(list)
        for (text, edit), score in zip(pairs, scores, strict=True):
            if score >= HARD:
                taken[edit.prompt].append(text)
        self.strangers: Mapping[str, Sequence[str]] = taken
        self.edits = [edit for edit in edits if edit.prompt in taken]
        if not self.edits:
            raise ValueError("the network takes no stranger's question for an edit: there is nothing to learn here")

    def group(self, source: random.Random) -> Group:
        """An edit, one other wording of it, and strangers' questions that are taken for it."""
        edit = source.choice(self.edits)
        inside = (Inside(spoken(source.choice(edit.told), source), "span" if edit.target else "none", edit.target),)
        outside = tuple(dict.fromkeys(spoken(text, source) for text in self.strangers[edit.prompt]))
        return Group(edit.prompt, edit.target, inside, outside, "crowd", edit.key)


def edits_of(sources: Sources, source: random.Random) -> list[Told]:
    """An edit of every record that can be worded in another way, no two with one prompt."""
    found: list[Told] = []
    for item in sources.items:
        phrase = sources.book[item.relation]
        cloze = fill_in(source.choice(phrase.cloze), item.subject)
        asked = item.question if item.question and source.random() < 0.7 else cloze
        told = tuple(sources.ask(item.relation, item.subject, source) for _ in range(2))
        found.append(Told(asked, item.answer, told, f"{item.relation}|{normal(item.subject)}"))
    for row in sources.counterfact:
        found.append(Told(row["prompt"], row["target_new"], (row["rephrase_prompt"],), normal(row["prompt"])))
    for fact in sources.facts:
        asked, *others = (fill(text, fact) for text in source.sample(load_relations()[fact.relation].ask, 3))
        found.append(Told(asked, fact.answer, tuple(others), f"{fact.relation}|{normal(fact.subject)}"))
    for block in sources.written:
        found.append(Told(block.prompt, block.target, tuple(block.told), f"written|{normal(block.prompt)}"))
    return list({edit.prompt: edit for edit in found}.values())


def questions_of(sources: Sources, source: random.Random) -> list[str]:
    """Questions in the scope of none of `edits_of`: asked of a search engine, of a text, or in a chat; and tasks.

    Half of those of texts are written the way a search engine is asked.
    """
    drawn = source.sample(sources.squad_questions, min(ASKED, len(sources.squad_questions)))
    drawn = [text.lower().rstrip("?. ") if source.random() < 0.5 else text for text in drawn]
    tasks = {sources.task(source) for _ in range(TASKS)}
    return [*sources.asked, *sources.ordinary, *sorted(tasks), *drawn]


def nearest(texts: NDArray[np.float32], edits: NDArray[np.float32], *, count: int = NEAREST) -> NDArray[np.int64]:
    """For each text the places of the nearest edits, of shape (texts, count), nearest first; vectors of length 1."""
    count = min(count, len(edits))
    found = []
    for begin in range(0, len(texts), _ROWS):
        alike = texts[begin : begin + _ROWS] @ edits.T
        best = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(-alike, best, 1).argsort(1)
        found.append(np.take_along_axis(best, order, 1))
    return np.concatenate(found)
