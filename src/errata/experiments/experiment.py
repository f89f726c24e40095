"""The runner: an experiment is a list of cells and a way to show them; cells that are done are not run again.

A cell is one run: an evaluation, a timing. What it found lies in a file of its own beside its rows, with everything it
depends on, so an interrupted experiment goes on where it was, and a changed part, setting or data file is measured
anew. This module knows no editor and no problem.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from errata._version import __version__
from errata.errors import ConfigError, ErrataError
from errata.experiments.parts import Setting
from errata.experiments.rows import commit

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is, and how much there is."""
Run = Callable[[Path, Progress], Mapping[str, Any]]
"""Takes the file for its rows and whom to tell how far it is; returns the cell's figures as JSON has them."""
State = Literal["ran", "kept", "elsewhere", "missing", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of an experiment.

    Args:
        name: of its files; no other cell of the experiment has it.
        config: everything the figures depend on, the networks' fingerprints and the data's hash included.
        run: measures it.
        missing: what is not here and how to make it; such a cell is told and not run.
    """

    name: str
    config: Mapping[str, Any]
    run: Run
    missing: str = ""

    def fingerprint(self) -> str:
        """SHA-256 of the config and errata's version: figures with another one are not this cell's."""
        told = json.dumps({"version": __version__, **self.config}, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a cell.

    Args:
        state: measured now; kept from an earlier run; kept though a part it needs is not here to compare with; without
            a part and never measured; or failed.
        figures: what was measured; empty unless it ran or was kept.
        why: what is missing, or the error.
        seconds: what it took when it was measured.
        config: what it was measured with, where the cell itself cannot tell all of it.
    """

    state: State
    figures: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    seconds: float = 0.0
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An experiment as people read it: a Markdown text, and SVG plots by name."""

    text: str
    plots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named list of cells.

    Args:
        name: as the command line calls it.
        title: one line.
        cells: what is run, given a setting.
        show: makes tables and plots of the results, by the cells' names in their order.
        sample: inputs of each kind that are asked where the setting names no limit; None asks all.
    """

    name: str
    title: str
    cells: Callable[[Setting], Sequence[Cell]]
    show: Callable[[Mapping[str, Result]], Shown]
    sample: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run of an experiment did.

    Args:
        name: the experiment's.
        cells: how many cells came to which state.
        why: reason by cell, of those that are missing or failed.
        seconds: wall time of this run.
        measured: seconds all its cells took when they were measured.
        files: the summary, the table and the plots.
    """

    name: str
    cells: Mapping[State, int]
    why: Mapping[str, str]
    seconds: float
    measured: float
    files: tuple[Path, ...]


def run_experiment(experiment: Experiment, setting: Setting, out: Path, progress: Progress) -> Outcome:
    """Run the cells that are not done, and write summary, table and plots into `out`/NAME.

    A cell that fails by an error of errata is told in the table and tried again next time; the others go on.

    Args:
        experiment: which.
        setting: preset, seeds, data and so on.
        out: the folder of all results.
        progress: told of cells, and within each what it does.

    Raises:
        ConfigError: the folder cannot be written, or the data is not there.
    """
    began = time.perf_counter()
    folder = out / experiment.name
    try:
        (folder / "cells").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"results cannot be written to {folder}: {error.strerror}", key="out") from error
    if setting.limit is None and not setting.full:
        setting = replace(setting, limit=experiment.sample)
    cells = list(experiment.cells(setting))
    results: dict[str, Result] = {}
    for at, cell in enumerate(cells):
        progress(f"{experiment.name}: {cell.name}", at, len(cells))
        results[cell.name] = _result(experiment.name, cell, setting, folder / "cells", progress)
    progress(experiment.name, len(cells), len(cells))
    files = _write(experiment, setting, folder, cells, results)
    states: list[State] = ["ran", "kept", "elsewhere", "missing", "failed"]
    return Outcome(
        name=experiment.name,
        cells={state: sum(result.state == state for result in results.values()) for state in states},
        why={name: result.why for name, result in results.items() if result.why},
        seconds=round(time.perf_counter() - began, 1),
        measured=round(sum(result.seconds for result in results.values()), 1),
        files=files,
    )


def _result(name: str, cell: Cell, setting: Setting, folder: Path, progress: Progress) -> Result:
    """The cell's figures: those on disk if they are this cell's, else measured now."""
    path, rows = folder / f"{cell.name}.json", folder / f"{cell.name}.rows.jsonl"
    found = _read(path)
    if cell.missing:
        if found is not None and agrees(found.get("config"), json.loads(json.dumps(dict(cell.config), default=str))):
            return Result(state="elsewhere", figures=found["figures"], seconds=found["seconds"], config=found["config"])
        return Result(state="missing", why=cell.missing)
    if found is not None and found.get("fingerprint") == cell.fingerprint():
        return Result(state="kept", figures=found["figures"], seconds=found["seconds"])
    began = time.perf_counter()
    try:
        told = cell.run(rows, lambda what, done, total: progress(f"{name}: {cell.name}: {what}", done, total))
    except ErrataError as error:
        return Result(state="failed", why=f"{type(error).__name__}: {error}")
    seconds = round(time.perf_counter() - began, 2)
    figures = json.loads(json.dumps(dict(told), default=str))
    _packed(rows)
    document = {
        "experiment": name,
        "cell": cell.name,
        "fingerprint": cell.fingerprint(),
        "config": dict(cell.config),
        "seed": setting.seed,
        "data_hash": cell.config.get("data"),
        "commit": commit(),
        "seconds": seconds,
        "figures": figures,
    }
    write_whole(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    return Result(state="ran", figures=figures, seconds=seconds)


def agrees(then: Any, now: Any) -> bool:
    """Whether figures of one config may be another's, which knows no fingerprint of a part that is not here."""
    if isinstance(then, dict) and isinstance(now, dict):
        known = {key: value for key, value in now.items() if not (key == "fingerprint" and value == "")}
        return {*then, "fingerprint"} == {*now, "fingerprint"} and all(
            agrees(then.get(key), known[key]) for key in known
        )
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(agrees, then, now))
    return bool(then == now)


