"""Signing in with a key or by a link, signing out, and light or dark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from errata.errors import ErrataError
from errata.service.console.sessions import LASTS, LOCAL
from errata.service.console.visit import THEME, THEMES, Console, Visit, render, sent_form, sentence
from errata.service.upstream import COOKIE

Endpoint = Callable[[Request], Awaitable[Response]]


def front(console: Console) -> Endpoint:
    """The front door: signs in by a link's token, or goes on to the edits."""

    async def endpoint(request: Request) -> Response:
        token = request.query_params.get("token", "")
        if not token:
            return RedirectResponse("/console/edits", 303)
        begun = await run_in_threadpool(console.sessions.follow, token)
        if begun is None:
            told = "This sign-in link was used before, or is too old. Sign in with a key."
            return render(request, "sign_in.html", 401, message=told, next="")
        await run_in_threadpool(console.desk.ledger.note, "sign in", LOCAL.name, "", {"by": "link"})
        # A page of our own that goes on, not a redirect: a link from elsewhere would go on without the cookie (Strict).
        return _signed_in(request, render(request, "welcome.html"), begun)

    return endpoint


def asks(console: Console) -> Endpoint:
    """The page that asks for a key."""

    async def endpoint(request: Request) -> Response:
        ended = request.query_params.get("ended", "")
        told = "Your session is over, so nothing was done. Sign in and do it again." if ended else ""
        return render(request, "sign_in.html", message=told, next=_inside(request.query_params.get("next", "")))

    return endpoint


def sign_in(console: Console) -> Endpoint:
    """A session for who shows a key that holds."""

    async def endpoint(request: Request) -> Response:
        next = ""
        try:
            form = await sent_form(request)
            console.desk.access.count(request.client.host if request.client else "?")
            next = _inside(form.get("next", ""))
            caller = await run_in_threadpool(console.keys.caller, form.get("key", "").strip())
        except ErrataError as error:
            return render(
                request, "sign_in.html", getattr(error, "status", 503), message=sentence(str(error)), next=next
            )
        if caller is None:
            told = "This key is wrong, expired or revoked. A key begins with errata_."
            return render(request, "sign_in.html", 401, message=told, next=next)
        await run_in_threadpool(console.sessions.end, request.cookies.get(COOKIE, ""))
        begun = await run_in_threadpool(console.sessions.begin, caller.key)
        await run_in_threadpool(console.desk.ledger.note, "sign in", caller.name, "", {"by": "key", "key": caller.key})
        return _signed_in(request, RedirectResponse(next or "/console/edits", 303), begun)

    return endpoint


def sign_out(visit: Visit) -> Response:
    """End the session."""
    visit.console.sessions.end(visit.token)
    answer = RedirectResponse("/console/sign-in", 303)
    answer.delete_cookie(COOKIE, path="/console", httponly=True, samesite="strict", secure=_secure(visit.request))
    return answer


def theme(visit: Visit) -> Response:
    """Light, dark, or as the system has it."""
    answer = RedirectResponse(_inside(visit.asked("next")) or "/console/edits", 303)
    wanted = visit.asked("theme")
    if wanted in THEMES:
        year = 365 * 24 * 3600
        answer.set_cookie(
            THEME, wanted, max_age=year, path="/console", samesite="strict", httponly=True,
            secure=_secure(visit.request),
        )  # fmt: skip
    else:
        answer.delete_cookie(THEME, path="/console")
    return answer


def _signed_in(request: Request, answer: Response, token: str) -> Response:
    answer.set_cookie(
        COOKIE, token, max_age=int(LASTS.total_seconds()), path="/console", httponly=True, samesite="strict",
        secure=_secure(request),
    )  # fmt: skip
    return answer


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _inside(address: str) -> str:
    """An address to go on to, if it is a page of the console; "" otherwise."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    inside = parts.path.startswith("/console/") and not parts.scheme and not parts.netloc
    return address if inside and "\\" not in address and ".." not in parts.path and address.isprintable() else ""
