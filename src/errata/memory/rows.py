"""How revisions and vectors lie in a database: as rows of plain values, and back.

Knows nothing of connections, files or search; the same rows serve every SQL store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np

from errata.edit import Edit, Kind, Revision, Terms
from errata.errors import EditError, EncoderMismatch
from errata.memory import Vectors

Row = tuple[Any, ...]

PURGED = "[purged]"
"""What prompt and target of a purged edit read."""

COLUMNS = (
    "number", "time", "kind", "row", "id", "prompt", "target", "space", "meta", "author", "source", "note",
    "tags", "valid_from", "expires", "enabled", "content", "erased",
)  # fmt: skip
"""Columns of the log, in the order that `revision_row` writes and `read_revision` reads them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds from 1970 (UTC) to an aware moment.

    Raises:
        EditError: the moment is no datetime or has no time zone.
    """
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise EditError(f"a moment must be a datetime with a time zone (2026-01-31T00:00:00+00:00), not {moment!r}")
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(count: int) -> datetime:
    """The UTC moment so many microseconds after 1970."""
    return _EPOCH + count * _MICROSECOND


def content_of(edit: Edit) -> bytes:
    """16 bytes that name the text a vector was made from: space, prompt and target (not the id, not meta)."""
    return hashlib.sha256("\x1f".join((edit.space, edit.prompt, edit.target)).encode()).digest()[:16]


def revision_row(revision: Revision, row: int) -> Row:
    """A revision as the values of `COLUMNS`; `row` is the integer that stands for the edit's id."""
    edit, terms = revision.edit, revision.terms
    return (
        revision.number,
        micros(revision.time),
        revision.kind,
        row,
        edit.id,
        edit.prompt,
        edit.target,
        edit.space,
        json.dumps(dict(edit.meta), ensure_ascii=False) if edit.meta else "",
        terms.author,
        terms.source,
        terms.note,
        json.dumps(terms.tags, ensure_ascii=False) if terms.tags else "",
        None if terms.valid_from is None else micros(terms.valid_from),
        None if terms.expires is None else micros(terms.expires),
        int(terms.enabled),
        b"" if revision.kind == "purge" else content_of(edit),
        int(revision.kind == "purge"),
    )


def read_revision(row: Row) -> Revision:
    """The revision that the values of `COLUMNS` tell."""
    (
        number,
        time,
        kind,
        _,
        id,
        prompt,
        target,
        space,
        meta,
        author,
        source,
        note,
        tags,
        start,
        end,
        enabled,
    ) = row[:16]
    return Revision(
        number=number,
        time=moment_of(time),
        kind=cast(Kind, kind),
        edit=Edit(id=id, prompt=prompt, target=target, space=space, meta=json.loads(meta) if meta else {}),
        terms=Terms(
            author=author,
            source=source,
            note=note,
            tags=tuple(json.loads(tags)) if tags else (),
            valid_from=None if start is None else moment_of(start),
            expires=None if end is None else moment_of(end),
            enabled=bool(enabled),
        ),
    )


def as_vectors(vectors: object, count: int | None, dimension: int) -> Vectors:
    """Vectors as a float32 array of shape (count, dimension); one vector may come as shape (dimension,).

    Raises:
        EncoderMismatch: another dimension than that of the scope model the memory is bound to.
        EditError: another number of vectors than of edits, not numbers, or not finite.
    """
    try:
        array = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise EditError(f"vectors must be an array of numbers: {error}") from error
    if count == 0 and array.size == 0:
        return np.zeros((0, dimension), np.float32)
    if array.ndim != 2 or (count is not None and len(array) != count):
        raise EditError(f"{count} edits need vectors of shape ({count}, {dimension}), not {array.shape}")
    if array.shape[1] != dimension:
        raise EncoderMismatch(
            f"vectors of {array.shape[1]} dimensions; the memory is bound to a scope model of {dimension}"
        )
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise EditError(f"vector {bad} is not finite; the scope model failed on that text")
    return array


def stored(vectors: Vectors) -> Vectors:
    """Vectors as the memory keeps them: rounded to float16, held as float32.

    Raises:
        EditError: a value is beyond float16 (65,504).
    """
    with np.errstate(over="ignore"):
        rounded: Vectors = vectors.astype(np.float16).astype(np.float32)
    if not np.isfinite(rounded).all():
        raise EditError("a vector holds values beyond 65,504; the memory keeps vectors as float16")
    return rounded


def blobs_of(vectors: Vectors) -> list[bytes]:
    """Each vector as the bytes the memory keeps (float16, little-endian)."""
    halves = stored(vectors).astype("<f2")
    return [half.tobytes() for half in halves]


def vectors_of(blobs: Sequence[bytes], dimension: int) -> Vectors:
    """Vectors of shape (len(blobs), dimension) from their bytes.

    Raises:
        EncoderMismatch: the bytes are not that many vectors of that dimension.
    """
    array = np.frombuffer(b"".join(blobs), dtype="<f2")
    if array.size != len(blobs) * dimension:
        raise EncoderMismatch("stored vectors have another dimension than their scope model; run `errata doctor`")
    result: Vectors = array.reshape(len(blobs), dimension).astype(np.float32)
    return result
