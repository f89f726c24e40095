"""Table 3 of SeProG's paper: time and memory of a training step and of inference, by editor, for 64 and for 128 edits.

Each figure is of a process of its own, which loads the base and makes the editor, trained or not: what a step takes
does not depend on what was learnt. Training is the loss of a batch, forward and back; inference is making the edits and
answering as many inputs. Memory is how much further the process grew than it had when all was loaded.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.errors import ConfigError
from errata.experiments.costs import resident
from errata.experiments.experiment import Cell, Experiment, Progress, Result, Shown
from errata.experiments.parts import Setting, find
from errata.experiments.problem_tables import not_measured
from errata.experiments.rivals import ENN, FT, MEND, OURS, SEPROG, SLAG, Rival
from errata.experiments.rows import RowFile
from errata.experiments.tables import count, figure, markdown

SIZES = (64, 128)
METHODS = (FT, ENN, SLAG, MEND, OURS, SEPROG)
PROBLEM = "zsre_copy"
WARM, TIMES = 1, 3
"""Runs before the clock is read, and runs of which the median is told."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What training or inference took: the median of seconds, and bytes that the process grew by."""

    phase: str
    seconds: float
    bytes: int | None


def _cells(setting: Setting) -> list[Cell]:
    base = find(setting.parts(PROBLEM).base, setting.runs)
    cells = []
    for rival in METHODS:
        for size in SIZES:
            config = {
                "editor": rival.editor,
                "edits": size,
                "base": {"name": base.name, "fingerprint": base.fingerprint},
                "data": setting.data_hash(PROBLEM),
                "seed": setting.seed,
                **_made_of(rival, setting),
            }
            asked = {"editor": rival.editor, "edits": size, "base": base.place, "seed": setting.seed}
            asked["data"] = str(setting.data or os.environ.get("ERRATA_DATA", ""))
            run = partial(_measured, asked, config)
            cells.append(Cell(name=f"{rival.editor}-{size}", config=config, run=run, missing=base.missing))
    return cells


def _made_of(rival: Rival, setting: Setting) -> dict[str, Any]:
    """What of the editor its costs depend on: SERAC's networks, FT's settings, the recipe of one that learns."""
    from errata.training.parts import default_settings

    if rival == OURS:
        return {"parts": [find(name, setting.runs).fingerprint for name in ("cascade", "reader")]}
    return {"settings": asdict(default_settings(f"{rival.editor}-{PROBLEM}")) if rival.trained else {**rival.settings}}


def _measured(asked: Mapping[str, Any], config: Mapping[str, Any], rows: Path, progress: Progress) -> dict[str, Any]:
    """Both phases, each in a process of its own."""
    found: dict[str, Any] = {}
    phases = ("train", "infer") if asked["editor"] != "ft" else ("infer",)
    with RowFile(rows, {"run": dict(config)}) as file:
        told = []
        for at, phase in enumerate(phases):
            progress(phase, at, len(phases))
            told.append(Phase(phase, **_process({**asked, "phase": phase})))
            found |= {f"{phase}_seconds": told[-1].seconds, f"{phase}_bytes": told[-1].bytes}
        list(file.through(iter(told)))
    progress("done", len(phases), len(phases))
    return found


