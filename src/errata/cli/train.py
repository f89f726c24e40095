"""`errata train`, `errata evaluate` and `errata bench`: what makes and measures the trained parts."""

from __future__ import annotations

import inspect
import sys
import tomllib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from errata.cli.output import emit, table
from errata.cli.session import Session, quiet, shared
from errata.errors import ConfigError

PARTS = ("base", "scope", "gate", "counterfactual", "seq2seq", "editor")
BENCHES = {
    "route": "experiments.bench",
    "encode": "experiments.bench",
    "proxy": "service.bench",
    "soak": "service.soak",
}
"""The modules that have a function `bench_NAME`."""


@click.command("train")
@click.argument("part", type=click.Choice(PARTS))
@click.argument("problem", default="")
@click.argument("of", default="", metavar="")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Another recipe than the one in configs/.")  # fmt: skip
@click.option("--preset", type=click.Choice(("mini", "paper")), default="mini", show_default=True,
              help="The small encoder, or the papers' pretrained models.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="Folder of the result; out/PART or out/PART-PROBLEM otherwise.")  # fmt: skip
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), envvar="ERRATA_DATA", default=None,
              help="Folder of the public data sets (or ERRATA_DATA).")  # fmt: skip
@click.option("--install", is_flag=True, help="Put the result in the place of the shipped part.")
@shared(memory=False)
def train_verb(
    session: Session, part: str, problem: str, of: str, config: Path | None, preset: str, out: Path | None,
    data: Path | None, install: bool,
) -> None:  # fmt: skip
    """Train a part from its recipe: a base model, the scope classifier, a counterfactual model, or an editor.

    Without PROBLEM (qa, qa_hard, fact_check, ...) it is trained for everything at once, as the shipped parts are.
    An editor is named before its problem: errata train editor mend qa.
    """
    quiet()
    from errata.training.making import train_part
    from errata.training.parts import LEARNED

    if part == "editor":
        if problem not in LEARNED:
            raise ConfigError(f"there is no editor {problem!r} to train", key=problem, accepted=LEARNED)
        part, problem = problem, of
    elif of:
        raise ConfigError(f"a {part} is trained for one problem, not for {problem} and {of}", key=of)
    folder = out or Path("out") / "-".join(word for word in (part, problem) if word)
    figures = train_part(part, problem, config=config, out=folder, data=data, install=install, preset=preset)
    if session.json:
        emit(dict(figures))
    else:
        _figures(figures)


def _figures(figures: Mapping[str, Any]) -> None:
    rows = [(name, f"{value:.4f}" if isinstance(value, float) else value) for name, value in figures.items()]
    table(("figure", "value"), rows)


@click.command("evaluate")
@click.argument("problem")
@click.option("--edits", default=None, metavar="N|all",
              help="Batches of N edits, one at a time in memory; all edits at once otherwise.")  # fmt: skip
@click.option(
    "--editor",
    default="serac",
    show_default=True,
    help="serac, retrieve_prompt, lookup, ft, mend, enn, slag or seprog.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the editor; repeat for more.")
@click.option("--split", default="test", show_default=True, help="Of the data.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="At most so many inputs of each kind.")
@click.option("--batches", type=click.IntRange(min=1), default=None, help="At most so many batches of --edits.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn, batches and intervals.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True,
              help="Repeat with so many sampling seeds, from --seed on.")  # fmt: skip
@click.option("--components", is_flag=True, help="Also measure the counterfactual model alone, by split.")
@click.option("--preset", type=click.Choice(("mini", "paper")), default="mini", show_default=True,
              help="The bundled base model, or the one of the published figures; --model names another.")  # fmt: skip
@click.option("--rows", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="File for every answer; one in results/ otherwise.")  # fmt: skip
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), envvar="ERRATA_DATA", default=None,
              help="Folder of the public data sets (or ERRATA_DATA).")  # fmt: skip
