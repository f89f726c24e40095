"""The question of a conversation: its last user turn, read with the turns before it, or declined.

An edit is compared with one question. A follow-up ("and its capital?") is none by itself. It is made whole by rules,
and only where the turns before leave one reading; otherwise it is declined, and the base model answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from errata.models import Turn


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        text: the question, made whole; "" when it was declined.
        how: "alone" needed no other turn, "resolved" was made whole, "declined" could not be.
    """

    text: str
    how: Literal["alone", "resolved", "declined"]


DECLINED = Question("", "declined")
_CAPITAL = r"(?:[A-Z][\w'’.-]*|\d{3,4})"
_BETWEEN = r"(?:of|the|de|da|di|del|la|le|van|von|and|for|in|on|&)"
_NAME = re.compile(rf"{_CAPITAL}(?:\s+(?:{_BETWEEN}\s+)*{_CAPITAL})*")
_OPENERS = """
a about an and are as at by can compare continue could describe did do does explain for from had has have he
her his how i if in is it its let list make may my name no of ok okay on or our please repeat rewrite say she
should show since so summarise summarize tell thank thanks that the their them then there they this to
translate was we were what when where which who whom whose why will with would write yes you your
"""
_NO_NAME = frozenset(_OPENERS.split())
"""Words that begin a sentence with a capital and are no name."""
_ASKING = re.compile(
    r"(?:who|what|when|where|which|whose|whom|how|why|is|are|was|were|did|does|do|can|could|has|have|had|will|in|on|at"
    r"|name|tell|give|list|true)\b",
    re.I,
)
_POINTS = re.compile(r"\b(it|its|he|his|him|she|her|hers|they|their|theirs|them|there|this|that|these|those)\b", re.I)
_OWNS = frozenset(("its", "his", "her", "their", "hers", "theirs"))
_PERSON = frozenset(("he", "his", "him", "she", "her", "hers"))
_THIS = frozenset(("this", "that", "these", "those"))
_THINGS = re.compile(
    r"\s*(?:$|[?.!]|(?:album|battle|book|city|club|company|country|event|film|game|language|man|match|movie|novel|one|person"
    r"|place|river|school|song|state|team|university|war|woman|year)\b)",
    re.I,
)
_EMPTY_IT = re.compile(r"\s+(?:true|possible|the case|(?:known|said) that)\b", re.I)
_EMPTY_THERE = re.compile(r"\b(?:is|are|was|were)\s*$", re.I)
_INSTEAD = re.compile(
    r"(?i:(?:(?:and|so|then|ok|okay),?\s+)?(?:what|how)\s+about\s+(?:for\s+|in\s+)?)(?P<what>.+?)\s*[?.!]*"
    r"|(?i:and\s+(?:(?:for|of|in|that\s+of)\s+)?)(?P<plain>(?:the\s+)?[A-Z].*?)\s*[?.!]*"
)
_LEAD = re.compile(r"^(?:and|but|so|then|ok|okay|thanks|great|also|now)\b[,.!]?\s+", re.I)
_OWNED = re.compile(r"(?:its|his|her|their)\s+[\w\s-]+\??", re.I)
_WHO = re.compile(r"\W*[Ww]ho(?:'s)?\s+(?!(?:is|was)\s+[A-Z])")
SHORT = 8
"""Words of an answer that may be nothing but the thing that was asked for."""
SCANT = 2
"""Words that are too few to ask anything without a name ("Since when?")."""
_CHAT = re.compile(r"\b(?:you|me|I)\b")
LONG = 6
"""Words from which on a turn without a name or a word that asks is taken as standing alone."""


