"""Questions that an edit entails: who or what its subject is, yes or no, and a part of its answer.

"What university did Ann Lee attend?" with the answer "Oslo" entails "Who attended Oslo?", "Did Ann Lee attend Oslo?";
"Which position was held by Ann Lee?" with "Governor of Vermont" entails "What was Ann Lee the governor of?". Built on
the clauses of `statements`, by rules; where no rule is sure of its grammar, nothing is returned.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from errata.problems.clauses import Clause
from errata.problems.english import (
    ADVERBS,
    AUXILIARIES,
    BE,
    DO,
    HAVE,
    base,
    capital,
    is_day,
    is_finite,
    is_participle,
    present,
    timed,
    with_article,
    word_set,
    year_of,
)
from errata.problems.statements import read

INVERSE = "inverse"
YES_NO = "yes_no"
PART = "part"
"""Shapes of entailed questions: for the subject, for yes or no, for a part of the answer."""


class Entailed(NamedTuple):
    """A question that follows from an edit, its answer, and its shape (see the names above)."""

    question: str
    answer: str
    shape: str


def entailed(question: str, answer: str, *, subject: str = "", wrong: str = "") -> list[Entailed]:
    """The questions that a question and its answer entail.

    Args:
        question: an edit's prompt.
        answer: its target.
        subject: whom or what the question is about, where that is known: inverse questions are then answered by it.
        wrong: something that is not the answer, for a question whose answer is "No".

    Example:
        >>> for one in entailed("What university did Ann Lee attend?", "Oslo", wrong="Bergen"):
        ...     print(one.question, one.answer)
        Who attended Oslo? Ann Lee
        Did Ann Lee attend Oslo? Yes
        Did Ann Lee attend Bergen? No
    """
    answer, wrong = " ".join(answer.split()).rstrip(",;"), " ".join(wrong.split())
    clause = read(question)
    if clause is None or not answer or clause.lead:
        return []
    found = [_inverse(clause, answer, subject), _yes_no(clause, answer, "Yes")]
    if wrong and wrong != answer:
        found.append(_yes_no(clause, wrong, "No"))
    found.append(_part(question, clause, answer, subject))
    return [one for one in found if one is not None]


# who or what the subject is

_PARENTS = word_set("dad father mother sire dam progenitor parent")
_BETWEEN = {"brother": "sibling", "sister": "sibling", "sibling": "sibling", "husband": "spouse", "wife": "spouse",
            "spouse": "spouse"}  # fmt: skip
_MAKERS = word_set(
    "architect artist artiste author builder composer creator designer developer director discoverer distributor editor"
    " founder illustrator inventor label manufacturer performer producer publisher company"
)
_EVENTS = {
    "birthplace": "born in", "place of birth": "born in", "birth place": "born in", "city of birth": "born in",
    "date of birth": "born", "birth date": "born", "place of death": "die in", "date of death": "die",
    "death date": "die", "launch date": "launched",
}  # fmt: skip
_PERSONAL = re.compile(r"(?:born|educated|die|attend|study|marry|graduate|a citizen of|(?:play|playing) for)\b")
_THINGS = re.compile(
    r"(?:(?:originally |officially |first )?(?:named (?:after|for)|based (?:up)?on|written by|"
    r"(?:co-)?(?:built|composed|created|designed|developed|directed|discovered|distributed|founded|illustrated|invented"
    r"|made|manufactured|painted|performed|produced|published|recorded|released)(?: (?:and|or) [a-z]+ed)? by"
    r"|a tributary of)|cross(?: over)?|flow into)"
)
_DATED = re.compile(
    r"(?:officially |first )?(?:abolished|commissioned|created|discovered|dissolved|established|formed|founded|incepted"
    r"|introduced|launched|opened|launch|take off|lift off|come into (?:being|use)|enter service)"
)


def _inverse(clause: Clause, answer: str, subject: str) -> Entailed | None:
    """The question for the subject."""
    made = _of_noun(clause, answer) or _of_maker(clause, answer) or _of_predicate(clause, answer)
    if made is None:
        return None
    text, about = made
    name = _name(about, subject)
    return Entailed(capital(f"{text}?"), name, INVERSE) if name and name != answer else None


def _name(about: str, subject: str) -> str:
    """The name in "the film Alto", or the subject where that is known and meant here; empty where neither."""
    found = re.sub(r"^(?:[Tt]he )?(?:[a-z/-]+,? )+", "", about)
    if not re.match(r"[\"“'(]?[^\W_a-z]", found) or found.split(" ")[-1].islower() and not subject:
        return ""
    if not subject:
        return found if all(word in _IN_NAMES or not word.islower() for word in found.split(" ")) else ""
    return subject if found in (subject, f"The {subject}", f"the {subject}") or about == subject else ""


_IN_NAMES = word_set("a al and bin da de del den der des di du e el for ibn la le of the to van von with y")


def _noun_of(text: str) -> tuple[str, str, str] | None:
    """What stands in "the mother of Ann" or "Ann's mother": noun, preposition and owner."""
    text = re.sub(r"^(?:[Tt]he name of |[Tt]he person that is )", "", text)
    found = re.fullmatch(
        r"[Tt]he ((?:[a-z-]+ )*?(?:(?:place|date|city) of )?[a-z]+) (of|for) ((?:the (?:[a-z]+,? )*)?[^a-z].*)", text
    )
    if found:
        return found[1], found[2], found[3]
    owned = re.fullmatch(r"(.+?)['’]s? ((?:[a-z]+ )*(?:(?:place|date|city) of )?[a-z]+)", text)
    if owned and owned[1][:1].isupper():
        return owned[2].removesuffix("'s name"), "of", owned[1]
    return None


def _of_noun(clause: Clause, answer: str) -> tuple[str, str] | None:
    """Inverses of statements about a noun phrase: "The mother of Ann is Beth"."""
    if clause.rest or clause.verb not in ("is", "was") or not clause.subject:
        return None
    about = re.sub(r"['’]s name$", "", clause.subject)
    found = _noun_of(about)
    if found is None:
        return None
    noun, joint, owner = found
    last = noun.split(" ")[-1]
    if last in _PARENTS:
        return f"who {clause.verb} the child of {answer}", owner
    if last in _BETWEEN:
        return f"who {clause.verb} the {_BETWEEN[last]} of {answer}", owner
    if noun in _EVENTS:
        return _of_event(_EVENTS[noun], answer, owner)
    if last in _MAKERS and answer[:1].isupper() and not noun.startswith(("kind", "type", "sort")):
        return f"what {clause.verb} {answer} the {noun} {joint}", owner
    return None


def _of_event(event: str, answer: str, owner: str) -> tuple[str, str] | None:
    """Inverses of dates and places: "Who was born in Oslo?"; a mere year tells nobody apart."""
    verb, _, place = event.partition(" ")
    if not place and not is_day(answer):
        return None
    when = f"{place} {answer}" if place else timed(answer)
    who = "what" if verb == "launched" else "who"
    return f"{who} {'died' if verb == 'die' else f'was {verb}'} {when}", owner


def _of_maker(clause: Clause, answer: str) -> tuple[str, str] | None:
    """Inverses of statements whose subject is the answer: "Ann directed Alto"."""
    if clause.subject or not answer[:1].isupper() or any(map(is_finite, answer.split(" "))):
        return None
    found = re.fullmatch(r"((?:[a-z]+,? )*)((?:The )?[^a-z].*)", clause.rest)
    start = _started(clause, answer)
    verb = clause.verb.split(" ")[-1]
    if found is None or start is None or found[2].split(" ")[-1].islower() or base(verb) in _NOT_OF_MAKERS:
        return None
    before, about = _bare(found[1].strip()) if start[0] in DO else found[1].strip(), found[2]
    if verb in BE and not _CREDITED.fullmatch(before):
        return None
    before = re.sub(r"\bthe$", "", before).strip()
    kind = re.search(rf"\bthe ((?:[a-z]+ )?(?:{_WORKS})),?$", before)  # "the film Alto", but "the design of Alto"
    if kind:
        before = before[: kind.start()].strip()
    if verb not in BE and (before.count(" ") > 2 or {"a", "an"}.intersection(before.split(" "))):
        return None
    asked = f"which {kind[1]}" if kind else "who" if base(verb) in ("father", "give") else "what"
    return f"{asked} {start[0]} {answer} {' '.join(part for part in (start[1], before) if part)}".strip(), about


_WORKS = "album|award|band|book|episode|film|game|movie|novel|opera|play|series|show|song"
_CREDITED = re.compile(r"(?:mainly )?(?:responsible for|behind|involved (?:in|with))(?: the [a-z]+ of)?")
_NOT_OF_MAKERS = word_set("afflict affect cause contain kill lead involve use")


def _started(clause: Clause, answer: str) -> tuple[str, str] | None:
    """The auxiliary that begins a question, and the verb that stays, of a clause whose subject is the answer."""
    *adverbs, verb = clause.verb.split(" ")
    if verb in ("are", "were", "have"):
        return None
    if verb in HAVE and not is_participle(clause.rest.split(" ")[0]):
        return ("does" if verb == "has" else "did"), " ".join([*adverbs, "have"])
    if verb in AUXILIARIES - DO:
        return verb, " ".join(adverbs)
    bare = base(verb)
    if bare is None:
        if not verb.endswith("ed"):
            return None
        bare = verb[:-1] if verb.endswith("eed") else ""
    if not bare:
        return None
    does = "does" if verb == present(bare) else "did"
    return does, " ".join([*adverbs, bare])


def _of_predicate(clause: Clause, answer: str) -> tuple[str, str] | None:
    """Inverses of statements about what the subject did: "Ann attended Oslo"."""
    if not clause.subject or not clause.rest or clause.tail or clause.verb in ("are", "were", "do"):
        return None
    words = clause.rest.split(" ")
    plain = " ".join(word for word in words if word not in ADVERBS)
    if clause.when:
        if not is_day(answer):
            return None
        who = "who" if plain in ("die", "born", "expire") else "what" if _DATED.fullmatch(plain) else ""
    elif plain == "go to" and re.search(r"\b(?:college|university|school)", clause.noun):
        who = "who"
    else:
        who = "who" if _PERSONAL.match(plain) else "what" if _THINGS.fullmatch(plain) else ""
    if not who or re.search(r"\bof\b|\bthat\b|\bfrom\b", plain) and plain not in ("a citizen of", "a tributary of"):
        return None
    return f"{who} {clause.predicate} {clause.filled(answer)}", clause.subject


def _bare(rest: str) -> str:
    """What follows a verb, with a second verb in its bare form: "or published" becomes "or publish"."""
    found = re.match(r"(or|and) ([a-z]+)", rest)
    return f"{found[1]} {base(found[2]) or found[2]}{rest[found.end() :]}" if found else rest


# yes or no

_WEAK = word_set(
    "career gender kind name occupation position profession range rank role sex sort specialty status title type"
)


def _yes_no(clause: Clause, answer: str, said: str) -> Entailed | None:
    """Whether it is so."""
    if not clause.subject:
        start = _started(clause, answer)
        if start is None or (answer[:1].islower() and clause.noun) or clause.noun.split(" ")[-1] in _WEAK:
            return None
        verb, rest = start
        after = _bare(clause.rest) if verb in DO else clause.rest
        text = " ".join(part for part in (verb, with_article(answer), rest, after) if part)
        return Entailed(capital(f"{text}?"), said, YES_NO)
    verb, rest = clause.verb, clause.rest
    if verb not in AUXILIARIES:
        bare = base(verb)
        if bare is None or verb == bare:
            return None
        verb, rest = ("does" if verb == present(bare) else "did"), f"{bare} {rest}"
    subject = clause.subject
    if re.match(r"(?:The|An?) [a-z]|Player ", subject):
        subject = subject[0].lower() + subject[1:]
    if AUXILIARIES.intersection(subject.split(" ")):
        return None
    filled = clause.filled(answer)
    if not rest.strip() and not clause.when and not clause.article:
        if verb not in ("is", "was") or re.match(r"the .+ (?:that|which|where) ", subject):
            return None
        noun = _noun_of(subject)
        if noun is None or noun[0] == "death" or noun[0].split(" ")[-1] in _WEAK or subject.startswith("the name "):
            return None
        return Entailed(capital(f"{verb} {filled} {subject}?"), said, YES_NO)
    if verb in BE - {"is", "was"} or subject == "you":
        return None
    text = " ".join(part for part in (verb, subject, rest.strip(), filled, clause.tail) if part)
    return Entailed(capital(f"{text}?"), said, YES_NO)


# a part of the answer

_OFFICE = re.compile(
    r"(?P<role>member|president|vice president|governor|lieutenant governor|king|queen|prince|princess|duke|duchess"
    r"|earl|count|countess|margrave|mayor|lord mayor|prime minister|bishop|archbishop|doge|emperor|empress|ambassador"
    r"|secretary|speaker|chancellor|patriarch|abbot|sultan|regent) of (?:the )?(?P<where>[A-Z].*)",
    re.IGNORECASE,
)


def _part(question: str, clause: Clause, answer: str, subject: str) -> Entailed | None:
    """The year of a full date, the country or the body of an office."""
    year = year_of(answer)
    if year is not None and not re.search(r"\byear\b", question):
        if clause.when and clause.subject and clause.rest and clause.verb in AUXILIARIES:
            text = " ".join(part for part in ("in what year", clause.verb, clause.subject, clause.rest) if part)
            return Entailed(capital(f"{text}?"), year, PART)
        noun = _noun_of(clause.subject)
        if noun is not None and not clause.rest and re.search(r"\bdate\b", noun[0]):
            subject = clause.subject[0].lower() + clause.subject[1:] if clause.subject[:4] == "The " else clause.subject
            return Entailed(f"In which year {'does' if clause.verb == 'is' else 'did'} {subject} fall?", year, PART)
    office = _OFFICE.fullmatch(answer)
    name = _holder(clause, subject) if office else ""
    if office is None or not name:
        return None
    role = office["role"].lower()
    verb = "is" if clause.verb in ("is", "does") else "was"
    return Entailed(f"What {verb} {name} {'a' if role == 'member' else 'the'} {role} of?", office["where"], PART)


def _holder(clause: Clause, subject: str) -> str:
    """Whose office it is: "the position that Ann Lee held", "the position of Ann Lee", "held by Ann Lee"."""
    for text in (clause.subject, clause.rest):
        found = re.fullmatch(r"the (?:noble )?(?:position|title|office) (?:that|which) (.+) (?:held|holds)", text)
        found = found or re.fullmatch(r"(?:the )?(?:position|title|office) of (.+)|held by (.+)", text)
        found = found or re.fullmatch(r"(.+?)['’]s? (?:position|title|office)", text)
        if found:
            return _name(next(group for group in found.groups() if group), subject)
    return ""
