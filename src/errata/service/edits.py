"""/v1/edits: the memory over HTTP. Every change is durable when it is answered, and says the memory's revision.

Writers that must not overwrite one another send the revision they have seen as `If-Match`; a request that may be sent
twice carries an `Idempotency-Key`.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from errata.edit import MAX_NAME, MAX_TEXT, Edit, Revision, Terms
from errata.editors.documents import (
    diff_document,
    explanation_document,
    match_document,
    preflight_document,
    revision_document,
)
from errata.editors.explain import Explanation
from errata.editors.preflight import check_edit
from errata.editors.serac import Serac
from errata.errors import AccessError, ConflictError, EditError, ModelError
from errata.memory.transfer import export_edits
from errata.service.access import Access
from errata.service.approvals import Approvals, Waiting
from errata.service.keys import Caller
from errata.service.ledger import Ledger, line, now
from errata.service.owed import Owed

MOST = 1_000
"""Edits of one request, and rows of one page."""
Id = Annotated[str, Path(min_length=1, max_length=MAX_NAME)]
Space = Annotated[str, Query(max_length=MAX_NAME, description="The space; the key's own by default.")]


class NewEdit(BaseModel):
    """An edit as it is sent."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(min_length=1, max_length=MAX_TEXT)
    target: str = Field(default="", max_length=MAX_TEXT)
    id: str = Field(default="", max_length=MAX_NAME)
    space: str = Field(default="", max_length=MAX_NAME)
    meta: dict[str, str] = Field(default_factory=dict)
    source: str = Field(default="", max_length=MAX_TEXT)
    note: str = Field(default="", max_length=MAX_TEXT)
    tags: list[str] = Field(default_factory=list, max_length=100)
    valid_from: datetime | None = None
    expires: datetime | None = None
    enabled: bool = True

    def edit(self, space: str, id: str = "") -> Edit:
        """The edit itself.

        Raises:
            EditError: a field cannot be used as given.
        """
        return Edit(prompt=self.prompt, target=self.target, id=id or self.id, space=self.space or space, meta=self.meta)

    def terms(self, author: str) -> Terms:
        """Its terms; the author is who sent it."""
        return Terms(
            author=author, source=self.source, note=self.note, tags=tuple(self.tags), valid_from=self.valid_from,
            expires=self.expires, enabled=self.enabled,
        )  # fmt: skip


class NewEdits(BaseModel):
    """Several edits, all or none."""

    model_config = ConfigDict(extra="forbid")

    edits: list[NewEdit] = Field(min_length=1, max_length=MOST)


class Asks(BaseModel):
    """An input."""

    model_config = ConfigDict(extra="forbid")

    input: str = Field(min_length=1, max_length=MAX_TEXT)
    space: str = Field(default="", max_length=MAX_NAME)


class Undoing(BaseModel):
    """How far to go back."""

    model_config = ConfigDict(extra="forbid")

    revisions: int = Field(default=1, ge=1, le=MOST)


