"""Figure 3 of SERAC's paper, ES - DD against the number of edits in memory, and beyond: up to 50,000 real edits.

Beyond the problem's own edits the memory is filled with published ones that contradict neither these nor one another
and that no input of the test is about. Nothing synthetic is in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.experiments.experiment import Cell, Experiment, Result, Shown
from errata.experiments.measuring import evaluation, trio
from errata.experiments.parts import Found, Setting, find
from errata.experiments.plots import Line, Point, line_plot
from errata.experiments.problem_tables import not_measured
from errata.experiments.tables import count, figure, markdown
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, Problem
from errata.problems.held_out import is_held_out, normalise, runs
from errata.training.phrasebook import mine_templates, relation_of

SAMPLE = 500
"""Inputs of each kind, of every cell."""
SIZES = (1, 5, 10, 25, 75, 250, 582)
CROWDS = (2_500, 10_000, 50_000)
EDITORS = {
    "shipped": "",
    "k1": "trained at k = 1",
    "k10": "trained at k = 10",
    "k10-diagonal": "trained at k = 10, own negatives alone",
}
"""The scope classifiers that are compared: the shipped one, and those a training left in runs/qa-k1 and so on."""
TREX = "pararel/data/trex_lms_vocab"
PATTERNS = "pararel/data/pattern_data/graphs_json"
COUNTERFACT = tuple(f"counterfact/{name}.json" for name in ("train", "val", "edit"))
ZSRE = "zsre/train_qa.jsonl"


def _cells(setting: Setting) -> list[Cell]:
    cells = []
    for editor in EDITORS:
        parts = trio(setting, "qa", scope=_scope(setting, editor))
        for k in SIZES:
            cells.append(evaluation(f"{editor}-{k}", setting, "qa", edits=k, parts=parts, about={"editor": editor}))
    for size in CROWDS:
        crowd = partial(crowd_for, data=setting.data, total=size, seed=setting.seed)
        cells.append(evaluation(f"crowd-{size}", setting, "qa", crowd=crowd, about={"memory": size}))
    return cells


def _scope(setting: Setting, editor: str) -> Found:
    if editor == "shipped":
        return find(setting.parts("qa").scope, setting.runs)
    name = f"qa-{editor}"
    make = f"errata train scope qa --config configs/tables/{name}.toml --out {setting.runs / name}"
    return find(name, setting.runs, make=make)


# what fills the memory


def crowd_for(problem: Problem, *, data: Path | None, total: int, seed: int) -> tuple[Edit, ...]:
    """Published edits that, with the problem's own, make `total`, as far as there are so many.

    From zsRE's train questions, CounterFact and T-REx's facts in ParaRel's wordings. Left out are edits about a
    subject of the problem's edits or of its questions about strangers, repeated and contradicting ones: a subject
    stands in one source only, and a fact of T-REx has one object.

    Args:
        problem: whose edits and inputs come first.
        data: folder of the public data.
        total: edits wanted in memory.
        seed: of the order.

    Raises:
        ConfigError: a file is missing or broken.
    """
    wanted = max(0, total - len(problem.cases))
    found = list(_others(DataFolder(data), problem)) if wanted else []
    random.Random(f"{seed} crowd").shuffle(found)
    return tuple(found[:wanted])


def _others(folder: DataFolder, problem: Problem) -> Iterator[Edit]:
    """All edits that may fill the memory, by source."""
    taken = set(_subjects_asked(problem))
    texts = {normalise(one.text) for one in _inputs(problem)} | {normalise(case.edit.prompt) for case in problem.cases}
    sources = (
        ("zsre", list(_zsre(folder))),
        ("counterfact", list(_counterfact(folder))),
        ("trex", list(_trex(folder))),
    )
    for name, facts in sources:
        kept = 0
        mine = set()
        for subject, prompt, target in facts:
            about, text = normalise(subject), normalise(prompt)
            if not text or text in texts or about in taken:
                continue
            texts.add(text)
            mine.add(about)
            yield Edit(prompt=prompt, target=target, id=f"crowd-{name}-{kept:05d}")
            kept += 1
        taken |= mine


def _inputs(problem: Problem) -> Iterator[Any]:
    for case in problem.cases:
        yield from (*case.in_scope, *case.out_of_scope)
    yield from problem.shared


def _subjects_asked(problem: Problem) -> Iterator[str]:
    """Subjects of the edits, and every run of words in questions about strangers: one of them is the subject."""
    yield from (normalise(case.edit.meta.get("subject", case.edit.prompt)) for case in problem.cases)
    for one in problem.shared:
        if one.kind != kinds.NQ:
            yield from runs(normalise(one.text).split())


def _zsre(folder: DataFolder) -> Iterator[tuple[str, str, str]]:
    """Train questions of zsRE with their mined subjects, one a relation; those held out are asked, and stay out."""
    rows = folder.read(ZSRE, "input", "answer")
    seen: set[tuple[str, str]] = set()
    for row, mined in zip(rows, mine_templates([row["input"] for row in rows]), strict=True):
        if mined is None or not row["answer"].strip() or is_held_out(mined[1]):
            continue
        fact = (normalise(mined[1]), relation_of(mined[0]) or normalise(mined[0]))
        if fact not in seen:
            seen.add(fact)
            yield mined[1], row["input"], row["answer"]


def _counterfact(folder: DataFolder) -> Iterator[tuple[str, str, str]]:
    """CounterFact's edits, the first of each subject."""
    seen: set[str] = set()
    for name in COUNTERFACT:
        for row in folder.read(name, "subject", "prompt", "target_new"):
            if normalise(row["subject"]) not in seen:
                seen.add(normalise(row["subject"]))
                yield row["subject"], row["prompt"], row["target_new"]


