"""A ledger copied whole into another place, as the memory that it belongs to is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from errata.errors import StoreError
from errata.memory.copying import CopyReport, Progress, copy_memory
from errata.memory.store import SqlMemory
from errata.service.ledger import Ledger
from errata.service.ledgers import kept_ledger, ledger_of

_NUMBERED = {
    "waiting": "id, space, kind, asked, author, key, made, settled, verdict, by_whom",
    "audit": "id, time, what, who, space, told",
}
_NAMED = {
    "keys": "id, name, role, spaces, digest, made, expires, revoked",
    "idempotent": "who, key, digest, status, body, made",
    "sessions": "digest, key, expires",
    "links": "digest, expires",
}
_PASSING = ("sessions", "links")
"""What a service that was only started and looked at leaves behind."""
_PORTION = 2_000


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What was copied: numbers of keys, of changes asked for, and of lines of the audit."""

    keys: int
    approvals: int
    audit: int


def copy_all(
    source: SqlMemory, target: SqlMemory, *, progress: Progress | None = None
) -> tuple[CopyReport, LedgerReport | None]:
    """Copy a memory and, where it was served, its ledger into empty ones; see `copy_memory`.

    Raises:
        StoreError: one of the targets is not empty, or something cannot be read or written; nothing was copied.
    """
    kept = kept_ledger(source)
    if kept is None:
        return copy_memory(source, target, progress=progress), None
    done: list[LedgerReport] = []
    with closing(kept), closing(ledger_of(target)) as book:
        report = copy_memory(source, target, progress=progress, along=lambda: done.append(copy_ledger(kept, book)))
    return report, done[0]


def copy_ledger(source: Ledger, target: Ledger) -> LedgerReport:
    """Copy a ledger into an empty one, in one transaction of the target.

    Raises:
        StoreError: the target is not empty, or one of the two cannot be read or written; nothing was copied.
    """
    counts: dict[str, int] = {}
    with target.writing() as db:
        for table in (*_NUMBERED, *_NAMED):
            held = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if held and table not in _PASSING:
                raise StoreError(
                    f"the service's ledger there is not empty ({held} rows of {table}), so nothing is copied; name a "
                    "memory that was never served"
                )
        for table, columns in {**_NUMBERED, **_NAMED}.items():
            sql = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"
            for rows in _portions(source, table):
                db.executemany(sql, rows)
                counts[table] = counts.get(table, 0) + len(rows)
        target.renumber(db)
    return LedgerReport(*(counts.get(table, 0) for table in ("keys", "waiting", "audit")))


def _portions(source: Ledger, table: str) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of a table: by their numbers some at a time, for an audit is long, otherwise all."""
    if table in _NAMED:
        yield source.rows(f"SELECT {_NAMED[table]} FROM {table}")
        return
    last = 0
    sql = f"SELECT {_NUMBERED[table]} FROM {table} WHERE id > ? ORDER BY id LIMIT ?"
    while rows := source.rows(sql, (last, _PORTION)):
        yield rows
        last = rows[-1][0]
