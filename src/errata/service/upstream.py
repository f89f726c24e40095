"""The upstream: an OpenAI-compatible server whose bytes, headers and streams are handed on as they come."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import httpx2
from multidict import CIMultiDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from yarl import URL

from errata.errors import ConfigError, UpstreamError
from errata.service import settings
from errata.service.telemetry import span

IDLE = 4.0
"""Seconds for which an idle connection is kept: less than the 5 after which many servers close theirs."""
AT_ONCE = 0.25
"""Seconds within which a connection that was kept shows that the server had closed it meanwhile."""
HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Headers of one connection, not of the message (RFC 9110, section 7.6.1)."""
OURS = "x-errata-"
"""Headers that begin so are between the client and errata."""
UNASKED = ("accept", "accept-encoding", "content-type", "user-agent")
"""Headers that the HTTP client would add of its own."""
LONGEST = 65_536
"""Bytes of an answer's longest header."""
BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""What a connection that the server has closed shows; such a request is sent once more."""
COOKIE = "errata_session"
"""The console's cookie, which no upstream sees."""

Pairs = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes to the upstream.

    Args:
        method: GET, POST, ...
        path: below the base URL, with the query.
        headers: as `outgoing` makes them.
        body: whole.
    """

    method: str
    path: str
    headers: Pairs = field(default_factory=list)
    body: bytes = b""


class Cut(Exception):
    """The upstream's answer broke off after its head was handed on: what can still be done is to break off too."""


