"""What a requested change means for an edit: the revision it needs, none, or a refusal.

Pure functions of revisions. Nothing here reads or writes a store; every store decides alike because it
asks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from errata.edit import Edit, Kind, Revision, Terms
from errata.errors import ConflictError, EditError
from errata.memory.rows import PURGED


@dataclass(frozen=True, slots=True)
class Change:
    """A revision that has no number and no time yet."""

    kind: Kind
    edit: Edit
    terms: Terms


def same_text(a: Edit, b: Edit) -> bool:
    """Whether two edits say the same in the same space (their meta may differ)."""
    return (a.prompt, a.target, a.space) == (b.prompt, b.target, b.space)


def adding(state: Revision | None, edit: Edit, terms: Terms | None) -> Change | None:
    """The change that adding an edit needs; None if it is there unchanged.

    An edit there with the same text gets the new meta and terms (terms None: it keeps its own).

    Raises:
        ConflictError: the id is taken by another text.
    """
    if state is None or not state.live:
        return Change("add", edit, terms or Terms())
    if not same_text(state.edit, edit):
        raise ConflictError(
            f"the id {edit.id!r} is taken by another text, {state.edit.text[:80]!r}; use replace to change it"
        )
    wanted = state.terms if terms is None else terms
    if (edit, wanted) == (state.edit, state.terms):
        return None
    return Change("replace", edit, wanted)


def replacing(state: Revision, edit: Edit, terms: Terms | None) -> Change | None:
    """The change that replacing an edit needs; None if nothing would change.

    Raises:
        ConflictError: it is not in force any more, or lives in another space.
    """
    _must_live(state, "replaced")
    if state.edit.space != edit.space:
        raise ConflictError(
            f"the edit {edit.id!r} lives in the space {state.edit.space!r}; "
            f"retract it there and add it to {edit.space!r}"
        )
    wanted = state.terms if terms is None else terms
    return None if (edit, wanted) == (state.edit, state.terms) else Change("replace", edit, wanted)


def retracting(state: Revision, terms: Terms | None) -> Change | None:
    """The change that retracting an edit needs; None if it is retracted already."""
    return Change("retract", state.edit, _said(state.terms, terms)) if state.live else None


def switching(state: Revision, on: bool, terms: Terms | None) -> Change | None:
    """The change that enabling or disabling an edit needs; None if it is so already.

    Raises:
        ConflictError: it is not in force any more.
    """
    _must_live(state, "switched on or off")
    if state.terms.enabled == on:
        return None
    return Change("enable" if on else "disable", state.edit, replace(_said(state.terms, terms), enabled=on))


def purging(state: Revision, terms: Terms | None) -> Change | None:
    """The tombstone of an edit; None if it is purged already."""
    if state.kind == "purge":
        return None
    edit = Edit(id=state.edit.id, space=state.edit.space, prompt=PURGED, target=PURGED)
    given = terms or Terms()
    return Change("purge", edit, Terms(author=given.author, source=given.source, note=given.note, enabled=False))


def undoing(done: Revision, before: Revision | None) -> Change:
    """The change that takes a revision back, given the edit's revision before it.

    Raises:
        ConflictError: a purge cannot be undone.
    """
    if done.kind == "purge":
        raise ConflictError(f"revision {done.number} purged the edit {done.edit.id!r}; a purge cannot be undone")
    if before is None or before.kind == "purge":
        return Change("retract", done.edit, done.terms)
    if not before.live:
        return Change("retract", before.edit, before.terms)
    kind: Kind = "replace"
    if not done.live:
        kind = "add"
    elif done.edit == before.edit and replace(done.terms, enabled=before.terms.enabled) == before.terms:
        kind = "enable" if before.terms.enabled else "disable"
    return Change(kind, before.edit, before.terms)


def terms_for(edits: Sequence[Edit], terms: Terms | Sequence[Terms] | None) -> list[Terms | None]:
    """Terms for each edit from one for all, one for each, or none.

    Raises:
        EditError: another number of terms than of edits.
    """
    if terms is None or isinstance(terms, Terms):
        return [terms] * len(edits)
    if len(terms) != len(edits):
        raise EditError(f"{len(edits)} edits need as many terms, not {len(terms)}")
    return list(terms)


def _said(terms: Terms, given: Terms | None) -> Terms:
    """Terms with author, source and note of those given, where they are given."""
    if given is None:
        return terms
    return replace(
        terms,
        author=given.author or terms.author,
        source=given.source or terms.source,
        note=given.note or terms.note,
    )


def _must_live(state: Revision, what: str) -> None:
    if not state.live:
        was = "purged" if state.kind == "purge" else "retracted"
        raise ConflictError(f"the edit {state.edit.id!r} was {was} and cannot be {what}; add it again")
