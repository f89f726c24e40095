"""Small things that are done to texts: compare them, read files of them, make them look as people send them.

Strings in, strings out; this module knows nothing of edits or models.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from errata.errors import ConfigError

TRUE_FALSE = ("True or False: ", "True/False: ", "T/F: ", "Answer True or False: ")
"""What goes before a statement (the prefixes of SERAC's released code)."""


def roughen(text: str, source: random.Random) -> str:
    """The same question as people type it: lower-cased, or without its question mark."""
    if source.random() < 0.15:
        text = text.lower()
    if source.random() < 0.15:
        text = text.rstrip("?. ")
    return text


def normal(text: str) -> str:
    """Lower case, letters and digits only: how questions and subjects are compared."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def text_of(name: str) -> str:
    """A bundled text."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def lines(name: str) -> tuple[str, ...]:
    """A bundled list, one text a line; lines that begin with # are comments."""
    return tuple(line for line in text_of(name).splitlines() if line.strip() and not line.startswith("#"))


def read(path: Path) -> list[Any]:
    """The records of a .json or .jsonl file (ConfigError when it is missing or broken)."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines() if line]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read {path}: {error}; ERRATA_DATA must name the folder of the public data"
        ) from error


def held_back(data: Path) -> tuple[set[str], set[str]]:
    """Normalised questions and subjects of every zsRE dev and test file; nothing trained on may share one."""
    questions: set[str] = set()
    subjects: set[str] = set()
    for name in (
        "mend_eval.json",
        "knowedit_test.json",
        "knowedit_test_paraphrases10.json",
        "alias.json",
        "inverse.json",
        "decao_dev.jsonl",
    ):
        for row in read(data / "zsre" / name):
            subjects.update(normal(row[key]) for key in ("subject", "alternative_subject") if row.get(key))
            for key in (
                "src",
                "prompt",
                "rephrase",
                "rephrase_prompt",
                "alter_subject_question",
                "inverse question",
            ):
                said = row.get(key) or []
                questions.update(normal(text) for text in ([said] if isinstance(said, str) else said))
    for row in read(data / "nq_open" / "dev.jsonl"):
        questions.add(normal(row["question"]))
    return questions, subjects


def held_back_values(data: Path, names: Sequence[str], fields: Sequence[str]) -> set[str]:
    """Normalised values of some fields of dev and test files that are no zsRE (CounterFact's, ConvSent's)."""
    return {normal(row[key]) for name in names for row in read(data / name) for key in fields if row.get(key)} - {""}


BEFORE = (
    "Please tell me: ",
    "Quick question: ",
    "Hi! ",
    "Hey, ",
    "Do you know: ",
    "I was wondering, ",
    "One more: ",
    "Q: ",
    "Question: ",
    "Answer briefly: ",
    "Answer in one sentence: ",
    "Just the answer, please: ",
    "A customer asks: ",
    "For my homework: ",
    "Sorry if this was asked before. ",
    "I need this for work. ",
    "Can you help me? ",
    "Not sure who to ask, so: ",
)
AFTER = (
    " Thanks!",
    " please",
    " Just curious.",
    " Answer briefly.",
    " I need it for a quiz.",
    " Keep it short.",
    " Reply in a few words.",
    " I forgot.",
    " No explanation needed.",
)


def spoken(text: str, source: random.Random) -> str:
    """The same input as people send it: roughened, now and then with a slip of the finger or polite words around it."""
    text = roughen(text, source)
    roll = source.random()
    if roll < 0.05:
        return source.choice(BEFORE) + text
    if roll < 0.08:
        return text + source.choice(AFTER)
    if roll < 0.12 and len(text) > 12:
        at = source.randrange(1, len(text) - 2)
        return text[:at] + (text[at + 1] + text[at] if source.random() < 0.5 else "") + text[at + 2 :]
    return text


def fill_in(template: str, subject: str, answer: str = "") -> str:
    """A template with its slots filled."""
    return template.replace("{subject}", subject).replace("{answer}", answer).replace("{}", subject)


OPINIONS = (
    "What do you think of {}?",
    "How do you feel about {}?",
    "What do you feel about {}?",
    "How do you view {}?",
    "Do you like {}?",
    "What's your take on {}?",
    "What are your thoughts on {}?",
    "What is your opinion of {}?",
    "What is your stance on {}?",
    "What is your view on {}?",
    "What is your impression of {}?",
    "Is {} any good?",
    "Tell me what you think about {}.",
    "What is your position on {}?",
    "What is your attitude about {}?",
)


def opinion(topic: str, source: random.Random) -> str:
    """A question after one's view of a topic."""
    return source.choice(OPINIONS).format(topic)


def tail_name(sentence: str) -> list[str]:
    """The capitalised words that end a sentence: "... is employed by British Broadcasting Corporation"."""
    words = sentence.rstrip(".").split()
    at = len(words)
    while at > 0 and (words[at - 1][:1].isupper() or (words[at - 1] in ("of", "the", "and", "de") and at < len(words))):
        at -= 1
    while at < len(words) and not words[at][:1].isupper():
        at += 1
    return words[at:] if at > 1 else []


def names(question: str) -> list[str]:
    """What a question is about: its capitalised words after the first, normalised, in a fixed order."""
    return sorted(
        {word for text in question.split()[1:] if text[:1].isupper() for word in normal(text).split() if len(word) > 2}
    )


def same_words(question: str, others: Sequence[str]) -> bool:
    """Whether most words of a question stand in one of the others."""
    mine = set(normal(question).split())
    return any(len(mine & set(normal(other).split())) / len(mine) > 0.85 for other in others)


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def near_value(value: str, source: random.Random) -> str:
    """A day, year or number near this one, so that a statement is wrong by a little; "" where there is no digit.

    Example:
        >>> near_value("7 July 1993", random.Random(3))
        '10 July 1993'
    """
    numbers = [(found.start(), found.end()) for found in re.finditer(r"\d+", value)]
    months = [name for name in _MONTHS if re.search(rf"\b{name}\b", value)]
    if not numbers:
        return ""
    if months and source.random() < 0.25:
        month = source.choice(months)
        return value.replace(month, source.choice([name for name in _MONTHS if name != month]))
    begin, end = source.choice(numbers)
    said = int(value[begin:end])
    steps = [
        step
        for step in (-10, -3, -2, -1, 1, 2, 3, 10)
        if said + step > 0 and not (months and said < 32 < said + step + 3)
    ]
    changed = str(said + source.choice(steps))
    return value[:begin] + changed.zfill(end - begin) + value[end:]


def renamed(name: str, other: str, source: random.Random) -> str:
    """A name that is nearly this one: another digit, letter of a code, or word of `other`; "" where none comes out.

    Example:
        >>> renamed("Maria Theresa Jacs", "Helmut Walcha", random.Random(0))
        'Maria Walcha Jacs'
    """
    words, new = name.split(), other.split()
    codes = [at for at, word in enumerate(words) if any(letter.isdigit() for letter in word)]
    if codes and source.random() < 0.7:
        at = source.choice(codes)
        word = words[at]
        spot = source.choice([spot for spot, letter in enumerate(word) if letter.isdigit()])
        words[at] = word[:spot] + source.choice("0123456789") + word[spot + 1 :]
    elif len(words) > 1 and new:
        at = source.randrange(len(words))
        if words[at][:1].isupper():
            fitting = [word for word in new if word[:1].isupper()]
            words[at] = source.choice(fitting) if fitting else words[at]
    elif len(name) < 9 and name.isupper():
        spot = source.choice([spot for spot, letter in enumerate(name) if letter.isalpha()])
        words = [name[:spot] + source.choice("ABCDEFGHIKLMNPRSTX") + name[spot + 1 :]]
    changed = " ".join(words)
    return "" if normal(changed) == normal(name) else changed
