"""A memory as it was: the view that `checkout` returns. It reads and searches; every write is refused.

It shares the database of the memory it came from, sees nothing that came later (but what was purged later is
gone here too), and lives as long as that memory is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import NoReturn, Self

from errata.edit import Edit
from errata.errors import StoreError
from errata.memory import Moment, Vectors
from errata.memory.database import Database
from errata.memory.index import Index
from errata.memory.reading import Reading


class PastMemory(Reading):
    """A memory as it was after a revision; made by `checkout`.

    Args:
        db: the database, shared.
        number: newest revision that counts.
        moment: when validity is judged.
        encoder: code, fingerprint and dimension of the scope model bound to, if any.
        exact_limit: up to so many edits are held in RAM; above, each search reads the stored vectors.
    """

    def __init__(
        self,
        db: Database,
        number: int,
        moment: datetime,
        *,
        encoder: tuple[int, str, int] | None,
        exact_limit: int = 20_000,
    ) -> None:
        super().__init__(db, upto=number, exact_limit=exact_limit)
        self._moment, self._encoder = moment, encoder

    def _now(self) -> datetime:
        return self._moment

    def _fresh_index(self) -> Index:
        purges = int(self.db.value("SELECT coalesce(max(number), 0) FROM revisions WHERE kind = 'purge'"))
        if self._index is None or self._index.purges != purges:
            self._forget()
            index = Index(self._bound()[2], self._fetch, exact_limit=self._exact_limit, graph=False)
            with self.db.snapshot():
                self._load(index, "true", ())
            index.purges, self._index = purges, index
        return self._index

    def bind(self, fingerprint: str, dimension: int) -> list[Edit]:
        """Use another scope model's vectors, as far as the memory keeps them; returns the live edits without.

        Raises:
            StoreError: the memory has never been bound to this scope model.
        """
        found = self.db.all(
            "SELECT code FROM encoders WHERE (fingerprint, dimension) = (?, ?)", (fingerprint, dimension)
        )
        if not found:
            raise StoreError(
                "a past memory cannot be bound to a new scope model; bind the memory, then check out again"
            )
        self._encoder, self._index = (found[0][0], fingerprint, dimension), None
        return self.missing()

    def checkout(self, at: Moment) -> PastMemory:
        """The memory as it was at a moment not after this one; see `SqlMemory.checkout`."""
        number = self.number_at(at)
        moment = min(at, self._moment) if isinstance(at, datetime) else self.moment_at(number)
        return PastMemory(self.db, number, moment, encoder=self._encoder, exact_limit=self._exact_limit)

    def _refuse(self) -> NoReturn:
        raise StoreError(f"this is the memory as it was at revision {self.revision}; it cannot be changed")

    def put_vectors(self, edits: Sequence[Edit], vectors: Vectors) -> None:
        """Refused (StoreError), as every write; the memory itself keeps vectors of past texts too."""
        self._refuse()

    def add(self, edits: Sequence[Edit], vectors: Vectors, *, terms: object = None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def replace(self, edit: Edit, vector: Vectors, *, terms: object = None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def retract(self, ids: Sequence[str], *, terms: object = None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def enable(self, ids: Sequence[str], *, on: bool = True, terms: object = None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def disable(self, ids: Sequence[str], *, terms: object = None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def undo(self, n: int = 1) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def purge(self, ids: Sequence[str], *, terms: object = None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def set_threshold(self, space: str, value: float | None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def close(self) -> None:
        """Forget the vectors held; the memory it came from stays open."""
        self._index = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