def _process(asked: Mapping[str, Any]) -> dict[str, Any]:
    code = "import sys; from errata.experiments.editing_costs import measure; print(measure(sys.argv[1]))"
    one = {"OMP_NUM_THREADS": "1"}  # more threads would wait for one another wherever something else runs
    environment = {**os.environ, **one, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", code, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ConfigError(f"a process that measures {asked['editor']} failed: {done.stderr.strip()[-300:]}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def measure(asked: str) -> str:
    """What one phase of one editor takes in this process: JSON with `seconds` (median) and `bytes`.

    Args:
        asked: JSON with `editor`, `phase` ("train" or "infer"), `edits`, `base`, `data` and `seed`.
    """
    wish = json.loads(asked)
    work = _training(wish) if wish["phase"] == "train" else _inference(wish)
    before = resident("VmRSS:")
    for _ in range(WARM):
        work()
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    after = resident("VmHWM:")
    grown = None if before is None or after is None else after - before
    return json.dumps({"seconds": round(statistics.median(times), 4), "bytes": grown})


def _training(wish: Mapping[str, Any]) -> Callable[[], object]:
    """A step's forward and backward pass on the same batch."""
    from errata.editors.weights import editable
    from errata.models.load import load_model
    from errata.models.prompted import prompted
    from errata.training.diets import diet_of
    from errata.training.editing import EDITORS, base_of, losses_of, trials_of
    from errata.training.parts import default_settings
    from errata.training.seprog import Sets
    from errata.training.seprog import objective as guided

    source, data = random.Random(wish["seed"]), Path(wish["data"])
    diet = diet_of(PROBLEM, data, wish["seed"])
    if wish["editor"] == "serac":
        return _scope_step(data, wish["edits"], source)
    settings = default_settings(f"{wish['editor']}-{PROBLEM}")
    model = editable(load_model(wish["base"] or base_of(settings)))
    model.module.requires_grad_(False).eval()
    if wish["editor"] == "seprog":
        from errata.models.prompter import new_prompter

        base = prompted(model)
        network = new_prompter(base, settings.network).train()
        sets = Sets(diet(wish["edits"], source), [0] * wish["edits"])
        return partial(_back, lambda trained, dealt: guided(trained, base, dealt, settings.scope_weight), network, sets)
    network = EDITORS[type(settings)].new(model, settings.network).train()
    loss = partial(losses_of, settings, model)
    trials = trials_of(model, diet, wish["edits"], 1, source, others=wish["editor"] == "slag")
    return partial(_back, loss, network, trials)


def _scope_step(data: Path, edits: int, source: random.Random) -> Callable[[], object]:
    """A step of the shipped scope classifier of the first stage, and one of the second, which is the reader too."""
    from errata.models.backbone import find_backbone
    from errata.models.network import new_network
    from errata.models.text import Texts
    from errata.training.duals import dual_batch, dual_loss
    from errata.training.groups import Sources
    from errata.training.pairs import pair_batch, pair_loss
    from errata.training.scope import DUAL, PAIR

    groups = Sources(data).batch(source, edits)
    steps = []
    for settings, make, loss in ((DUAL, dual_batch, dual_loss), (PAIR, pair_batch, pair_loss)):
        module = new_network(settings.network).train()
        texts = Texts(find_backbone(settings.network.backbone), max_length=settings.max_length)
        batch = make(groups, texts, settings, source)
        steps.append(partial(_back, loss, module, batch))
    return lambda: [step() for step in steps]


def _back(loss: Callable[[Any, Any], Mapping[str, Any]], module: Any, batch: Any) -> None:
    loss(module, batch)["loss"].backward()


def _inference(wish: Mapping[str, Any]) -> Callable[[], object]:
    """Making the edits and answering as many inputs in scope, one batch."""
    from errata.editors.serac import wrap
    from errata.models.load import load_model
    from errata.training.diets import diet_of

    drawn = diet_of(PROBLEM, Path(wish["data"]), wish["seed"])(wish["edits"], random.Random(wish["seed"]))
    edits = [Edit(prompt=prompt, target=target, id=str(at)) for at, (prompt, target) in enumerate(drawn.told)]
    texts = [text for text, _ in drawn.inside]
    model = load_model(wish["base"])
    editor = wrap(model) if wish["editor"] == "serac" else _untrained(wish["editor"], model)
    return lambda: editor.edit(*edits).generate(texts)


def _untrained(editor: str, model: Any) -> Any:
    """An editor as it is before training."""
    from errata.editors.finetune import FineTune
    from errata.editors.seprog import Seprog
    from errata.editors.weights import editable
    from errata.models.prompted import prompted
    from errata.models.prompter import new_prompter
    from errata.training.editing import EDITORS
    from errata.training.parts import default_settings

    if editor == "ft":
        return FineTune(model, **FT.settings)
    settings = default_settings(f"{editor}-{PROBLEM}")
    if editor == "seprog":
        return Seprog(model, new_prompter(prompted(model), settings.network), settings.network)
    kind = EDITORS[type(settings)]
    return kind(model, kind.new(editable(model), settings.network), settings.network)


# what is shown


def _show(results: Mapping[str, Result]) -> Shown:
    rows: list[Sequence[object]] = []
    for rival in METHODS:
        for size in SIZES:
            found = results[f"{rival.editor}-{size}"].figures
            told = [figure(found.get(f"{phase}_seconds"), digits=2) for phase in ("train", "infer")]
            grown = [found.get(f"{phase}_bytes") for phase in ("train", "infer")]
            memory = [figure(None if one is None else one / 1e6, digits=0) for one in grown]
            rows.append((rival.title, count(size), told[0], memory[0], told[1], memory[1]))
    columns = ("editor", "edits", "training step, s", "memory, MB", "inference, s", "memory, MB")
    note = (
        "On one core of this machine's CPU; the paper's is a GPU with T5-large. A training step is the loss of one"
        " batch, forward and back; inference is making the edits and answering as many inputs."
        f" Medians of {TIMES} in a process of its own; memory is how much the process grew beyond what it had when all"
        " was loaded. FT is not trained; SERAC's step is of both its networks, which no base needs anew."
    )
    return Shown(f"{note}\n\n{markdown(columns, rows)}{not_measured(results)}")


COSTS = Experiment("seprog-costs", "Time and memory of editing (SeProG, Table 3)", _cells, _show)
