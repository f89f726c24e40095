"""The phrasebook that trains the scope classifier, and the miner of question templates.

A scope classifier is trained on pairs of questions built from templates: two templates of one relation
filled with one subject are in scope of each other; another relation of the same subject, or the same
template with another subject, is out of scope. This module holds the sources of such templates:

* ``phrasebook.toml``, beside this file: for every relation its subject types, its answer type, the relations
  that must never be its negatives, hand-written questions, statements and cloze prompts, and the regular
  expressions that recognise its questions among mined templates.
* ``named.txt``, beside it: how a relation's answer is spoken of in a question about that answer.
* `mine_templates`, which finds the subject of each question of a plain list by looking for wordings that
  recur with different subjects, and `relation_of`, which names the relation of such a mined wording.

It never sees an answer, an edit or an evaluation set: the templates are the authors' own wording, and the
miner is given question strings only. It reads no file but these two and needs the standard library only.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

SLOT = "{}"
"""What stands for the subject in a mined template."""

_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("country", "continent", "water", "body"), "place"),
    **dict.fromkeys(("team", "school", "party", "label", "network", "league"), "organisation"),
    **dict.fromkeys(("series", "universe"), "work"),
    **dict.fromkeys(("language", "religion", "instrument", "field", "genre"), "concept"),
    **{"war": "event", "airport": "building", "constellation": "celestial"},
}
"""What answers of a type are as subjects, where they go by another name."""
_LONGEST_SUBJECT = 9
_EDGE_TEMPLATES = 2
_ARTICLES = frozenset({"the", "a", "an"})
_PREFIXES = frozenset({"de", "du", "da", "di", "von", "van", "der", "la", "le", "al", "el", "ibn"})
_JOINTS = _PREFIXES | {"of", "and", "&"}
_OFFICES = frozenset({"President", "Minister", "CEO", "Mayor", "Governor", "Chancellor", "King", "Queen"})
_OPENERS = frozenset(
    {"what", "what's", "which", "who", "who's", "whom", "whose", "where", "when", "how", "why"}
    | {"in", "on", "at", "of", "to", "for", "by", "from", "over", "the", "a", "an"}
    | {"is", "was", "are", "were", "do", "does", "did", "has", "have", "had", "can", "could"}
)
_POSSESSIVE = re.compile(r"(?<=\w)('s|’s|(?<=s)'|(?<=s)’)$")
_LEFT_MARKS = '"“‘('
_RIGHT_MARKS = '"”’,;:'


@dataclass(frozen=True)
class Phrase:
    """The wordings of one relation.

    Attributes:
        relation: Its name, such as ``place_of_birth``.
        types: The subject types that it applies to.
        wikidata: The Wikidata properties that it stands for; may be empty.
        answer: The type of its answers, one short word.
        conflicts: Relations whose questions can mean the same, which are never its negatives.
        ask: Question templates with the literal ``{subject}``.
        state: Statement templates with ``{subject}`` and ``{answer}``.
        cloze: Prompts with ``{subject}`` that end where the answer begins.
        match: Regular expressions that recognise its questions among mined templates; may be empty.
    """

    relation: str
    types: tuple[str, ...]
    wikidata: tuple[str, ...]
    answer: str
    conflicts: frozenset[str]
    ask: tuple[str, ...]
    state: tuple[str, ...]
    cloze: tuple[str, ...]
    match: tuple[str, ...]


@cache
def load_phrasebook() -> Mapping[str, Phrase]:
    """Read the phrasebook that comes with the package.

    Returns:
        Every relation's phrases by its name, in the order of the file, read-only.

    Raises:
        ValueError: If a table lacks a key or has one too many.
        TypeError: If a table holds a value of the wrong kind.
    """
    text = resources.files(__package__).joinpath("phrasebook.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: _phrase(name, table) for name, table in tomllib.loads(text).items()})


def relation_of(template: str) -> str | None:
    """Name the relation that a mined template asks for.

    Args:
        template: A wording with ``{}`` in place of the subject.

    Returns:
        The first relation of the phrasebook with a matching regular expression, or None.
    """
    for relation, patterns in _matchers():
        if any(pattern.search(template) for pattern in patterns):
            return relation
    return None


@cache
def siblings(relation: str) -> tuple[str, ...]:
    """List the relations whose questions about the same subject are out of scope of this one's.

    Args:
        relation: A relation of the phrasebook.

    Returns:
        The relations that share a subject type with it and are not in conflict with it, in the file's order.

    Raises:
        KeyError: If the phrasebook has no such relation.
    """
    book = load_phrasebook()
    mine = book[relation]
    return tuple(
        name
        for name, other in book.items()
        if name != relation and name not in mine.conflicts and not set(mine.types).isdisjoint(other.types)
    )


@cache
def rivals(relation: str) -> tuple[str, ...]:
    """List the siblings of a relation that have answers of the same type: the ones most easily taken for it.

    Args:
        relation: A relation of the phrasebook.

    Returns:
        Its siblings with the same answer type, in the file's order; may be empty.

    Raises:
        KeyError: If the phrasebook has no such relation.
    """
    book = load_phrasebook()
    return tuple(name for name in siblings(relation) if book[name].answer == book[relation].answer)


def named(relation: str) -> tuple[str, ...]:
    """How the answer to a relation is spoken of in a question about it: "the country where {} was born".

    Args:
        relation: A relation of the phrasebook.

    Returns:
        Wordings with ``{}`` for the subject, of ``named.txt``; none where nothing more is asked of such answers.
    """
    return _named().get(relation, ())


@cache
def further(relation: str) -> tuple[str, ...]:
    """List the relations that can be asked of a relation's answers: where a director was born, who owns a label.

    Args:
        relation: A relation of the phrasebook.

    Returns:
        The relations of things of that type, in the file's order; may be empty.

    Raises:
        KeyError: If the phrasebook has no such relation.
    """
    book = load_phrasebook()
    kind = _KINDS.get(book[relation].answer, book[relation].answer)
    return tuple(name for name, phrase in book.items() if kind in phrase.types)


def spelled(relation: str) -> str:
    """A relation's name as the words of a question: "member_of" is asked as "member"."""
    return relation.replace("_", " ").removesuffix(" of")


