"""Keys: made, shown once, revoked; for admins of all spaces."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from errata.errors import EditError
from errata.service.console.visit import Visit
from errata.service.keys import EVERYWHERE, ROLES


def listed(visit: Visit) -> Response:
    """All keys, never a secret."""
    visit.needs("admin", "*")
    return _page(visit)


def make(visit: Visit) -> Response:
    """A new key; the page that answers shows its secret, and no other does."""
    visit.needs("admin", "*")
    spaces = [part.strip() for part in visit.asked("spaces").split(",") if part.strip()]
    key, secret = visit.console.keys.make(
        visit.asked("name"),
        visit.asked("role"),
        spaces or EVERYWHERE,
        expires=_end(visit.asked("expires")),
        by=visit.caller.name,
    )
    return _page(visit, made=key.name, secret=secret)


def revoke(visit: Visit) -> Response:
    """Take a key's rights away; its sessions are over too."""
    visit.needs("admin", "*")
    visit.console.keys.revoke(visit.request.path_params["id"], by=visit.caller.name)
    return visit.go("/keys", said="revoked")


def _page(visit: Visit, made: str = "", secret: str = "") -> Response:
    found = sorted(visit.console.keys.list(), key=lambda key: key.made, reverse=True)
    now = datetime.now(UTC)
    over = {key.id for key in found if key.expires and datetime.fromisoformat(key.expires) <= now}
    return visit.page("keys.html", keys=found, over=over, roles=ROLES, made=made, secret=secret)


def _end(text: str) -> datetime | None:
    """The end of a day, UTC."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(hour=23, minute=59, second=59, tzinfo=UTC)
    except ValueError as error:
        raise EditError(f"expires must be a day like 2026-12-31, not {text!r}") from error
    if day <= datetime.now(UTC):
        raise EditError("expires must be a day to come")
    return day
