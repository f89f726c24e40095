"""Who is signed in to the console: sessions, kept hashed in the ledger, and links that sign in once.

A session belongs to a key and ends with it: a revoked key's sessions are over at once.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta

from errata.service.keys import Caller, Keys, digest_of
from errata.service.ledger import Ledger

LOCAL = Caller("local", "admin", key="local")
"""Whoever follows a sign-in link: somebody at the machine's own terminal."""
LASTS = timedelta(hours=12)
"""From sign-in to the end of a session."""
LINK_LASTS = timedelta(minutes=15)
"""From the making of a sign-in link to its end."""


class Sessions:
    """Sessions in a ledger.

    Args:
        ledger: where they are kept.
        keys: whose they are.
    """

    def __init__(self, ledger: Ledger, keys: Keys) -> None:
        self._ledger, self._keys = ledger, keys

    def begin(self, key: str) -> str:
        """A new session of a key, by its id: the secret that goes into the cookie."""
        token = secrets.token_urlsafe(32)
        with self._ledger.writing() as db:
            db.execute("DELETE FROM sessions WHERE expires <= ?", (_moment(),))
            db.execute("INSERT INTO sessions VALUES (?, ?, ?)", (digest_of(token), key, _moment(LASTS)))
        return token

    def caller(self, token: str) -> Caller | None:
        """Whose a session is; None when it is over, or its key is revoked or expired."""
        sql = "SELECT key FROM sessions WHERE digest = ? AND expires > ?"
        found = self._ledger.rows(sql, (digest_of(token), _moment())) if token else []
        if not found:
            return None
        return LOCAL if found[0][0] == LOCAL.key else self._keys.known(found[0][0])

    def end(self, token: str) -> None:
        """End a session."""
        with self._ledger.writing() as db:
            db.execute("DELETE FROM sessions WHERE digest = ?", (digest_of(token),))

    def link(self) -> str:
        """A token that signs in as a local admin: once, and for some minutes only."""
        token = secrets.token_urlsafe(32)
        with self._ledger.writing() as db:
            db.execute("DELETE FROM links WHERE expires <= ?", (_moment(),))
            db.execute("INSERT INTO links VALUES (?, ?)", (digest_of(token), _moment(LINK_LASTS)))
        return token

    def follow(self, token: str) -> str | None:
        """The session that a link's token gives; None for one that was used, is too old, or was never made."""
        with self._ledger.writing() as db:
            sql = "DELETE FROM links WHERE digest = ? AND expires > ?"
            used = db.execute(sql, (digest_of(token), _moment())).rowcount
        return self.begin(LOCAL.key) if used else None


def csrf_of(token: str) -> str:
    """What a session's forms carry, so that no other site can send them: only who has the cookie can work it out."""
    return hmac.new(token.encode(), b"errata console forms", "sha256").hexdigest()


def _moment(later: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + later).isoformat(timespec="milliseconds")