def mine_templates(questions: Sequence[str], *, least: int = 3) -> list[tuple[str, str] | None]:
    """Find each question's template and subject by the wordings that recur in a list of questions.

    Every run of one to nine words is tried as the subject; the rest of the question is a template, kept when
    it occurs with enough different runs. Of a question's kept templates, the one with the most words wins.
    The subject then takes in the names beside it that the template had swallowed (``USS {}``), and gives
    back to the template what is not part of a name: articles, possessives, quotation marks, commas, and the
    closing question mark.

    Args:
        questions: The questions; each is mined in the light of all others.
        least: How many different subjects a wording must occur with.

    Returns:
        For each question its template, with ``{}`` for the subject, and its subject; None where no wording
        recurs or the words found cannot be a subject.

    Raises:
        ValueError: If ``least`` is less than 1.
    """
    if least < 1:
        raise ValueError(f"least must be at least 1, not {least}")
    split = [_words(question) for question in questions]
    spans: defaultdict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for words, _ in split:
        for start, end in _runs(len(words)):
            found = spans[(*words[:start], SLOT, *words[end:])]
            if len(found) < least:
                found.add(words[start:end])
    kept = {template for template, found in spans.items() if len(found) >= least}
    vocabulary = Counter(word for template in kept for word in set(template) if word.islower())
    edges = frozenset(word for word, count in vocabulary.items() if count >= _EDGE_TEMPLATES) - _ARTICLES
    return [_best(words, mark, kept, edges) for words, mark in split]


def _phrase(name: str, table: Mapping[str, Any]) -> Phrase:
    """Check one table of the phrasebook and make it a `Phrase`."""
    keys = {"type", "wikidata", "answer", "conflicts", "ask", "state", "cloze", "match"}
    if set(table) != keys:
        raise ValueError(f"phrasebook table {name!r}: wrong keys {sorted(set(table) ^ keys)}")

    def strings(key: str) -> tuple[str, ...]:
        value = table[key]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"phrasebook table {name!r}: {key} must be a list of strings")
        return tuple(value)

    if not isinstance(table["answer"], str):
        raise TypeError(f"phrasebook table {name!r}: answer must be a string")
    return Phrase(
        relation=name,
        types=(table["type"],) if isinstance(table["type"], str) else strings("type"),
        wikidata=strings("wikidata"),
        answer=table["answer"],
        conflicts=frozenset(strings("conflicts")),
        ask=strings("ask"),
        state=strings("state"),
        cloze=strings("cloze"),
        match=strings("match"),
    )


