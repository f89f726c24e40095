"""A schema made in small named steps, each recorded in a table; what the steps make is not known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from errata.errors import StoreError
from errata.memory.database import Connection

Steps = Mapping[str, Callable[[Connection], None]]
"""What each step does, by its name, in order. Steps never change once released; a new need is a new step."""


def recorded(connection: Connection, schema: str, table: str, steps: Steps) -> list[str]:
    """Names of the steps that a table records, in order of application; [] where there is no such table.

    Raises:
        StoreError: it records a step that is not known.
    """
    there = "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = ?"
    if not connection.execute(there, (schema, table)).fetchall():
        return []
    names = [name for (name,) in connection.execute(f"SELECT name FROM {table} ORDER BY place").fetchall()]
    unknown = sorted(set(names) - set(steps))
    if unknown:
        raise StoreError(f"this memory was written by a newer errata (it knows {', '.join(unknown)}); upgrade errata")
    return names


def advance(connection: Connection, schema: str, table: str, steps: Steps) -> list[str]:
    """Apply the steps that are not recorded, inside the caller's transaction; returns their names.

    Raises:
        StoreError: see `recorded`.
    """
    done = recorded(connection, schema, table, steps)
    if not done:
        connection.execute(
            f"CREATE TABLE {table} (place INTEGER GENERATED ALWAYS AS IDENTITY, name TEXT PRIMARY KEY,"
            " time TIMESTAMPTZ NOT NULL DEFAULT now())"
        )
    fresh = [name for name in steps if name not in done]
    for name in fresh:
        steps[name](connection)
        connection.execute(f"INSERT INTO {table} (name) VALUES (?)", (name,))
    return fresh
