"""The little English that turning questions into statements takes: verb forms, articles, prepositions of time.

Word lists and rules of spelling, standard library only; this module knows neither edits nor questions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

BE = frozenset({"is", "was", "are", "were"})
DO = frozenset({"do", "does", "did"})
HAVE = frozenset({"has", "have", "had"})
MODALS = frozenset({"can", "could", "will", "would", "may", "might", "must", "should"})
AUXILIARIES = BE | DO | HAVE | MODALS


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


PREPOSITIONS = word_set(
    "about after against among as at behind between by during for from in inside into near of off on onto over through"
    " to toward towards under until upon with within"
)
ADVERBS = word_set("also currently ever finally first formerly last mainly mostly officially once originally")
PRONOUNS = word_set("he i it one she they we you")

_IRREGULAR = """
    be was been, become became become, begin began begun, break broke broken, bring brought brought,
    broadcast broadcast broadcast, build built built, buy bought bought, catch caught caught, choose chose chosen,
    come came come, do did done, draw drew drawn, drive drove driven, fall fell fallen, feel felt felt, feed fed fed,
    fight fought fought, find found found, fly flew flown, get got got, give gave given, go went gone, grow grew grown,
    have had had, hear heard heard, hit hit hit, hold held held, keep kept kept, know knew known, lay laid laid,
    lead led led, leave left left, lie lay lain, lose lost lost, make made made, mean meant meant, meet met met,
    pay paid paid, put put put, read read read, ride rode ridden, rise rose risen, run ran run, say said said,
    see saw seen, sell sold sold, send sent sent, set set set, shoot shot shot, show showed shown, sing sang sung,
    sit sat sat, speak spoke spoken, spend spent spent, split split split, stand stood stood,
    swim swam swum, take took taken,
    teach taught taught, tell told told, think thought thought, wear wore worn, win won won, write wrote written
