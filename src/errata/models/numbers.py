"""Numbers of an input compared with an edit's: of an edit that says 342, "over 300" becomes "over 300 [more]".

Word pieces hide the size of a number ("1935" is "1935" or "193", "##5"), and half of VitaminC's claims turn on one. The
comparison is arithmetic, so it is computed and written into the text; what follows from it the network learns. Strings
in, strings out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple


def _words(text: str) -> list[str]:
    return text.split()


MONTHS = _words("january february march april may june july august september october november december")
_MONTH = "|".join(f"{name}|{name[:3]}\\b\\.?" for name in MONTHS)
_SMALL = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
WORDS = {word: value for value, word in enumerate(_SMALL)} | {word: 10 * (at + 2) for at, word in enumerate(_TENS)}
SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_FIGURE = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_NUMBER = re.compile(
    rf"(?P<month>\b(?:{_MONTH}))\s+(?P<day>\d{{1,2}})(?!\d|,\d)"
    rf"|(?<![\d.,])(?P<first>\d{{1,2}})\s+(?P<second>(?:{_MONTH})\b)"
    rf"|(?<![\w.,-])(?P<figure>{_FIGURE})(?![\d])"
    rf"(?:\s*(?P<percent>%|percent\b|per cent\b)|\s+(?P<scale>{'|'.join(SCALES)})\b)?"
    rf"|\b(?P<tens>{'|'.join(_TENS)})-(?P<unit>{'|'.join(_SMALL[1:10])})\b"
    rf"|\b(?P<word>{'|'.join([*_SMALL[2:], *_TENS])})\b(?:\s+(?P<scale2>{'|'.join(SCALES)})\b)?",
    re.IGNORECASE,
)


class Number(NamedTuple):
    """A number in a text: what it counts (a date, a year, a percentage or things), its value and where it ends."""

    kind: str
    value: float
    end: int


def compared(text: str, other: str) -> str:
    """The text with each of its numbers followed by how the nearest number of the other text compares with it.

    Example:
        >>> compared("Fewer than 222 recovered by April 9.", "As of April 12 there were 270 cases and 225 recoveries.")
        'Fewer than 222 [more] recovered by April 9 [more].'
    """
    theirs = list(numbers(other))
    if not theirs:
        return text
    out, begin = [], 0
    for number in numbers(text):
        told = _told(number, theirs)
        if told:
            out += [text[begin : number.end], f" [{told}]"]
            begin = number.end
    return "".join([*out, text[begin:]])


def numbers(text: str) -> Iterator[Number]:
    """The numbers of a text, in order; the digits of names ("A320", "B-52s") are none."""
    for found in _NUMBER.finditer(text):
        part = found.groupdict()
        if part["month"] or part["second"]:
            month = (part["month"] or part["second"]).lower()[:3]
            at = next(number for number, name in enumerate(MONTHS, 1) if name.startswith(month))
            yield Number("date", 100 * at + int(part["day"] or part["first"]), found.end())
        elif part["figure"]:
            value = float(part["figure"].replace(",", ""))
            bare = part["figure"].isdigit() and not part["percent"] and not part["scale"]
            kind = "percent" if part["percent"] else "year" if bare and 1000 <= value <= 2100 else "count"
            yield Number(kind, value * SCALES.get((part["scale"] or "").lower(), 1), found.end())
        elif part["tens"]:
            yield Number("count", WORDS[part["tens"].lower()] + WORDS[part["unit"].lower()], found.end())
        else:
            value = WORDS[part["word"].lower()] * SCALES.get((part["scale2"] or "").lower(), 1)
            yield Number("count", value, found.end())


def _told(number: Number, theirs: list[Number]) -> str:
    """Whether the nearest number of its kind is the "same", "more" or "less"; "" where there is none."""
    alike = [other.value for other in theirs if other.kind == number.kind]
    if not alike and number.kind != "date":  # "1,200 people" beside "1600 people", "54 %" beside "54 out of 100"
        near = {"count": ("year", "percent"), "percent": ("count",), "year": ("count",)}[number.kind]
        alike = [
            other.value for other in theirs if other.kind in near and 0.5 < (other.value + 1) / (number.value + 1) < 2
        ]
    if not alike:
        return ""
    nearest = min(alike, key=lambda value: abs(math.log((value + 1) / (number.value + 1))))
    if nearest == number.value:
        return "same"
    return "more" if nearest > number.value else "less"
