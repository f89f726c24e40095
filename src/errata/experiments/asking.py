"""Put one batch's questions to an editor that holds its edits, and make a row of every answer.

Every input takes the editor's one path. What more is asked (teacher forcing, either part by itself) is asked here too,
of the same answers; what it amounts to is `scoring`'s business.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from errata import metrics
from errata.edit import Decision, Edit, Match
from errata.editors.serac import Serac
from errata.experiments.forcing import Asked, Forcing
from errata.experiments.scoring import Row, chunks, decided
from errata.problems.cases import Labelled, Problem, Unlabelled

log = logging.getLogger(__name__)

CHUNK = 64
CHECKED = 50
"""Out-of-scope inputs on which no edit fired that are answered twice, by the editor and by the base alone; in many
batches, one each."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is, and how much there is."""
T = TypeVar("T")
Inside = tuple[Match, Labelled]
"""An input in scope with its own edit, as a match that is certain."""
Outside = tuple[str | None, Unlabelled]
"""An input out of scope with the id of the edit that it was made for."""


class Counting:
    """Which seed is asked, and how far it is."""

    def __init__(self) -> None:
        self.seed = 0
        self._done, self._total = 0, 0
        self._progress: Progress | None = None

    def begin(self, seed: int, parts: Sequence[Problem], progress: Progress) -> None:
        """A seed's batches follow."""
        self.seed, self._progress, self._done = seed, progress, 0
        self._total = sum(
            len(part.shared) + sum(len(case.in_scope) + len(case.out_of_scope) for case in part.cases) for part in parts
        )

    def told(self, count: int) -> None:
        """So many more inputs are asked."""
        self._done += count
        if self._progress is not None:
            self._progress(f"inputs, seed {self.seed}", self._done, self._total)


def apart_of(part: Problem) -> tuple[list[Inside], list[Outside]]:
    """A batch's inputs in scope, each with its own edit, and those out of it."""
    inside = [(Match(case.edit, 1.0), one) for case in part.cases for one in case.in_scope]
    outside: list[Outside] = [(case.edit.id, one) for case in part.cases for one in case.out_of_scope]
    return inside, outside + [(None, one) for one in part.shared]


