"""Put one batch's questions to an editor without a memory of ours: base and editor both answer every one.

The counterpart of `asking` for editors that change weights, and for SeProG, which keeps its edits as vectors; what the
rows amount to is `scoring`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self

from errata import metrics
from errata.edit import Answer, Edit
from errata.experiments.asking import CHUNK, Counting, Inside, Outside, apart_of
from errata.experiments.forcing import writes
from errata.experiments.scoring import Row, chunks, decided
from errata.problems.cases import Problem

NOTE = "the edited model is teacher-forced; out of scope the base's own answer is the target"
UNFORCED = "the model tells no token likelihoods: its answers are compared as generated"


class Reasked(Protocol):
    """An editor that is asked so: `WeightEditor` and `Seprog`."""

    name: Any
    base: Any
    settings: Any
    untold: str

    def check(self, edit: Edit) -> None:
        """Refuse an edit it can learn nothing from."""
        ...

    def edit(self, *edits: Edit) -> Self:
        """A new editor with these edits made."""
        ...

    def generate(self, inputs: Sequence[str], **options: Any) -> list[Answer]:
        """An answer for each input."""
        ...

    def target_matches(self, inputs: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """Teacher-forced, whether the likeliest token is the target's."""
        ...


class Reasker(Counting):
    """Asks such an editor, batch after batch.

    Args:
        base: the editor before any edit.
    """

    def __init__(self, base: Reasked) -> None:
        super().__init__()
        self._base = base

    @property
    def note(self) -> str:
        """What is teacher-forced, in words."""
        return NOTE if self.forces() else UNFORCED

    def forces(self, *, fired: bool = False) -> bool:
        """Whether answers are teacher-forced, whether an edit fired or not."""
        return writes(self._base.base) is not None

    def rows(self, part: Problem, number: int) -> Iterator[Row]:
        """Make a batch's edits and ask every input of it: those in scope, then the others.

        Args:
            part: the batch.
            number: which one it is; in every row.

        Raises:
            UnsupportedEdit, ModelError: as the editor's `edit`.
        """
        inside, outside = apart_of(part)
        if not inside and not outside:  # a sample asks some batches nothing
            return
        edited = self._base.edit(*(case.edit for case in part.cases))
        for labelled in chunks(inside, CHUNK):
            yield from self._inside(edited, labelled, number)
            self.told(len(labelled))
        for unlabelled in chunks(outside, CHUNK):
            yield from self._outside(edited, unlabelled, number)
            self.told(len(unlabelled))

    def _inside(self, edited: Reasked, chunk: Sequence[Inside], number: int) -> Iterator[Row]:
        texts, due = [one.text for _, one in chunk], [one.answer for _, one in chunk]
        answers = edited.generate(texts)
        right = metrics.edit_success([answer.text for answer in answers], due)
        forced = _forced(edited, texts, due)
        for at, (own, one) in enumerate(chunk):
            yield Row(
                "in", one.kind, one.hard, one.text, one.answer, answers[at].text, own.edit.id,
                *decided(answers[at].decision), bool(right[at]), number, self.seed, forced[at],
            )  # fmt: skip

    def _outside(self, edited: Reasked, chunk: Sequence[Outside], number: int) -> Iterator[Row]:
        texts = [one.text for _, one in chunk]
        before = self._base.base.generate(texts)  # ENN's weights differ from the base's before any edit
        after = edited.generate(texts)
        changed = metrics.drawdown([answer.text for answer in after], before)
        forced = _forced(edited, texts, before)
        for at, (edit, one) in enumerate(chunk):
            yield Row(
                "out", one.kind, one.hard, one.text, before[at], after[at].text, edit,
                *decided(after[at].decision), not changed[at], number, self.seed, forced[at], None, one.answer or None,
            )  # fmt: skip


def _forced(edited: Reasked, texts: Sequence[str], due: Sequence[str]) -> list[bool | None]:
    """Teacher-forced exact match; None where the model writes no tokens, or has nothing to be shown."""
    if writes(edited.base) is None:
        return [None] * len(texts)
    asked = [at for at, answer in enumerate(due) if answer]
    found = edited.target_matches([texts[at] for at in asked], [due[at] for at in asked])
    right = {at: bool(row.all()) for at, row in zip(asked, found, strict=True)}
    return [right.get(at) for at in range(len(texts))]
