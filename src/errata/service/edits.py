"""/v1/edits: the memory over HTTP. Every change is durable when it is answered, and says the memory's revision."""

from __future__ import annotations

import hashlib
import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from errata.edit import MAX_NAME, Revision
from errata.editors.documents import (
    diff_document,
    explanation_document,
    match_document,
    preflight_document,
    revision_document,
)
from errata.editors.preflight import check_edit
from errata.memory.transfer import export_edits
from errata.service.desk import Desk
from errata.service.sent import MOST, Asks, NewEdit, NewEdits, Undoing

Id = Annotated[str, Path(min_length=1, max_length=MAX_NAME)]
Space = Annotated[str, Query(max_length=MAX_NAME, description="The space; the key's own by default.")]


def router(desk: Desk) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/edits", tags=["edits"])
    memory: Any = desk.editor.memory

    @routes.get("", summary="The edits")
    def listed(
        request: Request,
        space: Space = "",
        tag: str = "",
        author: str = "",
        text: str = "",
        live: bool = True,
        enabled: bool | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        at: Annotated[int | None, Query(ge=0, le=2**62, description="As they were at this revision.")] = None,
    ) -> Response:
        """A page of edits, each as it is now; the next one begins `after` the `next` of this."""
        _, where = desk.reader(request, space)
        source = memory if at is None else memory.checkout(at)
        found = source.list(
            space=where, tag=tag, author=author, text=text, live=live, enabled=enabled, limit=limit + 1, after=after
        )
        more, page = len(found) > limit, found[:limit]
        last = page[-1].number if more else None
        return desk.tagged(
            {"data": [revision_document(one) for one in page], "next": last, "revision": source.revision}
        )

    @routes.get("/diff", summary="What changed")
    def diff(
        request: Request,
        a: Annotated[int, Query(ge=0, le=2**62)],
        b: Annotated[int | None, Query(ge=0, le=2**62)] = None,
        space: Space = "",
    ) -> Response:
        """From revision `a` to revision `b`, the newest otherwise."""
        _, where = desk.reader(request, space)
        end = memory.revision if b is None else b
        return desk.tagged({"from": a, "to": end, **diff_document(memory.diff(a, end), where)})

    @routes.get("/export", summary="Every edit of a space")
    def export(request: Request, space: Space = "") -> Response:
        """Lines of JSON that `errata import` reads."""
        _, where = desk.reader(request, space)
        written = io.StringIO()
        export_edits(memory, written, format="jsonl", space=where)
        return Response(written.getvalue(), media_type="application/x-ndjson")

    @routes.post("", status_code=201, summary="Add an edit")
    def add(request: Request, sent: NewEdit) -> Response:
        """In force when this answers (202: waits for approval)."""
        caller, space = desk.writer(request, sent.space)
        asked = {"edits": [sent.model_dump(mode="json")]}
        return desk.once(request, caller, asked, lambda: desk.answered(caller, space, "add", asked))

    @routes.post("/batch", status_code=201, summary="Add edits, all or none")
    def batch(request: Request, sent: NewEdits) -> Response:
        """One transaction: every edit is in force when this answers, or none is."""
        caller, space = desk.writer(request)
        for one in sent.edits:
            if one.space:
                desk.access.needs(caller, "editor", one.space)
        asked = sent.model_dump(mode="json")
        return desk.once(request, caller, asked, lambda: desk.answered(caller, space, "add", asked, many=True))

    @routes.post("/import", summary="Add the edits of an export")
    async def load(request: Request, space: Space = "") -> Response:
        """Lines of JSON as `/export` gives them; all of them, or none. What is there already stays as it is."""
        caller, where = desk.writer(request, space)
        lines = await desk.access.body(request)
        asked = hashlib.sha256(lines).hexdigest()

        def work() -> JSONResponse:
            return desk.tagged(desk.imported(caller, where, lines))

        return await run_in_threadpool(desk.once, request, caller, asked, work)

    @routes.post("/check", summary="Look at an edit before it is stored")
    def check(request: Request, sent: NewEdit) -> Response:
        """Duplicates, contradictions, breadth and a self-test; nothing is stored."""
        _, space = desk.reader(request, sent.space)
        return desk.tagged(preflight_document(check_edit(desk.editor, sent.edit(space))))

    @routes.post("/search", summary="The edits nearest to an input")
    def search(request: Request, sent: Asks, k: Annotated[int, Query(ge=1, le=100)] = 10) -> Response:
        """The nearest edits in force, with their scores against the threshold."""
        _, space = desk.reader(request, sent.space)
        [decision] = desk.editor.decide([sent.input], space=space)
        found = [match_document(match) for match in decision.nearest[:k]]
        return desk.tagged({"data": found, "threshold": decision.threshold, "reason": decision.reason})

    @routes.post("/why", summary="Why an input is answered as it is")
    def why(request: Request, sent: Asks) -> Response:
        """Which edit answers, or why none does, side by side with the base model's own answer."""
        _, space = desk.reader(request, sent.space)
        found = desk.compared(sent.input, space)
        document = explanation_document(found.explanation, answer=found.answer or "", base=found.base or "")
        if found.error:
            document |= {"answer": None, "base_answer": None, "base_error": found.error}
        return desk.tagged(document)

    @routes.post("/undo", summary="Take back the newest changes")
    def undo(request: Request, sent: Annotated[Undoing | None, Body()] = None) -> Response:
        """The newest revisions, each taken back by a revision of its own; needs a key for all spaces."""
        caller, space = desk.writer(request)
        desk.access.needs(caller, "editor", "*")
        asked = (sent or Undoing()).model_dump()

        def change() -> JSONResponse:
            return desk.tagged({"data": desk.undone(caller, space, asked["revisions"])})

        return desk.once(request, caller, asked, change)

    @routes.get("/history", summary="The log")
    def history(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        space: Space = "",
    ) -> Response:
        """Every change of a space, oldest first."""
        _, where = desk.reader(request, space)
        found: list[Revision] = []
        last = None
        for one in memory.history(after=after):
            if one.edit.space != where:
                continue
            if len(found) == limit:
                last = found[-1].number
                break
            found.append(one)
        return desk.tagged({"data": [revision_document(one) for one in found], "next": last})

    @routes.get("/{id}", summary="An edit")
    def get(request: Request, id: Id) -> Response:
        """Its newest revision."""
        caller, _ = desk.reader(request)
        return desk.tagged(revision_document(desk.of(caller, id)))

    @routes.get("/{id}/history", summary="An edit's history")
    def past(request: Request, id: Id) -> Response:
        """All its revisions, oldest first."""
        caller, _ = desk.reader(request)
        known = desk.of(caller, id)
        return desk.tagged({"data": [revision_document(one) for one in memory.history(known.edit.id)]})

    @routes.put("/{id}", summary="Replace an edit's text")
    def replace(request: Request, id: Id, sent: NewEdit) -> Response:
        """Give the edit another prompt or target; its history stays."""
        caller, _ = desk.writer(request)
        known = desk.of(caller, id)
        desk.access.needs(caller, "editor", known.edit.space)

        asked = {"id": known.edit.id, "edits": [sent.model_dump(mode="json")]}
        return desk.once(request, caller, asked, lambda: desk.answered(caller, known.edit.space, "replace", asked))

    @routes.delete("/{id}", summary="Retract an edit")
    def retract(request: Request, id: Id) -> Response:
        """Out of force when this answers; its history stays."""
        return _withdrawn(desk, request, id, "retract")

    @routes.post("/{id}/enable", summary="Switch an edit on")
    def enable(request: Request, id: Id) -> Response:
        """In force again."""
        caller, _ = desk.writer(request)
        known = desk.of(caller, id)
        desk.access.needs(caller, "editor", known.edit.space)
        asked = {"id": known.edit.id, "edits": []}
        return desk.once(request, caller, asked, lambda: desk.answered(caller, known.edit.space, "enable", asked))

    @routes.post("/{id}/disable", summary="Switch an edit off")
    def disable(request: Request, id: Id) -> Response:
        """Out of force until it is switched on."""
        return _withdrawn(desk, request, id, "disable")

    return routes