@cache
def _named() -> Mapping[str, tuple[str, ...]]:
    """Read ``named.txt``."""
    text = resources.files(__package__).joinpath("named.txt").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line and not line.startswith("#")]
    return MappingProxyType({relation: tuple(wordings) for relation, *wordings in rows})


@cache
def _matchers() -> tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]:
    """Compile the regular expressions of the phrasebook, in its order."""
    return tuple(
        (name, tuple(re.compile(pattern, re.IGNORECASE) for pattern in phrase.match))
        for name, phrase in load_phrasebook().items()
        if phrase.match
    )


def _words(question: str) -> tuple[tuple[str, ...], str]:
    """Split a question into its words and its closing question mark, if it has one."""
    text = question.strip()
    bare = text.rstrip("? ")
    return tuple(bare.split()), "?" if bare != text else ""


def _runs(count: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of every run of words short enough for a subject, but never all the words."""
    for start in range(count):
        for end in range(start + 1, min(count, start + _LONGEST_SUBJECT) + 1):
            if end - start < count:
                yield start, end


def _best(
    words: tuple[str, ...], mark: str, kept: set[tuple[str, ...]], edges: frozenset[str]
) -> tuple[str, str] | None:
    """Choose a question's template among the kept ones and tidy its subject."""
    usable = (
        (end - start, start, end)
        for start, end in _runs(len(words))
        if (*words[:start], SLOT, *words[end:]) in kept and _plausible(words, start, end, edges)
    )
    best = min(usable, default=None)
    return None if best is None else _tidy(words, mark, *best[1:])


def _plausible(words: tuple[str, ...], start: int, end: int, edges: frozenset[str]) -> bool:
    """Tell whether a run of words can be a subject, not a part of the question's own wording."""
    if words[start] in edges or words[end - 1] in edges or words[end - 1] in _ARTICLES:
        return False
    if start == 0 and words[0].lower() in _OPENERS and words[0] != "The":
        return False
    inner = start
    while inner < end and words[inner].lower() in _ARTICLES:
        inner += 1
    if inner == end:
        return False
    if _name_like(words[inner]) or words[inner] in _PREFIXES:
        return any(_name_like(word) for word in words[inner:end])
    return end - start <= 2 and not any(_name_like(word) for word in words[1:])


def _name_like(word: str) -> bool:
    """Tell whether a word looks like part of a name: a capital or a digit within it."""
    return any(letter.isupper() or letter.isdigit() for letter in word)


def _tidy(words: tuple[str, ...], mark: str, start: int, end: int) -> tuple[str, str]:
    """Widen a run to the whole name, then give back what belongs to the template."""
    while True:
        if start > 1 and _name_like(words[start - 1]):
            start -= 1
        elif start > 2 and words[start - 1] in _JOINTS and _name_like(words[start - 2]):
            if words[start - 2] in _OFFICES or _POSSESSIVE.search(words[start - 2]):
                break
            start -= 2
        else:
            break
    while not _POSSESSIVE.search(words[end - 1]) and words[end - 1][-1] not in ",;:":
        if end < len(words) and _name_like(words[end]):
            end += 1
        elif end + 1 < len(words) and words[end] in _JOINTS and _name_like(words[end + 1]):
            end += 2
        else:
            break
    while end - start > 1 and words[start] in _ARTICLES:
        start += 1
    subject = " ".join(words[start:end])
    left = right = ""
    if found := _POSSESSIVE.search(subject):
        subject, right = subject[: found.start()], found.group()
    while len(subject) > 1 and subject[-1] in _RIGHT_MARKS:
        subject, right = subject[:-1], subject[-1] + right
    while len(subject) > 1 and subject[0] in _LEFT_MARKS and not (subject[0] == "(" and ")" in subject):
        subject, left = subject[1:], left + subject[0]
    template = " ".join((*words[:start], left + SLOT + right, *words[end:]))
    return template + mark, subject
