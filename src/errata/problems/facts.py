"""The bundled facts, and the questions they are asked with.

A few thousand plain facts (country capitals, chemical symbols, the authors of books and so on) lie in
`facts.tsv`, and for every relation among them `relations.toml` holds the wordings it can be asked in:
templates for training, templates kept out of training, statements, inverse questions and cloze prompts.
This module reads the two files, once, and fills the templates in. It sees only that bundled text: never a
model, a tokenizer, an edit or an answer that a model gave.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

__all__ = ["Fact", "Relation", "fill", "load_facts", "load_relations", "questions"]

_HEADER = ["relation", "subject", "answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact: the answer to a relation asked of a subject.

    Attributes:
        relation: Name of the relation, a key of `load_relations`.
        subject: What the question is about, spelled as it stands in a question.
        answer: The one right answer, one to four words.
    """

    relation: str
    subject: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """The wordings of one relation.

    Attributes:
        name: Name of the relation.
        subject_type: What kind of thing its subjects are, such as "country".
        ask: Question templates with `{subject}`, meant for training.
        held_out: Further question templates with `{subject}`, meant for testing only.
        state: Statement templates with `{subject}` and `{answer}`.
        inverse: Templates with `{answer}` that ask for the subject; empty where the answer does not
            identify one subject.
        cloze: Templates with `{subject}` that stop just before the answer.
    """

    name: str
    subject_type: str
    ask: tuple[str, ...]
    held_out: tuple[str, ...]
    state: tuple[str, ...]
    inverse: tuple[str, ...]
    cloze: tuple[str, ...]


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def load_facts() -> tuple[Fact, ...]:
    """Reads the bundled facts, in file order.

    Returns:
        Every fact; no two share both relation and subject.

    Raises:
        ValueError: The bundled file is damaged.
    """
    rows = [line.split("\t") for line in _read("facts.tsv").split("\n") if line]
    if not rows or rows[0] != _HEADER:
        raise ValueError(f"facts.tsv must start with the columns {', '.join(_HEADER)}")
    facts = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(_HEADER):
            raise ValueError(f"facts.tsv, line {number}: {len(row)} columns, not {len(_HEADER)}")
        relation, subject, answer = row
        facts.append(Fact(relation=relation, subject=subject, answer=answer))
    return tuple(facts)


@cache
def load_relations() -> Mapping[str, Relation]:
    """Reads the relations and their templates.

    Returns:
        A read-only mapping from a relation's name to the relation, in file order.
    """
    tables = tomllib.loads(_read("relations.toml"))
    relations = {
        name: Relation(
            name=name,
            subject_type=table["subject_type"],
            ask=tuple(table["ask"]),
            held_out=tuple(table["held_out"]),
            state=tuple(table["state"]),
            inverse=tuple(table["inverse"]),
            cloze=tuple(table["cloze"]),
        )
        for name, table in tables.items()
    }
    return MappingProxyType(relations)


def fill(template: str, fact: Fact) -> str:
    """Fills one template in with a fact.

    A subject that begins with a lower-case article or is all lower case ("the Eiffel Tower", "gold") gets a
    capital where it opens a full sentence; a subject such as "eBay" keeps its spelling.

    Args:
        template: A template of the fact's relation.
        fact: The fact.

    Returns:
        The text, with `{subject}` and `{answer}` replaced.
    """
    text = template.format(subject=fact.subject, answer=fact.answer)
    opens = template.startswith("{subject}") and template.endswith((".", "?"))
    if opens and (fact.subject.startswith("the ") or fact.subject == fact.subject.lower()):
        return text[0].upper() + text[1:]
    return text


def questions(fact: Fact, *, held_out: bool = False) -> list[str]:
    """Lists the questions that ask for a fact.

    Args:
        fact: The fact.
        held_out: Whether to use the wordings kept out of training in place of the training ones.

    Returns:
        One question a template, in the order of `relations.toml`.
    """
    relation = load_relations()[fact.relation]
    return [fill(template, fact) for template in (relation.held_out if held_out else relation.ask)]
