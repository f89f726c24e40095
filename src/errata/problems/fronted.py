"""Questions that begin with their question word, read into clauses by the order of their words.

Rules alone, no parser and no model: what they do not know they leave (None), never guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from errata.problems.clauses import ROLES, TIMES, Clause, copula
from errata.problems.english import (
    ADVERBS,
    AUXILIARIES,
    BE,
    DO,
    HAVE,
    MODALS,
    PREPOSITIONS,
    PRONOUNS,
    VERBS,
    base,
    is_finite,
    is_participle,
    past,
    word_set,
)

_WH = frozenset({"what", "which", "who", "whom", "whose", "when", "where", "why", "how"})
_ON = frozenset({"planet", "moon", "body", "channel", "network", "island", "star"})
_COMMON = re.compile(r"(?:.* )?(?:vessel type|voice type|type of (?:aquatic unit|[a-z ]*vessel|ship|boat|submarine))")
_DEFAULT = {
    "belong": "to", "born": "in", "buried": "in", "die": "in", "exist": "in", "find": "in", "formed": "in",
    "found": "in", "live": "in", "located": "in", "originate": "in", "participate": "in", "reside": "in",
    "situated": "in", "based": "in", "educated": "at", "study": "at", "work": "at", "used": "in", "set": "in",
    "written": "in", "premiere": "on",
}  # fmt: skip
"""The preposition that a verb's question about a place leaves out: "Which state is Oslo located?"."""
_PARTICLES = word_set("off over through")
_PASSIVE = word_set("named located situated based made called associated affiliated born licensed")
_CLAUSAL = re.compile(r"\b(?:that|which|who|if|when)\b|(?<! on)(?<! of) the\b")
"""What tells that a question's noun phrase has swallowed a verb that no list knows."""
_DETERMINERS = word_set("a an his her its that the their these this those")
_LOOSE = word_set("a an the part member")
_PARTS = word_set("a an part")


def fronted(words: Sequence[str]) -> Clause | None:
    """A question that begins with its question word, or with a preposition and that."""
    lower = [word.lower() for word in words]
    at = next((i for i in range(3) if i < len(words) and lower[i] in _WH), None)
    if at is None or (at > 0 and (lower[at - 1] not in PREPOSITIONS or lower[0] not in PREPOSITIONS | {"due"})):
        return None
    front, wh, rest = " ".join(lower[:at]), lower[at], list(words[at + 1 :])
    if not rest or (wh == "how" and not rest[0].islower()):
        return None
    end = _verb(rest, wh)
    if end is None:
        return _uninverted(front, wh, rest)
    noun, verb, rest = " ".join(rest[:end]).rstrip(","), rest[end], rest[end + 1 :]
    if re.search(r"[A-Z]", noun) and noun.split(" ")[0].islower() and (front or _early(noun)):
        return _uninverted(front, wh, [*noun.split(" "), verb, *rest])
    if not rest or (wh == "how" and verb not in DO) or _CLAUSAL.search(noun):
        return None
    asked = _Asked(front, wh, noun, verb)
    if verb in DO:
        return _do(asked, rest)
    if verb in BE:
        return _be(asked, rest)
    if verb in HAVE | MODALS:
        return _have(asked, rest)
    return _as_subject(asked, rest) if not front and wh in ("what", "which", "who") else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question begins with: preposition, question word, its noun, and the verb."""

    front: str
    wh: str
    noun: str
    verb: str

    @property
    def when(self) -> bool:
        return self.wh == "when" or self.head in TIMES

    @property
    def head(self) -> str:
        """The noun that counts: "type" of "type of voice", "body" of "body of water"."""
        before = re.split(r" (?:of|on|in|or) ", self.noun)[0]
        return before.split(" ")[-1]


def _verb(words: Sequence[str], wh: str) -> int | None:
    """Where the verb stands after the question word."""
    for at, word in enumerate(words):
        if word in AUXILIARIES:
            return at
        if wh in ("who", "what", "which") and is_finite(word) and not _noun_after(words, at):
            return at
        if word in VERBS and past(word) == word and at + 1 < len(words) and not words[at + 1].islower():
            return at
        if at == 0 and wh == "who" and word in _PAST_LIKE:
            return at
        if at > 8:
            break
    return None


_PAST_LIKE = frozenset({"found", "set"})


def _noun_after(words: Sequence[str], at: int) -> bool:
    """Whether a word in -ed or -s is but a noun's epithet or a plural: "What animated film was ..."."""
    return any(word in AUXILIARIES for word in words[at + 1 : at + 3]) and words[at] not in AUXILIARIES


