"""Short English claims in other words, by rules: the passive and the active voice, a time in front, other words.

FEVER's rephrases are not public, so these stand in for them. Rules alone, no parser and no model; what they do not
know they leave, never guess, so many a claim has no rephrase. A sample was read by hand
(tests/problems/rephrased_reviewed.tsv).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from errata.problems.english import PREPOSITIONS, capital, is_date, is_day, past, present, word_set

Rule = Callable[[str], str | None]

_MADE = {
    "directed": "direct", "written": "write", "produced": "produce", "created": "create", "founded": "found",
    "composed": "compose", "developed": "develop", "designed": "design", "discovered": "discover", "hosted": "host",
    "recorded": "record", "invented": "invent", "published": "publish", "performed": "perform", "owned": "own",
    "co-written": "co-write", "sung": "sing",
}  # fmt: skip
"""Participles of verbs that take a work as object, and their bare forms."""
_LASTING = frozenset({"host", "own", "publish", "produce"})
"""Those whose present tense says in the active voice what "is hosted by" says."""
_PAST = {("co-wrote" if bare == "co-write" else past(bare)): participle for participle, bare in _MADE.items()}
_NAME = r"(?:The |the )?(?:[A-Z][\w.'’&-]*|\d+)(?: (?:of |the |and |de |van |von )*(?:[A-Z][\w.'’&-]*|\d+)){0,5}"
"""A proper name, as far as its letters tell."""
_TITLE = _NAME + r"(?: \([^)]*\))?"
_TRADES = (
    r"(?:actor|actress|singer|writer|director|producer|model|musician|rapper|comedian|politician|journalist|screenwriter"
    r"|broadcaster|lawyer|guitarist|drummer|composer|songwriter|film director|film producer|teacher|dancer|painter)"
)
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_TIME = re.compile(r"(?P<rest>.+?) (?P<time>(?:in|on) (?P<date>(?:the year )?[^ ].*?))\.")
_UNMOVED = re.compile(
    r"\b(?:not|never|only|exclusively|solely|just|and|but|or|until|since|before|after|between"
    r"|from|that|which|who|whose|when|beginning|ha(?:s|ve))\b|n't|,|;"
)
"""Where a claim has one of these, a time at its end may belong to a part of it alone."""
_ENDS = PREPOSITIONS | word_set("is was are were be been being s a an the of born's to")
_LOWERED = word_set("The A An It He She They His Her Its Their There")


def rephrases(claim: str, most: int = 3) -> tuple[str, ...]:
    """The claim in other words, those of another order of words first.

    Args:
        claim: one sentence with a full stop.
        most: how many are wanted.

    Returns:
        At most so many, each different from the claim and from the others; empty where no rule reads it.

    Example:
        >>> rephrases("The Paper was directed by Ron Howard.")
        ('Ron Howard directed The Paper.',)
        >>> rephrases("Paradise City is a song.")
        ('There is a song called Paradise City.',)
    """
    text = " ".join(claim.split())
    if not text.endswith(".") or text.endswith("..") or "?" in text:
        return ()
    found = dict.fromkeys(said for said in _all(text) if said != text)
    return tuple(found)[:most]


def _all(text: str) -> Iterator[str]:
    moved = [said for rule in _ORDER if (said := rule(text))]
    yield from moved
    worded = _worded(text)
    if worded != text:
        yield worded
        yield from (_worded(said) for said in moved if _worded(said) != said)


# another order of words


def _timed(text: str) -> str | None:
    """Turn "Alan retired in August of 1974." into "In August of 1974, Alan retired."."""
    found = _TIME.fullmatch(text)
    if found is None or _UNMOVED.search(found["rest"]) or not _is_time(found["date"]):
        return None
    if found["time"].startswith("on ") != is_day(found["date"]):  # "on July 2005"
        return None
    rest = found["rest"]
    if rest.endswith(".") or rest.split(" ")[-1].lower() in _ENDS or len(rest.split(" ")) < 3:
        return None
    return f"{capital(found['time'])}, {lowered(rest)}."


def _is_time(date: str) -> bool:
    plain = re.sub(rf"^({_MONTHS}) of (\d{{4}})$", r"\1 \2", date.removeprefix("the year "))
    return is_date(plain)


def lowered(text: str) -> str:
    """A sentence's beginning as it stands within another: an article before a small letter loses its capital."""
    first, _, rest = text.partition(" ")
    return f"{first.lower()} {rest}" if first in _LOWERED and rest[:1].islower() else text


