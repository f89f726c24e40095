"""Pre-flight: what there is to say about an edit before it goes live.

Duplicates and contradictions among the edits in force, how many everyday questions the edit would catch, and whether it
answers its own question in other guises. It uses the editor's own scope and counterfactual model; the base model is
asked only where the counterfactual model asks it. It stores nothing and refuses nothing: that is the caller's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Match, normal

if TYPE_CHECKING:
    from errata.editors.serac import Serac

NEIGHBOURS = 16
"""Edits in force that are looked at, on either side."""
TOO_BROAD = 0.02
"""Share of the probes an edit may catch before it is called over-broad."""
_PROBES_KEPT: dict[tuple[str, int], NDArray[np.float32]] = {}


@dataclass(frozen=True, slots=True)
class Breadth:
    """How many questions that have nothing to do with most edits this edit would answer.

    Args:
        flipped: the probes whose answer would change.
        probes: how many were tried.
    """

    flipped: tuple[str, ...]
    probes: int

    @property
    def share(self) -> float:
        """Flipped probes among all."""
        return len(self.flipped) / self.probes if self.probes else 0.0


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The edit's own question in another guise.

    Args:
        input: the text.
        score: the edit's score for it.
        fired: whether that reaches the threshold.
        answer: what would be answered; "" when it did not fire.
        passed: whether it fired and answered the target.
    """

    input: str
    score: float
    fired: bool
    answer: str
    passed: bool


@dataclass(frozen=True, slots=True)
class PreFlight:
    """What was found.

    Args:
        edit: the edit looked at.
        exact: edits in force that say the same, but for case, spacing and punctuation at the end.
        near: edits in force that answer the new prompt as the new edit does, or the other way round.
        contradictions: edits in force of the same scope that answer otherwise.
        breadth: what the edit would catch of everyday questions.
        self_test: its own question in other guises; empty for a free utterance.
        problems: all of it in sentences; empty when there is nothing to say.
        ok: whether there are no problems.
    """

    edit: Edit
    exact: tuple[Edit, ...]
    near: tuple[Match, ...]
    contradictions: tuple[Match, ...]
    breadth: Breadth
    self_test: tuple[SelfTest, ...]
    problems: tuple[str, ...]
    ok: bool


def check_edit(editor: Serac, edit: Edit) -> PreFlight:
    """Look at an edit before it goes live.

    Args:
        editor: its memory, scope, counterfactual model and threshold are used; none is changed.
        edit: the edit; an edit of the same id in the memory is taken as the one it replaces.

    Raises:
        UnsupportedEdit: the counterfactual model cannot answer such an edit.
        ModelError, StoreError: a part failed.
    """
    editor.counterfactual.check(edit)
    vector = editor.scope.encode_edits([edit])
    others = _neighbours(editor, edit, vector)
    exact = tuple(other for other in others if _same(other, edit))
    near, contradictions = _overlaps(editor, edit, vector, [other for other in others if other not in exact])
    breadth = _breadth(editor, edit, vector)
    self_test = _self_test(editor, edit, vector)
    problems = tuple(_problems(exact, near, contradictions, breadth, self_test))
    return PreFlight(edit, exact, near, contradictions, breadth, self_test, problems, not problems)


