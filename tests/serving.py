"""Servers for tests: any ASGI application on a free port, and an upstream that remembers what it was sent."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from errata.memory import Memory
from errata.memory.sqlite import SqliteMemory
from errata.models import Model
from errata.models.echo import EchoModel
from errata.service.app import Service, make_service
from errata.service.ledger import Ledger
from errata.service.listening import listening
from errata.service.settings import load_settings
from fakes import EchoCounterfactual, OverlapScope

ODD = b'{"id": "x",  "choices":[{"message":{"role":"assistant","content":"caf\xc3\xa9 \\u00e9"}}] }\n'
"""An answer whose spacing no JSON library would write again."""


def soon(found: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def value(text: str, line: str) -> float:
    """A metric's value in Prometheus' text."""
    [found] = re.findall(rf"^{re.escape(line)} (\S+)$", text, re.M)
    return float(found)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(app: Any, port: int = 0) -> Iterator[str]:
    """The application's URL while it runs in a thread of its own."""
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False, server_header=False, date_header=False)
    server = uvicorn.Server(config)
    bound = listening("127.0.0.1", port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.005)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        bound.close()


@dataclass
class Base:
    """A fake upstream.

    Args:
        seen: (method, path with query, headers as they came, body) of every request.
        plan: what it does next: "answer", "fail" (500), "cut" (breaks off mid-stream), "slow" (answers when the plan is
            another), "stall" (so too, mid-stream).
    """

    seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)
    plan: str = "answer"

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/{path:path}", self.route, methods=["GET", "POST", "DELETE"])])

    async def route(self, request: Request) -> Response:
        body = await request.body()
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.seen.append((request.method, target, headers, body))
        if self.plan == "fail":
            return Response(b"the base fell over", 500, {"x-request-id": "r-500"})
        await self.while_it_is("slow")
        sent: Any = {}
        with suppress(ValueError):  # an answer to bad JSON, too, leaves the connection open
            sent = json.loads(body)
        if sent.get("stream") or self.plan in ("cut", "stall"):
            return StreamingResponse(self.pieces(), media_type="text/event-stream", headers={"x-request-id": "r-1"})
        if request.url.path == "/v1/models":
            return JSONResponse({"object": "list", "data": [{"id": "big", "object": "model"}]})
        answer = Response(ODD, 200, {"x-request-id": "r-1"}, "application/json; charset=utf-8")
        answer.headers.append("set-cookie", "a=1")
        answer.headers.append("set-cookie", "b=2")
        return answer

    async def while_it_is(self, plan: str) -> None:
        until = time.monotonic() + 30
        while self.plan == plan and time.monotonic() < until:
            await asyncio.sleep(0.01)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b'data: {"choices":[{"delta":{"content":"one "}}]}\n\n'
        await asyncio.sleep(0.05)
        if self.plan == "cut":
            raise RuntimeError("the upstream broke off")
        await self.while_it_is("stall")
        yield b'data:   {"choices":[{"delta":{"content":"two"}}]}\r\n\r\n'
        yield b"data: [DONE]\n\n"


class Knows(OverlapScope):
    """An overlap scope that counts a third of common words as enough."""

    def score(self, text: str, edit: Any) -> float:
        return min(1.0, 1.5 * super().score(text, edit))


def service(
    url: str = "",
    *,
    model: Model | None = None,
    retell: bool = False,
    memory: Memory | None = None,
    ledger: Ledger | None = None,
    **tables: dict[str, Any],
) -> Service:
    """A service over fakes, its memory and ledger in RAM unless given."""
    settings = load_settings(upstream={"url": url and f"{url}/v1", **tables.pop("upstream", {})}, **tables)
    parts: dict[str, Any] = {"scope": Knows()}
    if not retell:
        parts["counterfactual"] = EchoCounterfactual()
    return make_service(
        settings, memory=memory or SqliteMemory(":memory:"), model=model or EchoModel(), ledger=ledger, **parts
    )


@contextmanager
def client_of(made: Service) -> Iterator[httpx2.Client]:
    """A client of a service while that runs."""
    with running(made.app) as url, httpx2.Client(base_url=url, timeout=20) as client:
        yield client


@contextmanager
def serving(base: Base | None = None, **options: Any) -> Iterator[tuple[httpx2.Client, Service]]:
    """A client of a running service, in front of a running base (or of a local echo)."""
    if base is None:
        made = service(**options)
        with client_of(made) as client:
            yield client, made
        return
    with running(base.app) as behind:
        made = service(behind, **options)
        with client_of(made) as client:
            yield client, made


def key(made: Service, role: str = "admin", *spaces: str) -> dict[str, str]:
    """The header of a new key."""
    _, secret = made.keys.make(role, role, spaces or ("*",))
    return {"authorization": f"Bearer {secret}"}
