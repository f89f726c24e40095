"""The question in a prompt that a program wrote: "Context: ... Question: ... Answer:".

Programs put passages, orders and examples around what a user asked. An edit is compared with the question alone; where
no marks tell which part that is, with the whole text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from errata.edit import MAX_TEXT

_ASKED = r"(?:(?:the|this|final|last|new|current|user|customer|human|student)(?:['’]s)?[ _-]+)*(?:question|query|q)"
_GIVEN = (
    r"(?:(?:the|retrieved|relevant|additional|provided|given|search|reference|source)[ _-]+)*"
    r"(?:contexts?|documents?|docs?|sources?|passages?|excerpts?|snippets?|results?|background|knowledge|information"
    r"|references?|chunks?|articles?)(?:[ _-]*\d+)?"
)
_ORNAMENT = r"[ \t>*#_\[-]*"
_LABEL = re.compile(rf"^{_ORNAMENT}{_ASKED}[ \t*_\]]*:[ \t*_]*\n?", re.I | re.M)
_TAG = re.compile(rf"<({_ASKED})>([^<]{{1,{MAX_TEXT}}})</\1>", re.I)
_CONTEXT = re.compile(
    rf"^{_ORNAMENT}{_GIVEN}(?:[ \t]+[^\n:]{{0,40}})?[ \t*_\]]*:|<{_GIVEN}\b[^<>]{{0,200}}>", re.I | re.M
)
_BEGUN = r"(?:(?:the|your|final|helpful|short|brief)[ _-]+)*(?:answer|response|reply|a|assistant)"
_ANSWER = re.compile(rf"\n{_ORNAMENT}{_BEGUN}[ \t*_\]]*:\W*\Z", re.I)


@dataclass(frozen=True, slots=True)
class Marked:
    """A prompt, cut where its question begins and ends.

    Args:
        before: what stands before the question.
        text: the question.
        after: what stands after it.
    """

    before: str
    text: str
    after: str


def marked(prompt: str) -> Marked:
    r"""The question of a prompt, and what stands around it.

    A question is marked where it has a label ("Question:", "User query:") and the prompt also labels what it is to be
    answered from ("Context:", "Sources:") or ends where the answer begins ("Answer:"), or where it stands in tags
    (<question>) beside such. Of several the last counts: those before it are examples. Everything else is no marked
    question, and the whole prompt is its own: "Translate this. Question: ..." asks for a translation.

    Example:
        >>> marked("Context: Kesh has 9 ports.\nQuestion: Which is its capital?\nAnswer:").text
        'Which is its capital?'
    """
    whole = Marked("", prompt, "")
    end = _ANSWER.search(prompt)
    if not end and not _CONTEXT.search(prompt):
        return whole
    body = prompt[: end.start()] if end else prompt
    if tags := [*_TAG.finditer(body)]:
        return _cut(prompt, *tags[-1].span(2)) or whole
    labels = [*_LABEL.finditer(body)]
    if not labels:
        return whole
    begin = labels[-1].end()
    line = body.find("\n", begin)
    return _cut(prompt, begin, line if line >= 0 else len(body)) or whole


def _cut(prompt: str, begin: int, end: int) -> Marked | None:
    """The cut without the blanks around the question; None where there is no question."""
    text = prompt[begin:end]
    begin += len(text) - len(text.lstrip())
    text = text.strip()
    return Marked(prompt[:begin], text, prompt[begin + len(text) :]) if text else None
