"""A request to the console: who is signed in, what was sent, and the page that answers it.

Every request that changes something must come from a page of this console: its Origin is this host, and it carries
the session's token (a hidden field, or the header x-csrf-token).
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from errata.edit import MAX_NAME, check_text
from errata.editors.documents import state
from errata.errors import AccessError, ConfigError, ConflictError, EditError, ErrataError
from errata.service.access import read_body
from errata.service.console import files, plots
from errata.service.console.sessions import Sessions, csrf_of
from errata.service.desk import Desk
from errata.service.keys import Caller, Keys, Role
from errata.service.settings import Settings
from errata.service.upstream import COOKIE

log = logging.getLogger(__name__)
T = TypeVar("T")
FORM = 256_000
"""Most bytes of a form: the longest texts, percent-encoded, fit."""
THEME = "errata_theme"
THEMES = ("light", "dark")
TWICE = ("/console/add", "/console/keys", "/console/try")
"""Addresses of pages that answer forms too."""
SAID = {
    "added": "Added.",
    "there": "This edit was there already, unchanged.",
    "replaced": "Replaced.",
    "enabled": "Switched on.",
    "disabled": "Switched off. The base model answers again.",
    "retracted": "Retracted. The base model answers again; the history stays.",
    "waits": "Asked for. It goes live when a second person approves it.",
    "approved": "Approved. The change is live.",
    "rejected": "Rejected. It never goes live.",
    "undone": "Taken back.",
    "revoked": "Revoked. The key works no more.",
}
"""What a page says after a change, by the word in its address."""


@dataclass(frozen=True, slots=True)
class Console:
    """What the pages share.

    Args:
        settings: the service's.
        desk: memory, gate, audit and approvals.
        keys: the keys.
        sessions: who is signed in.
    """

    settings: Settings
    desk: Desk
    keys: Keys
    sessions: Sessions
    _kept: dict[str, tuple[object, Any]] = field(default_factory=dict)

    def home(self, caller: Caller) -> str:
        """The space a caller sees first."""
        default = self.settings.sheet.space
        return default if caller.reaches(default) else caller.spaces[0]

    def spaces(self, visit: Visit) -> list[str]:
        """The spaces a caller can choose among."""
        if not visit.caller.reaches("*"):
            return sorted(visit.caller.spaces)
        memory = self.desk.editor.memory
        known = self._once("spaces", memory.revision, memory.spaces)
        return sorted({*known, self.home(visit.caller), visit.space})

    def counts(self) -> dict[str, dict[str, int]]:
        """How many edits there are by space and state, not older than a minute."""
        memory = self.desk.editor.memory
        return self._once("counts", (memory.revision, int(time.time() // 60)), memory.counts)

    def _once(self, name: str, key: object, work: Callable[[], T]) -> T:
        """What is slow to find in a large memory, found anew only when the key is another."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != key:
            self._kept[name] = kept = (key, work())
        found: T = kept[1]
        return found


