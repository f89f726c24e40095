"""What verbs print: JSON documents, or tables (drawn on a terminal, plain aligned text in a pipe).

The keys of the JSON documents are made in `errata.editors.documents`. This module decides nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from errata.edit import Revision
from errata.editors.documents import state


def emit(document: Mapping[str, Any]) -> None:
    """Print one JSON document on one line."""
    click.echo(json.dumps(document, ensure_ascii=False, default=str))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Print rows under column names; numbers to the right."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    numeric = [bool(rows) and all(isinstance(row[at], int | float) for row in rows) for at in range(len(columns))]
    if sys.stdout.isatty():
        _drawn(columns, texts, numeric, title)
        return
    if title:
        click.echo(title)
    widths = [max(len(row[at]) for row in [list(columns), *texts]) for at in range(len(columns))]
    for row in [list(columns), *texts]:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def _drawn(columns: Sequence[str], rows: list[list[str]], numeric: list[bool], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, right in zip(columns, numeric, strict=True):
        drawn.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout).print(drawn)


def short(text: str, width: int = 60) -> str:
    """A text on one line, cut to a width."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def when(moment: datetime | None) -> str:
    """A moment as people read it: UTC, to the second; "" for none."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def revisions_table(revisions: Sequence[Revision], *, at: datetime | None = None, log: bool = False) -> None:
    """Revisions as a table: the log with kinds and times, or the edits with their states."""
    if log:
        table(
            ("revision", "time", "kind", "id", "prompt", "target", "author"),
            [(one.number, when(one.time), one.kind, one.edit.id, short(one.edit.prompt), short(one.edit.target, 30),
              one.terms.author) for one in revisions],
        )  # fmt: skip
        return
    table(
        ("id", "prompt", "target", "state", "tags"),
        [(one.edit.id, short(one.edit.prompt), short(one.edit.target, 30), state(one, at), ", ".join(one.terms.tags))
         for one in revisions],
    )  # fmt: skip
