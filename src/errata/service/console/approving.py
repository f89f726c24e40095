"""Changes that wait for a second person."""

from __future__ import annotations

from starlette.responses import Response

from errata.errors import AccessError
from errata.service.approvals import Waiting
from errata.service.console.visit import Visit

SHOWN = 100
"""Changes of either kind on the page."""


def listed(visit: Visit) -> Response:
    """Those that wait, and those that were settled."""
    visit.needs("reader")
    desk = visit.desk
    waiting = [(one, _before(visit, one)) for one in desk.approvals.list(visit.space, limit=SHOWN)]
    settled = desk.approvals.list(visit.space, settled=True, limit=SHOWN, newest=True)
    return visit.page("approvals.html", open=waiting, settled=settled, wanted=desk.approvals.wanted)


def settle(visit: Visit) -> Response:
    """Approve or reject one."""
    number, verdict = visit.request.path_params["number"], visit.asked("verdict")
    if verdict not in ("approved", "rejected"):
        raise AccessError("this form is not understood; reload the page", status=400)
    waiting, _ = visit.desk.settled(visit.caller, number, "approved" if verdict == "approved" else "rejected")
    visit.space = waiting.space
    return visit.go("/approvals", said=verdict)


def _before(visit: Visit, waiting: Waiting) -> object:
    """The edit that a change is about, as it is now; None for a new one."""
    id = str(waiting.asked.get("id", ""))
    return visit.desk.editor.memory.find([id]).get(id) if id else None
