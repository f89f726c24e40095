"""Edits in and out of a memory by file: JSONL and CSV, streamed, so a file may be larger than RAM.

Importing is idempotent by id: what is there unchanged is neither encoded nor written again, so an import that
was cut off is resumed by running it again. Vectors come from the caller; what a row means is told in
`records`.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Literal

from errata.edit import Edit, Revision, Terms
from errata.errors import ConfigError, EditError, StoreError
from errata.memory import Memory, Vectors
from errata.memory.records import CSV_FIELDS, Bad, Record, as_row, cells_of, read_csv, read_jsonl

Format = Literal["jsonl", "csv"]
Encode = Callable[[Sequence[Edit]], Vectors]
Progress = Callable[[int, float], None]
"""Called with the number of rows read and the fraction of the file behind them."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Args:
        added: edits added or changed.
        unchanged: rows that the memory held already.
        bad: line number and what is wrong, of each row that was left out.
        revision: the memory's newest revision afterwards.
        aborted: whether nothing went in because a row is bad.
    """

    added: int
    unchanged: int
    bad: list[tuple[int, str]] = field(default_factory=list)
    revision: int = 0
    aborted: bool = False


def import_edits(
    memory: Memory,
    path: str | Path,
    encode: Encode,
    *,
    format: Format | None = None,
    on_bad: Literal["skip", "abort"] = "skip",
    batch: int = 256,
    progress: Progress | None = None,
    terms: Terms | None = None,
    space: str = "default",
) -> ImportReport:
    """Add the edits of a file, `batch` of them in one transaction; interrupted, the batches done stay.

    Args:
        memory: where they go; bound to the scope model that `encode` is of.
        path: JSONL (one object a line) or CSV (with a header), UTF-8.
        encode: makes vectors of edits; called with new and changed ones only.
        format: "jsonl" or "csv"; None tells by the file's ending.
        on_bad: leave bad rows out and report them, or ("abort") let nothing in if there is one.
        batch: rows a transaction.
        progress: told after each batch.
        terms: what holds where a row says nothing; None leaves edits that are there their own.
        space: of rows that name none.

    Raises:
        ConfigError: the format is unknown or cannot be told.
        EditError: the file cannot be read.
        StoreError: the memory cannot be written; batches before stay.
    """
    form = _format(path, format)
    if on_bad not in ("skip", "abort"):
        raise ConfigError(f"on_bad {on_bad!r} is not known", key=on_bad, accepted=("skip", "abort"))
    if batch < 1:
        raise ConfigError(f"batch must be 1 or more, not {batch}", key="batch")
    work = _Import(memory, encode, terms)
    with _opened(path) as file:
        size = max(1, os.fstat(file.fileno()).st_size)
        if on_bad == "abort":
            check = _Check(memory)
            for part, _ in _portions(file, form, batch, terms, space):
                check.portion(part)
            if check.bad:
                return ImportReport(0, 0, sorted(check.bad), memory.revision, aborted=True)
            file.seek(0)
        for part, rows in _portions(file, form, batch, terms, space):
            work.portion(part)
            if progress is not None:
                progress(rows, min(1.0, file.tell() / size))
    return ImportReport(work.added, work.unchanged, sorted(work.bad), memory.revision)


class _Import:
    """Adds portions of records and counts what came of them."""

    def __init__(self, memory: Memory, encode: Encode, terms: Terms | None) -> None:
        self.memory, self.encode, self.terms = memory, encode, terms
        self.added = self.unchanged = 0
        self.bad: list[tuple[int, str]] = []

    def portion(self, part: Sequence[Record | Bad]) -> None:
        """Add one portion in one transaction, leaving bad rows out."""
        good, bad = _sorted_out(self.memory, part)
        self.bad += bad
        wanted = [record for record, new in good if new]
        self.unchanged += len(good) - len(wanted)
        if not wanted:
            return
        edits = [record.edit for record in wanted]
        told = [record.terms for record in wanted]
        vectors = self.encode(edits)
        plain = [i for i, one in enumerate(told) if one is None]
        if not plain:
            self.memory.add(edits, vectors, terms=[one for one in told if one is not None])
        else:
            self._mixed(edits, told, vectors)
        self.added += len(wanted)

    def _mixed(self, edits: list[Edit], told: list[Terms | None], vectors: Vectors) -> None:
        """Rows without terms leave an edit that is there its own; new ones get the default."""
        held = self.memory.find(edit.id for edit in edits)
        each = []
        for edit, one in zip(edits, told, strict=True):
            state = held.get(edit.id)
            kept = state.terms if state is not None and state.live else Terms()
            each.append(kept if one is None else one)
        self.memory.add(edits, vectors, terms=each)


class _Check:
    """Finds what is bad in a file without adding anything."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.bad: list[tuple[int, str]] = []
        self._said: dict[str, bytes] = {}

    def portion(self, part: Sequence[Record | Bad]) -> None:
        """Note the bad rows of one portion; rows of one id must say the same throughout the file."""
        good, bad = _sorted_out(self.memory, part)
        self.bad += bad
        for record, _ in good:
            edit = record.edit
            said = blake2b("\x1f".join((edit.space, edit.prompt, edit.target)).encode(), digest_size=8).digest()
            if self._said.setdefault(edit.id, said) != said:
                self.bad.append((record.line, f"the id {edit.id!r} is taken by another text in this file"))


