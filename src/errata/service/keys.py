"""API keys: stored hashed, shown once, each with a role and the spaces it is for."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from errata.edit import MAX_NAME, check_text
from errata.errors import ConfigError, EditError
from errata.service.ledger import Ledger, line, now

Role = Literal["reader", "editor", "approver", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may: ask and read, change edits, approve others' changes, keep keys."""
MARK = "errata_"
"""What every key begins with, so that one is told from an upstream's."""
EVERYWHERE = ("*",)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Args:
        name: the key's, or "anonymous".
        role: what it may do; "" for a request without a key, which may ask at most.
        spaces: those it is for; "*" is all.
        key: the key's id; "" without one.
    """

    name: str
    role: Role | Literal[""]
    spaces: tuple[str, ...] = EVERYWHERE
    key: str = ""

    def may(self, role: Role) -> bool:
        """Whether it has at least this role."""
        return self.role != "" and ROLES.index(self.role) >= ROLES.index(role)

    def reaches(self, space: str) -> bool:
        """Whether it is for this space."""
        return "*" in self.spaces or space in self.spaces


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is listed: never the secret."""

    id: str
    name: str
    role: Role
    spaces: tuple[str, ...]
    made: str
    expires: str | None
    revoked: str | None


class Keys:
    """The keys in a ledger.

    Args:
        ledger: where they are kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def make(
        self,
        name: str,
        role: str,
        spaces: Sequence[str] = EVERYWHERE,
        *,
        expires: datetime | None = None,
        by: str = "command line",
    ) -> tuple[Key, str]:
        """A new key and its secret, which is told this once.

        Raises:
            ConfigError: the role is not known, or there is no space.
            EditError: a name is empty or too long.
        """
        if role not in ROLES:
            raise ConfigError(f"the role {role!r} is not known", key=role, accepted=ROLES)
        check_text(name, "name", limit=MAX_NAME)
        if not spaces:
            raise ConfigError("a key needs a space; '*' is all", key="spaces")
        for space in spaces:
            check_text(space, "space", limit=MAX_NAME)
        if expires is not None and expires.tzinfo is None:
            raise EditError("expires must be a moment with a time zone (2026-01-31T00:00:00+00:00)")
        id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        made = datetime.now(UTC).isoformat(timespec="microseconds")  # keys are listed in this order
        ends = None if expires is None else expires.astimezone(UTC).isoformat()
        with self._ledger.writing() as db:
            db.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (id, name, role, json.dumps(list(spaces)), digest_of(secret), made, ends),
            )
            db.execute(*line("key", by, "", {"key": id, "name": name, "role": role}))
        return self.get(id), f"{MARK}{id}_{secret}"

    def get(self, id: str) -> Key:
        """A key by its id.

        Raises:
            EditError: there is none.
        """
        for key in self.list():
            if key.id == id:
                return key
        raise EditError(f"there is no key {id!r}")

    def list(self) -> list[Key]:
        """All keys, revoked ones too, oldest first."""
        sql = "SELECT id, name, role, spaces, made, expires, revoked FROM keys ORDER BY made, id"
        return [
            Key(id, name, role, tuple(json.loads(spaces)), *rest)
            for id, name, role, spaces, *rest in self._ledger.rows(sql)
        ]

    def revoke(self, id: str, *, by: str = "command line") -> Key:
        """Take a key's rights away at once, for good.

        Raises:
            EditError: there is no such key.
        """
        name = self.get(id).name
        with self._ledger.writing() as db:
            db.execute("UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (now(), id))
            db.execute(*line("revoke", by, "", {"key": id, "name": name}))
        return self.get(id)

    def caller(self, secret: str) -> Caller | None:
        """Who a secret belongs to; None for a wrong, revoked or expired one."""
        id, _, rest = secret.removeprefix(MARK).partition("_")
        if not secret.startswith(MARK) or not rest:
            return None
        found = self._ledger.rows("SELECT name, role, spaces, digest, expires, revoked FROM keys WHERE id = ?", (id,))
        digest = digest_of(rest)
        name, role, spaces, kept, expires, revoked = found[0] if found else ("", "reader", "[]", "", None, "")
        if not hmac.compare_digest(digest, kept) or _over(expires, revoked):
            return None
        return Caller(name, role, tuple(json.loads(spaces)), id)

    def known(self, id: str) -> Caller | None:
        """Whose a key's id is, for who has shown its secret before; None once it is revoked or expired."""
        found = self._ledger.rows("SELECT name, role, spaces, expires, revoked FROM keys WHERE id = ?", (id,))
        if not found or _over(*found[0][3:]):
            return None
        name, role, spaces, _, _ = found[0]
        return Caller(name, role, tuple(json.loads(spaces)), id)


def _over(expires: str | None, revoked: str | None) -> bool:
    """Whether a key is revoked or has expired."""
    return revoked is not None or (expires is not None and datetime.fromisoformat(expires) <= datetime.now(UTC))


def digest_of(secret: str) -> str:
    """SHA-256: the secret is 256 random bits, so no slower hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
