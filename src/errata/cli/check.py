"""`errata check`: the pre-flight of one edit or of a file of edits, without storing any."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from errata.cli.output import emit, short, table
from errata.cli.session import Session, shared
from errata.edit import Edit
from errata.editors.documents import preflight_document
from errata.errors import EditError

if TYPE_CHECKING:
    from errata.editors.preflight import PreFlight


@click.command("check")
@click.argument("prompt", metavar="PROMPT|FILE")
@click.argument("target", required=False, default="")
@click.option("--utterance", is_flag=True, help="PROMPT is a free utterance; there is no TARGET.")
@shared(parts=True)
def check_verb(session: Session, prompt: str, target: str, utterance: bool) -> None:
    """Look at an edit (PROMPT and TARGET), or at every edit of a FILE (.jsonl, .csv), before it is stored.

    In a file each edit is also held against those above it. Exit code 1 when there is something to say.
    """
    from errata.editors.preflight import check_edit

    editor = session.editor()
    if utterance or target.strip():
        edits: Iterator[Edit] = iter([Edit(prompt=prompt, target=target, space=session.space)])
    elif Path(prompt).is_file():
        edits = _edits_of(prompt, session.space)
    else:
        raise EditError(f"give a TARGET, --utterance, or a file: there is no file {prompt!r}")
    count = bad = 0
    for edit in edits:
        session.check_target(edit)
        found = check_edit(editor, edit)
        count, bad = count + 1, bad + (not found.ok)
        if session.json:
            emit(preflight_document(found))
        else:
            show(found)
        editor = editor.edit(edit)
    if not session.json and count != 1:
        click.echo(f"{count} edits checked, {bad} with something to say")
    sys.exit(1 if bad else 0)


def _edits_of(file: str, space: str) -> Iterator[Edit]:
    """The edits of a file, read as `errata import` reads it (EditError with the line for a bad row)."""
    from errata.memory.records import Bad, read_csv, read_jsonl

    with Path(file).open("rb") as stream:
        for row in (read_csv if Path(file).suffix.lower() == ".csv" else read_jsonl)(stream, None, space):
            if isinstance(row, Bad):
                raise EditError(f"{file}:{row.line}: {row.message}")
            yield row.edit


def show(found: PreFlight) -> None:
    """Print a pre-flight for people."""
    click.echo(f"{'ok' if found.ok else 'look'}: {short(found.edit.prompt, 90)} → {short(found.edit.target, 60)}")
    for problem in found.problems:
        click.echo(f"  - {problem}")
    click.echo(f"  catches {len(found.breadth.flipped)} of {found.breadth.probes} everyday questions")
    if found.self_test:
        table(
            ("  own question as", "score", "answer", ""),
            [(f"  {short(test.input, 70)}", f"{test.score:.3f}", test.answer, "ok" if test.passed else "failed")
             for test in found.self_test],
        )  # fmt: skip