def _read(path: Path) -> dict[str, Any] | None:
    """What a cell's file holds; None where it is not there or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and {"fingerprint", "figures", "seconds"} <= set(found)
    return found if whole else None


def _packed(rows: Path) -> None:
    """Rows as .jsonl.gz, with no time in it, so that equal rows are equal files."""
    if not rows.is_file():
        return
    partial = rows.with_name(f"{rows.name}.gz.partial")
    with (
        rows.open("rb") as source,
        partial.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed)
    partial.replace(rows.with_name(f"{rows.name}.gz"))
    rows.unlink()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or as it was."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _write(
    experiment: Experiment, setting: Setting, folder: Path, cells: Sequence[Cell], results: Mapping[str, Result]
) -> tuple[Path, ...]:
    """The summary, the table and the plots; a plot that an earlier run drew and this one does not is removed."""
    shown = experiment.show(results)
    measured = round(sum(result.seconds for result in results.values()), 1)
    summary = {
        "experiment": experiment.name,
        "title": experiment.title,
        "setting": setting.told(),
        "data_hash": {cell.name: cell.config.get("data") for cell in cells},
        "commit": commit(),
        "seconds": measured,
        "cells": {
            cell.name: {
                "state": "done" if results[cell.name].figures else results[cell.name].state,
                "why": results[cell.name].why,
                "config": dict(results[cell.name].config or cell.config),
                "seconds": results[cell.name].seconds,
                "figures": results[cell.name].figures,
            }
            for cell in cells
        },
    }
    files = {f"{experiment.name}.json": json.dumps(summary, ensure_ascii=False, indent=1) + "\n"}
    files[f"{experiment.name}.md"] = _page(experiment, setting, shown, measured)
    files |= {f"{name}.svg": plot for name, plot in shown.plots.items()}
    for old in folder.glob("*.svg"):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        write_whole(folder / name, text)
    return tuple(folder / name for name in files)


def _page(experiment: Experiment, setting: Setting, shown: Shown, measured: float) -> str:
    """The Markdown page."""
    told = ", ".join(f"{key} {value}" for key, value in setting.told().items() if value is not None)
    pictures = "".join(f"\n![{name}]({name}.svg)\n" for name in shown.plots)
    command = f"errata experiment {experiment.name}"
    sampled = ""
    if setting.limit is not None:
        sampled = (
            f"At most {setting.limit} inputs of each kind are asked, so kinds weigh more alike than in the whole: the"
            " figures of this page are to be compared with one another.\n\n"
        )
    return (
        f"# {experiment.title}\n\n{shown.text.strip()}\n{pictures}\n{sampled}"
        f"Made by `{command}` ({told}); its cells took {measured:,.0f} s.\n"
    )