@dataclass(frozen=True, slots=True)
class Compared:
    """An input answered side by side.

    Args:
        explanation: which edit answers, or why none does.
        base: the base model's own answer; None where it failed.
        answer: what is answered; None where that failed.
        error: what failed.
    """

    explanation: Explanation
    base: str | None
    answer: str | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes share.

    Args:
        editor: memory, scope and counterfactual model.
        access: the gate.
        ledger: the audit and remembered answers.
        approvals: changes that wait for a second person, where that is asked for.
        owed: what the ledger is yet to be told of changes that are made.
        lock: held from the look at the revision to the change.
    """

    editor: Serac
    access: Access
    ledger: Ledger
    approvals: Approvals
    owed: Owed
    lock: threading.RLock = field(default_factory=threading.RLock)

    def reader(self, request: Request, space: str = "") -> tuple[Caller, str]:
        """Who reads, and of which space."""
        caller, _ = self.access.caller(request)
        where = space or self.access.space(request, caller)
        self.access.needs(caller, "reader", where)
        return caller, where

    def writer(self, request: Request, space: str = "") -> tuple[Caller, str]:
        """Who changes, and in which space."""
        caller, _ = self.access.caller(request)
        where = space or self.access.space(request, caller)
        self.access.needs(caller, "editor", where)
        return caller, where

    def of(self, caller: Caller, id: str) -> Revision:
        """The newest revision of an edit that the caller may see.

        Raises:
            AccessError: there is none in a space of the caller's.
        """
        try:
            revision = self.editor.memory.get(id)
            if caller.reaches(revision.edit.space):
                return revision
        except EditError as error:
            raise AccessError(str(error), status=404, code="not_found") from error
        raise AccessError(f"no edit has the id {id!r}", status=404, code="not_found")

    def tagged(self, document: Mapping[str, Any] | list[Any], status: int = 200) -> JSONResponse:
        """An answer with the memory's revision as its ETag."""
        return JSONResponse(document, status_code=status, headers={"etag": f'"{self.editor.memory.revision}"'})

    def fresh(self, request: Request) -> None:
        """Refuse a change that was thought out on an older revision (`If-Match`).

        Raises:
            AccessError: somebody changed something since.
        """
        seen = request.headers.get("if-match", "").strip()
        if seen and seen != "*" and seen.strip('W/"') != str(self.editor.memory.revision):
            raise AccessError(
                f"the memory is at revision {self.editor.memory.revision} by now, not {seen}; look again",
                status=412,
                code="precondition_failed",
            )

    def once(self, request: Request, caller: Caller, asked: object, work: Callable[[], JSONResponse]) -> Response:
        """Do a change once, however often it is sent with the same `Idempotency-Key`.

        Raises:
            ConflictError: the key was used for another request.
        """
        key = request.headers.get("idempotency-key", "").strip()
        if len(key) > MAX_NAME:
            raise EditError(f"an Idempotency-Key has at most {MAX_NAME} characters")
        with self.lock:
            if not key:
                self.fresh(request)
                return work()
            told = f"{request.method} {request.url.path} {json.dumps(asked, sort_keys=True)}"
            digest = hashlib.sha256(told.encode()).hexdigest()
            who = caller.key or caller.name
            self.owed.pay()  # perhaps the answer of this very key
            found = self.ledger.rows(
                "SELECT digest, status, body FROM idempotent WHERE who = ? AND key = ?", (who, key)
            )
            if found:
                before, status, body = found[0]
                if before != digest:
                    raise ConflictError("this Idempotency-Key was used for another request")
                return JSONResponse(json.loads(body), status_code=status, headers={"idempotent-replayed": "true"})
            self.fresh(request)
            answer = work()
            values = (who, key, digest, answer.status_code, bytes(answer.body).decode(), now())
            self.owed.tell(("INSERT OR IGNORE INTO idempotent VALUES (?, ?, ?, ?, ?, ?)", values))
            return answer

    def wished(self, caller: Caller, space: str, kind: str, asked: Mapping[str, Any]) -> Waiting | list[dict[str, Any]]:
        """Make a change that puts an edit in force, or let it wait for a second person.

        Args:
            caller: who asks.
            space: whose edits.
            kind: "add", "replace" or "enable".
            asked: the edits as they were sent, and the id of the one that is changed.
        """
        edits, _ = self._read(kind, asked, space, caller.name)
        for edit in edits:
            self.editor.counterfactual.check(edit)
        if self.approvals.wanted:
            return self.approvals.ask(caller, space, kind, asked)
        return self.made(caller, space, kind, asked)

    def answered(
        self, caller: Caller, space: str, kind: str, asked: Mapping[str, Any], *, many: bool = False
    ) -> JSONResponse:
        """`wished`, and what became of it as JSON; `many` asks for a list."""
        done = self.wished(caller, space, kind, asked)
        if isinstance(done, Waiting):
            return JSONResponse(done.document, status_code=202)
        told = {"data": done, "revision": self.editor.memory.revision} if many else done[0]
        return self.tagged(told, 201 if kind == "add" else 200)

    def made(
        self, caller: Caller, space: str, kind: str, asked: Mapping[str, Any], author: str = ""
    ) -> list[dict[str, Any]]:
        """Make a change; see `wished`.

        Args:
            caller: who makes it go live.
            space: whose edits.
            kind: "add", "replace" or "enable".
            asked: as it was sent.
            author: who asked for it, where that was another.
        """
        edits, terms = self._read(kind, asked, space, author or caller.name)

        def change() -> list[Revision]:
            if kind == "add":
                return self.editor.add(*edits, terms=terms)
            if kind == "replace":
                return [self.editor.replace(edits[0], terms=terms[0])]
            return self.editor.memory.enable([asked["id"]], terms=Terms(author=author or caller.name))

        return self.audited(kind, caller, space, change)

    def withdrawn(self, caller: Caller, known: Revision, what: Literal["retract", "disable"]) -> dict[str, Any]:
        """Take an edit out of force; that needs no second person."""
        memory, ids, terms = self.editor.memory, [known.edit.id], Terms(author=caller.name)

        def change() -> list[Revision]:
            return memory.retract(ids, terms=terms) if what == "retract" else memory.enable(ids, on=False, terms=terms)

        return self.audited(what, caller, known.edit.space, change)[0]

    def undone(self, caller: Caller, space: str, revisions: int) -> list[dict[str, Any]]:
        """Take back the newest revisions, whosever they are.

        Raises:
            AccessError: the key is not for all spaces, or, with approval, its role is below approver.
        """
        # where a second person is asked for, undo may put an edit in force again
        self.access.needs(caller, "approver" if self.approvals.wanted else "editor", "*")
        memory: Any = self.editor.memory
        return self.audited("undo", caller, space, lambda: memory.undo(revisions))

    def settled(
        self, caller: Caller, number: int, verdict: Literal["approved", "rejected"]
    ) -> tuple[Waiting, list[dict[str, Any]]]:
        """Approve a waiting change, which is then made, or reject it.

        Raises:
            AccessError: the caller is no approver of its space, or asked for it.
            ConflictError: it was settled before.
        """
        self.access.needs(caller, "approver")
        waits = self.approvals.get(number)
        for space in {waits.space, *(one["space"] or waits.space for one in waits.asked["edits"])}:
            self.access.needs(caller, "approver", space)  # a batch may reach beyond its own space
        with self.lock:
            self.owed.pay()  # perhaps this very verdict
            if verdict == "rejected":
                return self.approvals.reject(number, caller), []
            waiting = self.approvals.claim(number, caller)
            try:
                done = self.made(caller, waiting.space, waiting.kind, waiting.asked, waiting.author)
            except Exception:
                self.approvals.release(number, caller)
                raise
            approved, told = self.approvals.approved(waiting, caller)
            self.owed.tell(*told)
            return approved, done

    def compared(self, text: str, space: str) -> Compared:
        """An input answered by the base and under the edits, and why."""
        explanation = self.editor.explain(text, space=space)
        try:
            base = self.editor.model.generate([text])[0]
            return Compared(explanation, base, self.editor.generate([text], space=space)[0].text)
        except ModelError as error:
            return Compared(explanation, None, None, str(error))

    def _read(self, kind: str, asked: Mapping[str, Any], space: str, author: str) -> tuple[list[Edit], list[Terms]]:
        sent = [NewEdit.model_validate(one) for one in asked["edits"]]
        id = asked["id"] if kind == "replace" else ""
        return [one.edit(space, id) for one in sent], [one.terms(author) for one in sent]

    def audited(
        self, what: str, caller: Caller, space: str, change: Callable[[], list[Revision]]
    ) -> list[dict[str, Any]]:
        """Make a change, which goes into the audit; its documents.

        Raises:
            StoreError: the memory could not be written, or an earlier change is not yet in the audit; nothing was done.
        """
        self.owed.pay()
        revisions = change()
        told = [{"id": one.edit.id, "revision": one.number, "kind": one.kind} for one in revisions]
        self.owed.tell(line(what, caller.name, space, {"edits": told}))
        return [revision_document(one) for one in revisions]


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
