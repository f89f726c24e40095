"""The console put together: its addresses, and the headers that every page of it has."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errata.service.console import adding, approving, edits, files, keys, past, signing, traffic, trying
from errata.service.console.visit import Console, Work, page, trouble

SAFE = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # not "no-referrer": with that, browsers send forms with the Origin "null"
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every answer of the console."""


def make_console(console: Console) -> ASGIApp:
    """The application that is mounted at /console."""
    pages: list[tuple[str, str, Work]] = [
        ("GET", "/edits", edits.listed),
        ("GET", "/add", adding.new),
        ("POST", "/add", adding.add),
        ("GET", "/edits/{id:path}/replace", adding.other),
        ("POST", "/edits/{id:path}/replace", adding.replace),
        ("POST", "/edits/{id:path}/switch", edits.switch),
        ("GET", "/edits/{id:path}", edits.one),
        ("GET", "/try", trying.blank),
        ("POST", "/try", trying.tried),
        ("GET", "/history", past.log),
        ("POST", "/history/undo", past.undo),
        ("GET", "/approvals", approving.listed),
        ("POST", "/approvals/{number:int}", approving.settle),
        ("GET", "/traffic", traffic.seen),
        ("GET", "/keys", keys.listed),
        ("POST", "/keys", keys.make),
        ("POST", "/keys/{id}/revoke", keys.revoke),
        ("POST", "/sign-out", signing.sign_out),
        ("POST", "/theme", signing.theme),
    ]
    routes = [Route(path, page(console, work), methods=[method]) for method, path, work in pages]
    routes += [
        Route("/", signing.front(console)),
        Route("/sign-in", signing.asks(console)),
        Route("/sign-in", signing.sign_in(console), methods=["POST"]),
        Route("/static/{name}", files.serve),
    ]

    async def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return trouble(request, status, "There is no such page." if status == 404 else "That cannot be done here.")

    return Guarded(Starlette(routes=routes, exception_handlers={HTTPException: missing}))


class Guarded:
    """Gives an application's answers the headers that are safe.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SAFE)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, safe)
