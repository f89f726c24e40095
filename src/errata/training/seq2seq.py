"""Train SERAC's own kind of counterfactual model: an encoder-decoder that reads the edit and the input and writes.

Equation 3 on the same groups that the reader learns from. It starts from a trained encoder-decoder, the bundled base
model by default, as the paper starts from a pretrained T5.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.edit import Edit, Match
from errata.errors import ConfigError
from errata.models import Model
from errata.models.echo import EchoModel
from errata.models.pair import SAID
from errata.models.saving import resolve
from errata.training.group import Group, Inside
from errata.training.groups import SHARES, Sources
from errata.training.loop import LoopSettings, train
from errata.training.texts import read

Triple = tuple[str, Edit, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq2SeqSettings:
    """The encoder-decoder and how it is trained."""

    problem: str = ""
    """A key of `SHARES`; "" is everything at once."""
    start: str = "mini"
    """A shipped part, a folder or a hub id of an encoder-decoder."""
    separator: str = " | "
    """What stands between prompt, target and input; the authors join them by a space."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=3000,
            batch=32,
            optimizer="adafactor",
            lr=1e-2,
            warmup=100,
            precision="bf16",
            evaluate_every=1000,
            save_every=250,
        )
    )
    """The training loop; a batch is of groups."""

    def __post_init__(self) -> None:
        if self.problem not in SHARES:
            raise ConfigError(f"problem {self.problem!r} is not known", key="problem", accepted=tuple(SHARES))


def triples(groups: Sequence[Group]) -> list[Triple]:
    """(input, edit, answer) of every in-scope input whose answer is told."""
    return [
        (one.text, Edit(prompt=group.prompt, target=group.target), _answer(one))
        for group in groups
        for one in group.inside
        if one.kind != "none"
    ]


def _answer(one: Inside) -> str:
    return SAID.get(one.kind, one.answer)


def dev_triples(data: Path) -> list[Triple]:
    """ZsRE's dev edits with their published rephrases."""
    found: list[Triple] = []
    for row in read(data / "zsre" / "decao_dev.jsonl"):
        edit, said = Edit(prompt=row["prompt"], target=row["target_new"]), row["rephrase_prompt"]
        found += [(text, edit, row["target_new"]) for text in ([said] if isinstance(said, str) else said)]
    return found


def exact_match(model: Seq2SeqCounterfactual, exam: Sequence[Triple]) -> float:
    """Share of inputs whose generated answer, greedy, is the expected one."""
    base: Model = EchoModel()
    answers = model.respond([text for text, _, _ in exam], [Match(edit, 1.0) for _, edit, _ in exam], base)
    return sum(said.strip() == due for said, (_, _, due) in zip(answers, exam, strict=True)) / len(exam)


def train_seq2seq(settings: Seq2SeqSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train a counterfactual model into `folder/model`; returns its dev figures.

    Args:
        settings: the model to start from and the loop.
        folder: checkpoints, log and the finished model.
        data: the public data's folder.

    Raises:
        ModelError: the model to start from cannot be loaded.
    """
    model = Seq2SeqCounterfactual.from_pretrained(
        resolve(settings.start), separator=settings.separator, device="cpu", dtype="float32", batch_size=64
    )
    model.model.module.requires_grad_(True)
    sources = Sources(data, seed=settings.loop.seed, problem=settings.problem)
    exam = dev_triples(data)

    tokenizer: Any = model.model.tokenizer

    def batch_at(source: random.Random) -> Mapping[str, Any]:
        found = triples(sources.batch(source, settings.loop.batch))
        inputs = tokenizer([model.text(edit, text) for text, edit, _ in found], return_tensors="pt", padding=True)
        labels = tokenizer([due for _, _, due in found], return_tensors="pt", padding=True)
        due = labels["input_ids"].masked_fill(labels["attention_mask"] == 0, -100)
        return {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "labels": due}

    train(
        model.model.module,
        batch_at,
        lambda module, batch: {"loss": module(**batch).loss},
        settings.loop,
        folder,
        evaluate=lambda _: {"dev rephrase": exact_match(model, exam)},
        better="dev rephrase",
    )
    figures = {
        "parameters": sum(parameter.numel() for parameter in model.model.module.parameters()),
        "dev rephrase": exact_match(model, exam),
    }
    model.model.module.half()
    model.save_pretrained(folder / "model")
    return figures
