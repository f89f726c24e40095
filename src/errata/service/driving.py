"""What drives a service that is measured: a fake upstream, questions, and a client that adds little of its own.

Upstream and service are processes of their own on this machine.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from errata.editors.serac import make_scope
from errata.errors import ModelError
from errata.experiments.crowd import Nearest, Pool, Query, fill_memory
from errata.memory.sqlite import SqliteMemory

Progress = Callable[[str, int, int], None]
DELAY = 0.02
"""Seconds that the fake upstream takes."""
WAIT = 120.0
"""Seconds that a process may take to start."""
_UPSTREAM = "import sys; from errata.service.driving import upstream; upstream(int(sys.argv[1]), float(sys.argv[2]))"


# the questions and the memory


def mixed(hits: Sequence[Query], misses: Sequence[Query], source: random.Random) -> list[tuple[str, str]]:
    """(kind, text): one hit, then nine out of scope, of which every other is a near miss; and so on."""
    far = resources.files("errata.editors").joinpath("probes.txt").read_text(encoding="utf-8").split("\n")
    far = [line for line in far if line.strip() and not line.startswith("#")]
    rows: list[tuple[str, str]] = []
    for at, hit in enumerate(hits):
        rows.append(("hit", hit.text))
        for number in range(9):
            near = (9 * at + number) % 2 == 0
            rows.append(("near", source.choice(misses).text) if near else ("far", source.choice(far)))
    return rows


def filled(path: Path, pool: Pool, edits: int, seed: int, progress: Progress) -> None:
    """A new memory of so many edits, its index built."""
    dual = make_scope("dual")
    with SqliteMemory(path) as memory:
        memory.bind(dual.fingerprint, dual.dimension)
        nearest = Nearest(dual.encode_inputs([pool.hits[0].text]), 1)
        fill_memory(memory, dual, pool, edits, nearest=nearest, seed=seed, progress=progress)
        memory.search(nearest.queries, 1)  # builds the index


# the processes


@dataclass(frozen=True, slots=True)
class Running:
    """A process that listens.

    Args:
        url: where.
        pid: its number.
    """

    url: str
    pid: int


@contextmanager
def fake_upstream() -> Iterator[Running]:
    """An upstream that takes `DELAY` for any answer."""
    with _started("upstream", lambda port: [sys.executable, "-c", _UPSTREAM, str(port), str(DELAY)], {}) as found:
        yield found


@contextmanager
def service_before(url: str, memory: Path, runtime: str, *, ahead: bool = False) -> Iterator[Running]:
    """`errata serve` in front of an upstream."""
    command = [sys.executable, "-m", "errata.cli", "serve", "--upstream", f"{url}/v1", "--memory", str(memory)]
    own = {"ERRATA_SHEET__RUNTIME": runtime, "ERRATA_UPSTREAM__AHEAD": str(ahead)}
    with _started("service", lambda port: [*command, "--port", str(port)], own) as found:
        yield found


@contextmanager
def _started(what: str, command: Callable[[int], Sequence[str]], own: Mapping[str, str]) -> Iterator[Running]:
    """A process that listens on a free port, while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryFile() as said:  # not a pipe, which would fill up
        process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, **own})
        try:
            until = time.monotonic() + WAIT
            while True:
                if process.poll() is not None:
                    said.seek(0)
                    told = said.read().decode(errors="replace")[-500:]
                    raise ModelError(f"the {what} did not start: {told}")
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError as error:
                    if time.monotonic() > until:
                        raise ModelError(f"the {what} did not listen within {WAIT:.0f} s") from error
                    time.sleep(0.05)
            yield Running(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait(timeout=60)


# the client


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer.

    Args:
        first: seconds to the first byte of the body.
        whole: seconds to the last.
        status: its status.
        headers: its headers, their names in small letters.
        body: its body, where it was not streamed.
    """

    first: float
    whole: float
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Line:
    """One connection that asks again and again; as little of a client as HTTP/1.1 allows.

    Args:
        url: of the server.
        key: sent with every request; "" for none.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port
        self._own = "host: x\r\ncontent-type: application/json\r\n" + (f"x-errata-key: {key}\r\n" if key else "")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str, *, stream: bool = False) -> Timed:
        """Ask one question."""
        body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}
        return await self.send("POST", "/v1/chat/completions", body)

    async def send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Timed:
        """Send one request.

        Raises:
            OSError, EOFError, ValueError: there is no connection, it ended, or what came was no HTTP.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        sent = b"" if body is None else json.dumps(body).encode()
        began = time.perf_counter()
        writer.write(f"{method} {path} HTTP/1.1\r\n{self._own}content-length: {len(sent)}\r\n\r\n".encode() + sent)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
        fields = {name.lower(): value for name, value in pairs}
        first, got = 0.0, b""
        if "content-length" in fields:
            got = await reader.readexactly(int(fields["content-length"]))
        else:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
                first = first or time.perf_counter() - began
            await reader.readuntil(b"\r\n")
        whole = time.perf_counter() - began
        return Timed(first or whole, whole, int(lines[0].split()[1]), fields, got)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


FAILED = (OSError, EOFError, ValueError)
"""What `Line.send` raises where the server failed."""


def quantile(values: Sequence[float], at: float) -> float:
    """The value below which a share of them lies."""
    return statistics.quantiles(values, n=1000, method="inclusive")[round(1000 * at) - 1]


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
