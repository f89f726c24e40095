"""Adding and replacing edits: what was written is looked at first (pre-flight), then confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import ValidationError
from starlette.responses import Response

from errata.edit import Edit, Revision
from errata.editors.preflight import TOO_BROAD, PreFlight, check_edit
from errata.errors import AccessError, EditError
from errata.service.approvals import Waiting
from errata.service.console.edits import known_edit, unchanged
from errata.service.console.traffic import nearly
from errata.service.console.visit import Visit, told
from errata.service.sent import NewEdit

FIELDS = ("prompt", "target", "tags", "source", "note", "valid_from", "expires")


def new(visit: Visit) -> Response:
    """An empty form, or one filled in from a near miss or an edit that was."""
    visit.needs("editor")
    if visit.asked("miss"):
        values = _from_miss(visit, visit.number("miss"))
        return _form(visit, values, check=bool(values["prompt"] and values["target"]))
    if visit.asked("like"):
        return _form(visit, _written(visit.desk.of(visit.caller, visit.asked("like"))))
    return _form(visit, dict.fromkeys(FIELDS, ""))


def add(visit: Visit) -> Response:
    """Look at a new edit, or add it."""
    visit.needs("editor")
    if visit.asked("step") != "confirm":
        return _form(visit, _sent(visit), check=visit.asked("step") != "write")
    sent = _edit(_sent(visit))
    asked = {"edits": [sent.model_dump(mode="json")]}
    with visit.desk.lock:
        before = visit.desk.editor.memory.revision
        done = visit.desk.wished(visit.caller, visit.space, "add", asked)
        changed = visit.desk.editor.memory.revision > before
    if isinstance(done, Waiting):
        return visit.go("/approvals", said="waits")
    return visit.go(f"/edits/{done[0]['id']}", said="added" if changed else "there")


def other(visit: Visit) -> Response:
    """The form that replaces an edit's text."""
    visit.needs("editor")
    known = known_edit(visit)
    return _form(visit, _written(known), known)


def replace(visit: Visit) -> Response:
    """Look at an edit's new text, or put it in the old one's place."""
    visit.needs("editor")
    known = known_edit(visit)
    visit.needs("editor", known.edit.space)
    if visit.asked("step") != "confirm":
        return _form(visit, _sent(visit), known, check=True)
    with visit.desk.lock:
        known = known_edit(visit)
        unchanged(visit, known)
        sent = _edit(_sent(visit), known)
        asked = {"id": known.edit.id, "edits": [sent.model_dump(mode="json")]}
        done = visit.desk.wished(visit.caller, known.edit.space, "replace", asked)
    if isinstance(done, Waiting):
        return visit.go("/approvals", said="waits")
    return visit.go(f"/edits/{known.edit.id}", said="replaced")


def _form(visit: Visit, values: Mapping[str, str], known: Revision | None = None, *, check: bool = False) -> Response:
    """The form; with `check` what there is to say about the edit, or what is wrong with it."""
    found: PreFlight | None = None
    there: Revision | None = None
    wrong = ""
    if check:
        try:
            edit = _edit(values, known).edit(visit.space, known.edit.id if known else "")
            found = check_edit(visit.desk.editor, edit)
            there = None if known else _live(visit, edit)
        except (EditError, ValidationError) as error:
            wrong = told(error)[1]
    return visit.page(
        "change.html", status=400 if wrong else 200, values=values, known=known, found=found, there=there,
        wrong=wrong, most=TOO_BROAD, threshold=visit.desk.editor.threshold_of(visit.space),
        waits=visit.desk.approvals.wanted,
    )  # fmt: skip


def _live(visit: Visit, edit: Edit) -> Revision | None:
    """The very same edit, if it is in the memory already."""
    found = visit.desk.editor.memory.find([edit.id]).get(edit.id)
    return found if found is not None and found.live else None


def _sent(visit: Visit) -> dict[str, str]:
    return {name: visit.form.get(name, "").strip() for name in FIELDS}


def _edit(values: Mapping[str, str], known: Revision | None = None) -> NewEdit:
    """The edit that a form asks for; what the form does not show stays as it was.

    Raises:
        EditError: a field cannot be used as given.
    """
    if not values["prompt"]:
        raise EditError("the question is empty; write what will be asked")
    return NewEdit(
        prompt=values["prompt"],
        target=values["target"],
        source=values["source"],
        note=values["note"],
        tags=[tag for tag in (part.strip() for part in values["tags"].split(",")) if tag],
        valid_from=_moment(values["valid_from"], "valid from"),
        expires=_moment(values["expires"], "expires"),
        meta=dict(known.edit.meta) if known else {},
        enabled=known.terms.enabled if known else True,
    )


def _moment(text: str, what: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise EditError(f"{what} must be a moment like 2026-01-31 12:00 (UTC), not {text!r}") from error


def _written(known: Revision) -> dict[str, str]:
    """An edit as the form has it."""
    terms = known.terms
    moments = {"valid_from": terms.valid_from, "expires": terms.expires}
    told = {name: one.strftime("%Y-%m-%dT%H:%M") if one else "" for name, one in moments.items()}
    return {
        "prompt": known.edit.prompt, "target": known.edit.target, "tags": ", ".join(terms.tags),
        "source": terms.source, "note": terms.note, **told,
    }  # fmt: skip


def _from_miss(visit: Visit, number: int) -> dict[str, str]:
    """A near miss's words with the answer of the edit that it nearly hit.

    Raises:
        AccessError: there is no such miss in this space, or its words were not kept.
    """
    found = visit.desk.ledger.audit(what="decision", after=number - 1, limit=1)
    if not found or found[0]["id"] != number or found[0]["space"] != visit.space:
        raise AccessError("there is no such near miss", status=404, code="not_found")
    _, text, id = nearly(found[0]["told"])
    if not text:
        raise AccessError("the words of this near miss were not kept", status=404, code="not_found")
    edit = visit.desk.editor.memory.find([id]).get(id)
    return {**dict.fromkeys(FIELDS, ""), "prompt": text, "target": edit.edit.target if edit else ""}
