"""Changes that wait for a second person before they go live."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from errata.errors import AccessError, ConflictError, StoreError
from errata.service.keys import Caller
from errata.service.ledger import Ledger, Statement, line, now

log = logging.getLogger(__name__)
HELD = 60.0
"""Seconds that a claim keeps others from making a change; whoever makes it is done long before."""
_COLUMNS = "id, space, kind, asked, author, key, made, settled, verdict, by_whom"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that was asked for.

    Args:
        id: its number.
        space: whose edits.
        kind: "add", "replace" or "enable".
        asked: what was sent, as JSON has it.
        author: the name of the key that asked.
        key: that key's id.
        made: when.
        settled: when it was approved or rejected; None while it waits.
        verdict: "approved" or "rejected"; before it is settled, "approved" while somebody makes it.
        by_whom: the name of the second person's key.
    """

    id: int
    space: str
    kind: str
    asked: Mapping[str, Any]
    author: str
    key: str
    made: str
    settled: str | None
    verdict: str | None
    by_whom: str | None

    @property
    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "approval": self.id, "status": (self.settled and self.verdict) or "waiting", "space": self.space,
            "kind": self.kind, "asked": dict(self.asked), "author": self.author, "time": self.made,
            "settled": self.settled, "by": self.by_whom,
        }  # fmt: skip


class Approvals:
    """The changes that wait.

    Args:
        ledger: where they are kept.
        wanted: whether changes wait at all.
    """

    def __init__(self, ledger: Ledger, *, wanted: bool) -> None:
        self._ledger, self.wanted = ledger, wanted

    def ask(self, caller: Caller, space: str, kind: str, asked: Mapping[str, Any]) -> Waiting:
        """Let a change wait."""
        with self._ledger.writing() as db:
            values = (space, kind, json.dumps(asked, ensure_ascii=False), caller.name, caller.key, now())
            into = "INSERT INTO waiting (space, kind, asked, author, key, made) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
            [(id,)] = db.execute(into, values).fetchall()
            db.execute(*line("ask", caller.name, space, {"approval": id, "kind": kind}))
        return self.get(id)

    def get(self, id: int) -> Waiting:
        """A change by its number.

        Raises:
            AccessError: there is none.
        """
        found = self._ledger.rows(f"SELECT {_COLUMNS} FROM waiting WHERE id = ?", (id,))
        if not found:
            raise AccessError(f"there is no change {id}", status=404, code="not_found")
        return _read(found[0])

    def list(
        self, space: str, *, settled: bool = False, limit: int = 100, after: int = 0, newest: bool = False
    ) -> list[Waiting]:
        """Changes of a space, oldest (or newest) first: those that wait, or those that were settled."""
        where = "space = ? AND (settled IS NOT NULL) = ? AND id > ?"
        sql = f"SELECT {_COLUMNS} FROM waiting WHERE {where} ORDER BY id {'DESC' if newest else 'ASC'} LIMIT ?"
        return [_read(row) for row in self._ledger.rows(sql, (space, settled, after, limit))]

    def reject(self, id: int, caller: Caller) -> Waiting:
        """Settle a change that is not to be made.

        Raises:
            ConflictError: it was settled before, or is being approved.
            AccessError: there is none.
        """
        waiting = self.get(id)
        with self._ledger.writing() as db:
            sql = "UPDATE waiting SET settled = ?, verdict = ?, by_whom = ? WHERE id = ? AND verdict IS NULL"
            rejected = db.execute(sql, (now(), "rejected", caller.name, id)).rowcount
            if rejected:
                db.execute(*line("rejected", caller.name, waiting.space, {"approval": id, "kind": waiting.kind}))
        if not rejected:
            raise _taken(self.get(id))
        return self.get(id)

    def claim(self, id: int, caller: Caller) -> Waiting:
        """Claim a change for the caller, who then makes it; from here on nobody can reject it.

        A claim is no verdict yet: should the process die before the change is made, anybody may approve it again after
        `HELD`.

        Raises:
            ConflictError: it was settled before, or somebody is making it.
            AccessError: there is none, or the caller asked for it: nobody approves a change of their own.
        """
        waiting = self.get(id)
        if waiting.key == caller.key:
            raise AccessError("nobody approves a change of their own; ask a second person")
        with self._ledger.writing() as db:
            sql = (
                "UPDATE waiting SET verdict = 'approved', by_whom = ?, claimed = ? "
                "WHERE id = ? AND settled IS NULL AND (claimed IS NULL OR claimed < ?)"
            )
            claimed = db.execute(sql, (caller.name, now(), id, now(-HELD))).rowcount
        if not claimed:
            raise _taken(self.get(id))
        return waiting

    def release(self, id: int, caller: Caller) -> None:
        """Give a claim up: the change could not be made. Where that cannot be written, approving again still works."""
        try:
            with self._ledger.writing() as db:
                sql = "UPDATE waiting SET verdict = NULL, by_whom = NULL, claimed = NULL"
                db.execute(f"{sql} WHERE id = ? AND settled IS NULL AND by_whom = ?", (id, caller.name))
        except StoreError as error:
            log.error("change %d was not made, and stays claimed by %s: %s", id, caller.name, error)

    def approved(self, waiting: Waiting, caller: Caller) -> tuple[Waiting, tuple[Statement, ...]]:
        """A claimed change that has been made, as it is from now on, and what the ledger is to be told of it."""
        done = replace(waiting, settled=now(), verdict="approved", by_whom=caller.name)
        sql = "UPDATE waiting SET settled = ?, verdict = 'approved', by_whom = ? WHERE id = ? AND settled IS NULL"
        noted = line("approved", caller.name, waiting.space, {"approval": waiting.id, "kind": waiting.kind})
        return done, ((sql, (done.settled, done.by_whom, done.id)), noted)


def _taken(waiting: Waiting) -> ConflictError:
    if waiting.settled is None:
        return ConflictError(
            f"change {waiting.id} is being approved by {waiting.by_whom}; "
            f"if it still waits in {HELD:.0f} s, approve it again"
        )
    return ConflictError(f"change {waiting.id} was {waiting.verdict} by {waiting.by_whom}")


def _read(row: tuple[Any, ...]) -> Waiting:
    return Waiting(row[0], row[1], row[2], json.loads(row[3]), *row[4:])