def _made_by(text: str) -> str | None:
    """Turn "X was directed by Y." into "Y directed X."."""
    found = re.fullmatch(rf"(.+?) (was|were|is|are)( not|n't)? ({'|'.join(_MADE)}) by (.+)\.", text)
    if found is None:
        return None
    thing, verb, no, participle, maker = found.groups()
    if _more_than_a_name(maker) or re.search(r"[,;]|\bwh(?:o|ich)\b|\bthat\b", thing):
        return None
    bare = _MADE[participle]
    said = "co-wrote" if bare == "co-write" else past(bare)
    if verb in ("is", "are") and bare in _LASTING:
        said = bare if " and " in maker else present(bare)
        no = " does not" if no and " and " not in maker else no and " do not"
    else:
        no = no and " did not"
    return f"{capital(maker)}{f'{no} {bare}' if no else f' {said}'} {lowered(thing)}."


def _more_than_a_name(maker: str) -> bool:
    """Whether more than who did it follows a "by"."""
    return bool(
        re.search(r"[,;\"]|\b(?:that|which|who|whose|since|because|by|only|alone|exclusively|[a-z]+ing)\b", maker)
    ) or any(word in PREPOSITIONS for word in maker.split(" "))


def _made(text: str) -> str | None:
    """Turn "Y directed X." into "X was directed by Y."."""
    found = re.fullmatch(rf"({_NAME}) ({'|'.join(_PAST)}) ({_TITLE})\.", text)
    if found is None or " and " in found[3]:
        return None
    return f"{capital(found[3])} was {_PAST[found[2]]} by {found[1]}."


def _stars(text: str) -> str | None:
    """Turn "X stars Y." into "Y stars in X.", and back."""
    if found := re.fullmatch(rf"({_NAME}) (stars|starred) in ({_TITLE})\.", text):
        verb = "star" if " and " in found[3] and found[2] == "stars" else found[2]
        return f"{capital(found[3])} {verb} {found[1]}."
    found = re.fullmatch(rf"({_TITLE}) (stars|starred) ((?:an? )?[\w.'’ -]+)\.", text)
    if found is None or any(word in PREPOSITIONS for word in found[3].split(" ")):
        return None
    verb = "star" if " and " in found[3] and found[2] == "stars" else found[2]
    return f"{capital(found[3])} {verb} in {found[1]}."


def _born(text: str) -> str | None:
    """Turn "X was born in Y." into "X's birthplace is Y.", or the year or the day of birth."""
    found = re.fullmatch(rf"({_NAME}) (was|wasn't|was not) born (in|on) (.+)\.", text)
    if found is None or found[1].endswith("s"):
        return None
    no = "" if found[2] == "was" else " not"
    when = found[4].removeprefix("the year ")
    if re.fullmatch(r"\d{4}", when):
        return f"{found[1]}'s year of birth is{no} {when}."
    if found[3] == "on" and is_date(when):
        return f"{found[1]}'s date of birth is{no} {when}."
    if found[3] == "in" and re.fullmatch(rf"{_NAME}(?:, {_NAME})?", when) and not re.match(_MONTHS, when):
        return f"{found[1]}'s birthplace is{no} {when}."
    return None


def _works(text: str) -> str | None:
    """Turn "X is an actor." into "X works as an actor."."""
    found = re.fullmatch(rf"({_NAME}) (is|was) (an? {_TRADES})\.", text)
    return f"{found[1]} {'works' if found[2] == 'is' else 'worked'} as {found[3]}." if found else None


