"""OpenAI's shapes: answers, streams and errors, as plain JSON."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Api = Literal["chat", "completions", "responses"]
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be told in OpenAI's shape.

    Args:
        api: whose shape.
        model: the name that was asked for.
        texts: the answers, one a choice.
        asked: what was asked, for the count of tokens.
    """

    api: Api
    model: str
    texts: Sequence[str]
    asked: str


def tokens(text: str) -> int:
    """Words and signs of a text: what usage counts where no tokenizer of the upstream's is at hand."""
    return len(_TOKEN.findall(text))


def usage(said: Said) -> dict[str, int]:
    """Tokens asked and told."""
    read, written = tokens(said.asked), sum(tokens(text) for text in said.texts)
    first, second = (
        ("input_tokens", "output_tokens") if said.api == "responses" else ("prompt_tokens", "completion_tokens")
    )
    return {first: read, second: written, "total_tokens": read + written}


def whole(said: Said) -> dict[str, Any]:
    """An answer in one piece."""
    if said.api == "responses":
        return _response(said, "completed", f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}")
    head = _head(said, stream=False)
    if said.api == "chat":
        choices: list[dict[str, Any]] = [
            {
                "index": at,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
            for at, text in enumerate(said.texts)
        ]
    else:
        choices = [
            {"index": at, "text": text, "logprobs": None, "finish_reason": "stop"} for at, text in enumerate(said.texts)
        ]
    return {**head, "choices": choices, "usage": usage(said)}


def pieces(said: Said, *, count: bool = False) -> Iterator[bytes]:
    """An answer as a stream of server-sent events, word by word.

    Args:
        said: what to tell.
        count: whether the last event of a chat or completion tells the usage (`stream_options.include_usage`).
    """
    if said.api == "responses":
        yield from _response_events(said)
        return
    head = _head(said, stream=True)
    told = {"usage": None} if count else {}
    for at, text in enumerate(said.texts):
        if said.api == "chat":
            yield event({**head, "choices": [_delta(at, {"role": "assistant", "content": ""})], **told})
        for word in _words(text):
            part = _delta(at, {"content": word}) if said.api == "chat" else _piece(at, word, None)
            yield event({**head, "choices": [part], **told})
        yield event(
            {**head, "choices": [_delta(at, {}, "stop") if said.api == "chat" else _piece(at, "", "stop")], **told}
        )
    if count:
        yield event({**head, "choices": [], "usage": usage(said)})
    yield b"data: [DONE]\n\n"


def event(body: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    return (f"event: {name}\n" * bool(name) + f"data: {json.dumps(body, ensure_ascii=False)}\n\n").encode()


def error_body(message: str, kind: str, *, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """OpenAI's error body."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _head(said: Said, *, stream: bool) -> dict[str, Any]:
    made = int(time.time())
    if said.api == "chat":
        kind = "chat.completion.chunk" if stream else "chat.completion"
        return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": made, "model": said.model}
    return {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": made, "model": said.model}


def _delta(at: int, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": at, "delta": dict(delta), "logprobs": None, "finish_reason": finish}


def _piece(at: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": at, "text": text, "logprobs": None, "finish_reason": finish}


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _item(id: str, text: str | None) -> dict[str, Any]:
    """A message; None while its text is not there yet."""
    status, content = ("in_progress", []) if text is None else ("completed", [_part(text)])
    return {"id": id, "type": "message", "role": "assistant", "status": status, "content": content}


def _response(said: Said, status: str, id: str, item: str) -> dict[str, Any]:
    done = status == "completed"
    return {
        "id": id,
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": said.model,
        "output": [_item(item, said.texts[0])] if done else [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            **usage(said),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        if done
        else None,
    }


def _response_events(said: Said) -> Iterator[bytes]:
    id, item, text = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}", said.texts[0]
    begun, done = _response(said, "in_progress", id, item), _response(said, "completed", id, item)
    place = {"item_id": item, "output_index": 0, "content_index": 0}
    told: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": _item(item, None)}),
        ("response.content_part.added", {**place, "part": _part("")}),
        *(("response.output_text.delta", {**place, "delta": word, "logprobs": []}) for word in _words(text)),
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": _part(text)}),
        ("response.output_item.done", {"output_index": 0, "item": _item(item, text)}),
        ("response.completed", {"response": done}),
    ]
    for number, (name, body) in enumerate(told):
        yield event({"type": name, "sequence_number": number, **body}, name)
