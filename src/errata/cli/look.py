"""Verbs that look at the edits: get, list, search. No network is loaded, but by `search --meaning`."""

from __future__ import annotations

from functools import partial

import click

from errata.cli.output import emit, revisions_table, short, table, when
from errata.cli.session import Session, shared
from errata.editors.documents import match_document, revision_document, state
from errata.editors.retrieving import retrieve


@click.command("get")
@click.argument("id_", metavar="ID")
@shared()
def get_verb(session: Session, id_: str) -> None:
    """Show one edit with its terms; ID may be its first four or more characters."""
    revision = session.stored(id_)
    if session.json:
        emit(revision_document(revision))
        return
    edit, terms = revision.edit, revision.terms
    fields = {
        "id": edit.id,
        "prompt": edit.prompt,
        "target": edit.target,
        "state": state(revision),
        "space": edit.space,
        "revision": f"{revision.number} ({revision.kind}, {when(revision.time)} UTC)",
        "author": terms.author,
        "source": terms.source,
        "note": terms.note,
        "tags": ", ".join(terms.tags),
        "valid from": when(terms.valid_from),
        "expires": when(terms.expires),
        **{f"meta {key}": value for key, value in edit.meta.items()},
    }
    for name, value in fields.items():
        if value:
            click.echo(f"{name:<11} {value}")


@click.command("list")
@click.option("--tag", default="", help="Only edits with this tag.")
@click.option("--author", default="", help="Only this author's.")
@click.option("--text", default="", help="Only edits with these words in prompt or target.")
@click.option("--all", "everything", is_flag=True, help="Retracted and purged edits too.")
@click.option("--every-space", is_flag=True, help="Edits of all spaces.")
@click.option("--limit", type=click.IntRange(min=0), default=None, help="At most so many.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="REVISION",
              help="Only edits changed after this revision: the last one of the page before.")  # fmt: skip
@shared()
def list_verb(
    session: Session, tag: str, author: str, text: str, everything: bool, every_space: bool,
    limit: int | None, after: int,
) -> None:  # fmt: skip
    """List edits, oldest change first."""
    space = None if every_space else session.space
    found = session.memory().list(
        space=space, tag=tag, author=author, text=text, live=not everything, limit=limit, after=after
    )
    if session.json:
        for revision in found:
            emit(revision_document(revision))
        return
    if not found:
        click.echo("no edits")
        return
    revisions_table(found)
    if limit is not None and len(found) == limit:
        click.echo(f"there may be more: --after {found[-1].number}")


@click.command("search")
@click.argument("text")
@click.option("--meaning", is_flag=True, help="By meaning instead of by words; loads the scope classifier.")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="At most so many.")
@shared(parts=True)
def search_verb(session: Session, text: str, meaning: bool, limit: int) -> None:
    """Find edits by words, or by meaning with --meaning."""
    if not meaning:
        found = session.memory().list(space=session.space, text=text, limit=limit)
        if session.json:
            for revision in found:
                emit({**revision_document(revision), "score": None})
        elif found:
            revisions_table(found)
        else:
            click.echo("no edits (try --meaning)")
        return
    editor = session.encoder()
    candidates = retrieve(editor.scope, partial(editor.memory.search, space=session.space), [text], limit)
    matches = editor.scope.judge([text], candidates)[0]
    if session.json:
        for match in matches:
            emit(match_document(match) or {})
        return
    table(("score", "id", "prompt", "target"),
          [(f"{match.score:.3f}", match.edit.id, short(match.edit.prompt), short(match.edit.target, 30))
           for match in matches])  # fmt: skip
