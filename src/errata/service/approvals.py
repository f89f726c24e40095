"""Changes that wait for a second person before they go live."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from errata.errors import AccessError, ConflictError
from errata.service.keys import Caller
from errata.service.ledger import Ledger, now

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
        verdict: "approved" or "rejected".
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
            "approval": self.id, "status": self.verdict or "waiting", "space": self.space, "kind": self.kind,
            "asked": dict(self.asked), "author": self.author, "time": self.made, "settled": self.settled,
            "by": self.by_whom,
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
        self._ledger.note("ask", caller.name, space, {"approval": id, "kind": kind})
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

    def settle(self, id: int, caller: Caller, verdict: str) -> Waiting:
        """Claim a change for a verdict, once; it is the caller who then makes it.

        Raises:
            ConflictError: it was settled before.
            AccessError: there is none, or the caller asked for it: nobody approves a change of their own.
        """
        waiting = self.get(id)
        if waiting.key == caller.key and verdict == "approved":
            raise AccessError("nobody approves a change of their own; ask a second person")
        with self._ledger.writing() as db:
            sql = "UPDATE waiting SET settled = ?, verdict = ?, by_whom = ? WHERE id = ? AND settled IS NULL"
            claimed = db.execute(sql, (now(), verdict, caller.name, id)).rowcount
        if not claimed:
            before = self.get(id)
            raise ConflictError(f"change {id} was {before.verdict} by {before.by_whom}")
        self._ledger.note(verdict, caller.name, waiting.space, {"approval": id, "kind": waiting.kind})
        return self.get(id)

    def reopen(self, id: int) -> None:
        """Let an approved change wait again: it could not be made."""
        with self._ledger.writing() as db:
            db.execute("UPDATE waiting SET settled = NULL, verdict = NULL, by_whom = NULL WHERE id = ?", (id,))


def _read(row: tuple[Any, ...]) -> Waiting:
    return Waiting(row[0], row[1], row[2], json.loads(row[3]), *row[4:])
