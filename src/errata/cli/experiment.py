"""`errata experiment`: remakes the tables and plots of results/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errata.cli.output import emit, table
from errata.cli.session import Session, quiet, shared

if TYPE_CHECKING:
    from errata.experiments.experiment import Outcome, State

EXPERIMENTS = {
    "table3": "four problems: edit success and drawdown",
    "table4": "scope classifier and counterfactual model by split",
    "table5": "scope classifiers of two kinds and sizes",
    "figure3": "many edits at once, and up to 50,000 in memory",
    "reuse": "one editor on base models of different kinds",
    "table6": "time and memory",
    "order": "whether the order of edits matters",
    "samples": "replies before and after a sentiment edit",
    "all": "all of these",
    "tuning": "how the compared editors were set",
    "editors": "all editors on four problems",
    "editors-k": "all editors, many edits at once",
    "editors-single": "editors that change weights, one edit at a time",
    "seprog": "editors on SeProG's data sets, 1 to 128 edits at once",
    "seprog-ablations": "what SeProG's parts are for",
    "seprog-costs": "time and memory of training and of editing",
    "compare": "all comparisons of editors",
}
"""Name and one line of each, in the order that `all` and `compare` run them; the cells are the catalogue's."""
PRESETS = ("mini", "paper")


@click.command(
    "experiment",
    epilog="\b\n" + "\n".join(f"{name:17}{told}" for name, told in EXPERIMENTS.items()),
)
@click.argument("name", type=click.Choice(list(EXPERIMENTS)))
@click.option("--preset", type=click.Choice(PRESETS), default="mini", show_default=True,
              help="The shipped parts, or models of the paper's kinds.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="How many seeds are pooled.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first of them.")
@click.option("--limit", type=click.IntRange(min=1), default=None,
              help="At most so many inputs of each kind; comparisons take some hundred on their own.")  # fmt: skip
@click.option("--full", is_flag=True, help="Ask every input, in comparisons too.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True,
              help="Folder of the results.")  # fmt: skip
@click.option("--runs", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Folder where trainings left parts, as PART/model.")  # fmt: skip
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), envvar="ERRATA_DATA", default=None,
              help="Folder of the public data sets (or ERRATA_DATA).")  # fmt: skip
@shared(memory=False)
def experiment_verb(session: Session, name: str, out: Path, **asked: Any) -> None:
    """Remake a table or a plot of the docs, or all of them.

    What was measured with the same parts, data and settings is kept, so an interrupted run goes on where it was. Exit
    code 1 when a measurement failed; parts that are not trained are told in the table.
    """
    quiet()
    from errata.experiments.catalogue import chosen
    from errata.experiments.experiment import run_experiment
    from errata.experiments.parts import Setting

    setting = Setting(**asked)
    told = _Progress()
    outcomes = [run_experiment(one, setting, out, told) for one in chosen(name)]
    _tell(session, outcomes)
    sys.exit(1 if any(outcome.cells["failed"] for outcome in outcomes) else 0)


class _Progress:
    """Tells each cell on a line of its own, and within it, on a terminal, how far it is."""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what.count(": ") < 2:
            click.echo(f"{what} ({done:,} of {total:,} cells)", err=True)
        elif sys.stderr.isatty():
            click.echo(f"\r{what}: {done:,} of {total:,}\033[K", err=True, nl=done >= total)


def _tell(session: Session, outcomes: list[Outcome]) -> None:
    """What was run, how long it took, and where it lies."""
    seconds = round(sum(outcome.seconds for outcome in outcomes), 1)
    measured = round(sum(outcome.measured for outcome in outcomes), 1)
    if session.json:
        told = [
            {
                "name": one.name,
                **one.cells,
                "why": dict(one.why),
                "seconds": one.seconds,
                "measured_seconds": one.measured,
                "files": [str(path) for path in one.files],
            }
            for one in outcomes
        ]
        emit({"experiments": told, "seconds": seconds, "measured_seconds": measured})
        return
    for one in outcomes:
        for cell, why in one.why.items():
            click.echo(f"{one.name}: {cell}: {why}")
    states: tuple[State, ...] = ("ran", "kept", "elsewhere", "missing", "failed")
    columns = ("experiment", *states, "seconds", "measured in", "table")
    rows = [
        (one.name, *(one.cells[state] for state in states), one.seconds, one.measured,
         next(path for path in one.files if path.suffix == ".md"))
        for one in outcomes
    ]  # fmt: skip
    table(columns, rows)
    click.echo(f"{seconds:,.0f} s now; what the tables hold took {measured:,.0f} s to measure")
