"""A service under steady load for a while: errors, lost edits, and whether its memory stays flat.

An open loop asks at a fixed rate, whether answers come or not, and a latency counts from the moment a question was
due. Meanwhile a writer adds edits, looks whether each is there and fires, and retracts them again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.experiments.crowd import Query, real_edits
from errata.experiments.rows import commit
from errata.problems.cases import DATA
from errata.service.driving import (
    DELAY,
    FAILED,
    Line,
    Progress,
    fake_upstream,
    filled,
    mixed,
    quantile,
    service_before,
)
from errata.service.keys import Keys
from errata.service.ledgers import open_ledger

IN_FORCE = 20
"""Edits that the writer has in force at once."""
GROWTH = 5.0
"""Percent by which a service's memory may grow after the first minute."""
MINUTE = 60.0
PATIENCE = 60.0
"""Seconds after which a request counts as an error."""
IDLE = 4.0
"""Seconds after which a connection is not used again, as clients do: a server may be closing it."""


def bench_soak(
    *,
    rate: float = 50.0,
    seconds: float = 600.0,
    edits: int = 1_000,
    changes: float = 2.0,
    seed: int = 0,
    runtime: str = "auto",
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run `errata serve` under load, and count what goes wrong.

    Args:
        rate: questions a second.
        seconds: for how long.
        edits: in the memory from the start; the writer's come and go.
        changes: the writer's additions a second; it retracts as many.
        seed: of texts.
        runtime: what runs the networks.
        data: folder of the public data, for more real texts; None takes ERRATA_DATA where it is set.
        progress: told how far it is.

    Raises:
        ConfigError: a number is not above 0, or this machine does not tell how much memory a process has.
        ModelError: a process did not start.
    """
    if min(rate, seconds, changes, edits) <= 0:
        raise ConfigError("bench soak needs a rate, seconds, edits and changes above 0", key="rate")
    resident(os.getpid())
    tell = progress or (lambda what, done, total: None)
    pool = real_edits(min(edits, 60_000), 500, seed=seed, data=data or os.environ.get(DATA) or None)
    unknown = list({query.text: query for query in pool.misses}.values())
    asked = mixed(pool.hits, unknown[::2], random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        memory = Path(folder) / "edits.db"
        filled(memory, pool, edits, seed, tell)
        ledger = open_ledger(memory)
        _, secret = Keys(ledger).make("soak", "editor")
        ledger.close()
        with fake_upstream() as straight, service_before(straight.url, memory, runtime) as served:
            soak = Soak(served.url, served.pid, secret, asked, unknown[1::2])
            found = asyncio.run(soak.run(rate, seconds, changes, tell))
    told = {"edits": edits, "runtime": runtime, "upstream_ms": 1000 * DELAY, "seed": seed}
    return {**told, "rate": rate, "seconds": seconds, **found, "commit": commit()}


def resident(pid: int) -> float:
    """Megabytes of RAM that a process holds.

    Raises:
        ConfigError: this system does not tell.
    """
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    raise ConfigError("bench soak reads a process's memory from /proc, which is not here; run it on Linux", key="soak")


@dataclass(slots=True)
class Soak:
    """One run.

    Args:
        url: of the service.
        pid: its process.
        key: an editor's.
        asked: (kind, text) of the questions.
        unknown: questions that no edit covers; the writer makes edits of them.
    """

    url: str
    pid: int
    key: str
    asked: Sequence[tuple[str, str]]
    unknown: Sequence[Query]
    _took: list[float] = field(default_factory=list)
    _wrong: int = 0
    _kinds: Counter[str] = field(default_factory=Counter)
    _fired: Counter[str] = field(default_factory=Counter)
    _errors: int = 0
    _first_error: str = ""
    _free: list[tuple[Line, float]] = field(default_factory=list)
    _samples: list[tuple[float, float]] = field(default_factory=list)
    _live: deque[tuple[str, str]] = field(default_factory=deque)
    _gone: dict[str, str] = field(default_factory=dict)
    _added: int = 0
    _lost: set[str] = field(default_factory=set)
    _ghosts: set[str] = field(default_factory=set)

    async def run(self, rate: float, seconds: float, changes: float, tell: Progress) -> dict[str, Any]:
        """Ask, change and watch at once; then look at every edit once more."""
        began = time.perf_counter()
        until = began + seconds
        watching = asyncio.create_task(self._watch(began, until))
        writing = asyncio.create_task(self._write(until, changes))
        tasks: set[asyncio.Task[None]] = set()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(self._ask(*self.asked[number % len(self.asked)], due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)  # a long run keeps only those that are not answered yet
            if number % max(1, int(rate)) == 0:
                tell("seconds", int(number / rate), int(seconds))
        tell("seconds", int(seconds), int(seconds))
        await asyncio.gather(*tasks, writing, watching)
        await self._look_again()
        for line, _ in self._free:
            line.close()
        return self._told(seconds)

    async def _with_line(self, work: Callable[[Line], Coroutine[Any, Any, None]]) -> None:
        """Run a request on a free connection; count an error where it ends badly."""
        line, since = self._free.pop() if self._free else (Line(self.url, self.key), 0.0)
        if time.perf_counter() - since > IDLE:
            line.close()
        try:
            await asyncio.wait_for(work(line), PATIENCE)
        except FAILED as error:
            self._errors += 1
            self._first_error = self._first_error or f"{type(error).__name__}: {error}"
            line.close()
        self._free.append((line, time.perf_counter()))

    async def _ask(self, kind: str, text: str, due: float) -> None:
        async def work(line: Line) -> None:
            answer = await line.ask(text)
            self._took.append(time.perf_counter() - due)
            self._wrong += answer.status != 200
            self._kinds[kind] += 1
            self._fired[kind] += "x-errata-edit" in answer.headers

        await self._with_line(work)

    async def _write(self, until: float, changes: float) -> None:
        """Add edits at a rate; with so many in force retract the oldest for each."""
        number = 0
        while time.perf_counter() < until:
            due = time.perf_counter() + 1 / changes
            text = self.unknown[number % len(self.unknown)].text
            await self._with_line(partial(self._add, text=text, number=number))
            if len(self._live) > IN_FORCE:
                await self._with_line(self._retract)
            number += 1
            await asyncio.sleep(max(0.0, min(due, until) - time.perf_counter()))

    async def _add(self, line: Line, *, text: str, number: int) -> None:
        sent = {"prompt": text, "target": f"answer {number}", "id": f"soak-{number}"}
        answer = await line.send("POST", "/v1/edits", sent)
        self._wrong += answer.status != 201
        if answer.status == 201:
            self._added += 1
            self._live.append((sent["id"], text))
            await self._look(line, id=sent["id"], text=text, live=True)

    async def _retract(self, line: Line) -> None:
        id, text = self._live[0]
        answer = await line.send("DELETE", f"/v1/edits/{id}")
        self._wrong += answer.status != 200
        if answer.status == 200:
            self._live.popleft()
            self._gone[id] = text
            await self._look(line, id=id, text=text, live=False)

    async def _look(self, line: Line, *, id: str, text: str, live: bool) -> None:
        """Whether an acknowledged edit is there and fires, or a retracted one is gone and does not."""
        known = await line.send("GET", f"/v1/edits/{id}")
        asked = await line.ask(text)
        self._wrong += (known.status != 200) + (asked.status != 200)
        there = known.status == 200 and json.loads(known.body)["kind"] == "add"
        fires = asked.headers.get("x-errata-edit") == id
        if live and not (there and fires):
            self._lost.add(id)
        if not live and (there or fires):
            self._ghosts.add(id)

    async def _look_again(self) -> None:
        for id, text in self._live:
            await self._with_line(partial(self._look, id=id, text=text, live=True))
        for id, text in self._gone.items():
            await self._with_line(partial(self._look, id=id, text=text, live=False))

    async def _watch(self, began: float, until: float) -> None:
        while (now := time.perf_counter()) < until:
            self._samples.append((now - began, resident(self.pid)))
            await asyncio.sleep(1.0)

    def _told(self, seconds: float) -> dict[str, Any]:
        after = min(MINUTE, seconds / 4)
        settled = [size for at, size in self._samples if at >= after] or [self._samples[-1][1]]
        part = max(1, len(settled) // 20)
        begin, end = statistics.median(settled[:part]), statistics.median(settled[-part:])
        growth = 100 * (end / begin - 1)
        failed = self._errors or self._wrong or self._lost or self._ghosts
        return {
            "requests": len(self._took),
            "errors": self._errors,
            **({"first_error": self._first_error} if self._errors else {}),
            "wrong_statuses": self._wrong,
            "added": self._added,
            "retracted": len(self._gone),
            "lost": len(self._lost),
            "ghosts": len(self._ghosts),
            **{f"fired_{kind}": round(self._fired[kind] / count, 3) for kind, count in sorted(self._kinds.items())},
            "ms_p50": round(1000 * quantile(self._took, 0.5), 1) if len(self._took) > 1 else None,
            "ms_p99": round(1000 * quantile(self._took, 0.99), 1) if len(self._took) > 1 else None,
            "mb_begin": round(self._samples[0][1], 1),
            "mb_settled": round(begin, 1),
            "mb_end": round(end, 1),
            "growth_percent": round(growth, 2),
            "passed": not failed and growth < GROWTH,
        }
