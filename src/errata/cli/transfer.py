"""`errata import`, `errata export` and `errata migrate`: edits from a file, into a file, and a memory elsewhere."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import click

from errata.cli.output import emit
from errata.cli.session import Session, shared
from errata.edit import Terms

if TYPE_CHECKING:
    from errata.memory.transfer import Progress

FORMATS = ("jsonl", "csv")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--on-bad", type=click.Choice(("skip", "abort")), default="skip", show_default=True,
              help="Leave bad rows out, or let nothing in when there is one.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(FORMATS), default=None, help="By the file's ending otherwise.")
@click.option("--batch", type=click.IntRange(min=1), default=256, show_default=True, help="Rows a transaction.")
@click.option("--author", envvar="ERRATA_AUTHOR", default="", help="Of rows that name none (or ERRATA_AUTHOR).")
@click.option("--source", default="", help="Of rows that name none.")
@click.option("--tag", "tags", multiple=True, help="Of rows that have none; may be repeated.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@shared(parts=True)
def import_verb(
    session: Session, file: str, on_bad: Literal["skip", "abort"], format_: Literal["jsonl", "csv"] | None, batch: int,
    author: str, source: str, tags: tuple[str, ...], quiet: bool,
) -> None:  # fmt: skip
    """Add the edits of FILE (JSONL or CSV). Run again after an interruption, it goes on where it stopped.

    Exit code 1 when a row was bad. No pre-flight is made: errata check FILE does that.
    """
    from errata.memory.transfer import import_edits

    editor = session.encoder()
    terms = Terms(author=author, source=source, tags=tags)
    bar = _Bar("importing", show=not (quiet or session.json) and sys.stderr.isatty())
    try:
        report = import_edits(
            session.memory(), file, editor.scope.encode_edits, format=format_, on_bad=on_bad, batch=batch,
            progress=bar.told, terms=None if terms == Terms() else terms, space=session.space,
        )  # fmt: skip
    finally:
        bar.close()
    if session.json:
        emit({
            "added": report.added, "unchanged": report.unchanged, "aborted": report.aborted,
            "revision": report.revision, "bad": [{"line": line, "error": error} for line, error in report.bad],
        })  # fmt: skip
    else:
        for line, error in report.bad:
            click.echo(f"{file}:{line}: {error}", err=True)
        left = "nothing was added" if report.aborted else f"{report.added} added, {report.unchanged} there already"
        click.echo(f"{left}, {len(report.bad)} bad rows; revision {report.revision}")
    sys.exit(1 if report.bad else 0)


class _Bar:
    """A progress bar on stderr, or none."""

    def __init__(self, what: str, *, show: bool) -> None:
        self._bar: Any = None
        self._task: Any = None
        if show:
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(what, total=1.0)
            self._bar.start()

    @property
    def told(self) -> Progress | None:
        """What an import tells its progress to."""
        return None if self._bar is None else self._tell

    def _tell(self, rows: int, fraction: float) -> None:
        self._bar.update(self._task, completed=fraction, description=f"{rows:,} rows")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


@click.command("export")
@click.argument("file", required=False, default="-", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--format", "format_", type=click.Choice(FORMATS), default=None,
              help="By the file's ending, or JSONL on stdout, otherwise.")  # fmt: skip
@click.option("--every-space", is_flag=True, help="Edits of all spaces.")
@click.option("--all", "everything", is_flag=True, help="Every revision of the log; for reading, not for importing.")
@shared()
def export_verb(
    session: Session, file: str, format_: Literal["jsonl", "csv"] | None, every_space: bool, everything: bool
) -> None:
    """Write the edits to FILE, or to stdout; a file appears whole or not at all."""
    from errata.memory.transfer import export_edits

    space = None if every_space else session.space
    if file == "-":
        export_edits(session.memory(), sys.stdout, format=format_, space=space, all_revisions=everything)
        return
    count = export_edits(session.memory(), file, format=format_, space=space, all_revisions=everything)
    if session.json:
        emit({"exported": count, "file": file})
    else:
        click.echo(f"{count} {'revisions' if everything else 'edits'} written to {file}")


@click.command("migrate")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@shared(memory=False)
def migrate_verb(session: Session, source: str, target: str, quiet: bool) -> None:
    """Copy the memory FROM whole into the empty memory TO: history, vectors, thresholds. Each is a file or a URL.

    Where FROM was served, its ledger goes along: keys, approvals, audit. Interrupted, it has copied nothing. FROM is
    not changed; what is added to it meanwhile is not copied.
    """
    from errata.memory.sqlite import open_memory
    from errata.service.ledgercopy import copy_all

    bar = _Bar("copying", show=not (quiet or session.json) and sys.stderr.isatty())
    try:
        with open_memory(source, read_only=True) as old, open_memory(target) as new:
            report, book = copy_all(old, new, progress=bar.told)
            names = old.name, new.name
    finally:
        bar.close()
    if session.json:
        ledger = None if book is None else asdict(book)
        told = {"revisions": report.revisions, "vectors": report.vectors, "ledger": ledger}
        emit({"from": names[0], "to": names[1], **told})
        return
    click.echo(f"{report.revisions} revisions and {report.vectors} vectors copied to {names[1]}")
    if book is not None:
        click.echo(f"its ledger too: {book.keys} keys, {book.approvals} approvals, {book.audit} lines of the audit")
