"""SeProG's Table 2 with Figure 2 (five data sets, seven editors, batches of 1 to 128 edits) and Figure 3 (ablations).

The paper's tables are averages over the sizes of batch; its numbers are lost in the text that we have, so none stands
beside ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from errata import metrics
from errata.experiments.experiment import Cell, Experiment, Result, Shown
from errata.experiments.parts import Setting
from errata.experiments.plots import Line, Point, line_plot
from errata.experiments.problem_tables import not_measured
from errata.experiments.rivals import ENN, FT, MEND, OURS, SEPROG, SLAG, TAUGHT, VARIANTS, Rival, cell
from errata.experiments.tables import figure, markdown

SETS: Mapping[str, str] = {
    "zsre_copy": "zsRE",
    "fever_copy": "FEVER",
    "wikipedia": "Wikipedia",
    "leapofthought": "LeapOfThought",
    "triples": "Triples",
}
"""The data sets: three that copy the edit's answer, and two whose inputs the edit entails."""
SIZES = (1, 4, 10, 20, 64, 128)
ABLATED = (1, 10, 128)
"""Sizes of batch of the ablations."""
EDITS = 128
"""Edits that a cell makes in all, in batches of k."""
SAMPLE, ABLATED_SAMPLE = 128, 64
"""Inputs of each kind."""
METHODS = (FT, ENN, SLAG, MEND, OURS, SEPROG, TAUGHT)
MEASURES = {"es": "ES", "dd": "DD", "dd_label": "DD, label"}
"""What is told: edit success, SERAC's drawdown (against the base's answer), SeProG's (against the label)."""


def _cells(rivals: Sequence[Rival], sizes: Sequence[int]) -> Callable[[Setting], list[Cell]]:
    def cells(setting: Setting) -> list[Cell]:
        return [
            cell(rival, setting, name, edits=k, batches=max(1, EDITS // k))
            for name in SETS
            for rival in rivals
            for k in sizes
        ]

    return cells


def _values(
    results: Mapping[str, Result], rival: Rival, name: str, measure: str, sizes: Sequence[int]
) -> dict[int, float]:
    """A figure by k, as far as it was measured."""
    found = {k: results[f"{rival.key}-{name}-{k}"].figures.get(measure) for k in sizes}
    return {k: value for k, value in found.items() if value is not None}


def _shown(
    rivals: Sequence[Rival], sizes: Sequence[int], stem: str, note: str
) -> Callable[[Mapping[str, Result]], Shown]:
    def show(results: Mapping[str, Result]) -> Shown:
        columns = (
            "editor",
            *(f"{title} {what}" for title in SETS.values() for what in ("ES", "DD")),
            "all ES",
            "all DD",
        )
        parts = [note, markdown(columns, [_averages(results, rival, sizes) for rival in rivals])]
        for name, title in SETS.items():
            head = ("editor", "figure", *(f"k = {k}" for k in sizes))
            rows = [_line(results, rival, name, measure, sizes) for rival in rivals for measure in MEASURES]
            parts.append(f"{title}:\n\n{markdown(head, rows, words=2)}")
        return Shown("\n\n".join(parts) + not_measured(results), _plots(results, rivals, sizes, stem))

    return show


def _averages(results: Mapping[str, Result], rival: Rival, sizes: Sequence[int]) -> list[str]:
    """Over all sizes of batch, by data set and over all; only where every size was measured."""
    cells: list[str] = [rival.title]
    whole: dict[str, list[float]] = {"es": [], "dd": []}
    for name in SETS:
        for measure, means in whole.items():
            values = list(_values(results, rival, name, measure, sizes).values())
            mean = metrics.mean(values) if len(values) == len(sizes) else None
            cells.append(figure(mean))
            means += [] if mean is None else [mean]
    return cells + [figure(metrics.mean(means) if len(means) == len(SETS) else None) for means in whole.values()]


def _line(results: Mapping[str, Result], rival: Rival, name: str, measure: str, sizes: Sequence[int]) -> list[str]:
    found = [results[f"{rival.key}-{name}-{k}"].figures for k in sizes]
    return [rival.title, MEASURES[measure], *(figure(one.get(measure), one.get(f"{measure}_ci")) for one in found)]


def _plots(results: Mapping[str, Result], rivals: Sequence[Rival], sizes: Sequence[int], stem: str) -> dict[str, str]:
    plots = {}
    for name, title in SETS.items():
        for measure in ("es", "dd"):
            lines = [
                Line(rival.title, tuple(Point(k, y) for k, y in _values(results, rival, name, measure, sizes).items()))
                for rival in rivals
            ]
            if any(line.points for line in lines):
                told = "; ".join(
                    f"{one.name}: " + ", ".join(f"{p.y:.3f} at {p.x:g}" for p in one.points) for one in lines
                )
                plots[f"{stem}-{name}-{measure}"] = line_plot(
                    lines, title=f"{MEASURES[measure]} on {title}", description=told, x_label="edits at once, k",
                    y_label=MEASURES[measure], log_x=True,
                )  # fmt: skip
    return plots


SEPROG_TABLE = Experiment(
    "seprog",
    "Editors on SeProG's data sets (SeProG, Table 2 and Figure 2)",
    _cells(METHODS, SIZES),
    _shown(
        METHODS,
        SIZES,
        "seprog",
        f"At most {EDITS} edits in batches of k, every editor in front of the same base with the same edits and inputs,"
        " generated text; 95 % intervals in parentheses, bootstrap over edits. The first table averages over the sizes"
        " of batch, as the paper's does. DD is SERAC's, against the base's own answer; the paper's, against the label,"
        " counts what the base does not know as well, and stands below.",
    ),
    SAMPLE,
)
ABLATIONS = Experiment(
    "seprog-ablations",
    "What SeProG's parts are for (SeProG, Figure 3)",
    _cells(VARIANTS, ABLATED),
    _shown(
        VARIANTS,
        ABLATED,
        "ablations",
        f"At most {EDITS} edits in batches of k, generated text; 95 % intervals in parentheses, bootstrap over edits.",
    ),
    ABLATED_SAMPLE,
)
