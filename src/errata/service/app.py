"""The service put together: routes, errors in OpenAI's shape, health, and an orderly end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from errata._version import __version__
from errata.editors.serac import Serac, wrap
from errata.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    EditError,
    ErrataError,
    StoreError,
    UpstreamError,
)
from errata.memory import Memory
from errata.memory.sqlite import open_memory
from errata.models import Model
from errata.service import edits
from errata.service.access import Access
from errata.service.answering import Answering, path_of
from errata.service.approvals import Approvals
from errata.service.console.app import make_console
from errata.service.console.sessions import Sessions
from errata.service.console.visit import Console
from errata.service.deciding import Batches
from errata.service.desk import Desk
from errata.service.keys import Keys
from errata.service.ledger import Ledger
from errata.service.ledgers import ledger_of
from errata.service.owed import Owed
from errata.service.records import Records
from errata.service.settings import Settings
from errata.service.shapes import Api, error_body
from errata.service.telemetry import Metrics
from errata.service.upstream import Cut, Sent, Upstream
from errata.service.warming import Warming
from errata.settings import default_memory

log = logging.getLogger(__name__)
AT_FIRST = 2.0
"""Seconds that a start waits for the memory to be ready; a large one gets ready while `/health/ready` says 503."""
STATUS: tuple[tuple[type[ErrataError], int, str], ...] = (
    (ConflictError, 409, "conflict"),
    (EditError, 400, "invalid_request_error"),
    (ConfigError, 400, "invalid_request_error"),
    (StoreError, 503, "memory_error"),
    (ErrataError, 500, "model_error"),
)
"""What an error is over HTTP."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a running service is made of.

    Args:
        settings: its own.
        editor: memory, scope and counterfactual model.
        ledger: keys, approvals and audit.
        keys: the keys.
        records: what is written down of requests.
        sessions: who is signed in to the console.
        app: the ASGI application.
    """

    settings: Settings
    editor: Serac
    ledger: Ledger
    keys: Keys
    records: Records
    sessions: Sessions
    app: FastAPI


def make_service(
    settings: Settings,
    *,
    memory: Memory | None = None,
    model: Model | None = None,
    ledger: Ledger | None = None,
    **parts: Any,
) -> Service:
    """Everything loaded and put together; nothing listens yet.

    Args:
        settings: the service's.
        memory: instead of the one that the settings name.
        model: instead of the base model that the settings name.
        ledger: instead of the one that lies where the memory does.
        parts: go to `errata.wrap`, for tests.

    Raises:
        ConfigError: a setting is not accepted.
        StoreError, ModelError: memory, ledger or a part cannot be opened.
    """
    sheet = settings.sheet
    held: Memory = open_memory(sheet.memory or default_memory()) if memory is None else memory
    upstream = Upstream(settings.upstream) if settings.upstream.url else None
    editor = wrap(
        base_model(settings) if model is None else model,
        memory=held,
        **{"scope": sheet.scope, "counterfactual": settings.answers, "runtime": sheet.runtime, **parts},
        space=sheet.space,
        on_error=sheet.on_error,
    )
    book = ledger if ledger is not None else ledger_of(held)
    owed = Owed(book)
    keys, records = Keys(book), Records(book, owed, texts=settings.telemetry.prompts)
    access = Access(settings, keys)
    batches = Batches(lambda texts, space: editor.decide(texts, space=space),
                      waiting=settings.access.waiting)  # fmt: skip
    metrics = Metrics(editor, records)
    answering = Answering(settings, editor, batches, access, records, metrics, upstream)
    desk = Desk(editor, access, book, Approvals(book, wanted=settings.access.approval), owed)
    warming = Warming(editor)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(warming.start, AT_FIRST)
        yield
        batches.close()
        records.close()
        if upstream is not None:
            await upstream.close()
        book.close()
        held.close()

    app = FastAPI(title="errata", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    _errors(app, metrics)
    _words(app, answering)  # first, for each request is compared with the routes in their order
    app.include_router(edits.router(desk))
    app.include_router(edits.approval_router(desk))
    sessions = Sessions(book, keys)
    app.mount("/console", make_console(Console(settings, desk, keys, sessions)))
    _health(app, editor, book, warming)
    _metrics(app, access, metrics)
    _relayed(app, answering, upstream)
    app.openapi()  # routes are put together when first needed: now, and not within somebody's request
    return Service(settings, editor, book, keys, records, sessions, app)


def base_model(settings: Settings) -> Model:
    """The local base, or the upstream as a model that can be asked for explanations."""
    from errata.models.load import load_model

    if not settings.upstream.url:
        return load_model(settings.upstream.model)
    from errata.models.remote import RemoteModel

    return RemoteModel(settings.upstream.url, key_env=settings.upstream.key_env or "ERRATA_NO_KEY", retries=0)


def _words(app: FastAPI, answering: Answering) -> None:
    """The routes for words."""

    def words(api: Api) -> Any:
        async def route(request: Request) -> Response:
            return await answering.answer(request, api)

        return route

    for path, api in (("/chat/completions", "chat"), ("/completions", "completions"), ("/responses", "responses")):
        app.add_route(f"/v1{path}", words(api), methods=["POST"], include_in_schema=False)  # type: ignore[arg-type]


def _relayed(app: FastAPI, answering: Answering, upstream: Upstream | None) -> None:
    """All other routes, which are handed on."""

    async def other(request: Request) -> Response:
        caller, own_key = await answering.access.asker(request)
        path = path_of(request)
        if upstream is None:
            if path.partition("?")[0] == "/models" and request.method == "GET":
                name = answering.editor.model.name
                one = {"id": name, "object": "model", "created": 0, "owned_by": "errata"}
                return JSONResponse({"object": "list", "data": [one]})
            raise AccessError("a local model has no such route", status=404, code="not_found")
        body = await answering.access.body(request)
        return await upstream.relay(Sent(request.method, path, upstream.outgoing(request, own_key=own_key), body))

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    app.add_route("/v1/{path:path}", other, methods=methods, include_in_schema=False)


def _health(app: FastAPI, editor: Serac, ledger: Ledger, warming: Warming) -> None:
    @app.get("/health/live", tags=["health"], summary="Whether it lives")
    def live() -> Mapping[str, str]:
        """The process answers."""
        return {"status": "live", "version": __version__}

    @app.get("/health/ready", tags=["health"], summary="Whether it is ready")
    def ready() -> Response:
        """Memory and ledger can be read, and the memory's index is there."""
        if not warming.done:
            return JSONResponse({"status": "not ready", "reason": "the memory's index is being made"}, status_code=503)
        try:
            revision = editor.memory.revision
            ledger.rows("SELECT 1")
        except StoreError as error:
            return JSONResponse({"status": "not ready", "reason": str(error)}, status_code=503)
        return JSONResponse({"status": "ready", "revision": revision})


