"""A memory copied whole into another place: log, scope models, vectors and thresholds, whichever databases they are in.

Everything is one transaction of the target: it is all there or nothing is. Current state and text search are derived
from the copied log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from errata.errors import StoreError
from errata.memory import rows
from errata.memory.database import Connection, Database
from errata.memory.store import SETTING, SqlMemory
from errata.memory.writing import LOG, VECTOR, Writer

_PORTION = 2_000
_THRESHOLD = "key LIKE 'threshold:%'"

Progress = Callable[[int, float], None]
"""Called with the number of rows copied and the fraction of all."""


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied: numbers of revisions and of vectors."""

    revisions: int
    vectors: int


def copy_memory(
    source: SqlMemory,
    target: SqlMemory,
    *,
    progress: Progress | None = None,
    along: Callable[[], None] = lambda: None,
) -> CopyReport:
    """Copy a memory into an empty one; numbers, times, authors and vectors stay what they are.

    Args:
        source: what to copy, as it is when this begins; it may be read-only.
        target: where to; empty, though a scope model may be bound already.
        progress: told after each portion.
        along: copies what lies beside the memory; called last, and where it fails nothing is copied.

    Raises:
        StoreError: the target is not empty, or one of the two cannot be read or written; nothing was copied.
    """
    with target.db.writing() as connection, source.db.snapshot():
        _must_be_empty(target.db)
        total = sum(source.db.value(f"SELECT count(*) FROM {table}") for table in ("revisions", "vectors"))
        done = 0
        codes = _copy_encoders(source.db, target.db, connection)
        for portion in _portions(source.db, "revisions", rows.COLUMNS, "number"):
            connection.executemany(LOG, portion)
            done += len(portion)
            _tell(progress, done, total)
        revisions = done
        for portion in _portions(source.db, "vectors", ("row", "encoder", "content", "vector"), "vid"):
            connection.executemany(VECTOR, [(row, codes[code], *rest) for row, code, *rest in portion])
            done += len(portion)
            _tell(progress, done, total)
        for setting in source.db.all(f"SELECT key, value FROM settings WHERE {_THRESHOLD} OR key = 'encoder'"):
            connection.execute(SETTING, setting)
        Writer(target.db, lambda: datetime.now(UTC)).replay()
        along()
    return CopyReport(revisions, done - revisions)


def _must_be_empty(db: Database) -> None:
    held = db.value("SELECT count(*) FROM revisions")
    own = db.value(f"SELECT count(*) FROM settings WHERE {_THRESHOLD}")
    if held or own:
        raise StoreError(
            f"memory {db.name}: it is not empty ({held} revisions, {own} thresholds), so nothing is copied into it; "
            "name a new one"
        )


def _copy_encoders(source: Database, target: Database, connection: Connection) -> dict[int, int]:
    """The target's codes of the scope models, by the source's."""
    sql = "SELECT fingerprint, code, dimension FROM encoders ORDER BY code"
    there = source.all(sql)
    new = "INSERT INTO encoders (fingerprint, dimension) VALUES (?, ?) ON CONFLICT DO NOTHING"
    connection.executemany(new, [(fingerprint, dimension) for fingerprint, _, dimension in there])
    here = {fingerprint: (code, dimension) for fingerprint, code, dimension in target.all(sql)}
    for fingerprint, _, dimension in there:
        if here[fingerprint][1] != dimension:
            raise StoreError(
                f"memory {target.name}: it is bound to {fingerprint!r} with {here[fingerprint][1]} dimensions, "
                f"and {source.name} with {dimension}"
            )
    return {code: here[fingerprint][0] for fingerprint, code, _ in there}


def _portions(db: Database, table: str, columns: tuple[str, ...], order: str) -> Iterator[list[Any]]:
    yield from db.portions(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}", size=_PORTION)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, done / max(1, total))