class Upstream:
    """The client of the one upstream that the settings name.

    Args:
        told: address, key and time-outs.

    Raises:
        ConfigError: the address is no http(s) URL, or the key's environment variable is empty.
    """

    def __init__(self, told: settings.Upstream) -> None:
        parts = urlsplit(told.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ConfigError("upstream.url must be like https://api.example.com/v1", where="settings", key="url")
        self.base = told.url.rstrip("/")
        self._key = ""
        if told.key_env:
            self._key = os.environ.get(told.key_env, "").strip()
            if not self._key or not self._key.isascii() or not self._key.isprintable():
                raise ConfigError(
                    f"the environment variable {told.key_env} holds no key", where="settings", key="key_env"
                )
        self._told = told
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        """The session, made within the loop that uses it."""
        if self._session is None:
            told = self._told
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=told.connections, keepalive_timeout=IDLE, ssl=httpx2.create_ssl_context()
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=told.connect_seconds,
                    sock_connect=told.connect_seconds,
                    sock_read=told.read_seconds,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=UNASKED,
                max_line_size=LONGEST,
                max_field_size=LONGEST,
            )
        return self._session

    @property
    def keyed(self) -> bool:
        """Whether errata holds the upstream's key."""
        return bool(self._key)

    def outgoing(self, request: Request, *, own_key: bool) -> Pairs:
        """A request's headers as they go on.

        Args:
            request: the client's.
            own_key: whether its Authorization holds a key of errata's, which no upstream sees.
        """
        named = request.headers.get("connection", "")
        dropped = HOP | {one.strip().lower() for one in named.split(",")} | {"host", "content-length", "expect"}
        kept: Pairs = []
        for name, value in request.headers.raw:
            lower = name.decode("latin-1").lower()
            if lower in dropped or lower.startswith(OURS):
                continue
            if lower == "authorization" and (own_key or self._key):
                continue
            if lower == "cookie":
                value = _without(value, COOKIE)
                if not value:
                    continue
            kept.append((name, value))
        if self._key:
            kept.append((b"authorization", f"Bearer {self._key}".encode()))
        return kept

    async def open(self, sent: Sent) -> aiohttp.ClientResponse:
        """Send it; the answer's head is there, its body is yet to be read.

        Raises:
            UpstreamError: no connection, no answer in time, or an answer that is no HTTP.
        """
        headers = CIMultiDict((name.decode("latin-1"), _text(value)) for name, value in sent.headers)
        headers.setdefault("accept-encoding", "identity")
        headers.setdefault("user-agent", "errata")
        began = time.monotonic()
        try:
            try:
                return await self._send(sent, headers)
            except BROKEN as error:
                unmet = isinstance(error, aiohttp.ClientConnectorError)
                if unmet or time.monotonic() - began > AT_ONCE:  # no connection that was kept: who knows what was done
                    raise
                return await self._send(sent, headers)
        except TimeoutError as error:
            raise UpstreamError(f"the upstream did not answer in time ({type(error).__name__})", status=504) from error
        except aiohttp.ClientResponseError as error:
            told = error.message.partition(":")[0].strip() or type(error).__name__
            raise UpstreamError(f"the upstream's answer is no HTTP: {told}", status=502) from error
        except (aiohttp.ClientError, ValueError) as error:
            told = self._safe(str(error)) or type(error).__name__
            raise UpstreamError(f"the upstream cannot be reached: {told}", status=502) from error

    async def _send(self, sent: Sent, headers: CIMultiDict[str]) -> aiohttp.ClientResponse:
        url = URL(self.base + sent.path, encoded=True)
        return await self._client().request(
            sent.method, url, headers=headers, data=sent.body or None, allow_redirects=False
        )

    async def relay(self, sent: Sent, extra: Mapping[str, str] | None = None) -> Response:
        """The upstream's answer, handed on as it comes.

        Args:
            sent: the request.
            extra: headers of our own beside the upstream's.

        Raises:
            UpstreamError: there is no answer. One that breaks off later breaks off here too.
        """
        with span("errata.upstream"):
            answer = await self.open(sent)
        return await self.handed(answer, extra)

    async def handed(self, answer: aiohttp.ClientResponse, extra: Mapping[str, str] | None = None) -> Response:
        """An opened answer, handed on as it comes.

        Args:
            answer: see `open`.
            extra: headers of our own beside the upstream's.

        Raises:
            UpstreamError: its status is none of a whole answer.
        """
        if not 200 <= answer.status <= 599:
            answer.close()
            raise UpstreamError(f"the upstream answered with the status {answer.status}", status=502)
        handed = StreamingResponse(_body(answer), status_code=answer.status)
        handed.raw_headers = [
            *incoming(answer.raw_headers),
            *((name.encode(), value.encode("latin-1", "replace")) for name, value in (extra or {}).items()),
        ]
        return handed

    def _safe(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class Ahead:
    """A request that is sent before it is known whether its answer is wanted.

    Args:
        upstream: where it is sent.
        sent: the request.
    """

    def __init__(self, upstream: Upstream, sent: Sent) -> None:
        self._upstream, self._taken = upstream, False
        self._task = asyncio.create_task(upstream.open(sent))

    async def relay(self, extra: Mapping[str, str] | None = None) -> Response:
        """The answer, as `Upstream.relay` gives it; errors as there."""
        self._taken = True
        with span("errata.upstream"):
            answer = await self._task
        return await self._upstream.handed(answer, extra)

    def drop(self) -> None:
        """Hang up, unless the answer was relayed. Whatever comes of the request is nobody's error."""
        if self._taken:
            return
        self._task.cancel()
        self._task.add_done_callback(_hung_up)


def _hung_up(task: asyncio.Task[aiohttp.ClientResponse]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def incoming(raw: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """An answer's headers as they are handed on: all but those of the connection."""
    pairs = list(raw)
    named = b",".join(value for name, value in pairs if name.lower() == b"connection").decode("latin-1")
    dropped = HOP | {one.strip().lower() for one in named.split(",")}
    return [(name, value) for name, value in pairs if name.decode("latin-1").lower() not in dropped]


async def _body(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.content.iter_any():
            yield piece
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Cut(f"the upstream's answer broke off: {str(error) or type(error).__name__}") from error
    finally:
        answer.close()  # the connection goes on where the answer was read to its end


def _text(value: bytes) -> str:
    """A header's value so that it is sent as it came: as UTF-8 where it is that, else as Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _without(cookies: bytes, name: str) -> bytes:
    """A Cookie header less one cookie."""
    parts = [part.strip() for part in cookies.decode("latin-1").split(";")]
    return "; ".join(part for part in parts if part.partition("=")[0].strip() != name).encode("latin-1")
