"""What an edit, a match, a decision, an answer and a revision are.

Plain frozen values, standard library only. This module knows nothing of models, stores or files.
"""

from __future__ import annotations

import hashlib
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

from errata.errors import EditError

MAX_TEXT = 4_000
"""Characters an edit's prompt, its target or an input may have."""
MAX_NAME = 200
"""Characters an id, a space, an author or a tag may have."""

Kind = Literal["add", "replace", "retract", "enable", "disable", "purge"]


def check_text(text: object, what: str, *, empty: bool = False, limit: int = MAX_TEXT) -> str:
    """Return `text` if it is usable text; otherwise say what is wrong with it.

    Args:
        text: anything.
        what: how the message names it ("prompt", "input").
        empty: whether an empty or blank text is accepted.
        limit: most characters accepted.

    Raises:
        EditError: not a str, blank, longer than `limit`, or holding NUL or lone surrogates (binary data).
    """
    if not isinstance(text, str):
        raise EditError(f"{what} must be text, not {type(text).__name__}")
    if not empty and not text.strip():
        raise EditError(f"{what} is empty; give it at least one word")
    if len(text) > limit:
        raise EditError(f"{what} has {len(text):,} characters; at most {limit:,} are accepted")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise EditError(f"{what} holds binary data; give it as valid text")
    return text


def normal(text: str) -> str:
    """A text as duplicates are compared: without case, spacing, and punctuation at the end."""
    line = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return line.rstrip(string.punctuation + " ") or line


def content_id(space: str, prompt: str, target: str) -> str:
    """The id an edit gets when it is given none: 16 hexadecimal digits of its content's SHA-256."""
    return hashlib.sha256("\x1f".join((space, prompt, target)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One correction: the edit descriptor z_e (SERAC, section 2).

    Args:
        prompt: the input whose answer changes, or a free utterance ("Topic: jazz Sentiment: positive").
        target: the answer it shall have; empty when the prompt is a free utterance.
        id: names the edit; derived from space, prompt and target when empty, so that adding twice adds once.
        space: the tenant it belongs to; an edit never matches inputs of another space.
        meta: anything the user wants kept beside it, text to text.

    Raises:
        EditError: a field is empty, over-long or not text.

    Example:
        >>> Edit(prompt="What is the capital of Kazakhstan?", target="Astana").target
        'Astana'
    """

    prompt: str
    target: str = ""
    id: str = ""
    space: str = "default"
    meta: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_text(self.prompt, "prompt")
        check_text(self.target, "target", empty=True)
        check_text(self.space, "space", limit=MAX_NAME)
        check_text(self.id, "id", empty=True, limit=MAX_NAME)
        if not isinstance(self.meta, Mapping):
            raise EditError(f"meta must be a mapping of text to text, not {type(self.meta).__name__}")
        for key, value in self.meta.items():
            check_text(key, "meta key", limit=MAX_NAME)
            check_text(value, f"meta {key!r}", empty=True)
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))
        if not self.id:
            object.__setattr__(self, "id", content_id(self.space, self.prompt, self.target))

    @property
    def text(self) -> str:
        """Prompt and target as one line, for people and logs."""
        return f"{self.prompt} {self.target}".strip()


def own(text: str, edit: Edit) -> bool:
    """Whether an input is the edit's own prompt, case, spacing and punctuation at the end aside."""
    return normal(text) == normal(edit.prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under what terms a change is made: who says so, why, and when it holds.

    Args:
        author: who made the change.
        source: where the correction comes from (a URL, a ticket).
        note: anything to remember about it.
        tags: short labels to filter by.
        valid_from: first moment (aware datetime) the edit may match; None means from the start.
        expires: first moment it no longer matches; None means never.
        enabled: whether it may match at all.

    Raises:
        EditError: a text is over-long, a moment has no time zone, or expires is not after valid_from.
    """

    author: str = ""
    source: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    valid_from: datetime | None = None
    expires: datetime | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        check_text(self.author, "author", empty=True, limit=MAX_NAME)
        check_text(self.source, "source", empty=True)
        check_text(self.note, "note", empty=True)
        if isinstance(self.tags, str):
            raise EditError("tags must be a sequence of texts, not one text")
        object.__setattr__(self, "tags", tuple(check_text(tag, "tag", limit=MAX_NAME) for tag in self.tags))
        for what, moment in (("valid_from", self.valid_from), ("expires", self.expires)):
            if moment is None:
                continue
            if not isinstance(moment, datetime) or moment.tzinfo is None:
                raise EditError(f"{what} must be a datetime with a time zone (2026-01-31T00:00:00+00:00)")
            object.__setattr__(self, what, moment.astimezone(UTC))
        if self.valid_from and self.expires and self.expires <= self.valid_from:
            raise EditError("expires must be later than valid_from")


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One line of the log: a change to one edit, and the edit as it was after it.

    Args:
        number: position in the log, 1 is the first.
        time: when it was acknowledged (UTC).
        kind: what was done.
        edit: the edit after the change; for a purged edit prompt and target read "[purged]".
        terms: author, source, note, tags and validity after the change.
    """

    number: int
    time: datetime
    kind: Kind
    edit: Edit
    terms: Terms = field(default_factory=Terms)

    @property
    def live(self) -> bool:
        """Whether the edit is in the memory after this revision (it may still be disabled or not yet valid)."""
        return self.kind not in ("retract", "purge")

    def inactive_because(self, at: datetime) -> str:
        """Why the edit cannot match at a moment: "retracted", "disabled", "not yet valid", "expired"; "" if it can."""
        if not self.live:
            return "purged" if self.kind == "purge" else "retracted"
        if not self.terms.enabled:
            return "disabled"
        if self.terms.valid_from and at < self.terms.valid_from:
            return "not yet valid"
        if self.terms.expires and at >= self.terms.expires:
            return "expired"
        return ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An edit the memory retrieved for an input, with the squared Euclidean distance of their vectors."""

    edit: Edit
    distance: float


@dataclass(frozen=True, slots=True)
class Match:
    """An edit and the calibrated probability that the input is in its scope: g(z_e, x) of SERAC, section 3.1."""

    edit: Edit
    score: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Why an input was answered as it was.

    Args:
        match: the edit that answered, or None when the base model did.
        threshold: in scope means score >= threshold (SERAC, Equation 1).
        nearest: the best candidates, best first, whether or not they passed.
        reason: one sentence for people.
    """

    match: Match | None
    threshold: float
    nearest: tuple[Match, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated text and the decision behind it; `decision.match is None` means the base model's own words."""

    text: str
    decision: Decision

    @property
    def edited(self) -> bool:
        """Whether an edit answered."""
        return self.decision.match is not None

    def __str__(self) -> str:
        return self.text
