from __future__ import annotations

import random
from collections import Counter

from errata.problems.ngrams import WordChain


def test_the_longest_context_that_was_followed_by_two_words_tells() -> None:
    """ "a b" is followed by c and d, "b" by e too; "x b" is unseen, so there "b" tells."""
    chain = WordChain([list("abc"), list("abd"), list("be")])
    assert {chain.continued(["a", "b"], 1, random.Random(seed))[0] for seed in range(50)} == {"c", "d"}
    assert {chain.continued(["x", "b"], 1, random.Random(seed))[0] for seed in range(50)} == {"c", "d", "e"}


def test_what_was_followed_by_one_word_alone_is_not_quoted() -> None:
    """Only b follows a, so any word may, by how often it stands in the text."""
    chain = WordChain([list("ab"), list("ab"), ["z"]])
    drawn = Counter(chain.continued(["a"], 1, random.Random(seed))[0] for seed in range(500))
    assert set(drawn) == {"a", "b", "z"} and drawn["z"] < drawn["a"] < 300


def test_the_seed_tells_the_words() -> None:
    chain = WordChain([list("abcabdabe")])
    assert chain.continued(["a"], 10, random.Random(3)) == chain.continued(["a"], 10, random.Random(3))
    assert len(chain.continued([], 4, random.Random(0))) == 4
