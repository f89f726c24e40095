"""Verbs that look back: history, checkout, diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from errata.cli.output import emit, revisions_table, short, table
from errata.cli.session import Session, parse_moment, shared
from errata.editors.documents import answer_document, diff_document, revision_document

if TYPE_CHECKING:
    from errata.edit import Revision
    from errata.memory import Moment
    from errata.memory.past import PastMemory


def moment_of(text: str) -> Moment:
    """A revision's number, or a moment in ISO form (ConfigError when it is neither)."""
    return int(text) if text.isdecimal() else parse_moment(text, "REVISION|TIME")


@click.command("history")
@click.argument("id_", metavar="[ID]", required=False, default=None)
@click.option("--limit", type=click.IntRange(min=0), default=None, help="At most so many.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="REVISION", help="Only later revisions.")
@shared()
def history_verb(session: Session, id_: str | None, limit: int | None, after: int) -> None:
    """Show the log, oldest first: of one edit, or of all (of one space with --space)."""
    memory = session.memory()
    exact = None if id_ is None else session.stored(id_).edit.id
    found: list[Revision] = []
    for revision in memory.history(exact, after=after):
        if limit is not None and len(found) >= limit:
            break
        if session.given_space in (None, revision.edit.space):
            found.append(revision)
            if session.json:
                emit(revision_document(revision))
    if not session.json:
        revisions_table(found, log=True)


@click.command("checkout")
@click.argument("at", metavar="REVISION|TIME")
@click.option("--ask", "question", default=None, metavar="QUESTION", help="Ask the model as it was edited then.")
@click.option("--export", "file", default=None, metavar="FILE", help="Write the edits of then to .jsonl or .csv.")
@shared(parts=True)
def checkout_verb(session: Session, at: str, question: str | None, file: str | None) -> None:
    """List the edits as they were at a revision or a time, ask the model of then, or export them.

    The memory itself does not change; to go back for good, export and import, or use undo.
    """
    moment = moment_of(at)
    if question is not None:
        editor = session.editor().checkout(moment)
        answer = editor.generate([question])[0]
        if session.json:
            emit({"revision": editor.memory.revision, **answer_document(question, answer)})
        else:
            click.echo(answer.text)
        if file is None:
            return
    past = session.memory().checkout(moment)
    if file is not None:
        _export(session, past, file)
        return
    found = past.list(space=session.space)
    then = past._now()
    if session.json:
        for revision in found:
            emit(revision_document(revision, at=then))
        return
    click.echo(f"revision {past.revision} of {session.memory().revision}: {len(found)} edits")
    if found:
        revisions_table(found, at=then)


def _export(session: Session, past: PastMemory, file: str) -> None:
    from errata.memory.transfer import export_edits

    count = export_edits(past, file, space=session.space)
    if session.json:
        emit({"revision": past.revision, "exported": count, "file": file})
    else:
        click.echo(f"{count} edits of revision {past.revision} written to {file}")


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B", required=False, default=None)
@shared()
def diff_verb(session: Session, a: str, b: str | None) -> None:
    """Tell what changed from A to B (revisions or times); B is now unless given."""
    memory = session.memory()
    moments = moment_of(a), memory.revision if b is None else moment_of(b)
    found = memory.diff(*moments)
    kept = session.given_space
    added = [one for one in found.added if kept in (None, one.edit.space)]
    removed = [one for one in found.removed if kept in (None, one.edit.space)]
    changed = [pair for pair in found.changed if kept in (None, pair[1].edit.space)]
    if session.json:
        emit({
            "from": memory.number_at(moments[0]),
            "to": memory.number_at(moments[1]),
            **diff_document(found, kept),
        })  # fmt: skip
        return
    rows = [("+", one.edit) for one in added] + [("-", one.edit) for one in removed]
    for old, new in changed:
        rows += [("-", old.edit), ("+", new.edit)] if old.edit != new.edit else [("~", new.edit)]
    if not rows:
        click.echo("no difference")
        return
    cells = [(sign, one.id, short(one.prompt), short(one.target, 30)) for sign, one in rows]
    table(("", "id", "prompt", "target"), cells)
    if any(sign == "~" for sign, _ in rows):
        click.echo("~ has other terms (errata history ID shows them)")
