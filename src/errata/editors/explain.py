"""Why an edit fired for an input, or why none did, and what would fix it.

Reads the editor's own decision and looks at the edits that could not match (disabled, expired, retracted, of another
space). It decides nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from errata.edit import Candidate, Decision, Match
from errata.editors.retrieving import retrieve

if TYPE_CHECKING:
    from errata.editors.serac import Serac
    from errata.memory import Vectors

LOOKED_AT = 4
"""Inactive edits that are looked at."""


@dataclass(frozen=True, slots=True)
class Inactive:
    """An edit that would have scored, but cannot match: "disabled", "expired", "retracted", "in space 'x'" ..."""

    match: Match
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything `errata why` tells.

    Args:
        input: the text.
        decision: which edit fired, the threshold and the nearest edits.
        inactive: edits that reach the threshold but cannot match, best first.
        margin: score of the best edit in force less the threshold; None when there is no edit.
        advice: what would make the nearest fitting edit fire, or stop firing.
    """

    input: str
    decision: Decision
    inactive: tuple[Inactive, ...]
    margin: float | None
    advice: tuple[str, ...]

    @property
    def runner_up(self) -> Match | None:
        """The second best edit in force."""
        return self.decision.nearest[1] if len(self.decision.nearest) > 1 else None


def explain(editor: Serac, text: str, *, space: str, at: datetime | None = None) -> Explanation:
    """Explain one input; see Serac.explain."""
    decision = editor.decide([text], space=space, at=at)[0]
    inactive = _inactive(editor, text, space, at, decision.threshold)
    margin = decision.nearest[0].score - decision.threshold if decision.nearest else None
    return Explanation(text, decision, inactive, margin, _advice(decision, inactive))


def _inactive(editor: Serac, text: str, space: str, at: datetime | None, threshold: float) -> tuple[Inactive, ...]:
    find = getattr(editor.memory, "inactive_nearest", None)
    if find is None:
        return ()
    reasons: dict[str, str] = {}

    def search(vectors: Vectors, k: int) -> list[list[Candidate]]:
        rows: list[list[tuple[Candidate, str]]] = [find(vector[None], k, space=space, at=at) for vector in vectors]
        reasons.update((candidate.edit.id, reason) for row in rows for candidate, reason in row)
        return [[candidate for candidate, reason in row if reason != "purged"] for row in rows]

    matches = editor.scope.judge([text], retrieve(editor.scope, search, [text], LOOKED_AT))[0]
    return tuple(Inactive(match, reasons[match.edit.id]) for match in matches if match.score >= threshold)


def _advice(decision: Decision, inactive: tuple[Inactive, ...]) -> tuple[str, ...]:
    out: list[str] = []
    if decision.match:
        lost = [match for match in decision.nearest[1:] if match.score >= decision.threshold]
        for match in lost[:1]:
            out.append(
                f"edit {match.edit.id} is in scope too but scores lower; retract one of the two if they disagree"
            )
        out.append(f"to stop it: errata disable {decision.match.edit.id}, or errata retract {decision.match.edit.id}")
        return tuple(out)
    remedies = {
        "disabled": "errata enable {id}",
        "retracted": "errata add it again, or errata undo",
        "expired": "errata replace {id} with a later expiry",
        "not yet valid": "wait, or errata replace {id}",
    }
    for item in inactive:
        remedy = remedies.get(item.reason, "ask with --space of that edit, or add it to this space")
        out.append(
            f"edit {item.match.edit.id} would fire ({item.match.score:.3f}) but is {item.reason}: "
            + remedy.format(id=item.match.edit.id)
        )
    if decision.nearest:
        best = decision.nearest[0]
        if best.score >= 0.05:
            out.append(
                f"edit {best.edit.id} misses by {decision.threshold - best.score:.3f}: if it should fire, add this"
                f" wording as an edit of its own, or lower the space's threshold (errata tune)"
            )
        elif not inactive:
            out.append('no edit is about this: errata add "<this question>" "<its answer>"')
    else:
        out.append('there is no edit in force in this space: errata add "<this question>" "<its answer>"')
    return tuple(out)
