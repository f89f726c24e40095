"""All editors on the same base, edits and inputs: SERAC's Table 3 whole, and its Figure 3 with every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from errata.experiments.experiment import Cell, Experiment, Result, Shown
from errata.experiments.many_edits import net
from errata.experiments.parts import Setting
from errata.experiments.plots import Line, Point, line_plot
from errata.experiments.problem_tables import NAMES, not_measured
from errata.experiments.published import EDITORS3
from errata.experiments.rivals import ENN, FT, LU, MEND, OURS, RP, SEPROG, SLAG, TAUGHT, Rival, cell
from errata.experiments.tables import count, figure, markdown
from errata.models import Model
from errata.problems import cases as kinds
from errata.problems.cases import Problem

EDITS = 150
"""Edits that a cell makes in all, in batches of k; most editors take seconds for a batch."""
SAMPLE = 150
"""Inputs of each kind."""
TABLE = (FT, LU, MEND, ENN, RP, OURS)
SIZES = (1, 10, 75, 582)
SINGLE_EDITS = 100
"""Edits that are made one at a time."""
LINES: tuple[tuple[Rival, int | None], ...] = (
    (OURS, None), (LU, None), (RP, None), (FT, None), (MEND, 1), (MEND, None), (ENN, 1), (ENN, None),
)  # fmt: skip
"""Editors of the plot, with the k that their networks were trained at; None is the recipe's, 10."""


