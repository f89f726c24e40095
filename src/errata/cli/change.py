"""Verbs that change the memory: add, replace, retract, enable, disable, undo, purge."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from errata.cli.output import emit, short
from errata.cli.session import Session, parse_moment, shared
from errata.edit import Edit, Revision, Terms
from errata.editors.documents import revision_document
from errata.errors import ConfigError, ConflictError, EditError

if TYPE_CHECKING:
    from errata.editors.serac import Serac

Verb = TypeVar("Verb", bound=Callable[..., Any])

PAST_TENSE = {
    "add": "added",
    "replace": "replaced",
    "retract": "retracted",
    "enable": "enabled",
    "disable": "disabled",
    "purge": "purged",
}

_WHO = (
    click.option("--author", envvar="ERRATA_AUTHOR", default="", help="Who makes the change (or ERRATA_AUTHOR)."),
    click.option("--source", default="", help="Where it comes from: a URL, a ticket."),
    click.option("--note", default="", help="Anything to remember about it."),
)
_TERMS = (
    *_WHO,
    click.option("--tag", "tags", multiple=True, help="A label; may be repeated."),
    click.option("--valid-from", default="", metavar="TIME", help="First moment the edit holds."),
    click.option("--expires", default="", metavar="TIME", help="First moment it no longer holds."),
    click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Kept beside the edit; may be repeated."),
)
_CHECKED = (
    click.option("--force", is_flag=True, help="Store it even where it contradicts an edit in force."),
    click.option("--no-check", is_flag=True, help="Leave the pre-flight out; only the dual network is loaded."),
    click.option("--dry-run", is_flag=True, help="Tell what would happen; store nothing."),
)


def _with(options: Sequence[Callable[[Any], Any]]) -> Callable[[Verb], Verb]:
    def decorate(verb: Verb) -> Verb:
        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), verb)

    return decorate


def parse_meta(pairs: Sequence[str]) -> dict[str, str]:
    """Metadata from KEY=VALUE pairs (ConfigError for one without =)."""
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"--meta wants KEY=VALUE, not {pair!r}", key="meta")
    return dict(pair.split("=", 1) for pair in pairs)


def told(revision: Revision, before: int, as_json: bool) -> None:
    """Print what became of an edit; a revision that was there before is no change."""
    changed = revision.number > before
    if as_json:
        emit({"changed": changed, **revision_document(revision)})
        return
    edit = revision.edit
    target = f" → {short(edit.target, 100)}" if edit.target else ""
    did = f"{PAST_TENSE[revision.kind]} {edit.id}" if changed else f"no change: {edit.id} is so already"
    click.echo(f"{did} (revision {revision.number}): {short(edit.prompt, 100)}{target}")


def _refuse_contradictions(editor: Serac, edit: Edit, session: Session, *, force: bool) -> dict[str, Any]:
    """Run the pre-flight, tell its findings on stderr, and refuse what contradicts an edit in force."""
    from errata.editors.documents import preflight_document
    from errata.editors.preflight import check_edit

    found = check_edit(editor, edit)
    if not session.json:
        for problem in found.problems:
            click.echo(f"pre-flight: {problem}", err=True)
    if found.contradictions and not force:
        rivals = "; ".join(f"{one.edit.id} ({one.edit.prompt!r} → {one.edit.target!r})" for one in found.contradictions)
        raise ConflictError(f"the edit contradicts {rivals}: retract or replace that one, or store both with --force")
    return preflight_document(found)


@click.command("add")
@click.argument("prompt")
@click.argument("target", required=False, default="")
@click.option("--utterance", is_flag=True, help="PROMPT is a free utterance; there is no TARGET.")
@click.option("--id", "id_", default="", help="Name of the edit; made from its text otherwise.")
@_with(_TERMS)
@_with(_CHECKED)
@shared(parts=True)
def add_verb(
    session: Session, prompt: str, target: str, utterance: bool, id_: str, author: str, source: str, note: str,
    tags: tuple[str, ...], valid_from: str, expires: str, meta: tuple[str, ...],
    force: bool, no_check: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Add an edit: inputs that ask PROMPT are answered TARGET."""
    if utterance == bool(target.strip()):
        raise EditError(
            "a free utterance has no TARGET" if utterance else "give a TARGET, or --utterance for an edit without one"
        )
    edit = Edit(prompt=prompt, target=target, id=id_, space=session.space, meta=parse_meta(meta))
    terms = Terms(
        author=author, source=source, note=note, tags=tags,
        valid_from=parse_moment(valid_from, "--valid-from") if valid_from else None,
        expires=parse_moment(expires, "--expires") if expires else None,
    )  # fmt: skip
    _store(session, edit, force=force, no_check=no_check, dry_run=dry_run,
           write=lambda editor: editor.add(edit, terms=_told_terms(terms))[0])  # fmt: skip


def _told_terms(terms: Terms) -> Terms | None:
    """None when the user said nothing: an edit that is there already keeps its own."""
    return None if terms == Terms() else terms