def _early(noun: str) -> bool:
    """Whether a name begins right after the question's noun: "Which crime Ann Lee is considered ..."."""
    words = noun.split(" ")
    return len(words) > 1 and words[-1][:1].isupper()


def _uninverted(front: str, wh: str, words: Sequence[str]) -> Clause | None:
    """A question in the order of a statement: "By which company, Alto has been made?"."""
    name = next((i for i, word in enumerate(words) if word[:1].isupper() or word[:1].isdigit() or word == "the"), 0)
    if not name or wh not in ("what", "which"):
        return None
    noun = " ".join(words[:name]).rstrip(",")
    subject = words[name:]
    if noun.endswith(" of") and not front and not any(map(is_finite, subject)):  # "What nationality of Ann Lee?"
        return Clause(f"the {noun} {' '.join(subject)}", "is")
    last = max(i for i, word in enumerate(subject) if i == 0 or word[:1].isupper() or word[:1].isdigit())
    at = next((i for i in range(last + 1, len(subject)) if is_finite(subject[i])), None)
    if at is None:
        return None
    verb, rest = subject[at], " ".join(subject[at + 1 :])
    asked = _Asked(front, wh, noun, verb)
    if verb in BE | HAVE and not rest:
        return None
    return _object(asked, " ".join(subject[:at]), rest)


def _as_subject(asked: _Asked, rest: Sequence[str]) -> Clause:
    """The answer does what the question says: "Who wrote Emma?"."""
    noun, _, last = asked.noun.rpartition(" ")
    if _adverb(last):
        return Clause("", f"{last} {asked.verb}", " ".join(rest), noun)
    return Clause("", asked.verb, " ".join(rest), asked.noun)


def _adverb(word: str) -> bool:
    return word in ADVERBS or (word.endswith("ly") and word.islower() and word != "family")


def _do(asked: _Asked, words: Sequence[str]) -> Clause | None:
    """Questions with a form of "to do": "What university did Ann attend?"."""
    at = 1 if words[0] in PRONOUNS else _main_verb(words)
    if at is None:
        return None
    start = at
    while start > 1 and words[start - 1] in ADVERBS:
        start -= 1
    subject, rest = " ".join(words[:start]), list(words[start:])
    rest[at - start] = base(rest[at - start]) or rest[at - start]
    if asked.wh == "how":
        return _how(asked, subject, rest)
    if asked.noun.endswith("'s citizenship"):
        return Clause(subject, asked.verb, f"{' '.join(rest)} the citizenship of")
    return _object(asked, subject, " ".join(rest))


def _main_verb(words: Sequence[str]) -> int | None:
    """Where the bare verb stands after "did" and a subject."""
    first = 2 if words[0] in _DETERMINERS else 1
    bare = [i for i in range(first, len(words)) if words[i] in VERBS]
    known = bare or [i for i in range(first, len(words)) if base(words[i])]  # "did she fought", as people write
    if known:
        return known[0]
    tail = len(words)
    while tail > 1 and words[tail - 1].islower() and words[tail - 1].isalpha():
        tail -= 1
    while tail < len(words) and words[tail] in ADVERBS:
        tail += 1
    guess = words[tail] if tail < len(words) and first == 1 else ""
    return tail if guess and guess not in PREPOSITIONS | _LOOSE and not re.search(r"[^s]s$", guess) else None


def _how(asked: _Asked, subject: str, rest: Sequence[str]) -> Clause | None:
    """Questions for a manner or a degree: "How did Ann die?", "How endangered does the IUCN consider the tern?"."""
    if not asked.noun:
        return Clause(subject, asked.verb, "die from") if list(rest) == ["die"] else None
    return Clause(subject, asked.verb, " ".join(rest)) if rest[0] == "consider" else None


