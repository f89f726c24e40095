"""An input answered side by side: by the base model, and under the edits, and why."""

from __future__ import annotations

from starlette.responses import Response

from errata.edit import MAX_TEXT, check_text
from errata.service.console.visit import Visit


def blank(visit: Visit) -> Response:
    """The form."""
    visit.needs("reader")
    return visit.page("try.html", input="", found=None)


def tried(visit: Visit) -> Response:
    """The form, and what became of an input. Nothing of it is written down."""
    visit.needs("reader")
    text = check_text(visit.asked("input"), "the question", limit=MAX_TEXT)
    return visit.page("try.html", input=text, found=visit.desk.compared(text, visit.space))
