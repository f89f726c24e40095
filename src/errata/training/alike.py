"""Other subjects that a search takes for a question's own: the nearest of the same relation, by the dual network.

Among many edits of one relation the nearest is seldom a random one: a question about Liechtenstein meets the edit about
Switzerland. A pair network that is to tell them apart must have met such pairs. Names and vectors; never a test file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from errata.training.texts import normal

T = TypeVar("T")
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
NEAREST = 8
"""Other subjects that are kept of each."""


def nearest_others(
    questions: Mapping[str, Sequence[tuple[str, str, T]]], embed: Embed, *, count: int = NEAREST
) -> dict[tuple[str, str], list[T]]:
    """For each (relation, subject) the items of that relation whose questions lie nearest, without its own.

    Args:
        questions: by relation, (subject, question, item); the questions of one relation are worded alike.
        embed: vectors of length 1 for texts, of shape (n, d).
        count: items kept of each.
    """
    found: dict[tuple[str, str], list[T]] = {}
    for relation, rows in questions.items():
        named = {normal(subject): (question, item) for subject, question, item in rows}
        subjects = list(named)
        if len(subjects) < 2:
            continue
        vectors = embed([named[subject][0] for subject in subjects])
        alike = vectors @ vectors.T
        np.fill_diagonal(alike, -np.inf)
        order = np.argsort(-alike, axis=1)[:, :count]
        for subject, row in zip(subjects, order, strict=True):
            found[relation, subject] = [named[subjects[at]][1] for at in row if subjects[at] != subject]
    return found
