"""The ask path over HTTP: read the question, decide, then relay the request as it came or answer under the edit.

request → asked → decide ─ no edit ── relayed, byte for byte (or the local model)
                          └ an edit ── retell: the upstream is told the edit, its answer relayed
                                       else: the counterfactual model's words in OpenAI's shape
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from errata.counterfactual.retell import Retell
from errata.edit import Decision
from errata.editors.serac import Serac
from errata.errors import AccessError, EditError
from errata.service import own, shapes
from errata.service.access import Access
from errata.service.asked import READ, Asked
from errata.service.deciding import Batches
from errata.service.records import Record, Records
from errata.service.settings import Settings
from errata.service.shapes import Api, Said
from errata.service.telemetry import Metrics, span
from errata.service.upstream import Ahead, Sent, Upstream

T = TypeVar("T")
RETELL = Retell()
"""How an edit is told where the counterfactual model at hand cannot give the form that was asked for."""


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers requests.

    Args:
        settings: the service's.
        editor: memory, scope and counterfactual model; its base is the local one where there is no upstream.
        batches: decisions for many requests at once.
        access: the gate.
        records: what is written down of each request.
        metrics: what is counted.
        upstream: the base model's server; None for a local base.
    """

    settings: Settings
    editor: Serac
    batches: Batches
    access: Access
    records: Records
    metrics: Metrics
    upstream: Upstream | None

    async def answer(self, request: Request, api: Api) -> Response:
        """The answer to a request for words.

        Raises:
            AccessError: the caller may not.
            ErrataError: a part failed, or the request cannot be answered by a local model.
        """
        caller, own_key = await self.access.asker(request)
        space = self.access.space(request, caller)
        raw = await self.access.body(request)
        record = Record(api, caller.name, space)
        sent = self._sent(request, raw, own_key)
        if request.headers.get("x-errata-bypass"):
            self.access.needs(caller, self.settings.access.bypass)
            asked = Asked(api, _body(raw) or {}, declined="bypassed")
        else:
            asked = self._asked(api, raw)
            self.batches.check_room()
        ahead = self._ahead(sent)
        try:
            with span("errata.decide", inputs=len(asked.inputs)):
                decisions = list(await asyncio.gather(*(self.batches(text, space) for text in asked.inputs)))
            record.decided(asked, decisions)
            try:
                return await self._answered(request, asked, decisions, sent, ahead)
            finally:
                self.records.keep(record)
                self.metrics.keep(record)
        finally:
            if ahead is not None:
                ahead.drop()

    def _ahead(self, sent: Sent | None) -> Ahead | None:
        if sent is None or self.upstream is None or not self.settings.upstream.ahead:
            return None
        return Ahead(self.upstream, sent)

    def _sent(self, request: Request, raw: bytes, own_key: bool) -> Sent | None:
        if self.upstream is None:
            return None
        return Sent("POST", path_of(request), self.upstream.outgoing(request, own_key=own_key), raw)

    def _asked(self, api: Api, raw: bytes) -> Asked:
        body = _body(raw)
        if body is None:
            if self.upstream is None:
                raise EditError("the body is no JSON object")
            return Asked(api, {}, declined="the body is no JSON object")
        return READ[api](body, conversation=self.settings.sheet.conversation)

    async def _answered(
        self, request: Request, asked: Asked, decisions: Sequence[Decision], sent: Sent | None, ahead: Ahead | None
    ) -> Response:
        hit = any(one.match for one in decisions)
        headers = _headers(request, asked, decisions)
        if sent is None or self.upstream is None:
            return self._shaped(asked, await self._own(asked, decisions), headers)
        if not hit:
            return await (ahead.relay(headers) if ahead is not None else self.upstream.relay(sent, headers))
        retell = self.editor.counterfactual
        if not isinstance(retell, Retell):
            if not asked.shaped and len(asked.inputs) == 1:
                return self._shaped(asked, await self._own(asked, decisions), headers)
            retell = RETELL  # only the upstream can give this form
        texts = [
            retell.prompt(text, one.match.edit) if one.match else text
            for text, one in zip(asked.inputs, decisions, strict=True)
        ]
        head = [(name, value) for name, value in sent.headers if name.lower() != b"content-encoding"]
        return await self.upstream.relay(Sent(sent.method, sent.path, head, asked.retold(texts)), headers)

    async def _own(self, asked: Asked, decisions: Sequence[Decision]) -> list[str]:
        """What errata itself says: the counterfactual model and, for what no edit covers, the local base."""
        matches = [one.match for one in decisions]
        return await run_in_threadpool(own.said, self.editor, asked, matches, local=self.upstream is None)

    def _shaped(self, asked: Asked, texts: Sequence[str], headers: Mapping[str, str]) -> Response:
        asked_text = "\n".join(asked.inputs) or own.last(asked)
        said = Said(
            asked.api,
            asked.model or self.editor.model.name,
            [text for text in texts for _ in range(asked.n)],
            asked_text,
        )
        if asked.stream:
            return StreamingResponse(
                _each(shapes.pieces(said, count=asked.counted)), media_type="text/event-stream", headers=dict(headers)
            )
        return JSONResponse(shapes.whole(said), headers=dict(headers))


def _headers(request: Request, asked: Asked, decisions: Sequence[Decision]) -> dict[str, str]:
    """Headers of our own: of a hit, and of what the client wants explained."""
    wanted = any(one.match for one in decisions) or bool(request.headers.get("x-errata-explain"))
    return told(decisions, asked) if wanted else {}


def told(decisions: Sequence[Decision], asked: Asked) -> dict[str, str]:
    """The headers that tell which edits answered, and how sure that is."""
    hits = [one for one in decisions if one.match]
    best = [one.nearest[0] for one in decisions if one.nearest]
    headers: dict[str, str] = {}
    if hits:
        headers["x-errata-edit"] = ", ".join(_safe(one.match.edit.id) for one in hits if one.match)
    if best:
        headers["x-errata-score"] = ", ".join(f"{match.score:.4f}" for match in best)
    if not hits:
        headers["x-errata-reason"] = _safe(
            asked.declined or (decisions[0].reason if decisions else "nothing was asked")
        )
    if asked.how != "alone" and len(asked.inputs) == 1:
        headers["x-errata-question"] = _safe(asked.inputs[0])
    return headers


def path_of(request: Request) -> str:
    """What comes after /v1, as the client wrote it, with the query.

    Raises:
        AccessError: the path climbs.
    """
    path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or request.url.path
    parts = path.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").split("/")
    if ".." in parts or "\\" in path:
        raise AccessError("the path climbs out of /v1")
    query = request.scope.get("query_string", b"").decode("latin-1")
    return path.removeprefix("/v1") + (f"?{query}" if query else "")


def _safe(text: str) -> str:
    """A text that a header can hold."""
    line = " ".join(text.split())
    return line.encode("ascii", "backslashreplace").decode()[:500]


def _body(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


async def _each(pieces: Any) -> Any:
    for piece in pieces:
        yield piece
