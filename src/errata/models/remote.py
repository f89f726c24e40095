"""RemoteModel: a base model behind any OpenAI-compatible URL.

It sends prompts, retries what may pass, and gives every failure a name. It sees text only. The key is read
from the environment for each request, and neither kept, logged nor shown.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from errata.errors import ConfigError, MissingExtra, UpstreamError
from errata.models import Options, check_prompts
from errata.models.saving import Source

if TYPE_CHECKING:
    import httpx2

Api = Literal["auto", "chat", "completions"]

MAX_WAIT = 60.0
"""Most seconds between two tries; an upstream that asks for longer is reported instead."""
_PASSING = frozenset({408, 425, 429})
_NO_SUCH_ROUTE = frozenset({404, 405, 501})
_log = logging.getLogger(__name__)


class RemoteModel:
    """A base model behind an OpenAI-compatible URL (implements `errata.models.Model`).

    Args:
        url: the server's base URL, with or without /v1 (http://localhost:8000/v1); a query is sent along.
        model: its name there; None takes the only one the server lists.
        api: "chat" (/chat/completions), "completions", or "auto": chat, unless the server has no such route
            or the model no chat template.
        key_env: environment variable that holds the key; unset means that no key is sent.
        timeout: seconds to wait for a connection and for each piece of an answer.
        retries: tries after the first on 408, 425, 429, 5xx and connection errors.
        system: instruction put before every prompt.
        max_tokens: most tokens an answer has; None leaves it to the server.
        temperature: 0 is greedy; None leaves it to the server.
        concurrency: requests in flight at once.
        extra: further fields of every request, such as {"max_completion_tokens": 64}.
        transport: an httpx2 transport, for tests.
        sleep: how to wait, for tests.

    Raises:
        ConfigError: not an http or https URL, a password in it, or another value that is not accepted.
        MissingExtra: httpx2 is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api: Api = "auto",
        key_env: str = "OPENAI_API_KEY",
        timeout: float = 60.0,
        retries: int = 3,
        system: str | None = None,
        max_tokens: int | None = 256,
        temperature: float | None = 0.0,
        concurrency: int = 4,
        extra: Mapping[str, Any] | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        base, self._query, told = _base_url(url)
        if api not in ("auto", "chat", "completions"):
            raise ConfigError(f"unknown api {api!r}", key=str(api), accepted=("auto", "chat", "completions"))
        for key, value, least in (
            ("timeout", timeout, 0.001),
            ("retries", retries, 0),
            ("concurrency", concurrency, 1),
        ):
            if not isinstance(value, int | float) or not value >= least:
                raise ConfigError(f"{key} must be {least} or more, not {value!r}", key=key)
        self.url, self._model, self._key_env = base, model, key_env
        self._api: Api = told or api
        self._options = Options(max_new_tokens=max_tokens, temperature=temperature, system=system)
        self._retries, self._concurrency, self._sleep = int(retries), int(concurrency), sleep
        self._extra = dict(extra or {})
        self._lock = threading.Lock()
        self.source: Source | None = None  # what follows a "?" may be a key, which is written nowhere
        if not self._query:
            way = {"model": model, "api": self._api, "key_env": key_env, "timeout": timeout, "retries": retries}
            said = {"system": system, "max_tokens": max_tokens, "temperature": temperature, "extra": self._extra}
            self.source = Source(base, {**way, **said, "concurrency": concurrency})
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtra("httpx2", "local") from error
        try:
            httpx2.URL(base)
        except httpx2.InvalidURL as error:
            raise ConfigError(f"this is no URL: {error}", key="url") from error
        limits = httpx2.Limits(max_connections=self._concurrency + 1)
        self._client = httpx2.Client(transport=transport, timeout=timeout, limits=limits)

    @property
    def name(self) -> str:
        """The model's name there, or the server's address until it is known."""
        return self._model or self.url

    def __repr__(self) -> str:
        return f"RemoteModel({self.url!r}, model={self._model!r}, api={self._api!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """One reply or continuation for each prompt, in order, several requests at once.

        Args:
            prompts: any number of texts.
            options: fields of `errata.models.Options`.

        Raises:
            EditError: a prompt is blank or not text.
            ConfigError: an unknown option, or several models to choose from.
            UpstreamError: the server refused, kept failing or answered nonsense; nothing partial is returned.
        """
        texts, wish = check_prompts(prompts), self._options.updated(options)
        if not texts:
            return []
        model = self._only_model()
        first = [self._ask(texts.pop(0), wish, model)] if self._api == "auto" else []  # alone: it settles the API
        pool = ThreadPoolExecutor(max_workers=self._concurrency)
        try:
            return [*first, *pool.map(lambda text: self._ask(text, wish, model), texts)]
        finally:
            pool.shutdown(cancel_futures=True)

    def _only_model(self) -> str:
        with self._lock:
            if self._model:
                return self._model
            listed = self._send("GET", "/models", None)
            rows = listed.get("data")
            if not isinstance(rows, list) or not all(
                isinstance(r, dict) and isinstance(r.get("id"), str) for r in rows
            ):
                raise UpstreamError(f"{self.url}/models is no list of models; say model=", body=str(listed))
            names = [row["id"] for row in rows]
            if len(names) != 1:
                raise ConfigError(
                    f"the server has {len(names)} models; say which with model=",
                    where=self.url,
                    accepted=names,
                )
            self._model = names[0]
            return self._model

    def _ask(self, prompt: str, wish: Options, model: str) -> str:
        """One answer, over the chat route or, where "auto" finds none, over the completions route."""
        if self._api == "completions":
            return self._complete(prompt, wish, model)
        talk = [{"role": "system", "content": wish.system}] if wish.system else []
        talk.append({"role": "user", "content": prompt})
        try:
            answer = self._send("POST", "/chat/completions", {**self._fields(wish, model), "messages": talk})
        except UpstreamError as error:
            untemplated = error.status == 400 and "chat template" in error.body.lower()
            if self._api != "auto" or not (error.status in _NO_SUCH_ROUTE or untemplated):
                raise
            try:
                text = self._complete(prompt, wish, model)
            except UpstreamError as second:
                raise error if second.status in _NO_SUCH_ROUTE else second from error
            self._api = "completions"
            return text
        if self._api == "auto":
            self._api = "chat"
        message = self._choice(answer).get("message")
        return wish.cut(self._text(message.get("content") if isinstance(message, dict) else None, answer))

    def _complete(self, prompt: str, wish: Options, model: str) -> str:
        full = f"{wish.system}\n\n{prompt}" if wish.system else prompt
        answer = self._send("POST", "/completions", {**self._fields(wish, model), "prompt": full})
        return wish.cut(self._text(self._choice(answer).get("text"), answer))

    def _fields(self, wish: Options, model: str) -> dict[str, Any]:
        fields = {
            "model": model,
            "max_tokens": wish.max_new_tokens,
            "temperature": wish.temperature,
            "top_p": None if wish.top_p == 1 else wish.top_p,
            "seed": wish.seed,
            "stop": list(wish.stop) or None,
        }
        return {**{key: value for key, value in fields.items() if value is not None}, **self._extra}

    def _choice(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise UpstreamError(f"{self.url} answered without choices", status=200, body=self._safe(str(answer)))
        return choices[0]

    def _text(self, content: object, answer: Mapping[str, Any]) -> str:
        """The text of an answer's content, which some servers give in parts."""
        if isinstance(content, list):
            parts = [part.get("text") for part in content if isinstance(part, dict)]
            content = "".join(part for part in parts if isinstance(part, str))
        if isinstance(content, str):
            return content
        reason = self._choice(answer).get("finish_reason")
        raise UpstreamError(
            f"{self.url} answered without text (finish_reason {reason!r})",
            status=200,
            body=self._safe(str(answer)),
        )

    def _send(self, method: str, route: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """The JSON object a route answers with, after as many tries as are allowed."""
        import httpx2

        url = self.url + route + self._query
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                response = self._client.request(method, url, json=body, headers=self._headers())
            except httpx2.TransportError as error:
                if last or isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
                    what = self._safe(str(error)) or type(error).__name__
                    raise UpstreamError(f"{self.url} did not answer after {attempt + 1} tries: {what}") from error
                wait, why = _backoff(attempt), type(error).__name__
            except httpx2.RequestError as error:
                raise UpstreamError(f"{self.url} answered what cannot be read: {error}") from error
            else:
                if response.is_success:
                    return self._object(response)
                asked = _retry_after(response.headers.get("retry-after", ""))
                passing = response.status_code in _PASSING or response.status_code >= 500
                if last or not passing or (asked or 0) > MAX_WAIT:
                    raise self._refusal(response, attempt + 1, asked)
                wait, why = _backoff(attempt) if asked is None else asked, f"status {response.status_code}"
            _log.warning("%s: %s; try %d of %d in %.1f s", self.url, why, attempt + 2, self._retries + 1, wait)
            self._sleep(wait)
        raise UpstreamError(f"{self.url} was never asked")  # not reached: the last try returns or raises

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self._key_env, "").strip()
        if not key:
            return {}
        if not key.isascii() or not key.isprintable():
            raise ConfigError("the key holds characters that no key has", where=f"environment variable {self._key_env}")
        return {"Authorization": f"Bearer {key}"}

    def _object(self, response: httpx2.Response) -> dict[str, Any]:
        try:
            parsed = response.json()
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        raise UpstreamError(
            f"{self.url} answered what is no JSON object",
            status=response.status_code,
            body=self._safe(response.text),
            request_id=response.headers.get("x-request-id", ""),
        )

    def _refusal(self, response: httpx2.Response, tries: int, asked: float | None) -> UpstreamError:
        status = response.status_code
        hint = ""
        if status in (401, 403):
            hint = f"; is {self._key_env} set to a key of this server?"
        elif status in _NO_SUCH_ROUTE:
            hint = "; is the URL right, and the model's name?"
        elif asked is not None and asked > MAX_WAIT:
            hint = f"; it asks to wait {asked:.0f} s"
        elif 300 <= status < 400:
            hint = "; redirects are not followed, give the final URL"
        body = self._safe(response.text)
        told = " ".join(body.split())[:200]
        return UpstreamError(
            f"{self.url} answered {status} after {tries} {'try' if tries == 1 else 'tries'}: {told}{hint}",
            status=status,
            body=body,
            request_id=response.headers.get("x-request-id", ""),
        )

    def _safe(self, text: str) -> str:
        """The text without the key, which some servers repeat."""
        key = os.environ.get(self._key_env, "").strip()
        return text.replace(key, "[key]") if key else text