def question(turns: Sequence[Turn]) -> Question:
    """The last turn as a question that stands alone.

    Args:
        turns: of the user and the assistant, oldest first; the last is the user's.
    """
    text = " ".join(turns[-1].content.split()) if turns else ""
    before = [turn for turn in turns[:-1] if turn.content.strip()]
    if not text:
        return DECLINED
    if not before:
        return Question(turns[-1].content.strip(), "alone")
    asked = next((turn.content for turn in reversed(before) if turn.role == "user"), "")
    answer = before[-1].content if before[-1].role == "assistant" else ""
    if instead := _INSTEAD.fullmatch(text):
        return _exchanged(asked, instead["what"] or instead["plain"])
    pointing = _pointing(text)
    if pointing:
        return _resolved(text, pointing, asked, answer)
    bare = _bare(text)
    count = len(bare.split())
    asking = count > SCANT and _ASKING.match(bare) and not _CHAT.search(bare)
    whole = count > 1 and (names(bare) or count > LONG or asking)
    return Question(turns[-1].content.strip(), "alone") if whole else DECLINED


def names(text: str) -> list[str]:
    """What a text names: runs of capitalised words, those apart that only begin a sentence."""
    found = []
    for match in _NAME.finditer(text):
        words = match[0].rstrip(".,;:!?'’").split()
        while words and words[0].lower().removesuffix("'s").removesuffix("’s") in _NO_NAME:
            words = words[1:]
        if len(words) > 2 and words[0].isupper() and words[1] == "of":
            words = words[2:]  # "the CEO of Apple" is asked of Apple
        while words and not (words[-1][0].isupper() or words[-1].isdigit()):
            words = words[:-1]
        name = " ".join(words).removesuffix("'s").removesuffix("’s")
        if name and not name.isdigit() and name not in found:
            found.append(name)
    return found


def _pointing(text: str) -> list[re.Match[str]]:
    """Pronouns that point out of the text: none of those that come after a name in it, or stand for nothing."""
    return [match for match in _POINTS.finditer(text) if not _idle(match, text[: match.start()], text[match.end() :])]


def _idle(match: re.Match[str], before: str, after: str) -> bool:
    word = match[0].lower()
    if word == "there" and _EMPTY_THERE.search(before):
        return True  # "how many are there"
    if word == "it" and _EMPTY_IT.match(after):
        return True  # "is it true that"
    if word == "that" and before.strip() and not _THINGS.match(after):
        return True  # "the country that won"
    return bool(names(before))  # "does France share its border": the name is in the sentence itself


def _meant(words: set[str], asked: str, answer: str) -> list[str]:
    """What pronouns may stand for: what the question before named, or what it asked for and was told."""
    named, told = names(asked), [name for name in names(answer) if name not in names(asked)]
    if not told or len(answer.split()) > SHORT:
        return named
    if words <= _PERSON:  # "Who wrote Hamlet?" asks for the person, "Who is Marie Curie?" names her
        return told if _WHO.match(asked) else named
    return [*named, *told]  # the capital that was told, or the country it is of?


def _resolved(text: str, pointing: Sequence[re.Match[str]], asked: str, answer: str) -> Question:
    """The text with its pronouns replaced by the one name that they can stand for."""
    words = {match[0].lower() for match in pointing}
    named = _meant(words, asked, answer)
    if len(named) != 1 or words & _THIS or (words & _PERSON and words - _PERSON):
        return DECLINED  # two pronouns of different kinds point at two things; "that country" is not ours to choose
    whole, end = "", 0
    for match in pointing:
        word, alone = match[0].lower(), not text[match.end() :].strip(" ?.!")
        owns = word in _OWNS and not (word == "her" and alone)
        whole += text[end : match.start()] + (f"in {named[0]}" if word == "there" else named[0] + "'s" * owns)
        end = match.end()
    whole = _bare(whole + text[end:])
    if _OWNED.fullmatch(_bare(text)):
        whole = f"What is {whole}"
    return Question(whole[0].upper() + whole[1:], "resolved")


def _exchanged(asked: str, other: str) -> Question:
    """The question before, asked of another: "And Norway?" after "What is the capital of France?"."""
    named, new = names(asked), names(other)
    if len(named) != 1 or len(new) != 1 or other.strip(" ?.!").removeprefix("the ") != new[0]:
        return DECLINED
    return Question(asked.strip().replace(named[0], new[0]), "resolved")


def _bare(text: str) -> str:
    """Without the word that leads from the turn before."""
    return _LEAD.sub("", text, count=1)
