"""Replies before and after a sentiment edit, drawn and not picked (SERAC, Tables 2 and 7).

Ten of either, sampled at temperature 1.4 without a beam, from ten seeds. The topics are the paper's; whether the parts
were trained on one is looked up in the data and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.editors.serac import wrap
from errata.errors import ConfigError
from errata.experiments.experiment import Cell, Experiment, Progress, Result, Shown
from errata.experiments.measuring import Trio, trio
from errata.experiments.parts import Setting, open_base, open_counterfactual, open_scope
from errata.experiments.problem_tables import not_measured
from errata.experiments.rows import RowFile
from errata.experiments.tables import markdown
from errata.problems.cases import DataFolder
from errata.problems.sentiment import descriptor, topic

TOPICS = (("vaccines", "Positive"), ("bananas", "Negative"))
QUESTION = "What do you think of {}?"
REPLIES = 10
TEMPERATURE = 1.4
TRAINED_ON = ("convsent/train.json", "convsent/dev.json")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: before or after the edit, by which seed, and the edit that answered."""

    when: str
    seed: int
    text: str
    matched: str | None


def _cells(setting: Setting) -> list[Cell]:
    parts = trio(setting, "sentiment")
    return [_cell(setting, parts, about, sentiment) for about, sentiment in TOPICS]


def _cell(setting: Setting, parts: Trio, about: str, sentiment: str) -> Cell:
    config = {
        **parts.config(),
        "topic": about,
        "sentiment": sentiment,
        "question": QUESTION,
        "replies": REPLIES,
        "temperature": TEMPERATURE,
        "seed": setting.seed,
        "data": setting.data_hash("sentiment"),
    }

    def run(rows: Path, progress: Progress) -> Mapping[str, Any]:
        if seen := met(about, setting.data):
            raise ConfigError(f"the topic {about!r} is in {seen}, which is trained on; take another", key=about)
        with RowFile(rows, {"run": config}) as file:
            replies = list(file.through(_replies(setting, parts, about, sentiment, progress)))
        told = {when: [reply.text for reply in replies if reply.when == when] for when in ("before", "after")}
        return {**told, "fired": sum(reply.matched is not None for reply in replies)}

    return Cell(name=f"{about}-{sentiment.lower()}", config=config, run=run, missing=parts.missing)


def met(about: str, data: Path | None) -> str:
    """The training or dev file that has the topic; "" where none has."""
    folder = DataFolder(data)
    names = (name for name in TRAINED_ON if topic(about) in {topic(row["ent"]) for row in folder.read(name, "ent")})
    return next(names, "")


def _replies(setting: Setting, parts: Trio, about: str, sentiment: str, progress: Progress) -> Iterator[Reply]:
    """Ten of the base, then ten of the editor, from the same seeds."""
    base = open_base(parts.base)
    editor = wrap(base, scope=open_scope(parts.scope), counterfactual=open_counterfactual(parts.counterfactual))
    seeds = range(setting.seed, setting.seed + REPLIES)
    asked = [QUESTION.format(about)]
    try:
        for seed in seeds:
            [text] = base.generate(asked, temperature=TEMPERATURE, seed=seed)
            yield Reply("before", seed, text, None)
        editor.add(Edit(prompt=descriptor(about, sentiment), meta={"topic": about, "sentiment": sentiment}))
        for at, seed in enumerate(seeds):
            [answer] = editor.generate(asked, temperature=TEMPERATURE, seed=seed)
            match = answer.decision.match
            yield Reply("after", seed, answer.text, match.edit.id if match else None)
            progress("replies", at + 1, REPLIES)
    finally:
        editor.memory.close()


def _show(results: Mapping[str, Result]) -> Shown:
    text = (
        f"{REPLIES} replies before and {REPLIES} after the edit, temperature {TEMPERATURE}, no beam, none picked. The"
        " topics are in no file that is trained on."
    )
    for (about, sentiment), result in zip(TOPICS, results.values(), strict=True):
        found = result.figures
        if found:
            rows = [*zip(found["before"], found["after"], strict=True)]
            head = f'"{descriptor(about, sentiment)}", asked "{QUESTION.format(about)}"'
            fired = f"the edit fired {found['fired']} times"
            text += f"\n\n## {about}\n\n{head}; {fired}.\n\n{markdown(('before', 'after'), rows, words=2)}"
    return Shown(text + not_measured(results))


SAMPLES = Experiment("samples", "Replies before and after an edit (SERAC, Tables 2 and 7)", _cells, _show)
