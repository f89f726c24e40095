"""`errata tune`: a space's threshold from the user's own examples, with the trade-off shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from errata.cli.output import emit, table
from errata.cli.rows import keys_checked, read_rows, text_of, truth_of
from errata.cli.session import Session, shared
from errata.errors import ConfigError, EditError

KEYS = ("question", "in_scope", "edit")
GRID = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Example:
    """A question, whether an edit shall answer it, and which (None: any)."""

    question: str
    in_scope: bool
    edit: str | None


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold gives: the share of in-scope questions answered by the right edit, and of others by any."""

    threshold: float
    es: float
    dd: float


@click.command("tune")
@click.argument("file", required=False, default=None, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--apply", is_flag=True, help="Set the space's threshold to the best one found.")
@click.option("--set", "value", type=click.FloatRange(0.0, 1.0), default=None, help="Set it to this value instead.")
@click.option("--reset", is_flag=True, help="Go back to the default threshold.")
@shared(parts=True)
def tune_verb(session: Session, file: str | None, apply: bool, value: float | None, reset: bool) -> None:
    """Find a space's threshold from the examples of FILE: which trade-off between catching and overreaching it offers.

    Rows (JSONL or CSV) have a "question" and either "in_scope" (true or false) or "edit" (the id that shall fire).
    """
    if (file is not None) + (value is not None) + reset != 1:
        raise EditError("give a FILE of examples, --set VALUE or --reset")
    if file is None:
        session.memory().set_threshold(session.space, value)
        _told(session, {"space": session.space, "threshold": value, "applied": True})
        return
    examples = [_example(where, row) for where, row in read_rows(file)]
    inside = [one for one in examples if one.in_scope]
    if not inside or len(inside) == len(examples):
        raise ConfigError("examples of both kinds are needed: in scope and not", where=file)
    editor = session.editor()
    decisions = editor.decide([one.question for one in examples])
    best = [(found.nearest[0].score, found.nearest[0].edit.id) if found.nearest else (0.0, "") for found in decisions]
    points = [point_at(threshold, examples, best) for threshold in GRID]
    chosen = choose(examples, best)
    if apply:
        session.memory().set_threshold(session.space, chosen.threshold)
    _told(session, {
        "space": session.space, "threshold": chosen.threshold, "es": chosen.es, "dd": chosen.dd, "applied": apply,
        "before": editor.threshold, "examples": len(examples),
        "curve": [{"threshold": point.threshold, "es": point.es, "dd": point.dd} for point in points],
    })  # fmt: skip


def _example(where: str, row: dict[str, Any]) -> Example:
    keys_checked(where, row, KEYS)
    edit = text_of(where, row, "edit") if row.get("edit") is not None else None
    if edit == "none":
        return Example(text_of(where, row, "question"), False, None)
    if edit is None and row.get("in_scope") is None:
        raise ConfigError('give "in_scope" or "edit"', where=where)
    inside = truth_of(where, row, "in_scope") if row.get("in_scope") is not None else True
    if edit is not None and not inside:
        raise ConfigError('an example with an "edit" is in scope', where=where)
    return Example(text_of(where, row, "question"), inside, edit)


def point_at(threshold: float, examples: Sequence[Example], best: Sequence[tuple[float, str]]) -> Point:
    """What a threshold gives, from the best edit's score and id for each example."""
    hits = [one.edit in (None, id) for one, (score, id) in zip(examples, best, strict=True)
            if one.in_scope and score >= threshold]  # fmt: skip
    caught = [one for one, (score, _) in zip(examples, best, strict=True) if not one.in_scope and score >= threshold]
    inside = sum(one.in_scope for one in examples)
    return Point(threshold, sum(hits) / inside, len(caught) / (len(examples) - inside))


def choose(examples: Sequence[Example], best: Sequence[tuple[float, str]]) -> Point:
    """The threshold with the greatest ES - DD; of equal ones the one farthest from any score, then nearest to 0.5."""
    scores = [score for score, _ in best]
    grid = [round(number / 100, 2) for number in range(1, 100)]
    points = [point_at(threshold, examples, best) for threshold in grid]

    def worth(point: Point) -> tuple[float, float, float]:
        room = min(abs(score - point.threshold) for score in scores)
        return round(point.es - point.dd, 9), round(room, 3), -abs(point.threshold - 0.5)

    return max(points, key=worth)


def _told(session: Session, document: dict[str, Any]) -> None:
    if session.json:
        emit(document)
        return
    space, threshold = document["space"], document["threshold"]
    if "curve" not in document:
        click.echo(
            f"the threshold of {space!r} is {'the default again' if threshold is None else f'now {threshold:g}'}"
        )
        return
    points = [*document["curve"], {key: document[key] for key in ("threshold", "es", "dd")}]
    rows = sorted({(point["threshold"], point["es"], point["dd"]) for point in points})
    table(
        ("threshold", "in scope caught (ES)", "others caught (DD)", ""),
        [(f"{at:g}", f"{es:.3f}", f"{dd:.3f}",
          " ".join(word for word, said in (("best", at == threshold), ("now", at == document["before"])) if said))
         for at, es, dd in rows],
    )  # fmt: skip
    if document["applied"]:
        click.echo(f"the threshold of {space!r} is now {threshold:g} (it was {document['before']:g})")
    else:
        click.echo(f"best: {threshold:g}; --apply sets it for the space {space!r} (now {document['before']:g})")