@cache
def probes() -> tuple[str, ...]:
    """The everyday questions an edit is tried on."""
    text = resources.files(__package__).joinpath("probes.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _same(a: Edit, b: Edit) -> bool:
    return (normal(a.prompt), normal(a.target)) == (normal(b.prompt), normal(b.target))


def _neighbours(editor: Serac, edit: Edit, vector: NDArray[np.float32]) -> list[Edit]:
    """Edits in force near the new edit or near its prompt, without the one it replaces."""
    both = np.concatenate([vector, editor.scope.encode_inputs([edit.prompt])])
    k = NEIGHBOURS if editor.scope.k else 1_000_000
    found = editor.memory.search(both, k, space=edit.space)
    unique = {candidate.edit.id: candidate.edit for row in found for candidate in row}
    unique.pop(edit.id, None)
    return list(unique.values())


def _overlaps(
    editor: Serac, edit: Edit, vector: NDArray[np.float32], others: Sequence[Edit]
) -> tuple[tuple[Match, ...], tuple[Match, ...]]:
    """Edits of the same scope that agree with the new one, and those that do not."""
    if not others:
        return (), ()
    threshold = editor.threshold_of(edit.space)
    theirs = editor.scope.encode_edits(others)
    into = _judge(editor, [edit.prompt] * len(others), others, theirs)  # the new prompt under their edits
    onto = _judge(editor, [other.prompt for other in others], [edit] * len(others), np.repeat(vector, len(others), 0))
    near: dict[str, Match] = {}
    against: dict[str, Match] = {}
    for other, their, mine in zip(others, into, onto, strict=True):
        best = max(their.score, mine.score)
        clashes = (
            their.score >= threshold and not _agree(editor, edit.prompt, edit.target, other),
            mine.score >= threshold and not _agree(editor, other.prompt, other.target, edit),
        )
        if best >= threshold:
            (against if any(clashes) else near)[other.id] = Match(other, best)

    def first(found: dict[str, Match]) -> tuple[Match, ...]:
        return tuple(sorted(found.values(), key=lambda match: (-match.score, match.edit.id)))

    return first(near), first(against)


def _agree(editor: Serac, prompt: str, target: str, other: Edit) -> bool:
    """Whether an edit answers a prompt with this target: said in so many words, or by the counterfactual model.

    The second finds that "Which country has the prime minister Keir Starmer?" agrees with an edit about that country.
    """
    if normal(other.target) == normal(target):
        return True
    if not (target.strip() and other.target.strip()):
        return False
    said = editor.counterfactual.respond([prompt], [Match(other, 1.0)], editor.model)[0]
    return normal(said) == normal(target)


def _judge(editor: Serac, inputs: Sequence[str], edits: Sequence[Edit], vectors: NDArray[np.float32]) -> list[Match]:
    """The score of each input for the edit beside it, as if that edit alone were in force."""
    away = ((editor.scope.encode_inputs(inputs) - vectors) ** 2).sum(axis=1)
    candidates = [[Candidate(edit, float(far))] for edit, far in zip(edits, away, strict=True)]
    return [row[0] for row in editor.scope.judge(inputs, candidates)]


def _breadth(editor: Serac, edit: Edit, vector: NDArray[np.float32]) -> Breadth:
    texts = probes()
    key = (editor.scope.fingerprint, editor.scope.dimension)
    if key not in _PROBES_KEPT:
        _PROBES_KEPT[key] = editor.scope.encode_inputs(texts)
    away = ((_PROBES_KEPT[key] - vector) ** 2).sum(axis=1)
    judged = editor.scope.judge(texts, [[Candidate(edit, float(far))] for far in away])
    threshold = editor.threshold_of(edit.space)
    flipped = tuple(text for text, row in zip(texts, judged, strict=True) if row[0].score >= threshold)
    return Breadth(flipped, len(texts))


def guises(prompt: str) -> list[str]:
    """The prompt itself, lower-cased, without its question mark, and asked politely."""
    bare = prompt.strip()
    begins = bare[:1].lower() + bare[1:] if bare[:2].istitle() else bare
    texts = (bare, bare.lower(), bare.rstrip("?.! "), f"Could you please tell me: {begins}")
    return [text for text in dict.fromkeys(texts) if text.strip()]


def _self_test(editor: Serac, edit: Edit, vector: NDArray[np.float32]) -> tuple[SelfTest, ...]:
    if not edit.target.strip():
        return ()
    texts = guises(edit.prompt)
    threshold = editor.threshold_of(edit.space)
    matches = _judge(editor, texts, [edit] * len(texts), np.repeat(vector, len(texts), 0))
    fired = [at for at, match in enumerate(matches) if match.score >= threshold]
    said = dict(
        zip(
            fired,
            editor.counterfactual.respond([texts[at] for at in fired], [matches[at] for at in fired], editor.model)
            if fired
            else [],
            strict=True,
        )
    )
    return tuple(
        SelfTest(text, match.score, at in said, said.get(at, ""),
                 at in said and normal(said[at]) == normal(edit.target))
        for at, (text, match) in enumerate(zip(texts, matches, strict=True))
    )  # fmt: skip


def _problems(
    exact: Sequence[Edit],
    near: Sequence[Match],
    contradictions: Sequence[Match],
    breadth: Breadth,
    self_test: Sequence[SelfTest],
) -> list[str]:
    said = [f"edit {other.id} says the same already" for other in exact]
    said += [
        f"contradicts edit {match.edit.id} ({match.edit.prompt!r} → {match.edit.target!r}, {match.score:.3f})"
        for match in contradictions
    ]
    said += [
        f"edit {match.edit.id} ({match.edit.prompt!r}) has the same scope and agrees ({match.score:.3f})"
        for match in near
    ]
    if breadth.share > TOO_BROAD:
        some = "; ".join(breadth.flipped[:3])
        said.append(
            f"over-broad: it would answer {len(breadth.flipped)} of {breadth.probes} everyday questions ({some})"
        )
    for test in self_test:
        if not test.fired:
            said.append(f"does not fire for its own question as {test.input!r} ({test.score:.3f})")
        elif not test.passed:
            said.append(f"answers {test.answer!r} to its own question as {test.input!r}")
    return said