@dataclass(slots=True)
class Visit:
    """One request of somebody who is signed in.

    Args:
        console: what the pages share.
        request: as it came.
        caller: who it is.
        space: whose edits are looked at.
        token: the session's.
        form: what was sent with it.
    """

    console: Console
    request: Request
    caller: Caller
    space: str
    token: str
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def desk(self) -> Desk:
        """Memory, gate, audit and approvals."""
        return self.console.desk

    @property
    def csrf(self) -> str:
        """The token of this session's forms."""
        return csrf_of(self.token)

    def asked(self, name: str) -> str:
        """A field of the form, or of the address."""
        return (self.form.get(name) or self.request.query_params.get(name) or "").strip()

    def number(self, name: str, default: int = 0) -> int:
        """A whole number from form or address.

        Raises:
            EditError: it is none.
        """
        told = self.asked(name)
        if not told:
            return default
        if not told.isascii() or not told.isdigit() or len(told) > 18:
            raise EditError(f"{name} must be a whole number")
        return int(told)

    def may(self, role: Role, space: str | None = None) -> bool:
        """Whether the caller has a role, in this space or another."""
        return self.caller.may(role) and self.caller.reaches(self.space if space is None else space)

    def needs(self, role: Role, space: str | None = None) -> None:
        """Refuse who has less than a role, in this space or another (AccessError)."""
        self.desk.access.needs(self.caller, role, self.space if space is None else space)

    def url(self, path: str, **query: object) -> str:
        """An address of the console; the space goes along."""
        told = {name: value for name, value in query.items() if value not in ("", None)}
        if self.space != self.console.home(self.caller):
            told.setdefault("space", self.space)
        return f"/console{quote(path)}" + (f"?{urlencode(told)}" if told else "")

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page."""
        said = SAID.get(self.request.query_params.get("said", ""), "")
        waiting = len(self.desk.approvals.list(self.space)) if self.caller.may("reader") else 0
        return render(self.request, template, status, visit=self, said=said, waiting=waiting, **values)

    def go(self, path: str, said: str = "", **query: object) -> Response:
        """On to a page, after a change."""
        return RedirectResponse(self.url(path, said=said, **query), 303)


Work = Callable[[Visit], Response]


def page(console: Console, work: Work) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint of a page for who is signed in; errors become pages too.

    Args:
        console: what the pages share.
        work: makes the answer, in a thread.
    """

    async def endpoint(request: Request) -> Response:
        try:
            token = request.cookies.get(COOKIE, "")
            form = await sent_form(request)
            caller = await run_in_threadpool(console.sessions.caller, token)
            if caller is None:
                return _sign_in(request)
            request.state.visit = visit = Visit(console, request, caller, console.home(caller), token, form)
            console.desk.access.count(caller.key)
            if request.method == "POST":
                given = request.headers.get("x-csrf-token", "") or form.get("csrf", "")
                if not hmac.compare_digest(given.encode(), visit.csrf.encode()):
                    raise AccessError("this form was not made in your session; go back, reload the page, and try again")
            named = visit.asked("space")
            if named:
                check_text(named, "space", limit=MAX_NAME)
                console.desk.access.needs(caller, "reader", named)
                visit.space = named
            return await run_in_threadpool(work, visit)
        except (ErrataError, ValidationError, HTTPException) as error:
            return await run_in_threadpool(trouble, request, *told(error))
        except Exception as error:
            log.exception("%s %s", request.method, request.url.path)
            message = f"This is a bug of errata ({type(error).__name__}); the log tells more."
            return await run_in_threadpool(trouble, request, 500, message)

    return endpoint


async def sent_form(request: Request) -> dict[str, str]:
    """A form's fields, from this console only; {} for a request that changes nothing.

    Raises:
        AccessError: it comes from another site, is too long, or no form.
    """
    if request.method != "POST":
        return {}
    host = urlsplit(request.headers.get("origin", "")).netloc
    if not host or host != request.headers.get("host", ""):
        raise AccessError("this came from another site, so nothing was done; use the console's own pages")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise AccessError("this came from another site, so nothing was done; use the console's own pages")
    body = await read_body(request, FORM)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError as error:
        raise AccessError("this is no form", status=400, code="invalid_request_error") from error
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, for who is signed in or not."""
    theme = request.cookies.get(THEME, "")
    path = request.url.path
    back = path if request.method == "GET" or path in TWICE else "/console/edits"
    values = {"visit": None, "said": "", "waiting": 0, **values, "path": path, "back": back}
    text = TEMPLATES.get_template(template).render(theme=theme if theme in THEMES else "", **values)
    return HTMLResponse(text, status)


def trouble(request: Request, status: int, message: str) -> Response:
    """An error as a page, or in the place for messages where htmx asked for a part of one."""
    visit = getattr(request.state, "visit", None)
    try:
        answer = render(request, "trouble.html", status, visit=visit, message=message, code=status)
    except ErrataError:  # not even the frame can be made: the memory cannot be read
        answer = render(request, "trouble.html", status, message=message, code=status)
    if request.headers.get("hx-request"):
        answer.headers["hx-reswap"] = "none"  # but for the messages, which every such form asks for beside its own part
    return answer


def _sign_in(request: Request) -> Response:
    """Where who is not signed in is sent; the page asked for comes after it."""
    query = urlencode({"next": request.url.path + (f"?{request.url.query}" if request.url.query else "")})
    to = "/console/sign-in" + (f"?{query}" if request.method == "GET" else "?ended=1")
    if request.headers.get("hx-request"):
        return Response(status_code=200, headers={"hx-redirect": "/console/sign-in?ended=1"})
    return RedirectResponse(to, 303)


def told(error: Exception) -> tuple[int, str]:
    """An error's status, and what it says to people."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return 422, f"{place or 'The form'}: {first['msg']}."
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    text = str(error)
    if isinstance(error, AccessError):
        return error.status, sentence(text)
    if isinstance(error, ConflictError):
        return 409, sentence(text)
    return (400 if isinstance(error, EditError | ConfigError) else 503), sentence(text)


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _clock(moment: datetime | str | None) -> str:
    """A moment for people, UTC."""
    if moment is None:
        return ""
    told = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return told.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {"clock": _clock, "state": state, "sentence": sentence}
TEMPLATES.globals |= {"static": files.address, "score": plots.score}