def _metrics(app: FastAPI, access: Access, metrics: Metrics) -> None:
    @app.get("/metrics", tags=["health"], summary="Metrics")
    def told(request: Request) -> Response:
        """Prometheus' text; whoever may ask may read it."""
        caller, _ = access.caller(request)
        access.asks(caller)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def untold(record: logging.LogRecord) -> bool:
    """Whether a log record of the HTTP server tells something new: a cut answer has been told in one line before."""
    return not (record.exc_info and isinstance(record.exc_info[1], Cut))


def _errors(app: FastAPI, metrics: Metrics) -> None:
    @app.exception_handler(AccessError)
    def refused(request: Request, error: AccessError) -> JSONResponse:
        kind = "authentication_error" if error.status == 401 else "invalid_request_error"
        headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse(error_body(str(error), kind, code=error.code), error.status, headers)

    @app.exception_handler(UpstreamError)
    def upstream(request: Request, error: UpstreamError) -> JSONResponse:
        status = error.status if error.status in (502, 504) else 502
        metrics.failed("UpstreamError")
        log.warning("%s %s: %s", request.method, request.url.path, error)
        return JSONResponse(error_body(str(error), "upstream_error", code="upstream_error"), status)

    @app.exception_handler(ErrataError)
    def named(request: Request, error: ErrataError) -> JSONResponse:
        status, kind = next((status, kind) for found, status, kind in STATUS if isinstance(error, found))
        if status >= 500:
            metrics.failed(type(error).__name__)
            log.error("%s %s: %s", request.method, request.url.path, error)
        return JSONResponse(error_body(str(error), kind, code=type(error).__name__), status)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        return JSONResponse(error_body(f"{place or 'body'}: {first['msg']}", "invalid_request_error", param=place), 422)

    @app.exception_handler(HTTPException)
    def plain(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(error_body(str(error.detail), "invalid_request_error"), error.status_code, error.headers)

    @app.exception_handler(Exception)
    def bug(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, Cut):  # the answer has begun, so the client is told by a connection that ends too soon
            metrics.failed("UpstreamError")
            log.warning("%s %s: %s", request.method, request.url.path, error)
            return JSONResponse(error_body(str(error), "upstream_error", code="upstream_error"), 502)
        metrics.failed("bug")
        log.exception("%s %s", request.method, request.url.path)
        told = f"a bug of errata ({type(error).__name__}); the log tells more"
        return JSONResponse(error_body(told, "server_error", code="bug"), 500)