def _sorted_out(
    memory: Memory, part: Sequence[Record | Bad]
) -> tuple[list[tuple[Record, bool]], list[tuple[int, str]]]:
    """Records that can go in, each with whether the memory lacks it so, and the bad rows."""
    records = [item for item in part if isinstance(item, Record)]
    bad = [(item.line, item.message) for item in part if isinstance(item, Bad)]
    held: dict[str, tuple[Edit, Terms]] = {}
    for revision in memory.find(record.edit.id for record in records).values():
        if revision.live:
            held[revision.edit.id] = (revision.edit, revision.terms)
    good = []
    for record in records:
        edit, there = record.edit, held.get(record.edit.id)
        if there is None:
            new = True
        elif (there[0].prompt, there[0].target, there[0].space) != (edit.prompt, edit.target, edit.space):
            bad.append((record.line, f"the id {edit.id!r} is taken by another text; use replace to change it"))
            continue
        else:
            new = edit != there[0] or record.terms not in (None, there[1])
        held[edit.id] = (edit, record.terms or (there[1] if there else Terms()))
        good.append((record, new))
    return good, bad


def _portions(
    file: IO[bytes], form: Format, batch: int, terms: Terms | None, space: str
) -> Iterator[tuple[list[Record | Bad], int]]:
    """Rows of a file in portions, each with the number of rows read so far."""
    part: list[Record | Bad] = []
    count = 0
    for item in (read_jsonl if form == "jsonl" else read_csv)(file, terms, space):
        part.append(item)
        count += 1
        if len(part) == batch:
            yield part, count
            part = []
    if part:
        yield part, count


def export_edits(
    memory: Memory,
    target: str | Path | IO[str],
    *,
    format: Format | None = None,
    space: str | None = None,
    all_revisions: bool = False,
) -> int:
    """Write the live edits (or the whole log) to a file or an open text stream; returns the number of rows.

    A file appears whole or not at all. Imported again, an export of edits gives the same edits on the same
    terms; an export of all revisions tells their numbers, times and kinds and is for reading, not for
    importing.

    Args:
        memory: what to export.
        target: a path, or a stream opened for text (with newline="" for CSV).
        format: "jsonl" or "csv"; None tells by the path's ending, and means JSONL for a stream.
        space: only this space's.
        all_revisions: every revision rather than the newest of each live edit.

    Raises:
        ConfigError: the format is unknown or cannot be told.
        StoreError: the file cannot be written.
    """
    if not isinstance(target, str | Path):
        return _write(memory, target, _format("", format or "jsonl"), space, all_revisions)
    form, path = _format(target, format), Path(target)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with open(fresh, "w", encoding="utf-8", newline="") as file:
                count = _write(memory, file, form, space, all_revisions)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"the export {path} could not be written: {error.strerror or error}") from error
    return count


def _write(memory: Memory, file: IO[str], form: Format, space: str | None, all_revisions: bool) -> int:
    revisions: Iterable[Revision] = memory.history() if all_revisions else _live(memory, space)
    fields = (*(("number", "time", "kind") if all_revisions else ()), *CSV_FIELDS)
    table = csv.DictWriter(file, fields, lineterminator="\r\n")
    if form == "csv":
        table.writeheader()
    count = 0
    for revision in revisions:
        if space not in (None, revision.edit.space):
            continue
        row = as_row(revision, log=all_revisions)
        if form == "csv":
            table.writerow(cells_of(row))
        else:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def _live(memory: Memory, space: str | None) -> Iterator[Revision]:
    after = 0
    while page := memory.list(space=space, limit=1000, after=after):
        yield from page
        after = page[-1].number


def _format(path: str | Path, format: str | None) -> Format:
    name = (format or Path(path).suffix.lstrip(".") or "").lower()
    if name in ("jsonl", "ndjson"):
        return "jsonl"
    if name == "csv":
        return "csv"
    what = f"the format {format!r} is not known" if format else f"the format of {str(path)!r} cannot be told"
    raise ConfigError(what, key=name, accepted=("jsonl", "csv"))


@contextmanager
def _opened(path: str | Path) -> Iterator[io.BufferedReader]:
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise EditError(f"the file {str(path)!r} cannot be read: {error.strerror or error}") from error
    with file:
        yield file