def _store(
    session: Session, edit: Edit, *, force: bool, no_check: bool, dry_run: bool,
    write: Callable[[Serac], Revision],
) -> None:  # fmt: skip
    session.check_target(edit)
    editor = session.encoder() if no_check else session.editor()
    found = None if no_check else _refuse_contradictions(editor, edit, session, force=force or dry_run)
    if dry_run:
        if session.json:
            emit({"dry_run": True, "preflight": found})
        else:
            click.echo(f"nothing stored; {edit.id} would be: {edit.prompt} → {edit.target}")
        return
    before = session.memory().revision
    revision = write(editor)
    if session.json:
        changed = revision.number > before
        emit({"changed": changed, **revision_document(revision), "preflight": found})
    else:
        told(revision, before, False)


@click.command("replace")
@click.argument("id_", metavar="ID")
@click.option("--prompt", default=None, help="The new prompt.")
@click.option("--target", default=None, help="The new target.")
@_with(_TERMS)
@_with(_CHECKED)
@shared(parts=True)
def replace_verb(
    session: Session, id_: str, prompt: str | None, target: str | None, author: str, source: str, note: str,
    tags: tuple[str, ...], valid_from: str, expires: str, meta: tuple[str, ...],
    force: bool, no_check: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Give an edit another prompt, target or terms; what is not named stays."""
    old = session.stored(id_)
    session.given_space = old.edit.space
    edit = Edit(
        id=old.edit.id, space=old.edit.space,
        prompt=old.edit.prompt if prompt is None else prompt,
        target=old.edit.target if target is None else target,
        meta={**old.edit.meta, **parse_meta(meta)},
    )  # fmt: skip
    terms = replace(
        old.terms,
        author=author or old.terms.author, source=source or old.terms.source, note=note or old.terms.note,
        tags=tags or old.terms.tags,
        valid_from=parse_moment(valid_from, "--valid-from") if valid_from else old.terms.valid_from,
        expires=parse_moment(expires, "--expires") if expires else old.terms.expires,
    )  # fmt: skip
    same = (edit.prompt, edit.target) == (old.edit.prompt, old.edit.target)
    _store(session, edit, force=force, no_check=no_check or same, dry_run=dry_run,
           write=lambda editor: editor.replace(edit, terms=terms))  # fmt: skip


def _switch(session: Session, ids: Sequence[str], terms: Terms, how: str) -> None:
    memory = session.memory()
    exact = [session.stored(id_).edit.id for id_ in ids]
    before = memory.revision
    changed = {"retract": memory.retract, "enable": memory.enable, "disable": memory.disable, "purge": memory.purge}
    for revision in changed[how](exact, terms=terms):
        told(revision, before, session.json)


@click.command("retract")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_with(_WHO)
@shared()
def retract_verb(session: Session, ids: tuple[str, ...], author: str, source: str, note: str) -> None:
    """Take edits out of force; their history stays."""
    _switch(session, ids, Terms(author=author, source=source, note=note), "retract")


@click.command("enable")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_with(_WHO)
@shared()
def enable_verb(session: Session, ids: tuple[str, ...], author: str, source: str, note: str) -> None:
    """Switch disabled edits on again."""
    _switch(session, ids, Terms(author=author, source=source, note=note), "enable")


@click.command("disable")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_with(_WHO)
@shared()
def disable_verb(session: Session, ids: tuple[str, ...], author: str, source: str, note: str) -> None:
    """Switch edits off without retracting them."""
    _switch(session, ids, Terms(author=author, source=source, note=note), "disable")


@click.command("purge")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_with(_WHO)
@shared()
def purge_verb(session: Session, ids: tuple[str, ...], yes: bool, author: str, source: str, note: str) -> None:
    """Erase edits' texts for good, in the history too; a tombstone stays."""
    if not yes:
        names = ", ".join(f"{one.edit.id} ({short(one.edit.prompt, 40)})" for one in map(session.stored, ids))
        click.confirm(f"Erase {names} for good? This cannot be undone", abort=True, err=True)
    _switch(session, ids, Terms(author=author, source=source, note=note), "purge")


@click.command("undo")
@click.option("-n", "count", type=click.IntRange(min=1), default=1, show_default=True, help="How many revisions.")
@shared()
def undo_verb(session: Session, count: int) -> None:
    """Take back the newest change, or the newest -n; of whatever space, unless --space names one."""
    memory = session.memory()
    before = memory.revision
    if session.given_space is not None:
        strange = [one for one in memory.history(after=max(0, before - count)) if one.edit.space != session.given_space]
        if strange:
            raise EditError(
                f"revision {strange[-1].number} belongs to the space {strange[-1].edit.space!r}, so the newest {count}"
                f" cannot be undone in {session.given_space!r}; nothing was undone"
            )
    for revision in memory.undo(count):
        told(revision, before, session.json)
