"""Train "triples", the base model of the problem `triples`: an encoder-decoder that knows the unedited triples.

SeProG edits a BART fine-tuned on Wikidata5m; here the bundled base goes on learning, in several wordings of each
relation, the triples of every split, those of the test too: what a base model is asked it must have known before. It
never reads a held-out wording or an edit's target as such.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errata.models.local import LocalModel
from errata.models.saving import resolve
from errata.problems.cases import DataFolder
from errata.problems.triples import Triple, choose, read_triples
from errata.training.base import Pair, exact_match
from errata.training.loop import LoopSettings, train


@dataclass(frozen=True, slots=True, kw_only=True)
class TripleSettings:
    """The model to start from and how it is trained."""

    start: str = "mini"
    """A shipped part, a folder or a hub id of an encoder-decoder."""
    exam: int = 1000
    """Questions of each kind asked when training has ended; 0 asks all."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=600,
            batch=64,
            optimizer="adafactor",
            lr=2e-2,
            warmup=100,
            precision="bf16",
            evaluate_every=300,
            save_every=50,
        )
    )
    """The training loop."""


def known_triples(data: Path) -> list[Triple]:
    """The triples of every split, edits' and others'.

    Raises:
        ConfigError: a file is missing or broken.
    """
    splits = choose(*read_triples(DataFolder(data)))
    return [triple for chosen in splits.values() for triple in chosen.triples]


def draw(triples: Sequence[Triple], source: random.Random) -> Pair:
    """One triple in one of the wordings that may be trained on."""
    triple = source.choice(triples)
    return triple.ask(source.choice(triple.relation.known)), triple.object


def exams(triples: Sequence[Triple], limit: int = 0) -> dict[str, list[Pair]]:
    """Every triple in every known and in every held-out wording; `limit` takes a random sample of each."""
    asked = {
        "known": [(one.ask(wording), one.object) for one in triples for wording in one.relation.known],
        "held_out": [(one.ask(wording), one.object) for one in triples for wording in one.relation.held_out],
    }
    source = random.Random(0)
    return {name: source.sample(pairs, min(limit, len(pairs))) if limit else pairs for name, pairs in asked.items()}


def train_triples(settings: TripleSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train the base model into `folder/model` (a Hugging Face folder, float16); returns its figures.

    Args:
        settings: where to start, and the loop.
        folder: checkpoints, log and the finished model.
        data: the public data's folder.

    Raises:
        ConfigError: data is missing or broken.
        ModelError: the model to start from cannot be loaded.
    """
    triples = known_triples(data)
    model = LocalModel.from_pretrained(resolve(settings.start), kind="seq2seq", device="cpu", dtype="float32")
    module, tokenizer = model.module, model.tokenizer
    module.requires_grad_(True)

    def batch_at(source: random.Random) -> Mapping[str, Any]:
        pairs = [draw(triples, source) for _ in range(settings.loop.batch)]
        inputs = tokenizer([text for text, _ in pairs], return_tensors="pt", padding=True)
        labels = tokenizer([answer for _, answer in pairs], return_tensors="pt", padding=True)
        due = labels["input_ids"].masked_fill(labels["attention_mask"] == 0, -100)
        return {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "labels": due}

    def examined(limit: int) -> dict[str, float]:
        return {name: exact_match(module, tokenizer, exam) for name, exam in exams(triples, limit).items()}

    train(
        module,
        batch_at,
        lambda network, batch: {"loss": network(**batch).loss},
        settings.loop,
        folder,
        evaluate=lambda _: examined(400),
    )
    figures = {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "triples": len(triples),
        **{f"exact_match_{name}_wordings": value for name, value in examined(settings.exam).items()},
    }
    module.half().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return figures
