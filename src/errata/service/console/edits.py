"""The edits: filters, search by nearness, one edit with its history, and switching one on or off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.responses import Response

from errata.edit import Revision
from errata.editors.documents import state
from errata.errors import AccessError, ConflictError, OutdatedError
from errata.service.approvals import Waiting
from errata.service.console.visit import Visit

PAGE = 25
"""Edits of a page."""
CHUNK, LOOKED_AT = 200, 10_000
"""Edits read at once, and at most for a page, where few are in the wanted state."""
STATES = ("in force", "disabled", "not yet valid", "expired", "retracted")
_CHANGED = {"enable": "enabled", "disable": "disabled", "retract": "retracted"}


def listed(visit: Visit) -> Response:
    """A page of edits, or those nearest to an input."""
    visit.needs("reader")
    desk, text = visit.desk, visit.asked("q")
    decision = None
    found: list[Revision] = []
    following = 0
    if text and visit.asked("how") == "nearest":
        [decision] = desk.editor.decide([text], space=visit.space)
    else:
        found, following = _page(visit)
    counts = visit.console.counts().get(visit.space, {})
    filtered = any(visit.asked(name) for name in ("q", "tag", "author", "state"))
    return visit.page(
        "edits.html", found=found, following=following, decision=decision, counts=counts, filtered=filtered,
        states=STATES,
    )  # fmt: skip


def _page(visit: Visit) -> tuple[list[Revision], int]:
    """Edits that pass the filters, and the number after which the next page begins (0 when there is none)."""
    memory, wanted, after = visit.desk.editor.memory, visit.asked("state"), visit.number("after")
    found: list[Revision] = []
    enabled = {"disabled": False, "in force": True, "not yet valid": True, "expired": True}.get(wanted)
    for _ in range(0, LOOKED_AT, CHUNK):
        part = memory.list(
            space=visit.space, tag=visit.asked("tag"), author=visit.asked("author"), text=visit.asked("q"),
            live=wanted not in ("retracted", "all"), enabled=enabled, limit=CHUNK, after=after,
        )  # fmt: skip
        for one in part:
            if wanted in ("", "all") or state(one) == wanted:
                if len(found) == PAGE:
                    return found, after
                found.append(one)
            after = one.number
        if len(part) < CHUNK:
            return found, 0
    return found, after


def one(visit: Visit) -> Response:
    """An edit with its history."""
    visit.needs("reader")
    known = known_edit(visit)
    history = list(visit.desk.editor.memory.history(known.edit.id))
    pairs = list(zip(history, [None, *history[:-1]], strict=True))[::-1]
    return visit.page("edit.html", edit=known, history=pairs)


def switch(visit: Visit) -> Response:
    """Switch an edit on or off, or retract it."""
    visit.needs("editor")
    desk, what = visit.desk, visit.asked("what")
    known = known_edit(visit)
    visit.needs("editor", known.edit.space)
    with unchanged(visit, known):
        if what == "enable":
            asked: dict[str, Any] = {"id": known.edit.id, "edits": []}
            if isinstance(desk.wished(visit.caller, known.edit.space, "enable", asked), Waiting):
                return visit.go("/approvals", said="waits")
        elif what in ("disable", "retract"):
            desk.withdrawn(visit.caller, known, "disable" if what == "disable" else "retract")
        else:
            raise AccessError("this form is not understood; reload the page", status=400)
    return visit.go(f"/edits/{known.edit.id}", said=_CHANGED[what])


def known_edit(visit: Visit) -> Revision:
    """The edit that the address names, in its own space from here on."""
    known = visit.desk.of(visit.caller, visit.request.path_params["id"])
    visit.space = known.edit.space
    return known


@contextmanager
def unchanged(visit: Visit, known: Revision) -> Iterator[None]:
    """Within it a change to an edit that is no longer as the page showed it is refused.

    Raises:
        ConflictError: somebody changed it since.
    """
    memory: Any = visit.desk.editor.memory
    try:
        with memory.expecting(visit.number("seen", known.number), known.edit.id):
            yield
    except OutdatedError as error:
        author = memory.get(known.edit.id).terms.author or "somebody"
        raise ConflictError(f"this edit was changed by {author} since you opened it; look again") from error
