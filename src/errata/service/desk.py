"""Where edits are changed over HTTP: who may, once only, on the revision that was seen, and into the audit.

Writers that must not overwrite one another send the revision they have seen as `If-Match`; a request that may be sent
twice carries an `Idempotency-Key`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from errata.edit import MAX_NAME, Edit, Revision, Terms
from errata.editors.documents import revision_document
from errata.editors.explain import Explanation
from errata.editors.serac import Serac
from errata.errors import AccessError, EditError, ModelError, OutdatedError
from errata.memory.records import Bad, Record, read_jsonl
from errata.service.access import Access
from errata.service.approvals import Approvals, Waiting
from errata.service.keys import Caller
from errata.service.ledger import Ledger, line
from errata.service.marked import marked
from errata.service.once import once
from errata.service.owed import Owed
from errata.service.sent import NewEdit


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
    """

    editor: Serac
    access: Access
    ledger: Ledger
    approvals: Approvals
    owed: Owed

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

    def tagged(
        self, document: Mapping[str, Any] | list[Any], status: int = 200, revision: int | None = None
    ) -> JSONResponse:
        """An answer with the memory's revision as its ETag.

        Args:
            document: the answer.
            status: of HTTP.
            revision: a change's own, or what it was before the memory was read; later changes were not seen. None is
                now.
        """
        seen = self.editor.memory.revision if revision is None else revision
        return JSONResponse(document, status_code=status, headers={"etag": f'"{seen}"'})

    @contextmanager
    def fresh(self, request: Request) -> Iterator[None]:
        """Within it a change that was thought out on an older revision (`If-Match`) is refused.

        Raises:
            AccessError: somebody changed something since.
        """
        seen = request.headers.get("if-match", "").strip()
        if seen in ("", "*"):
            yield
            return
        memory: Any = self.editor.memory
        number = seen.strip('W/"')
        try:
            with memory.expecting(int(number) if re.fullmatch("[0-9]{1,18}", number) else -1):
                yield
        except OutdatedError as error:
            raise AccessError(
                f"the memory is at revision {memory.revision} by now, not {seen}; look again",
                status=412,
                code="precondition_failed",
            ) from error

    def once(self, request: Request, caller: Caller, asked: object, work: Callable[[], JSONResponse]) -> Response:
        """Do a change once, however often it is sent with the same `Idempotency-Key`.

        Raises:
            AccessError: it was thought out on an older revision.
            ConflictError: the key was used for another request, or that one has not ended yet.
        """
        key = request.headers.get("idempotency-key", "").strip()
        if len(key) > MAX_NAME:
            raise EditError(f"an Idempotency-Key has at most {MAX_NAME} characters")

        def change() -> JSONResponse:
            with self.fresh(request):
                return work()

        if not key:
            return change()
        told = f"{request.method} {request.url.path} {json.dumps(asked, sort_keys=True)}"
        return once(self.ledger, self.owed, caller.key or caller.name, key, told, change)

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
        told = {"data": done, "revision": newest(done)} if many else done[0]
        return self.tagged(told, 201 if kind == "add" else 200, newest(done))

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

    def imported(self, caller: Caller, space: str, lines: bytes) -> dict[str, Any]:
        """Add the edits of JSON lines, all or none; those that are there already stay on their own terms.

        Args:
            caller: who sends them, and so their author, whatever a line says.
            space: of lines that name none.
            lines: as `/export` gives them.

        Raises:
            EditError: a line is bad, or its id is taken by another text; nothing was added.
            AccessError: a line's space is not the caller's, or changes wait for a second person.
        """
        if self.approvals.wanted:
            raise AccessError("changes wait for a second person; send the edits to /v1/edits/batch", status=403)
        sent: dict[str, Record] = {}
        seen = self.editor.memory.revision
        for one in read_jsonl(io.BytesIO(lines), Terms(), space):
            if isinstance(one, Bad):
                raise EditError(f"line {one.line}: {one.message}; nothing was added")
            self.access.needs(caller, "editor", one.edit.space)
            if not _same(sent.setdefault(one.edit.id, one).edit, one.edit):
                raise EditError(f"line {one.line}: the id {one.edit.id!r} is taken by another line; nothing was added")
        held = {id: one.edit for id, one in self.editor.memory.find(sent).items() if one.live}
        for id, one in sent.items():
            if id in held and not _same(held[id], one.edit):
                raise EditError(f"line {one.line}: the id {id!r} is taken by another text; nothing was added")
        new = [one for id, one in sent.items() if id not in held]
        terms = [replace(one.terms or Terms(), author=caller.name) for one in new]

        def change() -> list[Revision]:
            return self.editor.add(*(one.edit for one in new), terms=terms) if new else []

        done = self.audited("import", caller, space, change)
        return {
            "added": len(done), "unchanged": len(sent) - len(done), "revision": newest(done) if done else seen,
        }  # fmt: skip

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
        """An input answered by the base and under the edits, and why; of a prompt, its marked question is looked at."""
        question = marked(text).text
        explanation = self.editor.explain(question, space=space)
        try:
            base = self.editor.model.generate([text])[0]
            hit = explanation.decision.match is not None
            return Compared(explanation, base, self.editor.generate([question], space=space)[0].text if hit else base)
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


def newest(done: Sequence[Mapping[str, Any]]) -> int:
    """The newest revision among a change's documents."""
    return max(int(one["revision"]) for one in done)


def _same(one: Edit, other: Edit) -> bool:
    """Whether two edits of one id say the same."""
    return (one.prompt, one.target, one.space) == (other.prompt, other.target, other.space)
