"""The few edits a search found, fetched by revision number and kept for the next one. Never sees a vector."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from errata.edit import Edit
from errata.errors import StoreError
from errata.memory import rows
from errata.memory.database import Database

COLUMNS = ", ".join(f"r.{name}" for name in rows.COLUMNS)
"""What `rows.read_revision` reads, of a table called r."""


class Edits:
    """Edits by the number of the revision that tells them; the last few thousand (`Database.kept_edits`) are kept."""

    def __init__(self, db: Database) -> None:
        self._db, self._kept = db, OrderedDict[int, Edit]()

    def clear(self) -> None:
        """Forget all (after a purge)."""
        self._kept.clear()

    def of(self, numbers: Sequence[int]) -> list[Edit]:
        """The edits of these revisions, in order.

        Raises:
            StoreError: the log lacks one of them.
        """
        missing = [number for number in numbers if number not in self._kept]
        sql = f"SELECT {COLUMNS} FROM revisions r WHERE r.number IN ({{}})"
        for row in self._db.where_in(sql, missing):
            self._kept[row[0]] = rows.read_revision(row).edit
        if lost := [number for number in missing if number not in self._kept]:
            raise StoreError(f"revision {lost[0]} is missing from the log; run `errata doctor`, or restore a backup")
        found = [self._kept[number] for number in numbers]
        while len(self._kept) > self._db.kept_edits:
            self._kept.popitem(last=False)
        return found
