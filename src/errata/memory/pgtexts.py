"""Full text in PostgreSQL: the words of each edit in a tsvector, found by their beginnings through a GIN index.

Texts are cut into words here and not by the server, so that no language or locale of its own changes what is found:
letters and digits, without accents, whatever the case, as SQLite's FTS5 does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from errata.memory.database import Connection
from errata.memory.texts import TEXTS

LONGEST = 200
"""Letters of a word that count; the server's own limit is 2,046 bytes."""
_WORD = re.compile(r"[^\W_]+")
_PUT = """INSERT INTO texts (row, words) VALUES (?, array_to_tsvector(?::text[]))
          ON CONFLICT (row) DO UPDATE SET words = excluded.words"""


def words_of(text: str) -> list[str]:
    """The words of a text, each once, in order."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return sorted({word[:LONGEST] for word in _WORD.findall(plain.casefold())})


class TsvectorTexts:
    """Implements `Texts`.

    Args:
        connection: gives the connection of the caller's transaction.
    """

    def __init__(self, connection: Callable[[], Connection]) -> None:
        self._connection = connection

    def put(self, texts: Iterable[tuple[int, str]]) -> None:
        """See Texts."""
        self._connection().executemany(_PUT, [(row, words_of(text)) for row, text in texts])

    def forget(self, rows: Sequence[int]) -> None:
        """See Texts; the bytes go when the database is next reclaimed."""
        self._connection().executemany("DELETE FROM texts WHERE row = ?", [(row,) for row in rows])

    def rebuild(self) -> None:
        """See Texts."""
        self._connection().execute("DELETE FROM texts")
        after = -1
        while page := self._page(after):
            self.put(page)
            after = page[-1][0]

    def _page(self, after: int) -> list[tuple[int, str]]:
        found = self._connection().execute(f"{TEXTS} AND e.row > ? ORDER BY e.row LIMIT 5000", (after,))
        page: list[tuple[int, str]] = found.fetchall()
        return page

    def condition(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        """See Texts."""
        query = " & ".join(f"'{word}':*" for one in words for word in words_of(one))
        return "r.row IN (SELECT t.row FROM texts t WHERE t.words @@ ?::tsquery)", [query]

    def wrong(self) -> int:
        """See Texts."""
        connection, after, wrong = self._connection(), -1, 0
        sql = "SELECT tsvector_to_array(words) FROM texts WHERE row = ?"
        while page := self._page(after):
            for row, text in page:
                held = connection.execute(sql, (row,)).fetchone()
                wrong += held is None or sorted(held[0]) != words_of(text)
            after = page[-1][0]
        more = f"SELECT count(*) FROM texts t WHERE NOT EXISTS (SELECT 1 FROM ({TEXTS}) AS d WHERE d.row = t.row)"
        return wrong + int(connection.execute(more).fetchone()[0])