class Asker(Counting):
    """Asks batch after batch, and counts what was asked twice.

    Args:
        forcing: what can be teacher-forced.
        components: whether the counterfactual model is asked every counted input, whatever the scope classifier says.
    """

    def __init__(self, forcing: Forcing, *, components: bool = False) -> None:
        super().__init__()
        self.forcing, self.components = forcing, components
        self.checked = 0
        """Misses answered twice, by the editor and by the base alone."""
        self.changed = 0
        """Those where the two differ; it should be none."""
        self._batches = 1

    @property
    def note(self) -> str:
        """What is teacher-forced, in words."""
        return self.forcing.note

    def forces(self, *, fired: bool) -> bool:
        """Whether the answer of an input is teacher-forced: where an edit fired, and where none did."""
        return self.forcing.forced(fired=fired)

    def begin(self, seed: int, parts: Sequence[Problem], progress: Progress) -> None:
        """A seed's batches follow."""
        super().begin(seed, parts, progress)
        self._batches = len(parts)

    def rows(self, subject: Serac, part: Problem, number: int) -> Iterator[Row]:
        """Every input of a batch, answered: those in scope, then the others.

        Args:
            subject: an editor that holds the batch's edits, and no others.
            part: the batch.
            number: which one it is; in every row.
        """
        inside, outside = apart_of(part)
        missed: list[str] = []
        for labelled in chunks(inside, CHUNK):
            yield from self._inside(subject, labelled, part, number)
            self.told(len(labelled))
        for unlabelled in chunks(outside, CHUNK):
            for row in self._outside(subject, unlabelled, part, number):
                missed += [row.input] if row.matched is None else []
                yield row
            self.told(len(unlabelled))
        self._verify(subject, missed, number)

    def _inside(self, subject: Serac, chunk: Sequence[Inside], part: Problem, number: int) -> Iterator[Row]:
        texts, due = [one.text for _, one in chunk], [one.answer for _, one in chunk]
        answers = subject.generate(texts)
        right = [bool(good) for good in metrics.edit_success([answer.text for answer in answers], due)]
        counted = [one.kind in part.success for _, one in chunk]
        asked = [
            Asked(text, _fired(answer.decision), want, good) if takes else None
            for text, answer, want, good, takes in zip(texts, answers, due, right, counted, strict=True)
        ]
        forced = self._forced(asked)
        known = [
            answer.text if answer.decision.match and answer.decision.match.edit.id == own.edit.id else None
            for answer, (own, _) in zip(answers, chunk, strict=True)
        ]
        owns = [own if takes else None for (own, _), takes in zip(chunk, counted, strict=True)]
        given = self._given(subject, texts, owns, known)
        for at, (own, one) in enumerate(chunk):
            yield Row(
                "in", one.kind, one.hard, one.text, one.answer, answers[at].text, own.edit.id,
                *decided(answers[at].decision), right[at], number, self.seed, forced[at], given[at],
            )  # fmt: skip

    def _outside(self, subject: Serac, chunk: Sequence[Outside], part: Problem, number: int) -> Iterator[Row]:
        """Only where an edit fired are both asked; elsewhere the editor's answer is the base's, see `_verify`.

        With `components` the base is asked all that counts, and always what has a gold label, to be held against it.
        """
        texts = [one.text for _, one in chunk]
        decisions = subject.decide(texts)
        counted = [one.kind not in part.apart for _, one in chunk]
        fired = [decision.match is not None for decision in decisions]
        answers = _spread(subject.generate, texts, fired)
        wanted = [
            hit or bool(one.answer) or (self.components and takes)
            for hit, takes, (_, one) in zip(fired, counted, chunk, strict=True)
        ]
        bases = _spread(subject.model.generate, texts, wanted)
        said = [answer.text if answer else base for answer, base in zip(answers, bases, strict=True)]
        right = [
            not hit or not metrics.drawdown([text or ""], [base or ""])[0]
            for hit, text, base in zip(fired, said, bases, strict=True)
        ]
        asked = [
            Asked(text, _fired(decision), base or "", good) if hit and takes else None
            for text, decision, base, good, hit, takes in zip(
                texts, decisions, bases, right, fired, counted, strict=True
            )
        ]
        forced = self._forced(asked)
        nearest = [
            decision.nearest[0] if takes and decision.nearest else None
            for decision, takes in zip(decisions, counted, strict=True)
        ]
        given = self._given(subject, texts, nearest, [answer.text if answer else None for answer in answers])
        for at, (edit, one) in enumerate(chunk):
            unforced = right[at] if counted[at] and self.forcing.possible else None
            yield Row(
                "out", one.kind, one.hard, one.text, bases[at], said[at], edit,
                *decided(decisions[at]), right[at], number, self.seed,
                unforced if asked[at] is None else forced[at], given[at], one.answer or None,
            )  # fmt: skip

    def _forced(self, asked: Sequence[Asked | None]) -> list[bool | None]:
        """Teacher-forced exact match of those that are asked; None for the others, and where nothing is forced."""
        if not self.forcing.possible:
            return [None] * len(asked)
        found = iter(self.forcing.right([one for one in asked if one]))
        return [next(found) if one else None for one in asked]

    def _given(
        self, subject: Serac, texts: Sequence[str], matches: Sequence[Match | None], known: Sequence[str | None]
    ) -> list[str | None]:
        """What the counterfactual model says under these edits, where it has not said so already."""
        if not self.components:
            return [None] * len(texts)
        open_ = [match is not None and said is None for match, said in zip(matches, known, strict=True)]
        new = iter(
            subject.counterfactual.respond(
                [text for text, asked in zip(texts, open_, strict=True) if asked],
                [match for match, asked in zip(matches, open_, strict=True) if asked and match],
                subject.model,
            )
            if any(open_)
            else ()
        )
        return [
            next(new) if asked else said if match else None
            for match, said, asked in zip(matches, known, open_, strict=True)
        ]

    def _verify(self, subject: Serac, missed: Sequence[str], number: int) -> None:
        """Answer some misses twice: where no edit fired, editor and base must say the same."""
        wanted = min(max(1, CHECKED // self._batches), len(missed))
        texts = random.Random(f"{self.seed} {number}").sample(list(missed), wanted)
        if not texts:
            return
        answers, bases = subject.generate(texts), subject.model.generate(texts)
        changed = [text for text, answer, base in zip(texts, answers, bases, strict=True) if answer.text != base]
        self.checked, self.changed = self.checked + len(texts), self.changed + len(changed)
        if changed:
            log.warning("no edit fired and yet the answer differs from the base's: %s", changed[:3])


def _fired(decision: Decision) -> Edit | None:
    return decision.match.edit if decision.match else None


def _spread(ask: Callable[[list[str]], Sequence[T]], texts: Sequence[str], wanted: Sequence[bool]) -> list[T | None]:
    """The answers to the texts that are wanted, in their places; None elsewhere."""
    asked = [text for text, takes in zip(texts, wanted, strict=True) if takes]
    said = iter(ask(asked) if asked else ())
    return [next(said) if takes else None for takes in wanted]
