"""What edits, decisions and what is told of them look like as JSON, to programs of any kind.

The command line and the service give the same documents; docs/cli.md lists their keys.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from errata.edit import Answer, Decision, Edit, Match, Revision

if TYPE_CHECKING:
    from errata.editors.explain import Explanation
    from errata.editors.preflight import PreFlight
    from errata.memory.diffing import Diff


def edit_document(edit: Edit) -> dict[str, Any]:
    """An edit's JSON keys."""
    return {"id": edit.id, "prompt": edit.prompt, "target": edit.target, "space": edit.space, "meta": dict(edit.meta)}


def revision_document(revision: Revision, *, at: datetime | None = None) -> dict[str, Any]:
    """A revision's JSON keys; `state` is "in force" or why it cannot match."""
    terms = revision.terms
    return {
        **edit_document(revision.edit),
        "revision": revision.number,
        "time": revision.time.isoformat(),
        "kind": revision.kind,
        "state": state(revision, at),
        "author": terms.author,
        "source": terms.source,
        "note": terms.note,
        "tags": list(terms.tags),
        "valid_from": terms.valid_from.isoformat() if terms.valid_from else None,
        "expires": terms.expires.isoformat() if terms.expires else None,
        "enabled": terms.enabled,
    }


def state(revision: Revision, at: datetime | None = None) -> str:
    """Whether the edit is "in force", or why it cannot match."""
    return revision.inactive_because(at or datetime.now(UTC)) or "in force"


def diff_document(found: Diff, space: str | None = None) -> dict[str, Any]:
    """A diff's JSON keys; of one space, if one is named."""

    def kept(revision: Revision) -> bool:
        return space in (None, revision.edit.space)

    return {
        "added": [revision_document(one) for one in found.added if kept(one)],
        "removed": [revision_document(one) for one in found.removed if kept(one)],
        "changed": [
            {"before": revision_document(old), "after": revision_document(new)}
            for old, new in found.changed
            if kept(new)
        ],
    }


def match_document(match: Match | None) -> dict[str, Any] | None:
    """A match's JSON keys."""
    if match is None:
        return None
    return {"id": match.edit.id, "prompt": match.edit.prompt, "target": match.edit.target,
            "score": round(match.score, 6)}  # fmt: skip


def decision_document(decision: Decision) -> dict[str, Any]:
    """A decision's JSON keys."""
    best = decision.nearest[0] if decision.nearest else None
    return {
        "edit": match_document(decision.match),
        "score": round(best.score, 6) if best else None,
        "threshold": decision.threshold,
        "runner_up": match_document(decision.nearest[1]) if len(decision.nearest) > 1 else None,
        "nearest": [match_document(match) for match in decision.nearest],
        "reason": decision.reason,
    }


def answer_document(question: str, answer: Answer) -> dict[str, Any]:
    """An answer's JSON keys."""
    return {"question": question, "answer": answer.text, "edited": answer.edited, **decision_document(answer.decision)}


def preflight_document(found: PreFlight) -> dict[str, Any]:
    """A pre-flight's JSON keys."""
    return {
        "ok": found.ok,
        "edit": edit_document(found.edit),
        "exact": [edit_document(edit) for edit in found.exact],
        "near": [match_document(match) for match in found.near],
        "contradictions": [match_document(match) for match in found.contradictions],
        "breadth": {"flipped": list(found.breadth.flipped), "probes": found.breadth.probes},
        "self_test": [
            {"input": test.input, "score": round(test.score, 6), "fired": test.fired, "answer": test.answer,
             "passed": test.passed}
            for test in found.self_test
        ],
        "problems": list(found.problems),
    }  # fmt: skip


def explanation_document(explanation: Explanation, *, answer: str, base: str) -> dict[str, Any]:
    """An explanation's JSON keys."""
    return {
        "input": explanation.input,
        "answer": answer,
        "base_answer": base,
        "edited": explanation.decision.match is not None,
        **decision_document(explanation.decision),
        "margin": explanation.margin,
        "inactive": [{"reason": item.reason, **(match_document(item.match) or {})} for item in explanation.inactive],
        "advice": list(explanation.advice),
    }
