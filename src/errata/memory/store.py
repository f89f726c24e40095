"""A memory in a SQL database: an append-only log of revisions and what is derived from it.

Every change is one transaction: when the call returns, it is durable. Several processes may share the database; each
looks for the others' commits before it reads. Which database it is, `sqlite` and `postgres` say. Vectors are kept
here and never made here.
"""

from __future__ import annotations

import builtins
import glob
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from errata.edit import Edit, Revision, Terms
from errata.errors import ConfigError, EditError, EncoderMismatch, OutdatedError
from errata.memory import Moment, Vectors, changes, indexfile, rows
from errata.memory.cache import COLUMNS
from errata.memory.changes import Change
from errata.memory.database import Database
from errata.memory.following import Following
from errata.memory.past import PastMemory
from errata.memory.writing import Writer

SETTING = "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
"""Writes a setting."""


class SqlMemory(Following):
    """The memory of edits in a database; see Memory for what each operation promises.

    Args:
        db: the database, open.
        exact_limit: up to so many edits a space is searched exactly, above it through an HNSW graph.
        clock: tells the time (aware); the log's times never go back, even if it does.
    """

    def __init__(self, db: Database, *, exact_limit: int, clock: Callable[[], datetime]) -> None:
        super().__init__(db, upto=None, exact_limit=exact_limit)
        if db.beside is not None and not db.read_only:
            indexfile.sweep(db.beside)
        self._clock = clock
        self._writer = Writer(db, clock)
        self._here = threading.local()

    @property
    def name(self) -> str:
        """Where it is: a path, or a URL without user and password."""
        return self.db.name

    def _now(self) -> datetime:
        return self._clock()

    # Vectors

    def bind(self, fingerprint: str, dimension: int) -> builtins.list[Edit]:
        """Say which scope model's vectors are used from now on; returns the live edits that have none yet.

        Raises:
            EncoderMismatch: vectors of this fingerprint are kept with another dimension.
            StoreError: the memory is read-only and does not know the scope model.
        """
        if not fingerprint or dimension < 1:
            raise EditError("bind needs the scope model's fingerprint and a dimension of 1 or more")
        known = self.db.all("SELECT code, dimension FROM encoders WHERE fingerprint = ?", (fingerprint,))
        last = self.db.value("SELECT value FROM settings WHERE key = 'encoder'")
        if (not known or last != fingerprint) and not (known and self.db.read_only):
            with self.db.writing() as connection:
                connection.execute(
                    "INSERT INTO encoders (fingerprint, dimension) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (fingerprint, dimension),
                )
                connection.execute(SETTING, ("encoder", fingerprint))
            known = self.db.all("SELECT code, dimension FROM encoders WHERE fingerprint = ?", (fingerprint,))
        code, kept = known[0]
        if kept != dimension:
            raise EncoderMismatch(
                f"scope model {fingerprint!r} gives vectors of {dimension} dimensions; "
                f"the memory keeps {kept} dimensions of it"
            )
        if self._encoder != (code, fingerprint, dimension):
            self._save_index()
            self._encoder, self._index = (code, fingerprint, dimension), None
        return self.missing()

    def put_vectors(self, edits: Sequence[Edit], vectors: Vectors) -> None:
        """Store vectors for edits in the log, each as its text is or was.

        Raises:
            EditError: an edit is not in the log, or vectors do not fit.
            EncoderMismatch: see `search`.
        """
        blobs = rows.blobs_of(rows.as_vectors(vectors, len(edits), self._bound()[2]))
        known = "SELECT 1 FROM edits e JOIN revisions r ON r.row = e.row WHERE e.id = ? AND r.content = ? LIMIT 1"
        with self.db.writing():
            for edit in edits:
                if self.db.value(known, (edit.id, rows.content_of(edit))) is None:
                    raise EditError(f"no revision of {edit.id!r} has the text {edit.text[:80]!r}; add it first")
            self._writer.keep_vectors(edits, blobs, self._bound()[0])

    # Changes

    @contextmanager
    def expecting(self, number: int, id: str = "") -> Iterator[None]:
        """Within it this thread makes its change only if the newest revision is this one.

        It is compared at once, and again in the transaction that makes the change. So of several writers that expect
        the same revision only one succeeds, whichever processes and machines they are in.

        Args:
            number: the revision that the change was thought out on.
            id: compare the newest revision of this edit, not of the whole memory.

        Raises:
            OutdatedError: it is another one by now; nothing was changed.
            EditError: no edit has this id.
        """
        self._compare(number, id)
        before = getattr(self._here, "expected", None)
        self._here.expected = number, id
        try:
            yield
        finally:
            self._here.expected = before

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A write transaction, which holds what this thread expects to be so."""
        with self.db.writing():
            expected = getattr(self._here, "expected", None)
            if expected is not None:
                self._compare(*expected)
            yield

    def _compare(self, number: int, id: str) -> None:
        newest = self.get(id).number if id else self.revision
        if newest != number:
            what = f"the edit {id!r}" if id else "the memory"
            raise OutdatedError(f"{what} is at revision {newest} by now, not {number}; look again")

    def add(
        self, edits: Sequence[Edit], vectors: Vectors, *, terms: Terms | Sequence[Terms] | None = None
    ) -> builtins.list[Revision]:
        """Add edits in one transaction; durable when it returns. Returns each edit's newest revision.

        An edit there with the same text and the same terms (or with `terms` None) adds no revision; with
        other terms or meta it takes them over. A retracted or purged id may be added again.

        Args:
            edits: at most a few hundred thousand at once.
            vectors: (n, d), one an edit.
            terms: for all, one for each, or None for the default (an edit already there keeps its own).

        Raises:
            ConflictError: an id is taken by another text; nothing was added.
            EditError: vectors or terms do not fit.
            EncoderMismatch: see `search`.
            StoreError: it could not be written; nothing was added.
        """
        edits = builtins.list(edits)
        each = changes.terms_for(edits, terms)
        blobs = rows.blobs_of(rows.as_vectors(vectors, len(edits), self._bound()[2]))
        if not edits:
            return []
        with self._changing():
            states: dict[str, Revision] = self.find(edit.id for edit in edits)
            wanted: dict[int, Change] = {}
            said = dict(states)
            for place, (edit, its_terms) in enumerate(zip(edits, each, strict=True)):
                change = changes.adding(said.get(edit.id), edit, its_terms)
                if change is not None:
                    wanted[place] = change
                    said[edit.id] = _unnumbered(change)
            fresh = dict(zip(wanted, self._write(builtins.list(wanted.values())), strict=True))
            result = []
            for place, edit in enumerate(edits):
                states[edit.id] = fresh.get(place) or states[edit.id]
                result.append(states[edit.id])
            self._writer.keep_vectors(edits, blobs, self._bound()[0])
        return result

    def replace(self, edit: Edit, vector: Vectors, *, terms: Terms | None = None) -> Revision:
        """Give the edit of this id another text (and other terms; None keeps them).

        Raises:
            EditError: no edit has this id.
            ConflictError: it was retracted or purged, or lives in another space.
        """
        blob = rows.blobs_of(rows.as_vectors(vector, 1, self._bound()[2]))[0]
        with self._changing():
            state = self.get(edit.id)
            if state.edit.id != edit.id:
                raise EditError(f"no edit has the id {edit.id!r}; the nearest is {state.edit.id!r}")
            change = changes.replacing(state, edit, terms)
            if change is None:
                return state
            revision = self._write([change])[0]
            self._writer.keep_vectors([edit], [blob], self._bound()[0])
        return revision

    def retract(self, ids: Sequence[str], *, terms: Terms | None = None) -> builtins.list[Revision]:
        """Take edits out of force; their history stays. One retracted already adds no revision.

        Author, source and note come from `terms` where it tells them; otherwise the edit's own stay.

        Raises:
            EditError: an id is unknown; nothing was changed.
        """
        return self._each(ids, lambda state: changes.retracting(state, terms))

    def enable(self, ids: Sequence[str], *, on: bool = True, terms: Terms | None = None) -> builtins.list[Revision]:
        """Switch edits on or off; see `retract` for terms.

        Raises:
            EditError: an id is unknown; nothing was changed.
            ConflictError: an edit was retracted or purged; nothing was changed.
        """
        return self._each(ids, lambda state: changes.switching(state, on, terms))

    def disable(self, ids: Sequence[str], *, terms: Terms | None = None) -> builtins.list[Revision]:
        """Switch edits off; the same as `enable(ids, on=False)`."""
        return self.enable(ids, on=False, terms=terms)

    def undo(self, n: int = 1) -> builtins.list[Revision]:
        """Take back the newest n revisions, newest first, each by a revision of its own.

        Nothing is deleted: undoing those in turn brings everything back.

        Raises:
            EditError: n below 1, or more than there are.
            ConflictError: a purge is among them; nothing was undone.
        """
        with self._changing():
            newest = self.revision
            if not 1 <= n <= newest:
                raise EditError(f"{n} revisions cannot be undone; the log has {newest}")
            taken = []
            before = f"SELECT {COLUMNS} FROM revisions r WHERE row = ? AND number < ? ORDER BY number DESC LIMIT 1"
            log = f"SELECT {COLUMNS} FROM revisions r WHERE number > ? ORDER BY number DESC"
            for done in self.db.all(log, (newest - n,)):
                previous = self.db.all(before, (done[3], done[0]))
                earlier = rows.read_revision(previous[0]) if previous else None
                taken.append(changes.undoing(rows.read_revision(done), earlier))
            return self._write(taken)

    def purge(self, ids: Sequence[str], *, terms: Terms | None = None) -> builtins.list[Revision]:
        """Erase edits' texts, meta, tags and vectors for good, in the history too; a tombstone stays.

        Ids, spaces, authors and times stay. What other processes hold in RAM goes when they next look.

        Raises:
            EditError: an id is unknown; nothing was changed.
            StoreError: others read the database, so that old bytes may linger in it for now.
        """
        revisions = self._each(ids, lambda state: changes.purging(state, terms), erase=True)
        self._forget()
        with self.db.lock:
            if self._encoder is not None:
                self._fresh_index()
        self.db.reclaim()
        return revisions

    def checkout(self, at: Moment) -> PastMemory:
        """The memory as it was after a revision or at a moment, search included; read-only.

        It is open while this one is.

        Validity is judged at that moment: the revision's own time, or the moment given.

        Raises:
            EditError: there is no such revision, or the moment has no time zone.
        """
        number = self.number_at(at)
        moment = at if isinstance(at, datetime) else self.moment_at(number)
        return PastMemory(self.db, number, moment, encoder=self._encoder, exact_limit=self._exact_limit)

    def set_threshold(self, space: str, value: float | None) -> None:
        """Set (or with None take away) a space's own threshold, a probability.

        Raises:
            ConfigError: not between 0 and 1.
        """
        if value is not None and not 0.0 <= value <= 1.0:
            raise ConfigError(f"the threshold must lie between 0 and 1, not {value}", key="threshold")
        with self.db.writing() as connection:
            connection.execute("DELETE FROM settings WHERE key = ?", (f"threshold:{space}",))
            if value is not None:
                connection.execute(SETTING, (f"threshold:{space}", repr(float(value))))

    # How changes are written

    def _each(
        self, ids: Sequence[str], decide: Callable[[Revision], Change | None], *, erase: bool = False
    ) -> builtins.list[Revision]:
        """Write what `decide` says for each edit, in one transaction; returns each one's newest revision."""
        if isinstance(ids, str):
            raise EditError(f"ids must be a sequence of texts, not the one text {ids!r}")
        with self._changing():
            found = self.find(ids)
            states = {state.edit.id: state for state in (found.get(id) or self.get(id) for id in ids)}
            wanted = {id: change for id, state in states.items() if (change := decide(state)) is not None}
            if erase:
                self._writer.erase(wanted)
            for revision in self._write(builtins.list(wanted.values())):
                states[revision.edit.id] = revision
        return builtins.list(states.values())

    def _write(self, wanted: Sequence[Change]) -> builtins.list[Revision]:
        """Number changes and write them; inside a transaction."""
        revisions = self._writer.number(wanted)
        self._writer.append(revisions)
        return revisions

    def rebuild(self) -> None:
        """Derive again from the log all that is derived: current state, text search, and the index.

        Raises:
            StoreError: it could not be written; what was there stays.
        """
        with self.db.writing() as connection:
            self._writer.replay()
            epoch = int(self.db.value("SELECT value FROM settings WHERE key = 'epoch'") or 0)
            connection.execute(SETTING, ("epoch", str(epoch + 1)))
        with self.db.lock, self.db.guard():
            self._index = None
            for file in self.index_files():
                file.unlink(missing_ok=True)

    def index_files(self) -> builtins.list[Path]:
        """Files that hold graphs, half-written ones included."""
        file = self.db.beside
        if file is None:
            return []
        return sorted(file.parent.glob(f"{glob.escape(file.name)}*.hnsw*"))

    def scanning(self) -> PastMemory:
        """This memory as it is now, searched by reading every stored vector: what recall is measured by."""
        return PastMemory(self.db, self.revision, self._now(), encoder=self._encoder, exact_limit=0)

    # The end

    def close(self) -> None:
        """Save the index and close the database; closing twice does no harm."""
        if self.db.closed:
            return
        self._save_index()
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _unnumbered(change: Change) -> Revision:
    """A change as a state to judge the next change by."""
    return Revision(number=0, time=rows.moment_of(0), kind=change.kind, edit=change.edit, terms=change.terms)