"""
_FORMS = tuple((base, past, participle) for base, past, participle in (row.split() for row in _IRREGULAR.split(",")))
_PAST: Mapping[str, str] = MappingProxyType({base: past for base, past, _ in _FORMS})
_BASE: Mapping[str, str] = MappingProxyType({past: base for base, past, _ in _FORMS if past not in ("was", "lay")})
PARTICIPLES = frozenset(participle for _, _, participle in _FORMS) | {"born", "set"}

_REGULAR = word_set(
    "accept achieve act add adopt affect afflict air allege allow announce appear apply approve arrest arrive ask"
    " assist attack attend avoid award base believe belong border call carry cause celebrate change claim close"
    " coach collect commission commit compete compose connect conquer consider consist contain continue contract"
    " contribute control convert cover crash create cross debut decide decline defeat defend deny depend derive"
    " describe design destroy determine develop die direct discover discuss dissolve distribute drain drop earn"
    " educate eliminate employ empty enable encourage end ensure enter establish estimate evolve exist expand"
    " expect expire explain express face fail feature finish flow follow form found gain govern graduate happen"
    " head help host identify illustrate implement imply improve include increase indicate influence inherit"
    " inspire introduce invade invent involve issue join kill lack launch license list live locate maintain manage"
    " manufacture marry mention move name need obtain occupy occur offer open operate oppose orbit organize"
    " originate own paint participate pass perform pitch play possess practice prefer premiere present prevent"
    " produce promise promote propose protect prove provide publicise publish reach receive record reduce refer"
    " reference refuse regard regulate reign reject relate release rely remain remove replace represent require"
    " resemble reside resist respond retire return reveal rule score serve settle share sign specialise specialize"
    " sponsor star start stem stimulate stop struggle study succeed suffer suggest support suppress surround"
    " tend threaten translate travel treat try turn use visit want wish witness work"
)
VERBS = _REGULAR | frozenset(_PAST)
_DOUBLED = word_set("admit commit control occur permit prefer refer submit transfer")

_VOWELS = "aeiou"
_SHORT = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")


def past(verb: str) -> str:
    """The past tense of a verb.

    Example:
        >>> past("attend"), past("die"), past("marry"), past("stop"), past("go")
        ('attended', 'died', 'married', 'stopped', 'went')
    """
    if verb in _PAST:
        return _PAST[verb]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2:-1] not in _VOWELS:
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in _DOUBLED or _SHORT.fullmatch(verb) else "") + "ed"


def present(verb: str) -> str:
    """The third person singular of a verb.

    Example:
        >>> present("attend"), present("cross"), present("marry"), present("have"), present("go")
        ('attends', 'crosses', 'marries', 'has', 'goes')
    """
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2:-1] not in _VOWELS:
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


def base(word: str) -> str | None:
    """The bare form of a verb that the lists know, from that form or from the past or the present tense, else None.

    Example:
        >>> base("fought"), base("makes"), base("published"), base("Boston")
        ('fight', 'make', 'publish', None)
    """
    return word if word in VERBS else _BASE.get(word) or _INFLECTED.get(word)


_INFLECTED = {form(verb): verb for form in (past, present) for verb in sorted(VERBS) if verb not in ("be", "lie")}


def is_participle(word: str) -> bool:
    """Whether a lower-case word looks like a past participle."""
    word = word.split("/")[0].removeprefix("co-")
    return word in PARTICIPLES or (word.endswith("ed") and len(word) > 3 and word.isalpha() and word.islower())


def is_finite(word: str) -> bool:
    """Whether a lower-case word can be the verb that agrees with a subject: "made", "contains", "published"."""
    return word.islower() and (word in AUXILIARIES or (base(word) not in (None, word)) or word.endswith("ed"))


# times

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?)"
)
_DAY = re.compile(
    rf"\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b.*|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,.*| \d{{3,4}}|$)"
)
_SPAN = re.compile(rf"(?:{_MONTH} |c\. ?|circa )?\d{{3,4}}s?(?: (?:BCE?|AD|CE))?|{_MONTH}")
_YEAR_IN_DAY = re.compile(r"(?:^|\D)(\d{4})$")


def is_date(answer: str) -> bool:
    """Whether an answer is a day, a month or a year."""
    return bool(_DAY.fullmatch(answer) or _SPAN.fullmatch(answer))


def is_day(answer: str) -> bool:
    """Whether an answer is a day of a month."""
    return bool(_DAY.fullmatch(answer))


def year_of(answer: str) -> str | None:
    """The year of a full date, None of anything else.

    Example:
        >>> year_of("16 August 1891"), year_of("1891")
        ('1891', None)
    """
    found = _YEAR_IN_DAY.search(answer) if is_day(answer) else None
    return found.group(1) if found else None


def timed(answer: str) -> str:
    """An answer to "when" with the preposition it takes: "on 3 May 1901", "in 1901", "in the 19th century"."""
    if answer.split(" ")[0].lower() in PREPOSITIONS | {"before", "since", "around"}:
        return answer
    if re.fullmatch(r"(?:early |late |mid-?)?\d+(?:st|nd|rd|th) century.*", answer):
        return f"in the {answer}"
    return f"on {answer}" if is_day(answer) else f"in {answer}"


# articles

_THE = re.compile(
    r".*\b(?:War|Wars|Empire|Kingdom|States|Islands|River|Ocean|Sea|Navy|Army|Union|League|Senate|Parliament"
    r"|Emirates|Hills|Mountains|Council"
    r"|Committee|Foundation|Federation|Commission|Association|Division|Conference"
    r"|Universe|Philippines|Netherlands|Alps|Gulf|Army Air Forces|[Dd]ynasty|family|series|trilogy|universe|saga)"
    r"|(?:[A-Z]\w+ )*(?:University|Province|House|Kingdom|Republic|Gulf|Battle|Bay|Order|Church|County|City|State"
    r"|Government|Ministry|Department|Museum|Society|Bank|Sea|War|Isle|Duchy|Principality|Academy|Institute"
    r"|Communist Party) of .*"
    r"|(?:.* )?(?:Award|Prize|Medal)(?: for .*)?|.* Museum|River .*|Moon|Sun"
)
_A = re.compile(
    r".*\b(?:attack|accident|crash|tumou?r|stroke|overdose|aneurysm|hemorrhage|haemorrhage|collision"
    r"|crime against humanity)"
)
_HAS_ARTICLE = re.compile(r"(?:The|the|A|An|a|an|\S+['’]s) .*")


def with_article(answer: str) -> str:
    """An answer with the article that its last or first words call for.

    Example:
        >>> with_article("Vietnam War"), with_article("heart attack"), with_article("Illinois")
        ('the Vietnam War', 'a heart attack', 'Illinois')
    """
    if _HAS_ARTICLE.fullmatch(answer):
        return answer
    if not answer[:1].islower() and _THE.fullmatch(answer):
        return f"the {answer}"
    return a(answer) if answer[:1].islower() and _A.fullmatch(answer) else answer


def a(noun: str) -> str:
    """A noun with "a" or "an".

    Example:
        >>> a("oiler"), a("bass")
        ('an oiler', 'a bass')
    """
    if re.match(r"(?:a|an|the) ", noun, re.IGNORECASE):
        return noun
    vowel = noun[:1].lower() in _VOWELS and not re.match(r"(?:uni|use|eu|one|U-|UK\b|US)", noun, re.IGNORECASE)
    return f"{'an' if vowel else 'a'} {noun}"


def capital(text: str) -> str:
    """A text with a capital first letter, unless it is spelled like "eBay"."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


def proper(text: str) -> str:
    """The longest run of capitalised words after the first word, as it is spelt; "" where there is none.

    Example:
        >>> proper("Who founded the Royal Society in London?")
        'Royal Society'
    """
    runs = re.findall(r"(?<=\s)[A-Z][\w'.&-]*(?:\s[A-Z][\w'.&-]*)*", text)
    return max((run.removesuffix("'s").rstrip(".'") for run in runs), key=len, default="")