def batches_of(k: int) -> int:
    """How many batches of k a cell makes."""
    return max(1, EDITS // k)


# Table 3, all editors


def _pairs(problem: str) -> list[Rival]:
    return [rival for rival in TABLE if problem not in rival.never]


def _table_cells(setting: Setting) -> list[Cell]:
    return [
        cell(rival, setting, problem, edits=k, batches=batches_of(k))
        for problem in NAMES
        for k in [setting.parts(problem).k]
        for rival in _pairs(problem)
    ]


def _table(results: Mapping[str, Result]) -> Shown:
    columns = ("problem", "editor", "k", "inputs in / out", "ES", "DD", "ES - DD")
    rows: list[Sequence[object]] = []
    found = iter(results.values())
    for problem in NAMES:
        for rival in _pairs(problem):
            told = next(found).figures
            es, dd = EDITORS3[problem][rival.editor]
            point = net(told)
            rows.append(
                (
                    NAMES[problem],
                    rival.title,
                    told.get("at_once"),
                    f"{count(told.get('n_in'))} / {count(told.get('n_out'))}" if told else None,
                    figure(told.get("es"), told.get("es_ci"), paper=es),
                    figure(told.get("dd"), told.get("dd_ci"), paper=dd),
                    figure(point.y if point else None, paper=es - dd),
                )
            )
    note = (
        "Every editor in front of the same base, with the same edits and inputs, generated text. Ours first, the"
        " paper's in brackets; 95 % intervals in parentheses, bootstrap over edits. ConvSent's DD is KL per token;"
        " look-up and fine-tuning are no editors for it, since its edits have no answer to learn."
    )
    return Shown(f"{note}\n\n{markdown(columns, rows, words=2)}{not_measured(results)}")


EDITORS = Experiment("editors", "All editors on four problems (SERAC, Table 3)", _table_cells, _table, SAMPLE)


# Figure 3, all editors


def _named(rival: Rival, trained_at: int | None) -> str:
    if not rival.trained or rival.editor == SEPROG.editor:
        return rival.title
    return f"{rival.title}, trained at k = {trained_at or 10}"


def _key(rival: Rival, trained_at: int | None, k: int) -> str:
    return f"{rival.editor}{'' if trained_at is None else f'-k{trained_at}'}-{k}"


def _figure_cells(setting: Setting) -> list[Cell]:
    return [
        cell(
            rival,
            setting,
            "qa",
            edits=k,
            batches=batches_of(k),
            trained_at=at,
            name=_key(rival, at, k),
        )  # fmt: skip
        for rival, at in LINES
        for k in SIZES
    ]


def _figure(results: Mapping[str, Result]) -> Shown:
    rows, lines = [], []
    for rival, at in LINES:
        points = []
        for k in SIZES:
            found = results[_key(rival, at, k)].figures
            point = net(found)
            es, dd = (figure(found.get(name), found.get(f"{name}_ci")) for name in ("es", "dd"))
            rows.append((_named(rival, at), count(k), es, dd, figure(point.y if point else None)))
            if point is not None:
                points.append(Point(k, point.y, point.low, point.high))
        lines.append(Line(_named(rival, at), tuple(points)))
    text = (
        f"QA, at most {EDITS} edits in batches of k; 95 % intervals in parentheses, bootstrap over edits.\n\n"
        + markdown(("editor", "k", "ES", "DD", "ES - DD"), rows)
        + not_measured(results)
    )
    if not any(line.points for line in lines):
        return Shown(text)
    told = "; ".join(f"{line.name}: " + ", ".join(f"{p.y:.3f} at {p.x:,g}" for p in line.points) for line in lines)
    plot = line_plot(
        lines, title="ES - DD against the number of edits (QA)", description=f"Edit success less drawdown. {told}.",
        x_label="edits at once, k", y_label="ES - DD", log_x=True,
    )  # fmt: skip
    return Shown(text, {"editors-k": plot})


EDITORS_BY_K = Experiment("editors-k", "Many edits at once, all editors (SERAC, Figure 3)", _figure_cells, _figure, 100)


# one edit at a time


def consistent(problem: Problem, base: Model) -> Problem:
    """The edits whose in-scope inputs the base answers as it answers the edit's own prompt."""
    own = base.generate([case.edit.prompt for case in problem.cases])
    asked = [one.text for case in problem.cases for one in case.in_scope]
    said = dict(zip(asked, base.generate(asked), strict=True))
    kept = [
        case
        for case, answer in zip(problem.cases, own, strict=True)
        if case.in_scope and all(said[one.text] == answer for one in case.in_scope if one.kind in problem.success)
    ]
    return replace(problem, cases=tuple(kept))


SINGLE: tuple[tuple[Rival, int | None], ...] = (
    (FT, None), (MEND, 1), (ENN, 1), (SLAG, 1), (SEPROG, None), (TAUGHT, None),
)  # fmt: skip
"""Editors of the check, with the k that their networks were trained at; SeProG's recipe draws it from 1 to 12."""


def _single_cells(setting: Setting) -> list[Cell]:
    return [
        cell(rival, setting, "qa", edits=1, batches=SINGLE_EDITS, trained_at=at, narrowed=consistent)
        for rival, at in SINGLE
    ]


def _single(results: Mapping[str, Result]) -> Shown:
    rows = []
    for rival, at in SINGLE:
        found = results[f"{rival.key}-qa-1"].figures
        told = found.get("by_kind", {})
        apart = [told.get(kind, {}) for kind in (kinds.TRAIN_OTHER_SUBJECT, kinds.OTHER_SUBJECT, kinds.NQ)]
        rows.append(
            (
                _named(rival, at),
                figure(found.get("es"), found.get("es_ci")),
                figure(found.get("dd"), found.get("dd_ci")),
                *(figure(kind.get("dd"), kind.get("dd_ci")) for kind in apart),
            )
        )
    columns = (
        "editor",
        "ES",
        "DD",
        "DD, questions the base was trained on",
        "DD, other subjects",
        "DD, Natural Questions",
    )
    text = (
        f"QA, {SINGLE_EDITS} edits one at a time, of those whose rephrase the base answers as it answers the question;"
        " 95 % intervals in parentheses, bootstrap over edits. The bundled base was trained on zsRE's train questions"
        " and knows no Natural Question: what it says there is a guess, and a guess is changed by little.\n\n"
        + markdown(columns, rows)
        + not_measured(results)
    )
    return Shown(text)


EDITORS_SINGLE = Experiment("editors-single", "One edit at a time", _single_cells, _single, SAMPLE)
