"""Is a memory in good health? Checks of the database, the log, what is derived from it, vectors and index.

Repairing rebuilds what can be derived; the log itself is never touched. Models are neither loaded nor needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from errata.errors import ErrataError
from errata.memory import indexfile, rows
from errata.memory.cache import COLUMNS
from errata.memory.store import SqlMemory
from errata.memory.writing import REPLAYED

SAMPLE = 50
"""Edits whose own vectors are searched for when the index's recall is measured."""
LEAST_RECALL = 0.9


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, whether all is well, and what was found."""

    check: str
    ok: bool
    detail: str


def diagnose(memory: SqlMemory, *, repair: bool = False) -> list[Finding]:
    """Check a memory, and with `repair` rebuild first what can be rebuilt.

    Vectors and index are checked for the scope model that the memory was last bound to.

    Args:
        memory: an open memory.
        repair: derive current state, text search and index anew from the log, and empty the write-ahead log.

    Raises:
        StoreError: a repair could not be written.
    """
    if repair:
        memory.rebuild()
        memory.db.reclaim()
    checks: tuple[tuple[str, Callable[[SqlMemory], tuple[bool, str]]], ...] = (
        ("file", _file),
        ("version", _version),
        ("log", _log),
        ("state", _state),
        ("text search", _texts),
        ("vectors", _vectors),
        ("index", _index),
        ("index files", _index_files),
    )
    return [_checked(memory, name, check) for name, check in checks]


def _checked(memory: SqlMemory, name: str, check: Callable[[SqlMemory], tuple[bool, str]]) -> Finding:
    try:
        ok, detail = check(memory)
    except (ErrataError, ValueError, TypeError) as error:
        return Finding(name, False, f"the check failed: {error}")
    return Finding(name, ok, detail)


def _file(memory: SqlMemory) -> tuple[bool, str]:
    return memory.db.soundness()


def _version(memory: SqlMemory) -> tuple[bool, str]:
    done, known, version = memory.db.steps()
    if done == known:
        return True, f"schema {known[-1]}, {version}"
    return False, f"schema steps {done}, expected {known}"


def _log(memory: SqlMemory) -> tuple[bool, str]:
    count, first, last, back = memory.db.all(
        "SELECT count(*), coalesce(min(number), 1), coalesce(max(number), 0),"
        " (SELECT count(*) FROM revisions a JOIN revisions b ON b.number = a.number + 1 WHERE b.time < a.time)"
        " FROM revisions"
    )[0]
    if first != 1 or last != count:
        return False, f"{count} revisions numbered {first} to {last}: some are missing; restore a backup"
    if back:
        return False, f"{back} revisions are older than the one before; restore a backup"
    wrong = next(_unreadable(memory), "")
    return (False, f"{wrong}; restore a backup") if wrong else (True, f"{count} revisions, none missing")


def _unreadable(memory: SqlMemory) -> Iterator[str]:
    """Revisions that cannot be read, or whose text is not the one they were written with."""
    after = 0
    sql = f"SELECT {COLUMNS} FROM revisions r WHERE number > ? ORDER BY number LIMIT 1000"
    while page := memory.db.all(sql, (after,)):
        for row in page:
            try:
                edit = rows.read_revision(row).edit
            except (ErrataError, ValueError, TypeError) as error:
                yield f"revision {row[0]} cannot be read: {error}"
                continue
            if not row[17] and row[16] != rows.content_of(edit):
                yield f"the text of revision {row[0]} has changed since it was written"
        after = page[-1][0]


def _state(memory: SqlMemory) -> tuple[bool, str]:
    columns = "row, id, number, live, space, enabled, valid_from, expires, content"
    lost = memory.db.value(f"SELECT count(*) FROM ({REPLAYED} EXCEPT SELECT {columns} FROM edits) AS d")
    extra = memory.db.value(f"SELECT count(*) FROM (SELECT {columns} FROM edits EXCEPT {REPLAYED}) AS d")
    if lost or extra:
        return False, f"{max(lost, extra)} edits differ from what the log says; repair rebuilds them"
    return True, f"{memory.db.value('SELECT count(*) FROM edits')} edits, as the log says"


def _texts(memory: SqlMemory) -> tuple[bool, str]:
    texts = memory.db.texts
    if texts is None:
        return True, "this SQLite has no FTS5; texts are searched one by one"
    with memory.db.reading() if memory.db.read_only else memory.db.writing():
        wrong = texts.wrong()
    return not wrong, f"{wrong} texts are indexed wrongly; repair rebuilds them" if wrong else "every text can be found"


def _vectors(memory: SqlMemory) -> tuple[bool, str]:
    """Of every scope model: right size and finite; of the one bound last: none missing."""
    wrong = memory.db.value(
        "SELECT count(*) FROM vectors v LEFT JOIN encoders c ON c.code = v.encoder"
        " WHERE c.code IS NULL OR length(v.vector) != 2 * c.dimension"
    )
    if wrong:
        return False, f"{wrong} vectors have another size than their scope model's"
    broken, after = 0, 0
    while page := memory.db.all("SELECT vid, vector FROM vectors WHERE vid > ? ORDER BY vid LIMIT 5000", (after,)):
        values = np.frombuffer(b"".join(vector for _, vector in page), dtype="<f2")
        broken += int((~np.isfinite(values)).sum())
        after = page[-1][0]
    if broken:
        return False, f"{broken} values are not finite"
    with memory.as_last_bound() as bound:
        if not bound.fingerprint:
            return True, "no scope model has been bound yet"
        missing = len(bound.missing())
    if missing:
        return False, f"{missing} live edits have no vector of the scope model bound last and cannot match"
    return True, f"{memory.db.value('SELECT count(*) FROM vectors')} vectors"


def _index(memory: SqlMemory) -> tuple[bool, str]:
    """Recall of the index at 10, against reading every stored vector, for some edits' own vectors."""
    with memory.as_last_bound() as bound:
        if not bound.fingerprint:
            return True, "no scope model has been bound yet"
        hits = wanted = 0
        for space in bound.spaces():
            sample = bound.sample_vectors(space, max(5, SAMPLE // len(bound.spaces())))
            for right, found in zip(
                bound.scanning().search(sample, 10, space=space),
                bound.search(sample, 10, space=space),
                strict=True,
            ):
                wanted += len(right)
                hits += sum(candidate.distance <= right[-1].distance for candidate in found)
    recall = hits / wanted if wanted else 1.0
    return recall >= LEAST_RECALL, f"recall@10 {recall:.3f} over {wanted} neighbours"


def _index_files(memory: SqlMemory) -> tuple[bool, str]:
    """Files beside the database: each whole, of the scope model bound last, and of a space there is."""
    wrong, whole = [], 0
    with memory.as_last_bound() as bound:
        wanted = bound.wanted_index_files()
    for file in memory.index_files():
        if file.suffix != ".hnsw":
            wrong.append(f"{file.name} was left half-written")
        elif file not in wanted:
            wrong.append(f"{file.name} is used by no space")
        else:
            try:
                indexfile.note_of(file)
                whole += 1
            except ErrataError as error:
                wrong.append(str(error))
    if wrong:
        return False, f"{'; '.join(wrong)}; repair deletes them, they are rebuilt when needed"
    return True, f"{whole} index files" if whole else "none is needed"