def _trex(folder: DataFolder) -> Iterator[tuple[str, str, str]]:
    """T-REx's facts, one object for a subject and relation; first in each relation's first wording, then in others."""
    wordings: list[tuple[list[str], list[dict[str, Any]]]] = []
    for path in sorted((folder.folder / TREX).glob("*.jsonl")):
        if not (folder.folder / PATTERNS / path.name).is_file():
            continue  # one relation is published without wordings
        patterns = folder.read(f"{PATTERNS}/{path.name}", "pattern")
        beginnings = [_beginning(row["pattern"]) for row in patterns]
        wordings.append(([one for one in beginnings if one], _first(folder.read(f"{TREX}/{path.name}", "sub_label"))))
    for at in range(max((len(said) for said, _ in wordings), default=0)):
        for said, facts in wordings:
            if at < len(said):
                yield from (
                    (row["sub_label"], said[at].replace("[X]", row["sub_label"]), row["obj_label"]) for row in facts
                )


def _first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(normalise(row["sub_label"]), row)
    return [row for name, row in first.items() if name]


def _beginning(pattern: str) -> str:
    """A pattern up to its object, when it ends with it: "[X] was born in [Y] ." gives "[X] was born in"."""
    before, _, after = pattern.partition("[Y]")
    return before.strip() if "[X]" in before and not normalise(after) else ""


# what is shown


def net(found: Mapping[str, Any]) -> Point | None:
    """ES - DD with the widest interval that the two allow."""
    if not found or found.get("es") is None or found.get("dd") is None:
        return None
    es, dd = found.get("es_ci"), found.get("dd_ci")
    low, high = (es[0] - dd[1], es[1] - dd[0]) if es and dd else (None, None)
    return Point(0, found["es"] - found["dd"], low, high)


def _crowds() -> list[tuple[int, str]]:
    """How many edits are in memory in which cell: all of the problem's own, and with further ones."""
    return [(SIZES[-1], f"shipped-{SIZES[-1]}"), *((size, f"crowd-{size}") for size in CROWDS)]


def _line(name: str, results: Mapping[str, Result], cells: Iterable[tuple[int, str]]) -> Line:
    points = []
    for size, cell in cells:
        point = net(results[cell].figures)
        if point is not None:
            points.append(Point(size, point.y, point.low, point.high))
    return Line(name, tuple(points))


def _nq(found: Mapping[str, Any]) -> Mapping[str, Any]:
    kind: Mapping[str, Any] = found.get("by_kind", {}).get(kinds.NQ, {})
    return kind


def _show(results: Mapping[str, Result]) -> Shown:
    batches = [
        (
            told or "shipped",
            count(k),
            figure(found.get("es"), found.get("es_ci")),
            figure(found.get("dd"), found.get("dd_ci")),
            figure(point.y if point else None),
        )
        for editor, told in EDITORS.items()
        for k in SIZES
        for found in [results[f"{editor}-{k}"].figures]
        for point in [net(found)]
    ]
    crowds = [
        (
            count(size),
            figure(found.get("es"), found.get("es_ci")),
            figure(found.get("dd"), found.get("dd_ci")),
            figure(_nq(found).get("dd"), _nq(found).get("dd_ci")),
            figure(_nq(found).get("fired")),
        )
        for size, name in _crowds()
        for found in [results[name].figures]
    ]
    text = (
        "QA, all batches of k edits pooled; 95 % intervals in parentheses, bootstrap over edits. The paper tells no"
        " numbers beside its plot, in which no loss is to be seen up to 75 edits.\n\n"
        + markdown(("scope classifier", "k", "ES", "DD", "ES - DD"), batches)
        + "\n\nBeyond: the same test with all its edits in memory at once, and with further published edits"
        " (zsRE's train questions, CounterFact, T-REx) that contradict none of them.\n\n"
        + markdown(
            ("edits in memory", "ES", "DD", "DD of Natural Questions", "of which an edit fired"), crowds, words=0
        )
        + not_measured(results)
    )
    return Shown(text, _plots(results))


def _plots(results: Mapping[str, Result]) -> dict[str, str]:
    lines = [
        _line(told or "shipped", results, [(k, f"{editor}-{k}") for k in SIZES]) for editor, told in EDITORS.items()
    ]
    beyond = _line("shipped", results, _crowds())
    plots = {}
    for name, drawn, title, label in (
        ("figure3", lines, "ES - DD against the number of edits (QA)", "edits at once, k"),
        ("figure3-beyond", [beyond], "ES - DD with further edits in memory (QA)", "edits in memory"),
    ):
        if any(line.points for line in drawn):
            told = "; ".join(
                f"{line.name}: " + ", ".join(f"{point.y:.3f} at {point.x:,g}" for point in line.points)
                for line in drawn
                if line.points
            )
            plots[name] = line_plot(
                drawn,
                title=title,
                description=f"Edit success less drawdown. {told}.",
                x_label=label,
                y_label="ES - DD",
                log_x=True,
            )
    return plots


FIGURE_3 = Experiment("figure3", "Many edits at once (SERAC, Figure 3), and many more", _cells, _show, SAMPLE)
