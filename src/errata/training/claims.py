"""Train the base model of fact checking: whether a claim is true, from FEVER's claims without their evidence.

Claims with too little information are left out, as the authors of SERAC do. This module never sees evidence, an edit,
or a claim that VitaminC's dev or test split holds.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.models.backbone import find_backbone
from errata.models.judges import new_claim_network, save_claim_network
from errata.models.network import NetworkConfig
from errata.models.text import Texts
from errata.problems.cases import DataFolder
from errata.problems.fact_check import ANSWERS, read_fever
from errata.problems.held_out import normalise
from errata.training.loop import LoopSettings, train
from errata.training.tensors import embed, in_chunks, tensors

Labelled = tuple[str, bool]
"""A claim, and whether it is true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSettings:
    """The claim classifier and how it is trained."""

    network: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(shape="dual", rank=16, max_length=128, normalise=False)
    )
    """The network under the verdict."""
    held_out: float = 0.1
    """Share of FEVER's claims that dev figures are measured on."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=250,
            batch=32,
            lr=5e-4,
            warmup=50,
            weight_decay=0.01,
            precision="bf16",
            evaluate_every=0,
            save_every=50,
        )
    )
    """The training loop."""


def read_claims(data: Path) -> list[Labelled]:
    """FEVER's supported and refuted claims, each once, in file order.

    Left out are claims that stand with both labels, and those that VitaminC's dev or test split holds.

    Args:
        data: the public data's folder.

    Raises:
        ConfigError: a file is missing or broken.
    """
    folder = DataFolder(data)
    kept_back = {
        normalise(row["claim"])
        for split in ("dev", "test")
        for row in folder.read_texts(f"vitaminc/{split}.jsonl", "claim")
    }
    said: dict[str, list[Labelled]] = defaultdict(list)
    for claim in read_fever(data):
        if claim.label in ANSWERS and normalise(claim.text) not in kept_back:
            said[normalise(claim.text)].append((claim.text, ANSWERS[claim.label] == "True"))
    return [found[0] for found in said.values() if len({verdict for _, verdict in found}) == 1]


def split_claims(claims: Sequence[Labelled], share: float, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Claims to train on and claims held out, told apart by seed and text alone, whatever else is there."""
    train_on: list[Labelled] = []
    held_out: list[Labelled] = []
    for claim in claims:
        drawn = random.Random(f"{seed} {normalise(claim[0])}").random()
        (held_out if drawn < share else train_on).append(claim)
    return train_on, held_out


def majority(claims: Sequence[Labelled]) -> float:
    """Accuracy of giving every claim the commoner answer."""
    true = sum(verdict for _, verdict in claims) / len(claims)
    return max(true, 1 - true)


def accuracy(module: Any, texts: Texts, claims: Sequence[Labelled], *, batch: int = 64) -> float:
    """Share of claims judged rightly."""
    import torch

    order = sorted(claims, key=lambda claim: len(claim[0]))
    right = 0
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        with torch.inference_mode():
            odds = module(*tensors(texts.singles([text for text, _ in part])))
        right += sum(bool(odd > 0) == verdict for odd, (_, verdict) in zip(odds, part, strict=True))
    return right / len(claims)


def claim_batch(claims: Sequence[Labelled], texts: Texts) -> Any:
    """Token tensors of claims in chunks of like length (see `in_chunks`), and 1.0 where one is true, shape (n,)."""
    import torch

    chunked = in_chunks(texts.singles, [text for text, _ in claims])
    return chunked, torch.tensor([float(verdict) for _, verdict in claims])


def claim_loss(module: Any, batch: Any) -> Mapping[str, Any]:
    """Binary cross-entropy of the verdict."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    chunked, labels = batch
    odds = embed(module, chunked)
    right = ((odds > 0) == (labels > 0)).float().mean()
    return {"loss": binary_cross_entropy_with_logits(odds, labels), "right": right}


def train_claims(settings: ClaimSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train the claim classifier into `folder/model`; returns its figures on held-out claims.

    Args:
        settings: the network, the share held out, and the loop.
        folder: checkpoints, log and the finished network.
        data: the public data's folder.

    Raises:
        ConfigError: data is missing or broken, or too little of it is left to train or to measure on.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    train_on, dev = split_claims(read_claims(data), settings.held_out, settings.loop.seed)
    if len(train_on) < settings.loop.batch or not dev:
        raise ConfigError(f"{len(train_on)} claims to train on and {len(dev)} held out are too few", key="held_out")
    module = new_claim_network(settings.network)
    texts = Texts(find_backbone(settings.network.backbone), max_length=settings.network.max_length)

    def batch_at(source: random.Random) -> Any:
        return claim_batch(source.sample(train_on, settings.loop.batch), texts)

    train(module, batch_at, claim_loss, settings.loop, folder)  # dev claims choose nothing, so their figure is fair
    save_claim_network(module, folder / "model")
    return {
        "claims": len(train_on),
        "dev claims": len(dev),
        "dev majority": majority(dev),
        "dev accuracy": accuracy(module, texts, dev),
    }
