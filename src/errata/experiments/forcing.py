"""Teacher forcing: SERAC's own measure of exact match, beside ours on generated text.

Whoever answers an input (the counterfactual model where an edit fired, else the base) is shown the demanded answer
token by token; it succeeds if its likeliest token is the right one everywhere, the end included. Parts that write no
tokens one after the other (a reader that extracts, a classifier) have no such measure: their answers are compared as
they are, and the note says how many were. Nothing here draws or scores a whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from errata import metrics
from errata.counterfactual import Counterfactual
from errata.counterfactual.retell import Retell, Retold
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.edit import Edit
from errata.models import Model
from errata.models.local import LocalModel


@dataclass(frozen=True, slots=True)
class Asked:
    """One input with who answered it and what is due.

    Args:
        text: the input.
        edit: the edit that answered; None where the base did.
        due: the answer to force.
        said: whether the generated answer is the one due; counts where nothing can be forced.
    """

    text: str
    edit: Edit | None
    due: str
    said: bool


class Forcing:
    """Teacher-forced exact match of base and counterfactual model.

    Args:
        base: the base model.
        counterfactual: what answers in scope.
    """

    def __init__(self, base: Model, counterfactual: Counterfactual) -> None:
        self._base = writes(base)
        self._under, self._told = self._counterfactual(counterfactual)
        self._names = (base.name, type(counterfactual).__name__)

    def _counterfactual(
        self, counterfactual: Counterfactual
    ) -> tuple[LocalModel | None, Callable[[Edit, str], str] | None]:
        """Who writes under an edit, and what it reads."""
        if isinstance(counterfactual, Seq2SeqCounterfactual):
            return counterfactual.model, counterfactual.text
        if isinstance(counterfactual, Retell) and counterfactual.system is None:
            return self._base, Retold(counterfactual, self._base).text if self._base else None
        return None, None

    @property
    def possible(self) -> bool:
        """Whether either part writes token by token."""
        return self._base is not None or self._under is not None

    @property
    def note(self) -> str:
        """What is forced and what is not, in words."""
        base, under = self._names
        if not self.possible:
            return f"neither the base model ({base}) nor the counterfactual model ({under}) tells token likelihoods"
        if self._base is None:
            return f"the base model ({base}) tells no token likelihoods: its answers are compared as generated"
        if self._under is None:
            return f"the counterfactual model ({under}) writes no tokens: its answers are compared as generated"
        return "base and counterfactual model are teacher-forced; out of scope the base's own answer is the target"

    def forced(self, *, fired: bool) -> bool:
        """Whether the answer of an input is forced: where an edit fired, and where none did."""
        return (self._under if fired else self._base) is not None

    def right(self, asked: Sequence[Asked]) -> list[bool]:
        """Per input whether the one that answered it would write what is due; as generated where it cannot be forced.

        Raises:
            EditError: an input with its answer is longer than a model takes.
            ModelError: a model failed.
        """
        found = [one.said for one in asked]
        told = self._told
        if self._base is not None:
            at = [i for i, one in enumerate(asked) if one.edit is None]
            self._force(self._base, at, [asked[i].text for i in at], asked, found)
        if self._under is not None and told is not None:
            pairs = [(i, one.edit, one.text) for i, one in enumerate(asked) if one.edit is not None]
            self._force(
                self._under, [i for i, _, _ in pairs], [told(edit, text) for _, edit, text in pairs], asked, found
            )
        return found

    def _force(
        self,
        model: LocalModel,
        places: Sequence[int],
        prompts: Sequence[str],
        asked: Sequence[Asked],
        found: list[bool],
    ) -> None:
        if not places:
            return
        rows = model.target_matches(prompts, [asked[i].due for i in places])
        widest = max(len(row) for row in rows)
        matches = np.stack([np.pad(row, (0, widest - len(row))) for row in rows])
        mask = np.stack([np.arange(widest) < len(row) for row in rows])
        for place, right in zip(places, metrics.teacher_forced(matches, mask), strict=True):
            found[place] = bool(right)


def writes(model: Model) -> LocalModel | None:
    """The model if it writes token by token and tells how likely each is."""
    return model if isinstance(model, LocalModel) and model.kind in ("seq2seq", "causal") else None