def _object(asked: _Asked, subject: str, rest: str) -> Clause | None:
    """The gap follows the verb, its preposition found, kept or supplied."""
    words = rest.split(" ") if rest else []
    stranded = bool(words) and words[-1] in PREPOSITIONS
    head = next((word for word in words if word not in ADVERBS), "")
    if asked.when:
        if stranded and words[-1] in ("in", "on", "at"):
            words, stranded = words[:-1], False
        keeps = stranded and words[-1] not in _PARTICLES
        before = asked.front if asked.front not in ("", "in", "on", "at") else ""
        return Clause(subject, asked.verb, " ".join([*words, *([before] if before else [])]), asked.noun,
                      when=not keeps and not before)  # fmt: skip
    if asked.wh == "why":
        return Clause(subject, asked.verb, f"{rest} {'of' if rest == 'die' else 'because of'}")
    word = asked.front if asked.front and not stranded else ""
    if (word, asked.head) in {("at", "location"), ("at", "place"), ("on", "continent")}:
        word = "in"
    tail = ""
    if not word and not stranded and (asked.noun or asked.wh == "where"):
        kind = _DEFAULT.get(head) or _DEFAULT.get(base(head) or "")
        word = kind or ("in" if asked.wh == "where" else "")
        if asked.wh == "where" and re.search(r"\bshow\b", rest):
            word = "on"
        if word == "in" and asked.head in _ON and head not in ("participate", "born"):
            word = "on"
    if words and words[0] == "belong" and stranded:
        words[-1] = "to"
    if asked.head in ROLES:
        return _relative(asked, subject, " ".join([*words, *([word] if word else [])]))
    if not stranded and len(words) > 1 and words[1] in PREPOSITIONS - {"to"} | {"when", "while", "before"}:
        words, tail = words[:1], " ".join(words[1:])
    return Clause(subject, asked.verb, " ".join([*words, *([word] if word else [])]), asked.noun, tail)


def _relative(asked: _Asked, subject: str, rest: str) -> Clause:
    """A statement about the noun: "The position that Ann played was goalkeeper"."""
    whole = Clause(subject, asked.verb, rest).predicate
    return Clause(f"the {asked.noun} that {subject} {whole}", copula(whole))


def _be(asked: _Asked, words: Sequence[str]) -> Clause | None:
    """Questions with a form of "to be": about a noun phrase, or about what was done."""
    text = " ".join(words)
    if asked.wh == "how":
        return None
    if asked.wh == "whose" or asked.noun.endswith(("'s citizen", "'s citizenship")):
        return _possessive(asked, text)
    cut = _cut(words, bare=not asked.noun and asked.wh != "where" and asked.wh != "when")
    if cut == 0:
        return _as_subject(asked, words) if not asked.front and asked.wh in ("what", "which", "who") else None
    if cut is not None:
        return _object(asked, " ".join(words[:cut]), " ".join(words[cut:]))
    if asked.front:
        return Clause(text, asked.verb, asked.front if not asked.when else "", asked.noun, when=asked.when)
    if asked.when:
        dated = re.match(r"(?:the (?:[a-z]+ )*|.*['’]s? (?:[a-z]+ )*)(?:date|year|day|birthday)\b", text)
        return Clause(text, asked.verb, when=not dated)
    if asked.wh == "where":
        return Clause(text, asked.verb, "in")
    if asked.wh not in ("what", "which", "who"):
        return None
    if not asked.noun or re.match(r"(?:the|an?|his|her|its) [a-z]+|.+['’]s? [a-z]", text):
        bare = not asked.noun or asked.head not in ROLES or text.startswith("the ")
        return Clause(text, asked.verb) if bare else Clause(f"the {asked.noun} of {text}", asked.verb)
    if asked.verb in ("are", "were"):
        return None
    if _COMMON.fullmatch(asked.noun):
        return Clause(text, asked.verb, article=True)
    return Clause(f"the {asked.noun} of {text}", asked.verb)