def _called(text: str) -> str | None:
    """Turn "X Y is a song." into "There is a song called X Y."."""
    found = re.fullmatch(rf"({_TITLE}) (is|was) (an? [\w' -]+)\.", text)
    if found is None or " " not in found[1] or found[1].startswith(("There ", "It ", "He ", "She ")):
        return None  # one word with a capital may be a common noun: "Advertising is a message."
    words = found[3].split(" ")
    if len(words) > 5 or any(word in PREPOSITIONS or word in _UNCALLED for word in words):
        return None
    if words[-1][:1].isupper() or words[-1] in _ADJECTIVES:
        return None
    return f"There {found[2]} {found[3]} called {found[1]}."


_UNCALLED = word_set("that which who and or not only of part lot fan member native kind type result")
_ADJECTIVES = word_set("born based made released")


def _has(text: str) -> str | None:
    """Turn "X's father was Y." into "The father of X was Y."."""
    found = re.fullmatch(rf"({_NAME})['’]s ([a-z]+(?: [a-z]+)?) (is|was|are|were) (.+)\.", text)
    if found is None or any(word in PREPOSITIONS or word.endswith("ly") for word in found[2].split(" ")):
        return None
    return f"The {found[2]} of {found[1]} {found[3]} {found[4]}."


_ORDER: tuple[Rule, ...] = (_made_by, _made, _stars, _works, _born, _has, _timed, _called)


# other words

_WORDS: tuple[tuple[str, str], ...] = (
    (r"\b(is|was|were|are|did|does|has|had|have|could|would) not\b", r"\1n't"),
    (r"\b(is|was|were|are|did|does|has|had|have|could|would)n['’]t\b", r"\1 not"),
    (r"\b(?:is|are) (?:incapable of being|unable to be)\b", "cannot be"),
    (r"\b(?:was|were) (?:incapable of being|unable to be)\b", "could not be"),
    (r"\bhas yet to\b", "is yet to"),
    (r"\bis (?:married|wed) to\b", "is the spouse of"),
    (r"\bwas married to\b", "was the spouse of"),
    (r"\bis a member of\b", "belongs to"),
    (r"\bwas a member of\b", "belonged to"),
    (r"\bwas released (?=(?:in|on) )", "came out "),
    (r"\bpremiered (?=(?:in|on) )", "had its premiere "),
    (r"\bdied (?=(?:in|on|at) )", "passed away "),
    (r"\bappeared in\b", "made an appearance in"),
    (r"\bworked with\b", "collaborated with"),
    (r"\bwas founded\b", "was established"),
    (r"\bwas established\b", "was founded"),
    (r"\bis located\b", "is situated"),
    (r"\bconsists of\b", "is made up of"),
    (r"\b(?:is|are) comprised of\b", "is made up of"),
    (r"\bcommonly known as\b", "commonly called"),
    (r"\bis known as\b", "is called"),
    (r"\bis from (?=[A-Z])", "comes from "),
    (r"\bwas from (?=[A-Z])", "came from "),
    (r"\bmore than (?=[\d$])", "over "),
    (r"\bover (?=[\d$])", "more than "),
    (r"\b(?:exclusively|only) (?=an? )", "nothing but "),
    (r"\b(?:exclusively|entirely) (?=[A-Z])", "completely "),
    (r"\bthe United States of America\b", "the United States"),
    (r"\bthe United States\b", "the US"),
    (r"\bWorld War II\b", "the Second World War"),
    (r"\b(a|science fiction|horror|comedy|drama|action|American|British|animated) film(?=[ .])", r"\1 movie"),
    (r"\b(a|science fiction|horror|comedy|drama|action|American|British|animated) movie(?=[ .])", r"\1 film"),
    (r"(?<!\()\btelevision (series|show)\b", r"TV \1"),
    (r"(?<!\()\bTV (series|show)\b(?! [A-Z(])", r"television \1"),
)
_COMPILED = tuple((re.compile(pattern), new) for pattern, new in _WORDS)


def _worded(text: str) -> str:
    """The claim with words that the list knows in the place of its own, two such changes at most."""
    said, changes = text, 0
    for pattern, new in _COMPILED:
        if changes < 2 and pattern.search(text):  # and not in what an earlier change has made of it
            said, changes = pattern.sub(new, said, count=1), changes + 1
    return said
