"""What the service costs: added latency and throughput in front of a fake upstream, against going straight to it.

Upstream, service and client are three processes on this machine. Direct and served requests alternate, so that a
difference holds whatever else the machine does. Nine of ten inputs are out of scope, half of those near misses. Of
these some fire an edit all the same, rightly (among 100,000 edits one may be about a probe's subject) or wrongly: they
count as out of scope, and what was relayed is told apart.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from errata.errors import ConfigError, ModelError
from errata.experiments.crowd import real_edits
from errata.experiments.rows import commit
from errata.problems.cases import DATA
from errata.service.driving import (
    DELAY,
    FAILED,
    Line,
    Progress,
    Timed,
    fake_upstream,
    filled,
    mixed,
    quantile,
    service_before,
)

WARM = 20
Row = tuple[str, Timed, Timed]
"""A kind of question, and how it was answered straight and through the service."""


def bench_proxy(
    *,
    edits: int = 100_000,
    requests: int = 300,
    clients: int = 32,
    seconds: float = 20.0,
    seed: int = 0,
    runtime: str = "auto",
    ahead: bool = False,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure what the service adds, and how much it carries.

    Args:
        edits: in the memory.
        requests: served requests that are timed one at a time, plain and streamed; as many go straight to the upstream.
        clients: at once, for the throughput.
        seconds: that the throughput is measured for.
        seed: of texts.
        runtime: what runs the networks.
        ahead: whether the service sends requests on before it has decided (`upstream.ahead`).
        data: folder of the public data, for more real texts; None takes ERRATA_DATA where it is set.
        progress: told how far it is.

    Raises:
        ConfigError: fewer than 10 requests, or no client.
        ModelError: a process did not start, or a request failed.
    """
    if requests < 10 or clients < 1 or not seconds > 0:
        raise ConfigError("bench proxy needs 10 requests, a client and some seconds", key="requests")
    tell = progress or (lambda what, done, total: None)
    pool = real_edits(min(edits, 60_000), 500, seed=seed, data=data or os.environ.get(DATA) or None)
    asked = mixed(pool.hits, pool.misses, random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        memory = Path(folder) / "edits.db"
        filled(memory, pool, edits, seed, tell)
        with fake_upstream() as straight, service_before(straight.url, memory, runtime, ahead=ahead) as served:
            found = asyncio.run(_measured(straight.url, served.url, asked, requests, clients, seconds, tell))
    told = {"edits": edits, "runtime": runtime, "ahead": ahead, "upstream_ms": 1000 * DELAY, "seed": seed}
    return {**told, **found, "commit": commit()}


async def _measured(
    straight: str,
    served: str,
    asked: Sequence[tuple[str, str]],
    requests: int,
    clients: int,
    seconds: float,
    tell: Progress,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with closing(Line(straight)) as direct, closing(Line(served)) as through:
        for _, text in asked[:WARM]:
            await through.ask(text)
            await direct.ask(text)
        for stream in (False, True):
            rows: list[Row] = []
            begin = WARM + requests * stream  # other texts for either, so that none was answered before
            for at in range(requests):
                kind, text = asked[(begin + at) % len(asked)]
                rows.append((kind, await direct.ask(text, stream=stream), await through.ask(text, stream=stream)))
                tell("streamed" if stream else "plain", at + 1, requests)
            if any(one.status != 200 for _, *both in rows for one in both):
                raise ModelError("a request failed while one client asked")
            found |= _added(rows, "stream_" if stream else "")
    return {**found, **await _load(served, asked, clients, seconds, tell)}


def _added(rows: Sequence[Row], name: str) -> dict[str, float]:
    """Milliseconds more than straight to the upstream, at the median and at p99, out of scope and by kind."""
    out = [row for row in rows if row[0] != "hit"]
    groups = {kind: [row for row in rows if row[0] == kind] for kind in ("far", "near", "hit")}
    groups |= {"out": out, "relayed": [row for row in out if not _fired(row)]}
    told: dict[str, float] = {f"{name}out": len(out), f"{name}out_fired": sum(map(_fired, out))}
    for what in ("first", "whole") if name else ("whole",):
        for kind, those in groups.items():
            took = [(getattr(a, what), getattr(b, what)) for _, a, b in those]
            if len(took) < 2:
                continue
            for mark, at in (("p50", 0.5), ("p99", 0.99)):
                base, ours = (quantile([pair[side] for pair in took], at) for side in (0, 1))
                told[f"{name}{what}_{kind}_added_ms_{mark}"] = round(1000 * (ours - base), 2)
    return told


def _fired(row: Row) -> bool:
    return "x-errata-edit" in row[2].headers


async def _load(
    served: str, asked: Sequence[tuple[str, str]], clients: int, seconds: float, tell: Progress
) -> dict[str, Any]:
    until, took, errors = time.perf_counter() + seconds, [], 0

    async def client(number: int) -> None:
        nonlocal errors
        line, at = Line(served), number * 37
        while time.perf_counter() < until:
            try:
                one = await line.ask(asked[at % len(asked)][1])
                took.append(one.whole)
                errors += one.status != 200
            except FAILED:
                errors += 1
                line.close()
                line = Line(served)
            at += 1
        line.close()

    tell("load", 0, clients)
    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    spent = time.perf_counter() - began
    tell("load", clients, clients)
    return {
        "clients": clients,
        "requests_per_second": round(len(took) / spent, 1),
        "errors": errors,
        "load_ms_p50": round(1000 * quantile(took, 0.5), 1),
        "load_ms_p99": round(1000 * quantile(took, 0.99), 1),
    }
