"""Which ledger belongs to which memory: a file beside a file, tables beside tables."""

from __future__ import annotations

from pathlib import Path

from errata.memory import Memory, pgsteps
from errata.memory.pgdatabase import PostgresDatabase
from errata.memory.pgsession import Address
from errata.memory.sqlite import placed
from errata.memory.store import SqlMemory
from errata.service.ledger import Ledger
from errata.service.ledgerfile import FileLedger
from errata.service.ledgerpg import STEPS, TABLE, PostgresLedger


def open_ledger(memory: str | Path) -> Ledger:
    """The ledger of the memory that a path or URL names, made where there is none.

    Raises:
        ConfigError: another kind of URL.
        MissingExtra: a PostgreSQL URL, and psycopg is not installed.
        StoreError: the ledger cannot be opened, or was written by a newer errata.
    """
    kind, place = placed(memory)
    return PostgresLedger(Address(place)) if kind == "postgresql" else FileLedger(beside(place))


def ledger_of(memory: Memory) -> Ledger:
    """The ledger of an open memory, made where there is none; in RAM for a memory that is in no database.

    Raises:
        StoreError: see `open_ledger`.
    """
    database = getattr(memory, "db", None)
    if isinstance(database, PostgresDatabase):
        return PostgresLedger(database.address)
    return FileLedger(beside(str(getattr(memory, "name", ":memory:"))))


def kept_ledger(memory: SqlMemory) -> Ledger | None:
    """The ledger of an open memory, to be read only; None where there is none, for it was never served.

    Raises:
        StoreError: it cannot be opened, or must first be upgraded.
    """
    database = memory.db
    if isinstance(database, PostgresDatabase):
        with database.reading() as connection:
            made = pgsteps.recorded(connection, database.schema, TABLE, STEPS)
        return PostgresLedger(database.address, read_only=True) if made else None
    file = beside(memory.name)
    return FileLedger(file, read_only=True) if Path(file).is_file() else None


def beside(memory: str) -> str:
    """The file of the ledger beside a memory's file."""
    return memory if memory == ":memory:" else str(Path(memory).with_suffix(".service.db"))
