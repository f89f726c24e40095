"""Edits in force on top of a memory, in this process only: what `editor.edit()` returns an editor over.

The parent is never changed; what changes in it later shows through wherever the overlay says nothing of that
edit. Overlays grown one from another share one growing buffer, so ten thousand single edits cost ten thousand
appends. Nothing is stored.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import NoReturn, Self

import numpy as np

from errata.edit import Candidate, Edit, Revision, Terms
from errata.errors import EditError, EncoderMismatch, StoreError
from errata.memory import Memory, Vectors, changes, rows
from errata.memory.buffer import Buffer

FIRST = 1 << 40
"""Number of an overlay's first revision: above all of any parent's, now and later."""


class OverlayMemory:
    """A memory with more edits, or without some, on top of a parent that stays as it is.

    An edit of the overlay takes the place of the parent's with the same id. Writing (`add`, `retract`, ...)
    is refused: `with_edits` and `without` return further overlays, and what shall last is added to the
    parent.

    Args:
        parent: the memory below.

    Example:
        >>> import numpy as np
        >>> from errata.memory.sqlite import SqliteMemory
        >>> memory = SqliteMemory(":memory:")
        >>> _ = memory.bind("a scope model", 2)
        >>> edit = Edit(prompt="Capital of Kazakhstan?", target="Astana")
        >>> over = OverlayMemory(memory).with_edits([edit], np.ones((1, 2)))
        >>> len(over.list()), len(memory.list())
        (1, 0)
    """

    def __init__(self, parent: Memory) -> None:
        self.parent = parent
        self._buffer, self._size = Buffer(), 0

    def _grown(self, buffer: Buffer, size: int) -> Self:
        grown = type(self)(self.parent)
        grown._buffer, grown._size = buffer, size
        return grown

    # Growing

    def with_edits(
        self, edits: Sequence[Edit], vectors: Vectors, *, terms: Terms | Sequence[Terms] | None = None
    ) -> Self:
        """An overlay with these edits in force too; an edit of an id already there takes its place.

        Args:
            edits: what to add.
            vectors: (n, d), of the scope model that the parent is bound to.
            terms: for all, one for each, or None for the default.

        Raises:
            EditError: vectors or terms do not fit.
            EncoderMismatch: other dimension than the edits before, or the parent is bound to no scope model.
        """
        edits = builtins.list(edits)
        if not self.fingerprint:
            raise EncoderMismatch("no scope model is bound to this memory; call bind(fingerprint, dimension) first")
        array = rows.stored(rows.as_vectors(vectors, len(edits), self._buffer.dimension or _width(vectors)))
        each = changes.terms_for(edits, terms)
        now = datetime.now(UTC)
        revisions = [
            Revision(number=FIRST + self._size + i, time=now, kind="add", edit=edit, terms=its or Terms())
            for i, (edit, its) in enumerate(zip(edits, each, strict=True))
        ]
        return self._grown(self._buffer.grown(self._size, revisions, array), self._size + len(revisions))

    def without(self, ids: Sequence[str]) -> Self:
        """An overlay in which these edits are not in force.

        Raises:
            EditError: an id is unknown.
        """
        now = datetime.now(UTC)
        gone = {revision.edit.id: revision for revision in map(self.get, ids) if revision.live}
        revisions = [
            replace(revision, number=FIRST + self._size + i, time=now, kind="retract")
            for i, revision in enumerate(gone.values())
        ]
        return self._grown(self._buffer.grown(self._size, revisions, None), self._size + len(revisions))

    # Vectors

    @property
    def revision(self) -> int:
        """Number of the newest revision: the parent's, or the overlay's own, which are above 2**40."""
        return FIRST + self._size - 1 if self._size else self.parent.revision

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the scope model the parent is bound to."""
        return self.parent.fingerprint

    def bind(self, fingerprint: str, dimension: int) -> builtins.list[Edit]:
        """Bind the parent, unless it is bound so already; returns the edits that have no vector yet.

        Raises:
            EncoderMismatch: see the parent's `bind`.
        """
        if self.fingerprint == fingerprint:
            return self._own_missing()
        missing = self.parent.bind(fingerprint, dimension)
        self._buffer = self._buffer.emptied(self._size, dimension)
        return [edit for edit in missing if not self._hides(edit.id)] + self._own_missing()

    def missing(self, *, limit: int | None = None) -> builtins.list[Edit]:
        """Live edits without a vector of the scope model bound to; they cannot match."""
        found = [edit for edit in self.parent.missing() if not self._hides(edit.id)] + self._own_missing()
        return found[:limit]

    def _own_missing(self) -> builtins.list[Edit]:
        return [revision.edit for revision in self._buffer.missing(self._size)]

    def put_vectors(self, edits: Sequence[Edit], vectors: Vectors) -> None:
        """Give vectors to edits that `bind` returned: the overlay's own here, the parent's there.

        Raises:
            EditError, EncoderMismatch, StoreError: see the parent's `put_vectors`.
        """
        array = rows.stored(rows.as_vectors(vectors, len(edits), self._buffer.dimension or _width(vectors)))
        theirs = [i for i, edit in enumerate(edits) if not self._hides(edit.id)]
        if theirs:
            self.parent.put_vectors([edits[i] for i in theirs], array[theirs])
        own = [i for i, edit in enumerate(edits) if self._hides(edit.id)]
        self._buffer.put(self._size, {edits[i].id: array[i] for i in own})

    # Reading

    def _hides(self, id: str) -> bool:
        """Whether the overlay says something of an edit, so that the parent's word on it does not count."""
        return self._buffer.newest(self._size, id) is not None

    def find(self, ids: Iterable[str]) -> dict[str, Revision]:
        """Newest revisions of the edits with exactly these ids; unknown ids are left out."""
        wanted = builtins.list(dict.fromkeys(ids))
        own = {id: found for id in wanted if (found := self._buffer.newest(self._size, id)) is not None}
        theirs = self.parent.find(id for id in wanted if id not in own)
        return {id: own.get(id) or theirs[id] for id in wanted if id in own or id in theirs}

    def get(self, id: str) -> Revision:
        """The newest revision of an edit, by its id or by four or more first characters of only one.

        Raises:
            EditError: no such edit, or several begin so.
        """
        exact = self.find([id]) if isinstance(id, str) else {}
        if exact:
            return exact[id]
        begins = self._buffer.beginning(self._size, id) if isinstance(id, str) and len(id) >= 4 else []
        try:
            theirs = self.parent.get(id)
        except EditError:
            if len(begins) != 1:
                raise
            return begins[0]
        if any(revision.edit.id != theirs.edit.id for revision in begins):
            raise EditError(f"several edits' ids begin with {id!r}; give more characters")
        return self._buffer.newest(self._size, theirs.edit.id) or theirs

    def list(
        self,
        *,
        space: str | None = None,
        tag: str = "",
        author: str = "",
        text: str = "",
        live: bool = True,
        enabled: bool | None = None,
        limit: int | None = None,
        after: int = 0,
    ) -> builtins.list[Revision]:
        """Newest revision of each edit, the parent's first; filters as in `SqlMemory.list`."""

        def found() -> Iterator[Revision]:
            last = after
            while last < FIRST:
                page = self.parent.list(
                    space=space,
                    tag=tag,
                    author=author,
                    text=text,
                    live=live,
                    enabled=enabled,
                    limit=1000,
                    after=last,
                )
                yield from (revision for revision in page if not self._hides(revision.edit.id))
                if len(page) < 1000:
                    break
                last = page[-1].number
            for revision in self._buffer.newest_of_all(self._size):
                terms = revision.terms
                if (
                    revision.number > after
                    and (revision.live or not live)
                    and space in (None, revision.edit.space)
                    and (not tag or tag in terms.tags)
                    and author in ("", terms.author)
                    and enabled in (None, terms.enabled)
                    and _has_words(revision.edit.text, text)
                ):
                    yield revision

        if limit is not None and limit < 0:
            raise EditError(f"limit must be 0 or more, not {limit}")
        return builtins.list(islice(found(), limit))

    def history(self, id: str | None = None, *, after: int = 0, limit: int | None = None) -> Iterator[Revision]:
        """The parent's log, then the overlay's own revisions; of one edit or of all.

        Raises:
            EditError: no edit has this id.
        """
        exact = None if id is None else self.get(id).edit.id
        known = exact is None or bool(self.parent.find([exact]))
        theirs = self.parent.history(exact, after=after) if known else iter(())
        own = (
            revision
            for revision in self._buffer.revisions(self._size)
            if revision.number > after and exact in (None, revision.edit.id)
        )
        return islice((revision for part in (theirs, own) for revision in part), limit)

    # Search

    def search(
        self, vectors: Vectors, k: int, *, space: str = "default", at: datetime | None = None
    ) -> builtins.list[builtins.list[Candidate]]:
        """The k nearest edits in force, the overlay's and the parent's; see `SqlMemory.search`.

        Raises:
            EncoderMismatch, EditError: see `SqlMemory.search`.
        """
        theirs = self._parent_search(vectors, k, space, at)
        queries = rows.as_vectors(vectors, None, self._buffer.dimension or _width(vectors))
        moment = rows.micros(datetime.now(UTC) if at is None else at)
        own = self._buffer.search(self._size, queries, k, space, moment)
        return [_nearest([*a, *b], k) for a, b in zip(theirs, own, strict=True)]

    def _parent_search(
        self, vectors: Vectors, k: int, space: str, at: datetime | None
    ) -> builtins.list[builtins.list[Candidate]]:
        """The parent's k nearest of those that the overlay says nothing of."""
        asked = k + min(self._size, 8)
        while True:
            found = self.parent.search(vectors, asked, space=space, at=at)
            kept = [[one for one in row if not self._hides(one.edit.id)] for row in found]
            if all(len(good) >= k or len(row) < asked for good, row in zip(kept, found, strict=True)):
                return kept
            asked *= 2

    def inactive_nearest(
        self, vector: Vectors, k: int, *, space: str = "default", at: datetime | None = None
    ) -> builtins.list[tuple[Candidate, str]]:
        """The k nearest edits that cannot match, with the reason; see `SqlMemory.inactive_nearest`.

        Raises:
            EncoderMismatch, EditError: see `SqlMemory.search`.
        """
        moment = datetime.now(UTC) if at is None else at
        asked = k + self._size
        theirs = self.parent.inactive_nearest(vector, asked, space=space, at=at)
        told = [item for item in theirs if not self._hides(item[0].edit.id)]
        for candidate in self.parent.search(vector, asked, space=space, at=at)[0]:
            own = self._buffer.newest(self._size, candidate.edit.id)
            if own is not None and not own.live:
                told.append((candidate, "retracted"))
        query = rows.as_vectors(vector, 1, self._buffer.dimension or _width(vector))[0]
        for revision, distance in self._buffer.distances(self._size, query):
            elsewhere = "" if revision.edit.space == space else f"in space {revision.edit.space!r}"
            if reason := revision.inactive_because(moment) or elsewhere:
                told.append((Candidate(revision.edit, distance), reason))
        return sorted(told, key=lambda item: (item[0].distance, item[0].edit.id))[:k]

    # Summaries

    def spaces(self) -> builtins.list[str]:
        """Names of the spaces that hold live edits, sorted."""
        counted = self.counts()
        gone = ("retracted", "purged")
        return sorted(s for s, states in counted.items() if any(n for name, n in states.items() if name not in gone))

    def counts(self, *, at: datetime | None = None) -> dict[str, dict[str, int]]:
        """Number of edits by space and state; see `SqlMemory.counts`."""
        moment = datetime.now(UTC) if at is None else at
        counted = {space: dict(states) for space, states in self.parent.counts(at=at).items()}
        own = self._buffer.newest_of_all(self._size)
        hidden = self.parent.find(revision.edit.id for revision in own)
        names = ("in force", "disabled", "not yet valid", "expired", "retracted", "purged")
        for sign, revisions in ((-1, builtins.list(hidden.values())), (1, own)):
            for revision in revisions:
                states = counted.setdefault(revision.edit.space, dict.fromkeys(names, 0))
                states[revision.inactive_because(moment) or "in force"] += sign
        return counted

    def threshold(self, space: str) -> float | None:
        """The space's own threshold in the parent, or None if it has none."""
        return self.parent.threshold(space)

    # What an overlay does not do

    def _refuse(self) -> NoReturn:
        raise StoreError(
            "these edits live in this process only, over a memory that stays as it is; use with_edits or "
            "without, or change the memory itself"
        )

    def add(self, edits: Sequence[Edit], vectors: Vectors, *, terms: object = None) -> NoReturn:
        """Refused (StoreError); see `with_edits`."""
        self._refuse()

    def replace(self, edit: Edit, vector: Vectors, *, terms: object = None) -> NoReturn:
        """Refused (StoreError); see `with_edits`."""
        self._refuse()

    def retract(self, ids: Sequence[str], *, terms: object = None) -> NoReturn:
        """Refused (StoreError); see `without`."""
        self._refuse()

    def enable(self, ids: Sequence[str], *, on: bool = True, terms: object = None) -> NoReturn:
        """Refused (StoreError)."""
        self._refuse()

    def close(self) -> None:
        """Nothing to let go of; the parent stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _width(vectors: Vectors) -> int:
    return int(np.asarray(vectors).shape[-1]) if np.ndim(vectors) else 0


def _nearest(candidates: Iterable[Candidate], k: int) -> builtins.list[Candidate]:
    return sorted(candidates, key=lambda candidate: (candidate.distance, candidate.edit.id))[:k]


def _has_words(text: str, wanted: str) -> bool:
    """Whether the text has words beginning with each of the words wanted."""
    words = re.findall(r"\w+", text.casefold())
    parts = re.findall(r"\w+", wanted.casefold()) if wanted.strip() else []
    return all(any(word.startswith(part) for word in words) for part in parts)
