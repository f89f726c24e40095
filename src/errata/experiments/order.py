"""Whether it matters how edits came into memory: all at once, one by one, shuffled, or over one another.

SERAC promises that it does not (section 5.1); this counts decisions, scores and answers that differ.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errata.edit import Answer, Edit
from errata.editors.serac import Serac, wrap
from errata.experiments.experiment import Cell, Experiment, Progress, Result, Shown
from errata.experiments.measuring import loaded, trio
from errata.experiments.parts import Setting, open_base, open_counterfactual, open_scope
from errata.experiments.problem_tables import not_measured
from errata.experiments.rows import RowFile
from errata.experiments.tables import count, markdown

EDITS = 100
"""Edits, a seeded sample."""
INPUTS = 100
"""Inputs of each kind: each is asked as often as there are ways."""
CHUNK = 64
FIRST = "all at once"
ROUNDING = 1e-6
"""Scores nearer than this are alike: an edit's vector, encoded beside others, differs in its last digits."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an editor said to an input: the edit that answered, the best candidate's score, the text."""

    way: str
    input: str
    matched: str | None
    score: float | None
    answer: str


def _shuffled(edits: Sequence[Edit], seed: int) -> list[Edit]:
    return random.Random(f"{seed} order").sample(list(edits), len(edits))


def _stored(editor: Serac, edits: Sequence[Edit], at_once: int) -> Serac:
    for begin in range(0, len(edits), at_once):
        editor.add(*edits[begin : begin + at_once])
    return editor


def _over(editor: Serac, edits: Sequence[Edit]) -> Serac:
    for edit in edits:
        editor = editor.edit(edit)
    return editor


Way = Callable[[Serac, Sequence[Edit], int], Serac]
WAYS: Mapping[str, Way] = {
    FIRST: lambda editor, edits, seed: _stored(editor, edits, len(edits)),
    "one by one": lambda editor, edits, seed: _stored(editor, edits, 1),
    "shuffled": lambda editor, edits, seed: _stored(editor, _shuffled(edits, seed), 7),
    "over one another": lambda editor, edits, seed: _over(editor, _shuffled(edits, seed)),
}
"""How edits come into force: stored in the memory, or as `edit()` lays each over the last."""


def _cells(setting: Setting) -> list[Cell]:
    parts = trio(setting, "qa")
    config = {
        **parts.config(),
        "edits": EDITS,
        "inputs": setting.limit,
        "seed": setting.seed,
        "data": setting.data_hash("qa"),
    }

    def run(rows: Path, progress: Progress) -> Mapping[str, Any]:
        whole = loaded("qa", setting.data, setting.seed)
        problem = whole.sample(min(EDITS, len(whole.cases)), setting.seed).limited(setting.limit, setting.seed)
        inputs = [one.text for case in problem.cases for one in case.in_scope]
        inputs += [one.text for case in problem.cases for one in case.out_of_scope]
        inputs += [one.text for one in problem.shared]
        edits = [case.edit for case in problem.cases]
        base, scope = open_base(parts.base), open_scope(parts.scope)
        counterfactual = open_counterfactual(parts.counterfactual)
        said: dict[str, list[Told]] = {}
        with RowFile(rows, {"run": config}) as file:
            for name, way in WAYS.items():
                empty = wrap(base, scope=scope, counterfactual=counterfactual)
                try:
                    editor = way(empty, edits, setting.seed)
                    said[name] = list(file.through(_asked(name, editor, inputs, progress)))
                finally:
                    empty.memory.close()
        return {"edits": len(edits), "inputs": len(inputs), "ways": compared(said)}

    return [Cell(name="qa", config=config, run=run, missing=parts.missing)]


def _asked(way: str, editor: Serac, inputs: Sequence[str], progress: Progress) -> Sequence[Told]:
    told = []
    for begin in range(0, len(inputs), CHUNK):
        chunk = inputs[begin : begin + CHUNK]
        told += [_told(way, text, answer) for text, answer in zip(chunk, editor.generate(chunk), strict=True)]
        progress(way, len(told), len(inputs))
    return told


def _told(way: str, text: str, answer: Answer) -> Told:
    decision = answer.decision
    best = decision.nearest[0].score if decision.nearest else None
    return Told(way, text, decision.match.edit.id if decision.match else None, best, answer.text)


def compared(said: Mapping[str, Sequence[Told]]) -> dict[str, dict[str, float]]:
    """How many inputs each way but the first decides, scores and answers otherwise than the first.

    Args:
        said: by way, in the same order of inputs.

    Returns:
        By way: `matched`, `score` (beyond `ROUNDING`) and `answer` count inputs; `furthest` is the greatest difference
        of two scores.
    """
    [(_, first), *others] = said.items()
    return {way: _differences(list(zip(first, told, strict=True))) for way, told in others}


def _differences(pairs: Sequence[tuple[Told, Told]]) -> dict[str, float]:
    gaps = [abs((one.score or 0.0) - (two.score or 0.0)) for one, two in pairs]
    return {
        "matched": sum(one.matched != two.matched for one, two in pairs),
        "score": sum(gap > ROUNDING for gap in gaps),
        "answer": sum(one.answer != two.answer for one, two in pairs),
        "furthest": max(gaps, default=0.0),
    }


def _show(results: Mapping[str, Result]) -> Shown:
    found = results["qa"].figures
    rows = [
        (way, told["matched"], told["score"], told["answer"], f"{told['furthest']:.0e}" if told["furthest"] else "0")
        for way, told in found.get("ways", {}).items()
    ]
    note = (
        f"QA: {count(found.get('edits'))} edits, {count(found.get('inputs'))} inputs in and out of scope. Inputs that"
        f" are decided, scored (by more than {ROUNDING:.0e}) or answered otherwise than with the edits put in memory"
        f" {FIRST}."
    )
    table = markdown(("edits put in", "decisions", "scores", "answers", "scores at most apart"), rows)
    return Shown(f"{note}\n\n{table}{not_measured(results)}")


ORDER = Experiment("order", "The order of edits (SERAC, section 5.1)", _cells, _show, INPUTS)
