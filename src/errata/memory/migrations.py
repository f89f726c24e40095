"""The schema of a memory's database, as small named steps applied in order and recorded by name.

A database that records a step unknown here was written by a newer errata and is refused. Steps never change
once released; a new need is a new step. Nothing here reads or writes edits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from errata.errors import StoreError

_LOG = """
CREATE TABLE revisions (
    number INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, row INTEGER NOT NULL,
    id TEXT NOT NULL, prompt TEXT NOT NULL, target TEXT NOT NULL, space TEXT NOT NULL, meta TEXT NOT NULL,
    author TEXT NOT NULL, source TEXT NOT NULL, note TEXT NOT NULL, tags TEXT NOT NULL,
    valid_from INTEGER, expires INTEGER, enabled INTEGER NOT NULL, content BLOB NOT NULL,
    erased INTEGER NOT NULL
)
"""
_APPEND_ONLY = """
CREATE TRIGGER revisions_stay BEFORE DELETE ON revisions
BEGIN SELECT RAISE(ABORT, 'the log of a memory is append-only'); END
"""
_ONLY_ERASE = """
CREATE TRIGGER revisions_only_erase BEFORE UPDATE ON revisions
WHEN NEW.erased != 1 OR NEW.number != OLD.number OR NEW.time != OLD.time OR NEW.kind != OLD.kind
     OR NEW.row != OLD.row OR NEW.id != OLD.id OR NEW.space != OLD.space
BEGIN SELECT RAISE(ABORT, 'the log of a memory is append-only'); END
"""
_EDITS = """
CREATE TABLE edits (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, number INTEGER NOT NULL, live INTEGER NOT NULL,
    space TEXT NOT NULL, enabled INTEGER NOT NULL, valid_from INTEGER, expires INTEGER, content BLOB NOT NULL
)
"""
DERIVED = """
INSERT INTO edits (row, id, number, live, space, enabled, valid_from, expires, content)
SELECT row, id, number, CASE WHEN kind IN ('retract', 'purge') THEN 0 ELSE 1 END, space, enabled, valid_from, expires,
    content
FROM revisions r WHERE number = (SELECT max(number) FROM revisions x WHERE x.row = r.row)
"""
"""What the log of an older memory says of its edits, in words that PostgreSQL understands too."""
_VECTORS = """
CREATE TABLE vectors (
    vid INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL, encoder INTEGER NOT NULL,
    content BLOB NOT NULL, vector BLOB NOT NULL
)
"""


def m001_log(connection: sqlite3.Connection) -> None:
    """The log of revisions: the truth, append-only (a purge may erase text, nothing else changes)."""
    for statement in (_LOG, _APPEND_ONLY, _ONLY_ERASE):
        connection.execute(statement)
    connection.execute("CREATE INDEX revisions_by_edit ON revisions (row, number)")
    connection.execute("CREATE INDEX revisions_purging ON revisions (number) WHERE kind = 'purge'")


def m002_edits(connection: sqlite3.Connection) -> None:
    """The newest revision of each edit: derived from the log, rebuilt from it by `rebuild`."""
    connection.execute(_EDITS)
    connection.execute("CREATE INDEX edits_by_number ON edits (number)")
    connection.execute(DERIVED)


def m003_vectors(connection: sqlite3.Connection) -> None:
    """Vectors by edit, scope model and text; the scope models seen; settings."""
    connection.execute(_VECTORS)
    connection.execute("CREATE UNIQUE INDEX vectors_of_edit ON vectors (row, encoder, content)")
    connection.execute(
        "CREATE TABLE encoders (code INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, dimension INTEGER NOT NULL)"
    )
    connection.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)")


def m004_text_search(connection: sqlite3.Connection) -> None:
    """Full text of the newest revision of each edit, where this SQLite has FTS5; otherwise LIKE serves."""
    if has_fts5(connection):
        connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'unicode61 remove_diacritics 2')")
        connection.execute(
            "INSERT INTO texts (rowid, text) SELECT e.row, r.prompt || ' ' || r.target"
            " FROM edits e JOIN revisions r ON r.number = e.number WHERE r.erased = 0"
        )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_log,
    m002_edits,
    m003_vectors,
    m004_text_search,
)


def has_fts5(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite was built with FTS5."""
    return bool(connection.execute("SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'").fetchone()[0])


def applied(connection: sqlite3.Connection) -> list[str]:
    """Names of the steps a database records, in order of application; [] for a new database.

    Raises:
        StoreError: the database belongs to something else, or was written by a newer errata.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return []
    if "migrations" not in tables:
        raise StoreError("this database is not an errata memory; name another file")
    names = [name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY rowid")]
    unknown = sorted(set(names) - {step.__name__ for step in MIGRATIONS})
    if unknown:
        raise StoreError(f"this memory was written by a newer errata (it knows {', '.join(unknown)}); upgrade errata")
    return names


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply the steps a database lacks, inside the caller's transaction; returns the names of those applied.

    Raises:
        StoreError: see `applied`.
    """
    done = applied(connection)
    if not done:
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, time TEXT NOT NULL)")
    fresh = [step for step in MIGRATIONS if step.__name__ not in done]
    for step in fresh:
        step(connection)
        connection.execute("INSERT INTO migrations VALUES (?, datetime('now'))", (step.__name__,))
    return [step.__name__ for step in fresh]
