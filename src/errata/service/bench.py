"""What the service costs: added latency and throughput in front of a fake upstream, against going straight to it.

Upstream, service and client are three processes on this machine. Direct and served requests alternate, so that a
difference holds whatever else the machine does. Nine of ten inputs are out of scope, half of those near misses.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from errata.editors.serac import make_scope
from errata.errors import ConfigError, ModelError
from errata.experiments.crowd import Nearest, Pool, fill_memory, real_edits
from errata.experiments.rows import commit
from errata.memory.sqlite import SqliteMemory
from errata.problems.cases import DATA

Progress = Callable[[str, int, int], None]
DELAY = 0.02
"""Seconds that the fake upstream takes."""
WARM = 20
WAIT = 120.0
"""Seconds that a process may take to start."""
UPSTREAM = "import sys; from errata.service.bench import upstream; upstream(int(sys.argv[1]), float(sys.argv[2]))"


@dataclass(frozen=True, slots=True)
class Timed:
    """One request.

    Args:
        first: seconds to the first byte of the body.
        whole: seconds to the last.
        status: of the answer.
    """

    first: float
    whole: float
    status: int


def bench_proxy(
    *,
    edits: int = 100_000,
    requests: int = 300,
    clients: int = 32,
    seconds: float = 20.0,
    seed: int = 0,
    runtime: str = "auto",
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
    asked = _mixed(pool, random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        memory = Path(folder) / "edits.db"
        _fill(memory, pool, edits, seed, tell)
        with _started("upstream", [sys.executable, "-c", UPSTREAM], runtime, DELAY) as straight:
            command = [
                sys.executable,
                "-m",
                "errata.cli",
                "serve",
                "--upstream",
                f"{straight}/v1",
                "--memory",
                str(memory),
            ]
            with _started("service", command, runtime) as served:
                found = asyncio.run(_measured(straight, served, asked, requests, clients, seconds, tell))
    return {"edits": edits, "runtime": runtime, "upstream_ms": 1000 * DELAY, "seed": seed, **found, "commit": commit()}


def _mixed(pool: Pool, source: random.Random) -> list[tuple[str, str]]:
    """(kind, text): one hit, then nine out of scope, of which every other is a near miss; and so on."""
    far = resources.files("errata.editors").joinpath("probes.txt").read_text(encoding="utf-8").split("\n")
    far = [line for line in far if line.strip() and not line.startswith("#")]
    rows: list[tuple[str, str]] = []
    for at, hit in enumerate(pool.hits):
        rows.append(("hit", hit.text))
        for number in range(9):
            near = (9 * at + number) % 2 == 0
            rows.append(("near", source.choice(pool.misses).text) if near else ("far", source.choice(far)))
    return rows


def _fill(path: Path, pool: Pool, edits: int, seed: int, progress: Progress) -> None:
    dual = make_scope("dual")
    with SqliteMemory(path) as memory:
        memory.bind(dual.fingerprint, dual.dimension)
        nearest = Nearest(dual.encode_inputs([pool.hits[0].text]), 1)
        fill_memory(memory, dual, pool, edits, nearest=nearest, seed=seed, progress=progress)
        memory.search(nearest.queries, 1)  # builds the index


@contextmanager
def _started(what: str, command: Sequence[str], runtime: str, *more: object) -> Iterator[str]:
    """A process that listens on a free port; its URL while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    own = [*command, *(["--port", str(port)] if what == "service" else [str(port), *map(str, more)])]
    environment = {**os.environ, "ERRATA_SHEET__RUNTIME": runtime}
    process = subprocess.Popen(own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        until = time.monotonic() + WAIT
        while True:
            if process.poll() is not None:
                said = process.stderr.read()[-500:] if process.stderr else ""
                raise ModelError(f"the {what} did not start: {said}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise ModelError(f"the {what} did not listen within {WAIT:.0f} s") from error
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)
        if process.stderr:
            process.stderr.close()


# the client


class Line:
    """One connection that asks again and again; as little of a client as HTTP/1.1 allows.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str, *, stream: bool = False) -> Timed:
        """Ask one question."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        body = json.dumps({"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        began = time.perf_counter()
        writer.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        first = 0.0
        if "content-length" in fields:
            await reader.readexactly(int(fields["content-length"]))
        else:
            while size := int((await reader.readline()).strip() or b"0", 16):
                await reader.readexactly(size + 2)
                first = first or time.perf_counter() - began
            await reader.readline()
        whole = time.perf_counter() - began
        return Timed(first or whole, whole, int(lines[0].split()[1]))

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()


async def _measured(
    straight: str,
    served: str,
    asked: Sequence[tuple[str, str]],
    requests: int,
    clients: int,
    seconds: float,
    tell: Progress,
) -> dict[str, Any]:
    direct, through = Line(straight), Line(served)
    for _, text in asked[:WARM]:
        await through.ask(text)
        await direct.ask(text)
    found: dict[str, Any] = {}
    for stream in (False, True):
        rows: list[tuple[str, Timed, Timed]] = []
        for at, (kind, text) in enumerate(asked[:requests]):
            rows.append((kind, await direct.ask(text, stream=stream), await through.ask(text, stream=stream)))
            tell("streamed" if stream else "plain", at + 1, requests)
        if any(one.status != 200 for _, *both in rows for one in both):
            raise ModelError("a request failed while one client asked")
        found |= _added(rows, "stream_" if stream else "")
    direct.close()
    through.close()
    return {**found, **await _load(served, asked, clients, seconds, tell)}


def _added(rows: Sequence[tuple[str, Timed, Timed]], name: str) -> dict[str, float]:
    """Milliseconds more than straight to the upstream, at the median and at p99, out of scope and by kind."""
    told: dict[str, float] = {}
    for what in ("first", "whole") if name else ("whole",):
        for kinds in (("far", "near"), ("far",), ("near",), ("hit",)):
            took = [(getattr(a, what), getattr(b, what)) for kind, a, b in rows if kind in kinds]
            if len(took) < 2:
                continue
            label = f"{name}{what}_{'out' if len(kinds) > 1 else kinds[0]}"
            for mark, at in (("p50", 0.5), ("p99", 0.99)):
                base, ours = (_quantile([pair[side] for pair in took], at) for side in (0, 1))
                told[f"{label}_added_ms_{mark}"] = round(1000 * (ours - base), 2)
    return told


def _quantile(values: Sequence[float], at: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(1000 * at) - 1]


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
            except (OSError, ValueError, asyncio.IncompleteReadError):
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
        "load_ms_p50": round(1000 * _quantile(took, 0.5), 1),
        "load_ms_p99": round(1000 * _quantile(took, 0.99), 1),
    }


# the fake upstream


def upstream(port: int, delay: float) -> None:
    """Serve a fake base that answers after a while, plain or streamed; as fast as can be, for it shares the machine."""
    asyncio.run(_serve(port, delay))


async def _serve(port: int, delay: float) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next(
                    (int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length")), 0
                )
                streamed = b'"stream": true' in await reader.readexactly(length)
                await asyncio.sleep(delay)
                writer.write(_STREAM if streamed else _PLAIN)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


_BODY = b'{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"An answer."}}]}'
_PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY) + _BODY
_EVENT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
_CHUNK = b"%x\r\n" % len(_EVENT) + _EVENT + b"\r\n"
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + 5 * _CHUNK
    + b"0\r\n\r\n"
)
