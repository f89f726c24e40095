"""Requests of this minute, by who sent them: counted together by all processes that serve one address."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from pathlib import Path

log = logging.getLogger(__name__)

SHARED = "ERRATA_SHARED"
"""Environment variable that names the folder which the processes of one service share while it runs."""
_COUNTED = """INSERT INTO counts (who, minute, count) VALUES (?1, ?2, 1)
ON CONFLICT (who) DO UPDATE SET count = CASE WHEN minute = ?2 THEN count + 1 ELSE 1 END, minute = ?2 RETURNING count"""


class Counts:
    """Counts, in a file of the shared folder, or in RAM where no process shares them.

    What is counted is of no use after the minute, so nothing waits for a disk.
    """

    def __init__(self) -> None:
        folder = os.environ.get(SHARED)
        # not .db, which in that folder are the metrics'
        place = str(Path(folder) / "counts.sqlite") if folder else ":memory:"
        self._lock, self._minute = threading.Lock(), 0
        self._db = sqlite3.connect(place, isolation_level=None, check_same_thread=False, timeout=5)
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = MEMORY")
        self._db.execute("CREATE TABLE IF NOT EXISTS counts (who TEXT PRIMARY KEY, minute INT, count INT)")

    def more(self, who: str) -> int:
        """Count one, and how many it is within the minute; 0 where it cannot be counted, which refuses nobody."""
        minute = int(time.monotonic() // 60)
        try:
            return self._more(who, minute)
        except sqlite3.Error as error:
            log.warning("requests cannot be counted: %s", error)
            return 0

    def _more(self, who: str, minute: int) -> int:
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._db.execute("DELETE FROM counts WHERE minute < ?", (minute,))
            [(count,)] = self._db.execute(_COUNTED, (who, minute)).fetchall()
        return int(count)
