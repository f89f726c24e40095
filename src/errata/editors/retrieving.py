"""Which edits come near an input: found by the whole of it and, where it has several sentences, by those that ask.

People tell what they are about before they ask, and the vector of all of it lies near no edit. Sentences find the
candidates; the scope classifier then judges with the whole input before it, so that a question which is only quoted is
not taken for one that is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from errata.edit import Candidate

if TYPE_CHECKING:
    from errata.memory import Vectors
    from errata.scope import Scope

WORDS = 3
"""Words that a sentence has at least."""
_END = re.compile(r"(?<=[.?!])[\"'”’)\]]*\s+|\s*\n\s*")


def asking(text: str) -> tuple[str, ...]:
    """The input and, where it has several sentences, the first and the last two that ask; if none does, of all.

    Example:
        >>> asking("I start at Norvane in May. How many days of leave do I get?")[1:]
        ('How many days of leave do I get?',)
    """
    sentences = [part.strip() for part in _END.split(text.strip()) if len(part.split()) >= WORDS]
    if len(sentences) < 2:
        return (text,)
    asked = [part for part in sentences if part.endswith("?")] or sentences
    return tuple(dict.fromkeys((text, asked[0], *asked[-2:])))


def retrieve(
    scope: Scope, search: Callable[[Vectors, int], Sequence[Sequence[Candidate]]], inputs: Sequence[str], k: int
) -> list[list[Candidate]]:
    """For each input the k nearest edits, nearest first; an edit is as near as it is to the nearest sentence.

    Args:
        scope: encodes.
        search: the k nearest edits to each of (n, d) vectors.
        inputs: texts.
        k: how many.
    """
    parts = [asking(text) for text in inputs]
    found = iter(search(scope.encode_inputs([part for row in parts for part in row]), k))
    return [_nearest([next(found) for _ in row], k) for row in parts]


def _nearest(rows: Sequence[Sequence[Candidate]], k: int) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for one in (one for row in rows for one in row):
        if one.edit.id not in best or one.distance < best[one.edit.id].distance:
            best[one.edit.id] = one
    return sorted(best.values(), key=lambda one: one.distance)[:k] if len(rows) > 1 else list(rows[0])
