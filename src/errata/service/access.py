"""Who asks, and whether they may: keys, sessions of the console, and how often."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from errata.errors import AccessError
from errata.service.counts import Counts
from errata.service.keys import MARK, Caller, Keys, Role
from errata.service.settings import Settings


class Access:
    """The gate.

    Args:
        settings: who may do what.
        keys: the keys.
    """

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._settings, self._keys = settings, keys
        self._counts = Counts()

    def caller(self, request: Request) -> tuple[Caller, bool]:
        """Who sent a request, and whether its Authorization header holds a key of errata's.

        Raises:
            AccessError: the key is wrong, expired or revoked, or too many requests came.
        """
        secret, own = _shown(request)
        if not secret:
            found = Caller("anonymous", "")
        else:
            known = self._keys.caller(secret)
            if known is None:
                raise AccessError("this errata key is wrong, expired or revoked", status=401, code="invalid_api_key")
            found = known
        self.count(found.key or (request.client.host if request.client else "?"))
        return found, own

    async def asker(self, request: Request) -> tuple[Caller, bool]:
        """`caller`, who may ask; the event loop does not wait for the ledger, which may be a server far away.

        Raises:
            AccessError: see `caller` and `asks`.
        """
        keyed = bool(_shown(request)[0])
        caller, own = await run_in_threadpool(self.caller, request) if keyed else self.caller(request)
        self.asks(caller)
        return caller, own

    def asks(self, caller: Caller) -> None:
        """Refuse who may not ask at all.

        Raises:
            AccessError: anonymous requests are not allowed.
        """
        if not caller.role and self._settings.anonymous != "ask":
            raise AccessError(
                "a key is needed: send it as `Authorization: Bearer errata_...` or as `x-errata-key`",
                status=401,
                code="invalid_api_key",
            )

    def needs(self, caller: Caller, role: Role, space: str | None = None) -> None:
        """Refuse who has less than a role, or is not for a space.

        Raises:
            AccessError: so.
        """
        if not caller.role:
            raise AccessError(f"this needs a key of the role {role}", status=401, code="invalid_api_key")
        if not caller.may(role):
            raise AccessError(
                f"this needs the role {role}, and {caller.name!r} is {caller.role}", status=403, code="forbidden"
            )
        if space is not None and not caller.reaches(space):
            raise AccessError(f"the key {caller.name!r} is not for the space {space!r}")

    async def body(self, request: Request) -> bytes:
        """The whole body.

        Raises:
            AccessError: it is longer than the settings allow.
        """
        return await read_body(request, self._settings.access.body_bytes)

    def space(self, request: Request, caller: Caller) -> str:
        """The space whose edits a question is compared with: `x-errata-space`, or the key's, or the settings' own.

        Raises:
            AccessError: the key is not for it, or nobody said which of several.
        """
        named = request.headers.get("x-errata-space", "").strip()
        default = self._settings.sheet.space
        if not caller.role:
            if named and named != default:
                raise AccessError("another space than the default one needs a key", status=401, code="invalid_api_key")
            return default
        if not named:
            if caller.reaches(default):
                return default
            if len(caller.spaces) > 1:
                raise AccessError("say which space with `x-errata-space`")
            return caller.spaces[0]
        if not caller.reaches(named):
            raise AccessError(f"the key {caller.name!r} is not for the space {named!r}")
        return named

    def count(self, who: str) -> None:
        """Count a request.

        Raises:
            AccessError: too many came from this key or address within the minute.
        """
        most = self._settings.access.per_minute
        if not most:
            return
        if self._counts.more(who) > most:
            wait = 60 - int(time.monotonic() % 60)
            raise AccessError(
                f"more than {most} requests a minute", status=429, code="rate_limit_exceeded", retry_after=wait
            )


def _shown(request: Request) -> tuple[str, bool]:
    """The key of errata's that a request shows ("" for none), and whether its Authorization header holds one."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    own = bearer.startswith(MARK)
    return request.headers.get("x-errata-key", "").strip() or (bearer if own else ""), own


async def read_body(request: Request, most: int) -> bytes:
    """A request's body.

    Raises:
        AccessError: it is longer than allowed.
    """
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > most:
        raise _long(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _long(most)
        parts.append(part)
    return b"".join(parts)


def _long(most: int) -> AccessError:
    return AccessError(f"the request is longer than {most:,} bytes", status=413, code="request_too_large")
