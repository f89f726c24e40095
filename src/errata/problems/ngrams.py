"""A word chain: the next word by how often it followed the last two, or the last one, in some text.

It stands for "another model" where a problem needs continuations that the base model would not write: no weights, the
same words for the same seed. It knows words and counts; what a text is about it never sees.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

LONGEST = 2
"""Words of the longest context."""
CHOICE = 2
"""A context counts if it was followed by so many different words; otherwise it would only quote its text."""


class WordChain:
    """Counts of what follows what.

    Args:
        texts: runs of words to count.

    Example:
        >>> chain = WordChain([["a", "b", "a", "c"]])
        >>> set(chain.continued(["x", "a"], 1, random.Random(0))) <= {"b", "c"}
        True
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        followers: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for words in texts:
            for at, word in enumerate(words):
                for length in range(min(LONGEST, at) + 1):
                    followers[tuple(words[at - length : at])][word] += 1
        self._followers = {
            context: (list(counts), list(counts.values()))
            for context, counts in followers.items()
            if len(counts) >= CHOICE or not context
        }

    def continued(self, words: Sequence[str], count: int, source: random.Random) -> list[str]:
        """The next `count` words, each drawn by how often it followed the longest context that counts.

        Args:
            words: what comes before.
            count: how many.
            source: draws them.
        """
        said = list(words)
        for _ in range(count):
            contexts = (tuple(said[len(said) - length :]) for length in range(min(LONGEST, len(said)), -1, -1))
            choices, weights = next(self._followers[one] for one in contexts if one in self._followers)
            said += source.choices(choices, weights)
        return said[len(words) :]
