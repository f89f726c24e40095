"""Tables 3, 4 and 5 of SERAC's paper: all problems, either part by split, and four kinds of scope classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from errata import zoo
from errata.experiments.experiment import Cell, Experiment, Result, Shown
from errata.experiments.measuring import evaluation, trio
from errata.experiments.parts import Found, Setting, find, folder_hash
from errata.experiments.published import TABLE3, TABLE4, TABLE5
from errata.experiments.tables import count, figure, markdown

NAMES = {"qa": "QA", "qa_hard": "QA-hard", "fact_check": "FC", "sentiment": "ConvSent"}
"""The problems as the paper calls them."""
READ = "Ours first, the paper's in brackets; 95 % intervals in parentheses, bootstrap over edits."

SAMPLE = 300
"""Inputs of each kind for what compares parts with one another; the figures themselves, Table 3, are of all inputs."""
SIZES = {"large": 0, "small": 3}
"""Layers kept of the six of MiniLM, 0 for all; the paper's two sizes are BERT-base and DistilBERT."""
KINDS = {"Embed": "dual", "Cross": "pair"}
TRAINED = ("universal", "for the problem")
HARD_PROBLEMS = ("qa_hard", "fact_check")


def not_measured(results: Mapping[str, Result]) -> str:
    """What is missing or failed, as a list under a table; "" where nothing is."""
    lines = [f"- {name}: {result.why}" for name, result in results.items() if result.why]
    return "\n\nNot measured:\n\n" + "\n".join(lines) if lines else ""


# Table 3


def _table3_cells(setting: Setting) -> list[Cell]:
    return [evaluation(name, setting, name, edits=setting.parts(name).k) for name in NAMES]


def _table3(results: Mapping[str, Result]) -> Shown:
    columns = ("problem", "base", "k", "inputs in / out", "ES", "DD", "ES easy", "ES hard", "DD easy", "DD hard")
    rows = [_line3(name, result.figures) for name, result in results.items()]
    note = f"{READ} k edits are in memory at once, all batches of k pooled. ConvSent's DD is KL per token."
    return Shown(f"{note}\n\n{markdown(columns, rows, words=2)}{not_measured(results)}")


def _line3(name: str, found: Mapping[str, Any]) -> Sequence[object]:
    es, dd = TABLE3[name]
    easy, hard = found.get("easy") or {}, found.get("hard") or {}
    return (
        NAMES[name],
        found.get("model"),
        found.get("at_once"),
        f"{count(found.get('n_in'))} / {count(found.get('n_out'))}" if found else None,
        figure(found.get("es"), found.get("es_ci"), paper=es),
        figure(found.get("dd"), found.get("dd_ci"), paper=dd),
        *(figure(half.get("es")) for half in (easy, hard)),
        *(figure(half.get("dd")) for half in (easy, hard)),
    )


TABLE_3 = Experiment("table3", "Editing four problems (SERAC, Table 3)", _table3_cells, _table3)


# Table 4


def _table4_cells(setting: Setting) -> list[Cell]:
    return [evaluation(name, setting, name, edits=setting.parts(name).k, components=True) for name in HARD_PROBLEMS]


def _table4(results: Mapping[str, Result]) -> Shown:
    columns = ("problem", "split", "inputs", "scope classifier", "counterfactual model")
    rows: list[Sequence[object]] = []
    for name, result in results.items():
        for line in result.figures.get("details", {}).get("components") or ():
            scope, answer = TABLE4.get((name, line["side"], line["hard"]), (None, None))
            split = f"{line['side']} ({'hard' if line['hard'] else 'easy'})"
            rows.append(
                (
                    NAMES[name],
                    split,
                    count(line["count"]),
                    figure(line["scope"], paper=scope),
                    figure(line["answer"], paper=answer),
                )
            )
        if not result.figures:
            rows.append((NAMES[name], None, None, None, None))
    note = (
        f"Accuracy of either part by split. {READ.split(';')[0]}. The counterfactual model is asked whether or not the"
        " scope classifier would have: in scope under the input's own edit, out of scope under the nearest one, where"
        " the base model's own answer is due."
    )
    return Shown(f"{note}\n\n{markdown(columns, rows, words=2)}{not_measured(results)}")


TABLE_4 = Experiment("table4", "Either part by split (SERAC, Table 4)", _table4_cells, _table4, SAMPLE)


# Table 5


def part_of(kind: str, size: str, problem: str | None) -> str:
    """The folder's name in `runs` of a scope classifier: "dual-3", "qa_hard-pair".

    Args:
        kind: a key of `KINDS`.
        size: a key of `SIZES`.
        problem: what it was trained for; None for all.
    """
    layers = SIZES[size]
    return "-".join([*([problem] if problem else []), KINDS[kind], *([str(layers)] if layers else [])])


def _classifier(setting: Setting, kind: str, size: str, problem: str | None) -> Found:
    name = part_of(kind, size, problem)
    if name in zoo.names():  # by its folder: the name "cross" means the verifier's network where a verifier answers
        place = zoo.path(name)
        return Found(name, str(place), folder_hash(place), folder=place)
    verifier = find("verifier", setting.runs)
    if name == part_of("Cross", "large", "fact_check") and not verifier.missing:
        return Found("cross", "cross", f"cross+{verifier.fingerprint}")
    verb = "scope" if kind == "Embed" else "counterfactual"
    words = (f"errata train {verb}", problem, f"--config configs/tables/{name}.toml --out {setting.runs / name}")
    make = " ".join(word for word in words if word)
    return find(name, setting.runs, make=make)


def _table5_cells(setting: Setting) -> list[Cell]:
    cells = []
    for problem in HARD_PROBLEMS:
        for kind in KINDS:
            for size in SIZES:
                for trained in TRAINED:
                    scope = _classifier(setting, kind, size, problem if trained == TRAINED[1] else None)
                    name = f"{problem}-{kind}-{size}-{'own' if trained == TRAINED[1] else 'all'}".lower()
                    parts = trio(setting, problem, scope=scope)
                    edits = setting.parts(problem).k
                    about = {"kind": kind, "size": size, "trained": trained}
                    cells.append(evaluation(name, setting, problem, edits=edits, parts=parts, about=about))
    return cells


def _table5(results: Mapping[str, Result]) -> Shown:
    columns = ("problem", "scope classifier", "layers", "trained", "ES", "DD")
    rows: list[Sequence[object]] = []
    order = [(p, kind, size, t) for p in HARD_PROBLEMS for kind in KINDS for size in SIZES for t in TRAINED]
    for (problem, kind, size, trained), result in zip(order, results.values(), strict=True):
        es, dd = TABLE5[problem, kind, size]
        found = result.figures
        told = [figure(found.get("es"), found.get("es_ci"), paper=es)]
        told.append(figure(found.get("dd"), found.get("dd_ci"), paper=dd))
        rows.append((NAMES[problem], kind, SIZES[size] or 6, trained, *told))
    note = (
        f"{READ} MiniLM with all six layers stands beside the paper's BERT-base, cut to three beside DistilBERT."
        " Universal: one classifier for all problems."
    )
    return Shown(f"{note}\n\n{markdown(columns, rows, words=4)}{not_measured(results)}")


TABLE_5 = Experiment(
    "table5", "Scope classifiers of two kinds and sizes (SERAC, Table 5)", _table5_cells, _table5, SAMPLE
)
