"""What a running service tells of itself: Prometheus metrics, OpenTelemetry spans, and logs as lines of JSON.

Where several processes serve one address, each keeps its numbers in files of a folder that they share, and whichever is
asked tells of all (prometheus_client's mode of several processes).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from errata.editors.serac import Serac
from errata.errors import StoreError
from errata.service.counts import SHARED
from errata.service.records import Record, Records

BUCKETS = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Of the seconds that a decision takes."""
STALE = 10.0
"""Seconds for which the number of edits is taken as known."""
_tracer = trace.get_tracer("errata")


class Metrics:
    """The service's metrics, of all its processes.

    Args:
        editor: its edits and failures are counted.
        records: what waits for the audit is counted.
    """

    def __init__(self, editor: Serac, records: Records) -> None:
        own, about = CollectorRegistry(), ("api", "outcome")
        took = "From the request's head to the decision"
        self._requests = Counter("errata_requests", "Requests for words, by what became of them", about, registry=own)
        self._decisions = Histogram("errata_decision_seconds", took, ("api",), buckets=BUCKETS, registry=own)
        self._errors = Counter("errata_errors", "Requests that ended in an error of ours", ("kind",), registry=own)
        self._failures = _gauge("errata_failures", "Failures left to the base model (on_error = base)", own, "part")
        self._waiting = _gauge("errata_audit_waiting", "Decisions not yet in the audit", own)
        self._lost = _gauge("errata_audit_lost", "Decisions that the audit had no room for", own)
        self._editor, self._records = editor, records
        self._registry = own
        if shared := os.environ.get(SHARED):
            for pid in {path.stem.rpartition("_")[2] for path in Path(shared).glob("gauge_live*.db")}:
                if not _lives(int(pid)):
                    mark_process_dead(pid)  # type: ignore[no-untyped-call]
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self._registry.register(_Edits(editor))
        records.after = self.state

    def keep(self, record: Record) -> None:
        """Count a request."""
        self._requests.labels(record.api, record.outcome).inc()
        self._decisions.labels(record.api).observe(record.seconds)

    def failed(self, kind: str) -> None:
        """Count an error by its name."""
        self._errors.labels(kind).inc()

    def state(self) -> None:
        """Note what this process has at the moment."""
        for part, count in self._editor.failures.items():
            self._failures.labels(part).set(count)
        self._waiting.set(self._records.waiting)
        self._lost.set(self._records.lost)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        self.state()
        return generate_latest(self._registry)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _gauge(name: str, told: str, registry: CollectorRegistry, *labels: str) -> Gauge:
    """A number of the moment: the sum of all processes that live."""
    return Gauge(name, told, labels, registry=registry, multiprocess_mode="livesum")


class _Edits:
    """Edits by space and state, looked up when somebody asks."""

    def __init__(self, editor: Serac) -> None:
        self._editor = editor
        self._counts: tuple[float, dict[str, dict[str, int]]] = (-STALE, {})

    def collect(self) -> Iterator[Metric]:
        """The one metric."""
        edits = GaugeMetricFamily("errata_edits", "Edits in the memory", labels=("space", "state"))
        for space, states in self._known().items():
            for state, count in states.items():
                edits.add_metric((space, state), count)
        yield edits

    def _known(self) -> dict[str, dict[str, int]]:
        read, counts = self._counts
        if time.monotonic() - read > STALE:
            try:
                counts = self._editor.memory.counts()
            except StoreError:
                return counts
            self._counts = (time.monotonic(), counts)
        return counts


@contextmanager
def span(name: str, **attributes: str | int | float) -> Iterator[None]:
    """A span of the trace in progress; nothing where no exporter is set up."""
    with _tracer.start_as_current_span(name, attributes=attributes):
        yield


class Lines(logging.Formatter):
    """Log records as JSON, one a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        told: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def log_to_stderr(form: Literal["text", "json"]) -> None:
    """Send the logs of errata, and warnings of everybody else, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(Lines() if form == "json" else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("errata").setLevel(logging.INFO)
