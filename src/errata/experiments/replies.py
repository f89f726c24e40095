"""Replies to one question before and after an edit, sampled as SERAC's Tables 2 and 7 show them.

The editor's one path throughout; nothing is scored here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from errata.editors.serac import Serac


@dataclass(frozen=True, slots=True)
class Sampled:
    """A question with replies of the base and of the editor.

    Args:
        question: the input.
        edit: the descriptor of the edit that answered, None where none fired and both are the base's.
        before: the base model's replies.
        after: the editor's, from the same seeds.
    """

    question: str
    edit: str | None
    before: tuple[str, ...]
    after: tuple[str, ...]


def before_and_after(
    editor: Serac, question: str, *, count: int = 10, temperature: float = 1.4, seed: int = 0
) -> Sampled:
    """So many replies before and after the editor's edits, at temperature 1.4 without a beam (SERAC, Table 2).

    Args:
        editor: holds the edits.
        question: the input.
        count: replies of either kind.
        temperature: 0 is greedy, and all replies of a kind are then the same.
        seed: the nth reply is sampled from this seed plus n.

    Raises:
        EditError: the question is blank or too long.
        ModelError: a part failed.
    """
    match = editor.decide([question])[0].match
    options: list[dict[str, Any]] = [{"temperature": temperature, "seed": seed + number} for number in range(count)]
    return Sampled(
        question,
        match.edit.prompt if match else None,
        tuple(editor.model.generate([question], **one)[0] for one in options),
        tuple(editor.generate([question], **one)[0].text for one in options),
    )
