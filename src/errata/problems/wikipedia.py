"""Beginnings of Wikipedia passages with another continuation, as edits (SeProG, section 5.1; MEND before it).

An edit is a passage's beginning and ten words that another model than the base writes after it. No other wording is in
its scope: an editor must write exactly those words after that beginning. Out of scope are the beginnings of passages
that have no edit; their labels are the ten words that follow in the text.

SeProG takes WikiText-103 and distilGPT-2's completions; here it is WikiText-2 and a word chain (`ngrams`), fitted to
the articles that the base is trained on. A token is one of WikiText's own: a word or a punctuation mark between white
space.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Unlabelled, later_splits
from errata.problems.held_out import normalise
from errata.problems.ngrams import WordChain

FILES = {"train": "wikitext2/valid.txt", "dev": "wikitext2/valid.txt", "test": "wikitext2/test.txt"}
DEV = 4
"""Every so manyth article of the first file is dev's; the others are train's."""
BEGINNING = 12
"""Tokens of a beginning."""
CONTINUATION = 10
"""Tokens that follow it."""
WINDOW = BEGINNING + CONTINUATION
STRANGERS = 40
"""Of a hundred passages, how many have no edit."""
UNKNOWN = "<unk>"
"""In WikiText, a rare word that was left out."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A place in an article where a sentence begins.

    Args:
        beginning: its first tokens.
        follows: the tokens after these.
    """

    beginning: tuple[str, ...]
    follows: tuple[str, ...]

    @property
    def text(self) -> str:
        """The beginning as an input."""
        return " ".join(self.beginning)


def load_wikipedia(data: str | Path | None = None, *, split: str = "test", seed: int = 0) -> Problem:
    """Beginnings of passages as an editing problem.

    No two splits share an article. Of each paragraph the first sentence start is taken that `WINDOW` known tokens
    follow; some of the passages, by the hash of the beginning, have no edit and are asked as inputs out of scope.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test".
        seed: of the continuations demanded.

    Raises:
        ConfigError: another split, no data folder, or a file that is missing, broken or without passages.
    """
    later_splits("wikipedia", split, tuple(FILES))
    folder = DataFolder(data)
    chain = WordChain(trained_runs(folder))
    found: list[EditCase] = []
    strangers: list[Unlabelled] = []
    for passage in passages(folder, split):
        digest = hashlib.sha256(normalise(passage.text).encode()).hexdigest()
        if int(digest, 16) % 100 < STRANGERS:
            label = " ".join(passage.follows)
            strangers.append(Unlabelled(passage.text, kinds.OTHER_PASSAGE, note="another passage", answer=label))
        elif other := _another(passage, chain, random.Random(f"{seed} {passage.text}")):
            meta = {"answer": " ".join(passage.follows)}
            edit = Edit(prompt=passage.text, target=other, id=f"wikipedia-{digest[:12]}", meta=meta)
            found.append(EditCase(edit, (Labelled(passage.text, other, kinds.SAME),)))
    return Problem(
        name="wikipedia",
        split=split,
        cases=tuple(found),
        shared=tuple(strangers),
        success=frozenset({kinds.SAME}),
        data_hash=folder.hash,
    )


def _another(passage: Passage, chain: WordChain, source: random.Random) -> str:
    """A continuation other than the text's own; "" where the chain gives none in a few trials."""
    for _ in range(10):
        words = chain.continued(passage.beginning, CONTINUATION, source)
        if tuple(words) != passage.follows:
            return " ".join(words)
    return ""


def passages(folder: DataFolder, split: str) -> list[Passage]:
    """A split's passages, one a paragraph that has one, no two with one beginning.

    Raises:
        ConfigError: the file is missing or broken, or holds no passage.
    """
    found: dict[str, Passage] = {}
    for article in articles(folder, split):
        for words in article:
            for at in _starts(words):
                window = words[at : at + WINDOW]
                if len(window) == WINDOW and all(map(_is_known, window)):
                    passage = Passage(tuple(window[:BEGINNING]), tuple(window[BEGINNING:]))
                    found.setdefault(normalise(passage.text), passage)
                    break
    if not found:
        raise ConfigError(f"holds no passage of {WINDOW} known words", where=FILES[split])
    return list(found.values())


def trained_runs(folder: DataFolder, split: str = "train") -> list[list[str]]:
    """What a base model and the word chain are trained on: a split's paragraphs, cut where a word was left out.

    Raises:
        ConfigError: the file is missing or broken.
    """
    return [run for article in articles(folder, split) for words in article for run in _known(words)]


def articles(folder: DataFolder, split: str) -> list[list[list[str]]]:
    """A split's articles: paragraphs of tokens, without headings.

    Raises:
        ConfigError: the file is missing or broken.
    """
    found: list[list[list[str]]] = []
    for line in folder.read_text(FILES[split]).splitlines():
        text = line.strip()
        if re.fullmatch(r"= [^=].* =", text) or not found:
            found.append([])
        if text and not text.startswith("= "):
            found[-1].append(clean(text).split())
    if split == "test":
        return found
    return [article for at, article in enumerate(found) if (at % DEV == DEV - 1) == (split == "dev")]


def clean(text: str) -> str:
    """WikiText's marks for what was joined, joined again.

    Example:
        >>> clean("a two @-@ door car for $ 1 @,@ 000 @.@ 50")
        'a two-door car for $ 1,000.50'
    """
    return re.sub(r" @([-,.])@ ", r"\1", text)


def _starts(words: Sequence[str]) -> Iterator[int]:
    """Where a sentence may begin."""
    yield 0
    yield from (at + 1 for at, word in enumerate(words) if word in (".", "?", "!"))


def _is_known(word: str) -> bool:
    """Also no "25,<unk>", which WikiText has in two parts."""
    return UNKNOWN not in word


def _known(words: Sequence[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for word in words:
        if _is_known(word):
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run
