"""What became of the requests: counts and latency over time, and the newest near misses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from errata.edit import Revision
from errata.service.console import plots
from errata.service.console.visit import Visit
from errata.service.ledger import Ledger

MOST = 10_000
"""Decisions that a page looks at."""
WINDOWS = {"hour": (timedelta(hours=1), 60), "day": (timedelta(days=1), 48), "week": (timedelta(days=7), 56)}
"""How far back, and in how many steps."""
OUTCOMES = {
    "hit": "Hit",
    "near": "Near miss",
    "miss": "Miss",
    "declined": "Declined",
    "bypass": "Bypassed",
}
MISSES = 12
"""Near misses that are shown."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision of the audit."""

    id: int
    time: datetime
    told: dict[str, Any]

    @property
    def outcome(self) -> str:
        """What became of it."""
        return str(self.told.get("outcome", "miss"))


def decisions(ledger: Ledger, space: str, since: datetime) -> tuple[list[Decided], bool]:
    """The newest decisions of a space since a moment, newest first, and whether older ones were left out."""
    sql = "SELECT id, time, told FROM audit WHERE what = 'decision' AND space = ? ORDER BY id DESC LIMIT ?"
    found: list[Decided] = []
    rows = ledger.rows(sql, (space, MOST))
    for id, time, told in rows:
        moment = datetime.fromisoformat(time)
        if moment < since:
            return found, False
        found.append(Decided(id, moment, json.loads(told)))
    return found, len(rows) == MOST


def seen(visit: Visit) -> Response:
    """The page."""
    visit.needs("reader")
    name = visit.asked("window") if visit.asked("window") in WINDOWS else "day"
    length, steps = WINDOWS[name]
    now = datetime.now(UTC)
    found, cut = decisions(visit.desk.ledger, visit.space, now - length)
    if cut:  # a busy service: the page tells of the time that it knows all of
        length = max(timedelta(minutes=1), now - found[-1].time)
    buckets = _buckets(found, now - length, length, steps)
    counts = {key: sum(one.outcome == key for one in found) for key in OUTCOMES}
    rows = [[sum(one.outcome == key for one in bucket) for key in OUTCOMES] for bucket in buckets]
    middle, slow = ([_quantile(bucket, share) for bucket in buckets] for share in (0.5, 0.95))
    times = [now - length + step * length / steps for step in range(steps)]
    table = [(moment, row, a, b) for moment, row, a, b in zip(times, rows, middle, slow, strict=True) if any(row)]
    return visit.page(
        "traffic.html", window=name, windows=WINDOWS, outcomes=OUTCOMES, counts=counts, total=len(found), cut=cut,
        begin=now - length, end=now, table=table, top=max((sum(row) for row in rows), default=0),
        slowest=max((value for value in slow if value is not None), default=0.0),
        middle=_quantile(found, 0.5), slow=_quantile(found, 0.95),
        bars=plots.bars(rows, tuple(OUTCOMES), "Requests over time: " + _spoken(counts)),
        lines=plots.lines([slow, middle], ("slow", "middle"), "Milliseconds to decide, median and 95th percentile"),
        misses=_misses(visit, found), texts=visit.console.settings.telemetry.prompts,
    )  # fmt: skip


def _buckets(found: Sequence[Decided], begin: datetime, length: timedelta, steps: int) -> list[list[Decided]]:
    buckets: list[list[Decided]] = [[] for _ in range(steps)]
    for one in found:
        buckets[min(steps - 1, max(0, int((one.time - begin) / length * steps)))].append(one)
    return buckets


def _quantile(found: Sequence[Decided], share: float) -> float | None:
    """Milliseconds that a share of the decisions took at most."""
    ordered = sorted(float(one.told.get("ms", 0.0)) for one in found)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def nearly(told: Mapping[str, Any]) -> tuple[float, str, str]:
    """A near miss's best score, the words it was asked in ("" where they are not kept), and the id of the edit."""
    scores, ids, texts = (told.get(name) or [] for name in ("scores", "nearest", "inputs"))
    at = max(range(len(scores)), key=scores.__getitem__, default=0)
    known = len(texts) == len(scores)  # an input that has no edit near it has no score either
    return scores[at] if scores else 0.0, texts[at] if texts and known else "", ids[at] if at < len(ids) else ""


def _misses(visit: Visit, found: Sequence[Decided]) -> list[tuple[Decided, float, str, Revision | None]]:
    """The newest near misses: the best score, the words where they are kept, and the edit that was nearly hit."""
    near = [(one, *nearly(one.told)) for one in [one for one in found if one.outcome == "near"][:MISSES]]
    known = visit.desk.editor.memory.find({id for *_, id in near})
    shown = visit.may("editor")  # what others wrote is for those who make edits of it
    return [(one, score, text if shown else "", known.get(id)) for one, score, text, id in near]


def _spoken(counts: dict[str, int]) -> str:
    return ", ".join(f"{OUTCOMES[key].lower()} {count}" for key, count in counts.items())
