"""The file an HNSW graph is kept in: the graph, then a JSON note about it, then the note's length and a mark.

One file, replaced by one rename, so a reader never sees a graph beside another graph's note. The note tells
the scope model's fingerprint, the dimension and a checksum; whatever does not fit exactly is refused and the
graph is rebuilt. Nothing here looks into a graph.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from errata.errors import StoreError

_MARK = b"errata-hnsw-1\n"
_TAIL = 8 + len(_MARK)


def _checksum(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0:
        block = file.read(min(size, 1 << 20))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def write(path: Path, save: Callable[[Path], None], note: Mapping[str, Any]) -> None:
    """Write a graph and its note beside `path`, sync, and rename into place.

    Args:
        path: the file to replace.
        save: writes the graph to the path it is given.
        note: JSON values; "bytes" and "sha256" of the graph are added.

    Raises:
        OSError: it could not be written; the old file is untouched.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        save(fresh)
        with open(fresh, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            text = json.dumps({**note, "bytes": size, "sha256": _checksum(file, size)}).encode()
            file.seek(size)
            file.write(text + len(text).to_bytes(8, "little") + _MARK)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def sweep(database: Path) -> None:
    """Delete the half-written index files that dead processes left beside a database."""
    for file in database.parent.glob(f"{glob.escape(database.name)}*.hnsw.*.tmp"):
        pid = file.name.split(".")[-2]
        if not pid.isdigit() or _alive(int(pid)):
            continue
        with suppress(OSError):
            file.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def note_of(path: Path, *, verify: bool = True) -> dict[str, Any]:
    """The note of an index file.

    Raises:
        StoreError: no such file, not an index file, cut short, or (with `verify`) its checksum is wrong.
    """
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _TAIL))
            tail = file.read()
            size = int.from_bytes(tail[:8], "little")
            if len(tail) != _TAIL or tail[8:] != _MARK or size > min(end - _TAIL, 1 << 26):
                raise StoreError(f"{path.name} is no index file or was cut short")
            file.seek(end - _TAIL - size)
            note: dict[str, Any] = json.loads(file.read(size))
            if note["bytes"] != end - _TAIL - size or (verify and _checksum(file, note["bytes"]) != note["sha256"]):
                raise StoreError(f"{path.name} is corrupt: its checksum does not fit")
            return note
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path.name} cannot be read as an index file: {error}") from error


def matches(note: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a note says everything that is wanted of it."""
    return all(note.get(key) == value for key, value in wanted.items())
