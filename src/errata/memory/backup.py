"""A copy of a SQLite file that others may be using, as it is at one moment, in a file of its own.

Copying the file with the system's means misses what still lies in its write-ahead log, or tears it apart.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from errata.errors import StoreError
from errata.memory.sqlitefile import explain


def copy_file(source: Path, target: Path) -> None:
    """Copy a database that readers and writers may go on using; the copy is checked, and on disk when this returns.

    Args:
        source: a file, of whatever schema.
        target: a new file; nothing else lies beside it afterwards.

    Raises:
        StoreError: there is no such file, it cannot be read, or the copy cannot be written or is damaged.
    """
    if not source.is_file():
        raise StoreError(f"{source}: there is no such file, so nothing was backed up")
    try:
        name = f"{source.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(name, uri=True)) as old,
            closing(sqlite3.connect(target, isolation_level=None)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file
            found = [text for (text,) in new.execute("PRAGMA quick_check(1)")]
        with target.open("rb") as file:
            os.fsync(file.fileno())
    except (sqlite3.Error, OSError) as error:
        raise explain(error, f"{source}, or its copy {target}") from error
    if found != ["ok"]:
        raise StoreError(f"{source}: its copy is damaged, and so probably is the file: {'; '.join(found)}")
