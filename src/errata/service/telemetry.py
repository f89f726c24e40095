"""What a running service tells of itself: Prometheus metrics, OpenTelemetry spans, and logs as lines of JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from errata.editors.serac import Serac
from errata.errors import StoreError
from errata.service.records import Record, Records

BUCKETS = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Of the seconds that a decision takes."""
STALE = 10.0
"""Seconds for which the number of edits is taken as known."""
_tracer = trace.get_tracer("errata")


class Metrics:
    """The service's metrics, in a registry of its own.

    Args:
        editor: its edits and failures are counted.
        records: what waits for the audit is counted.
    """

    def __init__(self, editor: Serac, records: Records) -> None:
        self._registry = CollectorRegistry()
        own, about = self._registry, ("api", "outcome")
        took = "From the request's head to the decision"
        self._requests = Counter("errata_requests", "Requests for words, by what became of them", about, registry=own)
        self._decisions = Histogram("errata_decision_seconds", took, ("api",), buckets=BUCKETS, registry=own)
        self._errors = Counter("errata_errors", "Requests that ended in an error of ours", ("kind",), registry=own)
        self._registry.register(_State(editor, records))

    def keep(self, record: Record) -> None:
        """Count a request."""
        self._requests.labels(record.api, record.outcome).inc()
        self._decisions.labels(record.api).observe(record.seconds)

    def failed(self, kind: str) -> None:
        """Count an error by its name."""
        self._errors.labels(kind).inc()

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _State:
    """What is looked up when somebody asks: edits by space and state, failures, the audit's queue."""

    def __init__(self, editor: Serac, records: Records) -> None:
        self._editor, self._records = editor, records
        self._counts: tuple[float, dict[str, dict[str, int]]] = (-STALE, {})

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        edits = GaugeMetricFamily("errata_edits", "Edits in the memory", labels=("space", "state"))
        for space, states in self._known().items():
            for state, count in states.items():
                edits.add_metric((space, state), count)
        yield edits
        failed = GaugeMetricFamily(
            "errata_failures", "Failures left to the base model (on_error = base)", labels=("part",)
        )
        for part, count in self._editor.failures.items():
            failed.add_metric((part,), count)
        yield failed
        yield GaugeMetricFamily("errata_audit_waiting", "Decisions not yet in the audit", self._records.waiting)
        yield GaugeMetricFamily("errata_audit_lost", "Decisions that the audit had no room for", self._records.lost)

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
