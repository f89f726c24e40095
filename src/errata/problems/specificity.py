"""KnowEdit's Relation_Specificity prompts as questions: other relations of an edit's subject.

They are published as cloze prompts made of Wikidata labels, a style that no other input has and that would give them
away. The rules here (`specificity.toml`) ask the same as people do, and tell which prompts ask an edit's own relation.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

_OPEN_ENDED = re.compile(r"(^|\s)(of|by|at|in|on|to|from|with|as|for|follows|replaces)$")


@dataclass(frozen=True, slots=True)
class Asking:
    """How one relation is asked, and which edits' questions ask for it too."""

    ask: tuple[str, ...]
    same: tuple[re.Pattern[str], ...]


@cache
def load_rules() -> Mapping[str, Asking]:
    """The rules by the relation's label, read-only.

    Raises:
        ValueError: the bundled file is damaged.
    """
    text = resources.files(__package__).joinpath("specificity.toml").read_text(encoding="utf-8")
    rules = {}
    for label, table in tomllib.loads(text).items():
        ask = tuple(table["ask"])
        if not ask or not all("{subject}" in template for template in ask) or set(table) - {"ask", "same"}:
            raise ValueError(f"specificity.toml: the table {label!r} is wrong")
        same = tuple(re.compile(pattern, re.IGNORECASE) for pattern in table.get("same", ()))
        rules[label] = Asking(ask, same)
    return MappingProxyType(rules)


def label_of(prompt: str, subject: str) -> tuple[str, int] | None:
    """The relation's label in a cloze prompt, and which of the two published forms it has (0 or 1).

    Example:
        >>> label_of("The taxon rank of Epaspidoceras is", "Epaspidoceras")
        ('taxon rank', 0)
        >>> label_of("Epaspidoceras taxon rank", "Epaspidoceras")
        ('taxon rank', 1)
    """
    end = f" of {subject} is"
    if prompt.startswith("The ") and prompt.endswith(end) and len(prompt) > len(end) + 4:
        return prompt[4 : -len(end)], 0
    if prompt.startswith(f"{subject} ") and len(prompt) > len(subject) + 1:
        return prompt[len(subject) + 1 :], 1
    return None


def as_question(prompt: str, subject: str) -> str | None:
    """The cloze prompt as a question; None where no rule fits.

    The two published forms of one relation become two wordings, where the rules have two. A relation without a rule
    is asked as "What is the ... of ...?" when its label is a noun phrase.

    Example:
        >>> as_question("The taxon rank of Epaspidoceras is", "Epaspidoceras")
        'What is the taxonomic rank of Epaspidoceras?'
    """
    found = label_of(prompt, subject)
    if found is None:
        return None
    label, form = found
    rule = load_rules().get(label)
    if rule is None:
        return None if _OPEN_ENDED.search(label) else f"What is the {label} of {subject}?"
    return rule.ask[min(form, len(rule.ask) - 1)].replace("{subject}", subject)


def asks_the_same(prompt: str, subject: str, question: str) -> bool:
    """Whether an edit's question asks for the relation of the cloze prompt, by the words that tell the relation.

    The subject's own words do not count. A relation without a rule is the same when its label stands in the question.
    """
    found = label_of(prompt, subject)
    if found is None:
        return False
    words = question.replace(subject, " ")
    rule = load_rules().get(found[0])
    if rule is None:
        return found[0].lower() in words.lower()
    return any(pattern.search(words) for pattern in rule.same)
