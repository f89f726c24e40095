"""What scope and reader are trained on: an edit with the inputs around it.

The shape alone; groups.py and evidence.py draw them from the corpora.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AnswerKind = Literal["span", "true", "false", "yes", "no", "none"]


@dataclass(frozen=True, slots=True)
class Inside:
    """An input in the edit's scope; kind "none" when only the scope is known, not the answer."""

    text: str
    kind: AnswerKind
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """One edit and inputs around it; `key` names its scope, so that edits of one scope are not taken for strangers."""

    prompt: str
    target: str
    inside: tuple[Inside, ...]
    outside: tuple[str, ...]
    source: str
    key: str
