"""What a request asks: the inputs that are compared with the edits, or why it is relayed without a look.

The body stays as it came; where an edit is told to the upstream (retell), a copy with another last turn is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from errata.edit import MAX_TEXT
from errata.models import Turn
from errata.service.conversation import question
from errata.service.marked import Marked, marked
from errata.service.shapes import Api


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for words.

    Args:
        api: which route.
        body: as it was sent.
        inputs: what is compared with the edits, one a prompt; empty when the request is relayed without a look.
        declined: why it is.
        how: how the question was read, see `conversation`; "marked" was found in a prompt, see `marked`.
        around: what stands before and after each input in the prompt that holds it; empty where nothing does.
    """

    api: Api
    body: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    declined: str = ""
    how: str = "alone"
    around: tuple[tuple[str, str], ...] = ()

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return str(self.body.get("model", ""))

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.body.get("stream") is True

    @property
    def counted(self) -> bool:
        """Whether a stream's last event tells the usage."""
        options = self.body.get("stream_options")
        return isinstance(options, Mapping) and options.get("include_usage") is True

    @property
    def n(self) -> int:
        """Choices asked for."""
        n = self.body.get("n")
        return n if isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= 128 else 1

    @property
    def shaped(self) -> str:
        """What of the answer's form only the upstream can give; "" when any words do."""
        form = self.body.get("response_format") or (self.body.get("text") or {}).get("format", {})
        if isinstance(form, Mapping) and form.get("type") not in (None, "text"):
            return "the answer must be JSON"
        choice = self.body.get("tool_choice")
        if choice == "required" or isinstance(choice, Mapping):
            return "the answer must be a call of a tool"
        if self.body.get("logprobs"):
            return "likelihoods are asked for"
        return ""

    def framed(self, texts: Sequence[str]) -> list[str]:
        """Texts in the place of `inputs`, with what stands around these."""
        if not self.around:
            return list(texts)
        return [before + text + after for text, (before, after) in zip(texts, self.around, strict=True)]

    def retold(self, told: Sequence[str]) -> bytes:
        """The body with other inputs: what the upstream is sent where it shall answer under an edit.

        Args:
            told: one for each of `inputs`.
        """
        body, told = dict(self.body), self.framed(told)
        if self.api == "completions":
            body["prompt"] = told[0] if isinstance(body["prompt"], str) else told
        elif self.api == "responses" and isinstance(body["input"], str):
            body["input"] = told[0]
        else:
            key = "messages" if self.api == "chat" else "input"
            body[key] = [*body[key][:-1], {**body[key][-1], "content": told[0]}]
        return json.dumps(body, ensure_ascii=False).encode()


def read_chat(body: Mapping[str, Any], *, conversation: bool = True) -> Asked:
    """A request to /v1/chat/completions."""
    return _talk("chat", body, body.get("messages"), conversation)


def read_responses(body: Mapping[str, Any], *, conversation: bool = True) -> Asked:
    """A request to /v1/responses."""
    if body.get("previous_response_id") or body.get("conversation"):
        return Asked("responses", body, declined="the turns before are kept by the upstream")
    given = body.get("input")
    if isinstance(given, str):
        return _one("responses", body, given)
    return _talk("responses", body, given, conversation)


def read_completions(body: Mapping[str, Any], *, conversation: bool = True) -> Asked:
    """A request to /v1/completions."""
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return _one("completions", body, prompt)
    if isinstance(prompt, list) and prompt and all(isinstance(text, str) and text.strip() for text in prompt):
        each = [_one("completions", body, text) for text in prompt]
        if declined := next((one.declined for one in each if one.declined), ""):
            return Asked("completions", body, declined=declined)
        how = "marked" if any(one.how == "marked" for one in each) else "alone"
        inputs = tuple(text for one in each for text in one.inputs)
        around = tuple(pair for one in each for pair in one.around)
        return Asked("completions", body, inputs, how=how, around=around)
    return Asked("completions", body, declined="the prompt is no text")


READ = {"chat": read_chat, "completions": read_completions, "responses": read_responses}
"""What reads a request, by its API."""
_LONG = f"longer than the {MAX_TEXT:,} characters that are compared"


def _one(api: Api, body: Mapping[str, Any], prompt: str) -> Asked:
    found = marked(prompt)
    return _asked(api, body, found, "marked" if found.before or found.after else "alone")


def _asked(api: Api, body: Mapping[str, Any], found: Marked, how: str) -> Asked:
    text = found.text
    if not text.strip():
        return Asked(api, body, declined="nothing is asked")
    if len(text) > MAX_TEXT:
        return Asked(api, body, declined=_LONG)
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return Asked(api, body, declined="the text is no valid text")
    return Asked(api, body, (text,), how=how, around=((found.before, found.after),))


def _talk(api: Api, body: Mapping[str, Any], messages: object, conversation: bool) -> Asked:
    if not isinstance(messages, list) or not messages:
        return Asked(api, body, declined="there are no messages")
    last = messages[-1]
    if not isinstance(last, Mapping) or last.get("role") != "user":
        return Asked(api, body, declined="the last turn is not the user's")
    turns: list[Turn] = []
    for message in messages:
        if not isinstance(message, Mapping) or message.get("role") not in ("user", "assistant"):
            continue
        text = text_of(message.get("content"))
        if text is None and message is last:
            return Asked(api, body, declined="the last turn holds more than text")
        found = marked(text or "") if message["role"] == "user" else Marked("", text or "", "")
        turns.append(Turn("user" if message["role"] == "user" else "assistant", found.text))
    if len(turns[-1].content) > MAX_TEXT:
        return Asked(api, body, declined=_LONG)
    if not conversation and len(turns) > 1:
        return Asked(api, body, declined="conversations are not read")
    read = question(turns)
    if read.how == "declined":
        return Asked(api, body, declined="what the last turn asks is not clear by itself")
    how = "marked" if read.how == "alone" and (found.before or found.after) else read.how
    return _asked(api, body, replace(found, text=read.text), how)


def text_of(content: object) -> str | None:
    """A message's text; None when it holds anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = []
    for part in content:
        if not isinstance(part, Mapping) or part.get("type") not in ("text", "input_text", "output_text"):
            return None
        if not isinstance(part.get("text"), str):
            return None
        parts.append(part["text"])
    return "\n".join(parts)