def _base_url(url: str) -> tuple[str, str, Api | None]:
    """Base URL without a route, its query ("?..." or ""), and the API that a route in it told."""
    advice = "give an http or https URL such as http://localhost:8000/v1"
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{advice}; this is none: {error}", key="url") from error
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in host):
        raise ConfigError(f"{advice}, not {parts.scheme or 'a name'!r}", key="url")
    if parts.username or parts.password:
        raise ConfigError("a URL must not hold a password; put the key in an environment variable", key="url")
    path, told = parts.path.rstrip("/"), None
    for route, api in (("/chat/completions", "chat"), ("/completions", "completions")):
        if path.endswith(route):
            path, told = path.removesuffix(route), api
            break
    base = urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", ""))
    return base, f"?{parts.query}" if parts.query else "", told  # type: ignore[return-value]


def _backoff(attempt: int) -> float:
    """Seconds before the next try: at most 0.5, 1, 2, 4, 8, at random, so that clients fall out of step."""
    return min(8.0, float(0.5 * 2**attempt)) * random.uniform(0.5, 1.0)


def _retry_after(value: str) -> float | None:
    """Seconds a Retry-After header asks for, as a number or as a date; None when it says nothing usable."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = max(0.0, float((aware - datetime.now(UTC)).total_seconds()))
    return float(seconds) if math.isfinite(seconds) and seconds >= 0 else None
