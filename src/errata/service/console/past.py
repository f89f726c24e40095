"""The log of a space, newest first, and undo."""

from __future__ import annotations

from starlette.responses import Response

from errata.edit import Revision
from errata.errors import ConflictError
from errata.memory import Memory
from errata.service.console.visit import Visit
from errata.service.keys import Role
from errata.service.sent import MOST

PAGE = 40
"""Revisions of a page."""
CHUNK, LOOKED_AT = 400, 40_000
"""Revisions read at once, and at most for a page, where most are of other spaces."""


def log(visit: Visit) -> Response:
    """A page of the log."""
    visit.needs("reader")
    memory = visit.desk.editor.memory
    found, following = newest(memory, visit.space, visit.number("before", memory.revision + 1))
    last = list(memory.history(after=memory.revision - 1))[-1:] if memory.revision else []
    role: Role = "approver" if visit.desk.approvals.wanted else "editor"
    return visit.page(
        "history.html", found=found, following=following, revision=memory.revision, last=last[0] if last else None,
        undo=visit.may(role, "*"), role=role, most=MOST,
    )  # fmt: skip


def newest(memory: Memory, space: str, before: int) -> tuple[list[Revision], int]:
    """Revisions of a space below a number, newest first, and the number to go on below (0 at the log's begin)."""
    found: list[Revision] = []
    for _ in range(0, LOOKED_AT, CHUNK):
        begin = max(0, before - 1 - CHUNK)
        part = list(memory.history(after=begin, limit=before - 1 - begin))
        for one in reversed(part):
            if one.edit.space == space and one.number < before:
                if len(found) == PAGE:
                    return found, one.number + 1
                found.append(one)
        before = begin + 1
        if begin == 0:
            return found, 0
    return found, before


def undo(visit: Visit) -> Response:
    """Take back the newest changes, if they are still those that the page showed."""
    visit.needs("editor")
    desk = visit.desk
    with desk.lock:
        if visit.number("seen") != desk.editor.memory.revision:
            raise ConflictError("something was changed since you opened the page; look again before you take it back")
        desk.undone(visit.caller, visit.space, min(visit.number("revisions", 1), MOST))
    return visit.go("/history", said="undone")
