"""`errata test`: questions with expected answers; fails when an edit stops firing or an answer changed."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errata.cli.output import emit, short, table
from errata.cli.rows import keys_checked, read_rows, text_of, truth_of
from errata.cli.session import Session, shared
from errata.errors import ConfigError

if TYPE_CHECKING:
    from errata.edit import Answer
    from errata.editors.serac import Serac

KEYS = ("question", "answer", "edit", "base")
NO_EDIT = "none"
AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Expected:
    """A question and what is expected of its answer; None expects nothing."""

    where: str
    question: str
    answer: str | None
    edit: str | None
    base: bool


@click.command("test")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--record", default=None, type=click.Path(dir_okay=False), metavar="FILE",
              help="Write the questions with their present answers to this file, and compare nothing.")  # fmt: skip
@click.option("--exact", is_flag=True, help="Answers must agree in case, spacing and punctuation too.")
@shared(parts=True)
def test_verb(session: Session, file: str, record: str | None, exact: bool) -> None:
    """Ask the questions of FILE and compare: exit code 1 when one is answered otherwise than expected.

    Rows (JSONL or CSV) have a "question" and some of "answer" (the text expected), "edit" (the id that must fire, or
    "none") and "base" (true: the answer must be the base model's own). For --record a .txt file of questions will do.
    """
    wanted = [_expected(where, row, bare=record is not None) for where, row in read_rows(file, plain="question")]
    if not wanted:
        raise ConfigError("there are no rows in it", where=file)
    editor = session.editor()
    answers: list[Answer] = []
    for begin in range(0, len(wanted), AT_ONCE):
        answers += editor.generate([one.question for one in wanted[begin : begin + AT_ONCE]])
    if record is not None:
        _record(session, record, wanted, answers)
        return
    wrong = _compare(editor, wanted, answers, exact=exact)
    if session.json:
        emit({"ok": not wrong, "rows": len(wanted), "failed": len({row["where"] for row in wrong}), "failures": wrong})
    else:
        if wrong:
            table(
                ("row", "question", "what", "expected", "got"),
                [(row["where"], short(row["question"], 50), row["what"], short(row["expected"], 40),
                  short(row["got"], 40)) for row in wrong],
            )  # fmt: skip
        click.echo(f"{len(wanted)} questions, {len({row['where'] for row in wrong})} failed")
    sys.exit(1 if wrong else 0)


def _expected(where: str, row: dict[str, Any], *, bare: bool) -> Expected:
    keys_checked(where, row, KEYS)
    answer = text_of(where, row, "answer") if row.get("answer") is not None else None
    edit = text_of(where, row, "edit") if row.get("edit") is not None else None
    base = truth_of(where, row, "base") if row.get("base") is not None else False
    if answer is None and edit is None and not base and not bare:
        raise ConfigError('nothing is expected; give "answer", "edit" or "base"', where=where)
    return Expected(where, text_of(where, row, "question"), answer, edit, base)


def _record(session: Session, file: str, wanted: list[Expected], answers: list[Answer]) -> None:
    rows = []
    for one, answer in zip(wanted, answers, strict=True):
        match = answer.decision.match
        rows.append({"question": one.question, "answer": answer.text, "edit": match.edit.id if match else NO_EDIT})
    Path(file).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    if session.json:
        emit({"recorded": len(rows), "file": file})
    else:
        click.echo(f"{len(rows)} answers recorded in {file}")


def _compare(editor: Serac, wanted: list[Expected], answers: list[Answer], *, exact: bool) -> list[dict[str, str]]:
    from errata.edit import normal

    asked = [one.question for one in wanted if one.base]
    own = dict(zip(asked, editor.model.generate(asked), strict=True)) if asked else {}
    wrong = []

    def failed(one: Expected, what: str, expected: str, got: str) -> None:
        wrong.append({"where": one.where, "question": one.question, "what": what, "expected": expected, "got": got})

    for one, answer in zip(wanted, answers, strict=True):
        match = answer.decision.match
        fired = match.edit.id if match else NO_EDIT
        if (
            one.answer is not None
            and one.answer != answer.text
            and (exact or normal(one.answer) != normal(answer.text))
        ):
            failed(one, "answer", one.answer, answer.text)
        if one.edit is not None and one.edit != fired:
            failed(one, "edit", one.edit, f"{fired} ({answer.decision.reason})")
        if one.base and own[one.question] != answer.text:
            failed(one, "base", own[one.question], answer.text)
    return wrong