@shared(memory=False, parts=True)
def evaluate_verb(
    session: Session, problem: str, edits: str | None, editor: str, settings: tuple[str, ...], split: str,
    limit: int | None, batches: int | None, seed: int, seeds: int, components: bool, preset: str, rows: Path | None,
    data: Path | None,
) -> None:  # fmt: skip
    """Measure edit success and drawdown on PROBLEM.

    PROBLEM is qa, qa_hard, fact_check, counterfact, sentiment, everyday, zsre_copy, fever_copy, wikipedia,
    leapofthought or triples.
    """
    quiet()
    from errata.experiments.evaluate import evaluate_problem

    model, counterfactual = _named("model", session.model), _named("counterfactual", session.counterfactual)
    report = evaluate_problem(
        problem, editor=editor, settings=dict(map(_setting, settings)), scope=session.scope, model=model,
        preset=preset, counterfactual=counterfactual,
        edits=edits, split=split, seed=seed, seeds=seeds, limit=limit, batches=batches, components=components,
        rows=rows, runtime=session.runtime, data=data, progress=_progress,
    )  # fmt: skip
    figures = report.to_json()
    if session.json:
        emit(figures)
        return
    flat = {name: value for name, value in figures.items() if not isinstance(value, dict)}
    _figures({name: value for name, value in flat.items() if value is not None})
    told = ("n", "es", "dd", *(("dd_label", "base_error") if figures.get("n_label") else ()))
    table(("kind", *told), [(name, *(kind.get(key) for key in told)) for name, kind in figures["by_kind"].items()])
    if components:
        parts = [
            (line["side"], "hard" if line["hard"] else "easy", line["count"], line["scope"], line["answer"])
            for line in report.details["components"]
        ]
        table(("side", "split", "n", "scope", "answer"), parts)


def _setting(text: str) -> tuple[str, Any]:
    """KEY=VALUE, the value as TOML has it, or else a text (ConfigError where there is no key)."""
    key, equals, value = text.partition("=")
    if not key.strip() or not equals:
        raise ConfigError(f"--set takes KEY=VALUE, not {text!r}", key="set")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _named(option: str, value: str) -> str | None:
    """The value of an option that was given; None where it is the default, and the problem's own parts are meant."""
    source = click.get_current_context().get_parameter_source(option)
    return None if source is ParameterSource.DEFAULT else value


@click.command("bench")
@click.argument("name", type=click.Choice(tuple(BENCHES)))
@click.option("--edits", type=click.IntRange(min=1), default=None, help="route, proxy, soak: size of the memory.")
@click.option("--queries", type=click.IntRange(min=1), default=None, help="route: how many inputs are timed.")
@click.option("--requests", type=click.IntRange(min=10), default=None, help="proxy: how many are timed alone.")
@click.option("--clients", type=click.IntRange(min=1), default=None, help="proxy: how many ask at once.")
@click.option("--ahead", is_flag=True, default=None, help="proxy: requests go to the upstream before they are judged.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=None, help="proxy, soak: for how long.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), default=None, help="soak: questions a second.")
@click.option(
    "--changes", type=click.FloatRange(min=0, min_open=True), default=None, help="soak: edits added a second."
)
@click.option("--texts", type=click.IntRange(min=1), default=None, help="encode: how many texts.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="route: where the memory is built, and kept.")  # fmt: skip
@click.option("--seed", type=int, default=None, help="Of what is drawn.")
@click.option("--runtime", default="auto", show_default=True, help="What runs the trained parts.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), envvar="ERRATA_DATA", default=None,
              help="Folder of the public data sets (or ERRATA_DATA).")  # fmt: skip
@shared(memory=False)
def bench_verb(session: Session, name: str, data: Path | None, **asked: Any) -> None:
    """Measure: NAME is route (a routing decision over a big memory), encode, proxy (what `serve` adds), or soak.

    soak runs `serve` under load while edits come and go: errors, lost edits, growth of its memory. Exit code 1 when
    there are any.
    """
    quiet()
    run = getattr(import_module(f"errata.{BENCHES[name]}"), f"bench_{name}")
    accepted = inspect.signature(run).parameters
    given = {key: value for key, value in asked.items() if value is not None}
    for key in given:
        if key not in accepted:
            raise ConfigError(f"bench {name} has no option --{key}", key=key, accepted=tuple(accepted))
    if "data" in accepted:
        given["data"] = data
    if "progress" in accepted:
        given["progress"] = _progress
    figures = run(**given)
    if session.json:
        emit(figures)
    else:
        _figures(figures)
    if not figures.get("passed", True):
        sys.exit(1)


def _progress(what: str, done: int, total: int) -> None:
    """Tell how far a long run is, on a terminal only."""
    if sys.stderr.isatty():
        click.echo(f"\r{what}: {done:,} of {total:,}\033[K", err=True, nl=done >= total)
