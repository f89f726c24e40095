"""What is written down of a request: one decision record, counters, and the audit; no text unless switched on."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from errata.edit import Decision
from errata.errors import StoreError
from errata.service.asked import Asked
from errata.service.ledger import Ledger
from errata.service.owed import Owed

log = logging.getLogger(__name__)

NEAR = 0.1
"""A miss whose best edit scores at least this is a near miss."""
KEPT = 100_000
"""Records that wait to be written; should the disk be full, the oldest are dropped and counted."""
EVERY = 0.5
"""Seconds between two writes of the audit's decisions: so much of it a crash may lose."""


@dataclass(slots=True)
class Record:
    """What became of a request.

    Args:
        api: which route.
        who: the key's name.
        space: whose edits.
    """

    api: str
    who: str
    space: str
    begun: float = field(default_factory=time.perf_counter)
    outcome: str = "miss"
    edits: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    nearest: tuple[str, ...] = ()
    threshold: float | None = None
    reason: str = ""
    texts: tuple[str, ...] = ()
    seconds: float = 0.0

    def decided(self, asked: Asked, decisions: Sequence[Decision]) -> None:
        """Take down what was decided."""
        self.edits = tuple(one.match.edit.id for one in decisions if one.match)
        self.scores = tuple(round(one.nearest[0].score, 4) for one in decisions if one.nearest)
        self.nearest = tuple(one.nearest[0].edit.id for one in decisions if one.nearest)
        self.threshold = decisions[0].threshold if decisions else None
        self.reason = asked.declined or (decisions[0].reason if decisions else "")
        self.texts = asked.inputs
        self.seconds = time.perf_counter() - self.begun
        if self.edits:
            self.outcome = "hit"
        elif asked.declined:
            self.outcome = "bypass" if asked.declined == "bypassed" else "declined"
        elif any(score >= NEAR for score in self.scores):
            self.outcome = "near"

    def told(self, *, texts: bool) -> dict[str, Any]:
        """As the audit holds it."""
        found: dict[str, Any] = {
            "api": self.api,
            "outcome": self.outcome,
            "edits": list(self.edits),
            "scores": list(self.scores),
            "nearest": list(self.nearest),
            "threshold": self.threshold,
            "reason": self.reason,
            "ms": round(1000 * self.seconds, 2),
        }
        return {**found, "inputs": list(self.texts)} if texts else found


class Records:
    """Keeps records in the ledger's audit, written a few at a time.

    Args:
        ledger: where the audit lies.
        owed: lines of changes that could not be written yet; they are tried again here.
        texts: whether inputs' texts are kept.
    """

    def __init__(self, ledger: Ledger, owed: Owed, *, texts: bool = False) -> None:
        self._ledger, self._owed, self._texts = ledger, owed, texts
        self._waiting: deque[Record] = deque(maxlen=KEPT)
        self.lost = 0
        self.after: Callable[[], None] = lambda: None
        """Called after each attempt to write."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="errata-audit", daemon=True)
        self._thread.start()

    def keep(self, record: Record) -> None:
        """Let it be written."""
        if len(self._waiting) == KEPT:
            self.lost += 1
        self._waiting.append(record)

    @property
    def waiting(self) -> int:
        """Records and changes that are not yet in the audit."""
        return len(self._waiting) + self._owed.count

    def flush(self) -> None:
        """Write what waits.

        Raises:
            StoreError: it could not be written; it waits on.
        """
        self._owed.pay()
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        try:
            self._ledger.note_all([("decision", one.who, one.space, one.told(texts=self._texts)) for one in batch])
        except StoreError:
            room = KEPT - len(self._waiting)  # what came meanwhile stays, the oldest goes
            self.lost += max(0, len(batch) - room)
            self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
            raise

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.flush()
            except StoreError as error:
                log.error("the audit could not be written, %d records wait: %s", self.waiting, error)
            self.after()

    def close(self) -> None:
        """Write the rest and stop; what cannot be written is told to the log."""
        self._stop.set()
        self._thread.join(timeout=5)
        try:
            self.flush()
        except StoreError as error:
            log.error("the audit could not be written, %d records are lost: %s", self.waiting, error)