def _possessive(asked: _Asked, text: str) -> Clause | None:
    """Questions for an owner: "Which country's citizen was Ann?", "Whose invention is the zip?"."""
    if text[:1].islower() and asked.wh == "whose":
        return None
    if asked.wh == "whose" and asked.front:
        words = text.split(" ")
        cut = _cut(words, bare=False)
        return (
            Clause(" ".join(words[:cut]), asked.verb, f"{' '.join(words[cut:])} {asked.front} the {asked.noun} of")
            if cut
            else None
        )
    if asked.wh == "whose":
        return Clause(text, asked.verb, f"the {asked.noun} of") if asked.noun else None
    return Clause(text, asked.verb, "a citizen of") if asked.noun.endswith("citizen") else None


def _cut(words: Sequence[str], *, bare: bool) -> int | None:
    """Where the subject ends and what is said of it begins, after a form of "to be".

    0 says that the answer is the subject; None that all is one noun phrase.
    """
    first = words[0]
    if first in PREPOSITIONS | _ADJECTIVES | {"most", "part", "where"} or _adverb(first) or is_participle(first):
        return 0
    if first.islower() and any(w in AUXILIARIES or w in ("that", "which", "where", "when") for w in words[1:]):
        return None
    last = max((i for i, word in enumerate(words) if not word.islower() or not word[:1].isalpha()), default=-1)
    stranded = words[-1] in PREPOSITIONS
    starts = [i for i in range(max(last + 1, 1), len(words)) if _begins(words, i, stranded, last >= 0)]
    if not starts or (not stranded and re.search(r"(?:'s|’s|s'|s’)$", words[starts[0] - 1])):
        return None
    cut = starts[0]
    if not stranded and (bare and first == "the" or not (_PARTS | _ADJECTIVES).intersection(words[cut:])
                         and not any(map(is_participle, words[cut:]))):  # fmt: skip
        return None
    return None if bare and _noun_then_name(words, cut) and words[cut] not in _PASSIVE | PREPOSITIONS else cut


def _begins(words: Sequence[str], at: int, stranded: bool, named: bool) -> bool:
    """Whether what is said of the subject can begin with this word."""
    word = words[at]
    return (
        is_participle(word)
        or word in _PARTS | ADVERBS | _ADJECTIVES
        or (word in PREPOSITIONS and (at == len(words) - 1 or named))
        or (stranded and (word == "the" or word.endswith("ing")))
    )


_ADJECTIVES = word_set(
    "able active adjacent available behind closest eligible endemic famous home native next nominated responsible"
    " similar specific unique"
)


def _noun_then_name(words: Sequence[str], cut: int) -> bool:
    """Whether the words before a place are "the city Ann Lee": then a relative clause follows, no predicate."""
    at = cut
    while at > 0 and not words[at - 1].islower():
        at -= 1
    return 0 < at < cut and words[0].islower() and words[at - 1] not in PREPOSITIONS and words[at - 1] != "the"


def _have(asked: _Asked, words: Sequence[str]) -> Clause | None:
    """Questions with a perfect or a modal: "Who has acted in Emma?", "On what planet can Oslo be found?"."""
    text = " ".join(words)
    first = words[0]
    if not asked.front and asked.wh in ("what", "which", "who") and (
        first in {"a", "an", "the"} and asked.verb in HAVE
        or (first.islower() and first not in PRONOUNS and first not in ("a", "an", "the"))
    ):  # fmt: skip
        return _as_subject(asked, words)
    if asked.verb in MODALS:
        if first in PRONOUNS:
            return _object(asked, first, text.removeprefix(first + " "))
        at = next((i for i in range(1, len(words)) if words[i] in VERBS | {"be"}), None)
    else:
        at = next((i for i in range(1, len(words)) if is_participle(words[i])), None)
    if at is None:
        return _as_subject(asked, words) if not asked.front and asked.wh in ("what", "which", "who") else None
    rest = list(words[at:])
    if asked.verb in MODALS and rest[0] == "be" and len(rest) == 2 and asked.noun and not asked.front:
        place = "on" if asked.head in _ON else _DEFAULT.get(rest[1], "")
        return Clause(" ".join(words[:at]), asked.verb, " ".join([*rest, place]).strip(), asked.noun)
    return _object(asked, " ".join(words[:at]), " ".join(rest))