def approval_router(desk: Desk) -> APIRouter:
    """The routes of changes that wait."""
    routes = APIRouter(prefix="/v1/approvals", tags=["approvals"])

    @routes.get("", summary="Changes that wait for a second person")
    def listed(
        request: Request,
        space: Space = "",
        settled: bool = False,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    ) -> Response:
        """Those of a space, oldest first."""
        _, where = desk.reader(request, space)
        found = desk.approvals.list(where, settled=settled, limit=limit, after=after)
        return desk.tagged({"data": [one.document for one in found]})

    @routes.post("/{number}/approve", summary="Let a change go live")
    def approve(request: Request, number: Annotated[int, Path(ge=1, le=2**62)]) -> Response:
        """Needs the role approver, and another key than that which asked."""
        caller, _ = desk.access.caller(request)
        waiting, made = desk.settled(caller, number, "approved")
        return desk.tagged({**waiting.document, "data": made})

    @routes.post("/{number}/reject", summary="Refuse a change")
    def reject(request: Request, number: Annotated[int, Path(ge=1, le=2**62)]) -> Response:
        """It never goes live."""
        caller, _ = desk.access.caller(request)
        return desk.tagged(desk.settled(caller, number, "rejected")[0].document)

    return routes


def _withdrawn(desk: Desk, request: Request, id: str, what: Literal["retract", "disable"]) -> Response:
    caller, _ = desk.writer(request)
    known = desk.of(caller, id)
    desk.access.needs(caller, "editor", known.edit.space)
    return desk.once(request, caller, {}, lambda: desk.tagged(desk.withdrawn(caller, known, what)))
