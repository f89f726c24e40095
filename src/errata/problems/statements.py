"""Questions and their answers as statements: "Where did Ann study?" and "Oslo" become "Ann studied at Oslo.".

A question is read into a `Clause`, a sentence with a gap for the answer, by rules on the order of its words; the answer
then fills the gap. Rules alone, no parser and no model; what they do not know they leave (None), never guess.
"""

from __future__ import annotations

import re
from dataclasses import replace

from errata.problems.clauses import Clause, state
from errata.problems.english import AUXILIARIES, base, is_finite
from errata.problems.fronted import fronted


def statement(question: str, answer: str) -> str | None:
    """A question and its answer as one declarative sentence.

    Args:
        question: any English question.
        answer: what is to be stated; it need not be true.

    Returns:
        The sentence, with a capital and a full stop; None where no rule reads the question or the answer is empty.

    Example:
        >>> statement("What university did Watts Humphrey attend?", "Illinois")
        'Watts Humphrey attended Illinois.'
        >>> statement("The voice type of Ann Lee is what?", "bass")
        'The voice type of Ann Lee is bass.'
    """
    found = read(question)
    return state(found, answer) if found is not None else None


def read(question: str) -> Clause | None:
    """A question as a clause with a gap; None where no rule reads it."""
    text = _repaired(question)
    led = re.fullmatch(
        r"((?:In|On|At|For|According to|During) .+), ((?:what|which|who|where|when|how)\b.+)", text, re.I
    )
    if led:
        found = fronted(led[2].split(" "))
        return replace(found, lead=led[1]) if found is not None else None
    words = text.split(" ")
    if len(words) < 3:
        return None
    return _either(text) or fronted(words) or _in_place(text)


# what is wrong with questions as people type them

_OWNED = "mother|father|birth country|cause of death|specialty in"
_REPAIRS: tuple[tuple[str, str], ...] = (
    (r"^In (?:one|a) (?:word|few words), ", ""),
    (r"\bliscensed\b", "licensed"),
    (r"\bdesigened\b", "designed"),
    (r"\bdesignor\b", "designer"),
    (r"\bcommited\b", "committed"),
    (r"\boccured\b", "occurred"),
    (r"\boccurr\b", "occur"),
    (r"\brealeased\b", "released"),
    (r"\bilustrator\b", "illustrator"),
    (r"\bprofesisonal\b", "professional"),
    (r"\bcountry of original\b", "country of origin"),
    (r"\bapart of\b", "a part of"),
    (r"\ba what\b", "the what"),
    (r"\bthe (\w+) called that\b", r"the \1 that"),
    (r"^([Tt]he) The\b", r"\1"),
    (r"^(What|Who|When|Where|How)['’]s ", r"\1 is "),
    (r"^Who id ", "Who is "),
    (r"^(What|Which)( [a-z ]+?) where (in|on) ", r"\1\2 were \3 "),
    (r"^When does (.+) (\w+ed|found|made)$", r"When was \1 \2"),
    (r"^(?:What|Which) (?:year|date) (?:was|is) it when (.+) was (\w+)$", r"When was \1 \2"),
    (r"^What kind of (\w+) is (.+) of$", r"What \1 does \2 belong to"),
    (
        r"^(In|On) (what|which) (\w+) ((?!(?:.* )?(?:is|was|can) ).*) located$",
        r"\1 \2 \3 is \4 located",
    ),
    (r"\b(the name) (?:of )?(university) that\b", r"\1 of the \2 that"),
    (r"^(\w+ (?:is|was)) (year|date|place|name|cause) of ", r"\1 the \2 of "),
    (r"^(\w+ (?:is|was) the planet(?:,? (?:that|which))? .+ is) located$", r"\1 located on"),
    (r"^(\w+ (?:is|was) the [a-z ]+?,? (?:that|which) .+ is) located$", r"\1 located in"),
    (r"\b(the [a-z ]+ (?:that|which) .+ belongs?)$", r"\1 to"),
    (r"^((?:By )?[Ww]ho\w*) was (.+) was (.+) by$", r"\1 was \2 \3 by"),
    (r"\b(?!The |Wh|In )([A-Z\d]\S*(?<!['’]s)(?<!s['’])) (" + _OWNED + r")\b", r"\1's \2"),
)
_COMPILED = tuple((re.compile(pattern), new) for pattern, new in _REPAIRS)


def _repaired(question: str) -> str:
    """The question without its mark, with single spaces and without common slips."""
    whole = " ".join(question.split())
    text = whole.rstrip("? ")
    text = text.rstrip(".") if text == whole else text  # "... of Ann W.?": the stop is the name's
    for pattern, new in _COMPILED:
        text = pattern.sub(new, text)
    return text


# the gap stands where the answer goes: "The father of Ann is who?"

_PLACE = re.compile(
    r"(?P<before>.+?)(?P<on> on| in)? (?P<wh>(?:the )?what|which|who|whom|when|where)(?: (?P<noun>[a-z /()-]+))?"
)
_WHEN = re.compile(r"\b(?:date|year|day|time)$")


def _in_place(text: str) -> Clause | None:
    """A statement with a question word at its end, or that breaks off after the verb."""
    if re.search(r"\b(?:is|was)$", text) and re.match(r"(?:the|a|an) ", text, re.I):
        subject, _, verb = text.rpartition(" ")
        return Clause(subject, verb)
    found = _PLACE.fullmatch(text)
    if found is None:
        return Clause(text, "is") if re.fullmatch(r"The (?:date|year|name) of [^a-z].*", text) else None
    before, noun = found["before"], found["noun"] or ""
    if AUXILIARIES.intersection(noun.split(" ")) or before.endswith(","):
        return None
    when = bool(found["wh"] == "when" or (found["on"] and _WHEN.search(noun)))
    if when and re.match(r"the (?:[a-z]+ )*(?:date|year|day|time)\b", before, re.I):
        when = False
    words = before.split(" ")
    at = next((i for i in range(len(words) - 1, 0, -1) if words[i] in AUXILIARIES or is_finite(words[i])), 0)
    if at > 1 and words[at] not in AUXILIARIES and words[at - 1] in AUXILIARIES:  # "was named"
        at -= 1
    if at == 0:
        at = next((i for i in range(1, len(words)) if base(words[i])), 0)
    if at == 0:
        return None
    stays = "" if when else found["on"] or (" in" if found["wh"] == "where" else "")
    rest = " ".join(words[at + 1 :]) + stays
    if found["wh"] == "the what":
        return Clause(" ".join(words[:at]), words[at], f"{rest} the".strip(), tail=noun)
    return Clause(" ".join(words[:at]), words[at], rest.strip(), noun, when=when)


# "Was it an accident or suicide?"


def _either(text: str) -> Clause | None:
    """A choice between two nouns: the answer is one of them."""
    found = re.fullmatch(r"(Is|Was) (.+?) (?:a |an )?(male or (?:a )?female|an accident or (?:a )?suicide)", text)
    return Clause(found[2], found[1].lower()) if found else None
