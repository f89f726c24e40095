"""Sentences with a gap for an answer, and how an answer fills it.

Standard library only. `statements` and `fronted` read questions into clauses; here clauses become sentences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from errata.problems.english import ADVERBS, DO, a, base, capital, past, present, timed, with_article, word_set

TIMES = frozenset({"year", "date", "day", "month", "time", "decade", "century"})
"""Nouns of answers that take "in" or "on" by what they are."""
ROLES = word_set(
    "being capacity career chromosome gender group instrument instrument(s) job kind occupation organism position"
    " profession range rank ranking role sex sort species specialty status title tone type voice"
)
"""Nouns whose answers are told of the noun ("The position that Ann played was goalkeeper"), not of its owner."""

_PLURAL_NAME = re.compile(r"[A-Z].* [A-Z][a-z]+[^\W_aisuéó]s")
"""A team that takes "the": "New York Rangers", but not "CD Leganés" or "Juventus"."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A sentence with a gap where a question's answer goes.

    Args:
        subject: what comes before the verb; empty where the gap is the subject.
        verb: the auxiliary of the question; empty where the gap is the subject of another verb.
        rest: the bare verb and what follows it before the gap; all that follows the gap where that is the subject.
        noun: what kind of thing fills the gap, as the question says it ("sports team"); may be empty.
        tail: what follows the gap.
        lead: what goes before the whole sentence.
        when: whether the gap holds a time, which takes "in" or "on" by what it is.
        article: whether the gap holds a common noun that takes "a".
    """

    subject: str
    verb: str
    rest: str = ""
    noun: str = ""
    tail: str = ""
    lead: str = ""
    when: bool = False
    article: bool = False

    @property
    def predicate(self) -> str:
        """The verb as a statement has it, with what follows before the gap."""
        if self.verb not in DO:
            return f"{self.verb} {self.rest}".strip()
        words = self.rest.split(" ")
        at = next((i for i, word in enumerate(words) if word not in ADVERBS), 0)
        bend = {"did": past, "does": present}.get(self.verb, str)
        for place in (at, at + 2):  # "study or work"
            if place == at or (words[place - 1 : place] in (["or"], ["and"]) and words[place : place + 1]):
                words[place] = bend(base(words[place]) or words[place])
        return " ".join(words)

    def filled(self, answer: str) -> str:
        """An answer as it stands in the gap, with its preposition of time or its article."""
        if self.when:
            return timed(answer)
        if re.search(r"\bteam\b", f"{self.noun} {self.subject}") and _PLURAL_NAME.fullmatch(answer):
            return f"the {answer}"
        return a(answer) if self.article else with_article(answer)


def state(clause: Clause, answer: str) -> str | None:
    """A clause with its gap filled, as a sentence; None for an empty answer."""
    answer = " ".join(answer.split()).rstrip(".,;")
    if not answer:
        return None
    said = clause.filled(answer)
    if clause.subject:
        verb = clause.predicate
        if verb == "are" and not re.search(r" and |, ", answer):
            verb = "include"
        parts = [clause.subject, verb, said, clause.tail]
    elif clause.noun and not clause.when and (answer[:1].islower() or clause.noun.split(" ")[-1] in TIMES | ROLES):
        which = clause.rest if clause.verb == "" else f"{clause.verb} {clause.rest}"
        parts = ["the", clause.noun, "that", which, copula(which), said]
    else:
        verb = {"are": "is", "were": "was", "have": "has"}.get(clause.verb, clause.verb)
        parts = [said, clause.verb if " and " in answer else verb, clause.rest]
    text = " ".join(part for part in parts if part)
    lead = f"{clause.lead}, " if clause.lead else ""
    return capital(lead + text).removesuffix(".") + "."


def copula(predicate: str) -> str:
    """The "is" or "was" that fits a finite predicate."""
    first = next((word for word in predicate.split(" ") if word not in ADVERBS), "")
    return "is" if first in {"is", "are", "has", "have", "can"} or first.endswith("s") and first != "was" else "was"
