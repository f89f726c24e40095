"""Train the scope classifiers and the reader: Equation 2 (and 3) of SERAC on groups of one edit and inputs around it.

The dual network learns from every (input, edit) pair in a batch, not from the diagonal alone; the pair network learns
to judge and to answer in one pass (`duals.py`, `pairs.py`). This module sees texts and tensors; it never sees a memory
or a test file.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.models.backbone import find_backbone
from errata.models.network import KINDS, NetworkConfig, load_network, load_weights, new_network, save_network
from errata.models.pair import PairNetwork
from errata.models.saving import resolve
from errata.models.text import Texts
from errata.scope.dual import DualScope
from errata.training.crowding import Crowd
from errata.training.dev import DevPair, calibrated, dev_figures
from errata.training.duals import dual_batch, dual_loss, dual_scores
from errata.training.evidence import EvidenceDev, EvidenceSources, truth_odds
from errata.training.gating import gate_bound
from errata.training.groups import SHARES, Sources
from errata.training.loop import LoopSettings, train
from errata.training.pairs import pair_batch, pair_logits, pair_loss, pair_scores, whole_bonus

PROBLEMS = (*SHARES, "fact_check")
"""What a network can be trained for; "" is everything at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeSettings:
    """A scope network and how it is trained."""

    problem: str = ""
    """What it is trained for: see `SHARES`, or "fact_check"; "" is everything at once."""
    start: str = ""
    """A shipped part, a folder or a hub id of a trained network of the same shape to begin with; "" begins anew."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The network's shape."""
    max_length: int = 72
    """Tokens kept of an input and of an edit while training."""
    outside: int = 3
    """Out-of-scope inputs of a group that are used."""
    alike: float = 0.0
    """Share of the groups that are about subjects which the shipped dual network takes for one another."""
    crowd: float = 0.0
    """Share of the groups with questions that `start`, or the shipped pair network, takes for an edit wrongly."""
    behind: str = "pair"
    """The network behind a gate: a shipped part, a folder or a hub id."""
    kept: float = 0.0
    """Share of the inputs in scope that a gate lets pass (pair): its bound is set for that; 0 for what is no gate."""
    all_negatives: bool = True
    """Whether every other edit of the batch is a negative (dual); the authors use the diagonal alone."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=4000, batch=12, lr=5e-4, warmup=200, precision="bf16", evaluate_every=1000, save_every=250
        )
    )
    """The training loop."""

    def __post_init__(self) -> None:
        if self.kept and not (self.start and self.network.shape == "pair" and 0 < self.kept < 1):
            raise ConfigError(
                "a gate is a pair network that starts from a trained one and keeps a share between 0 and 1", key="kept"
            )
        if self.problem not in PROBLEMS:
            raise ConfigError(f"problem {self.problem!r} is not known", key="problem", accepted=PROBLEMS)


EVIDENCE = ScopeSettings(
    problem="fact_check",
    network=NetworkConfig(shape="pair", rank=64, numbers=True),
    max_length=120,
    loop=LoopSettings(steps=4000, batch=32, lr=4e-4, warmup=200, precision="bf16", evaluate_every=500, save_every=250),
)
DUAL = ScopeSettings(
    network=NetworkConfig(shape="dual"),
    loop=LoopSettings(steps=1000, batch=20, lr=4e-4, warmup=100, precision="bf16", evaluate_every=500, save_every=100),
)
PAIR = ScopeSettings(network=NetworkConfig(shape="pair"))
GATE = ScopeSettings(
    start="pair",
    alike=0.25,
    crowd=0.3,
    kept=0.9995,
    network=NetworkConfig(shape="pair", layers=3),
    loop=LoopSettings(steps=2000, batch=12, lr=5e-4, warmup=100, precision="bf16", evaluate_every=0, save_every=100),
)


def train_scope(settings: ScopeSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train one scope network into `folder/model`; returns its dev figures.

    Args:
        settings: the network and its loop.
        folder: checkpoints, log and the finished network.
        data: the public data's folder.

    Raises:
        ModelError: the network to start from is of another shape.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    module = new_network(settings.network)
    if settings.start:
        load_weights(module, resolve(settings.start), cut=bool(settings.network.layers))
    backbone = find_backbone(settings.network.backbone)
    texts = Texts(backbone, max_length=settings.max_length, numbers=settings.network.numbers)
    if settings.problem == "fact_check":
        calibration, figures = _train_evidence(module, texts, settings, folder, data)
    else:
        calibration, figures = _train_questions(module, texts, settings, folder, data)
    save_network(module, replace(settings.network, calibration=calibration), folder / "model")
    return figures


def _widen(sources: Sources, settings: ScopeSettings) -> None:
    """Have the sources also draw what the networks, as they are, mistake."""
    dual = DualScope.from_pretrained() if settings.alike or settings.crowd else None
    if dual and settings.crowd:
        reader = PairNetwork(resolve(settings.start or "pair"))
        crowd = Crowd(
            sources, dual.encode_inputs, dual.encode_edits,
            lambda triples: [one.probability for one in reader.read(triples)], seed=settings.loop.seed,
        )  # fmt: skip
        sources.beside.append((settings.crowd, crowd.group))
    if dual and settings.alike:
        sources.learn_alike(dual.encode_inputs)
        sources.beside.append((settings.alike, sources.alike_group))


def _train_questions(
    module: Any, texts: Texts, settings: ScopeSettings, folder: Path, data: Path
) -> tuple[dict[str, float], Mapping[str, float]]:
    """Train on questions; returns the calibration and the dev figures."""
    sources = Sources(data, seed=settings.loop.seed, problem=settings.problem)
    _widen(sources, settings)
    pair = settings.network.shape == "pair"
    make, loss, score = (pair_batch, pair_loss, pair_scores) if pair else (dual_batch, dual_loss, dual_scores)
    dev = DevPair.read(data, sources)

    def batch_at(source: random.Random) -> Any:
        return make(sources.batch(source, settings.loop.batch), texts, settings, source)

    def evaluate(network: Any) -> Mapping[str, float]:
        return dev_figures(score(network, texts, [item.triple for item in dev]), dev).figures

    train(module, batch_at, loss, settings.loop, folder, evaluate=evaluate, better="balance")
    report = dev_figures(score(module, texts, [item.triple for item in dev]), dev)
    calibration = calibrated(report.scores, report.inside, None if pair else module)
    if pair:
        calibration["whole"] = whole_bonus(module, texts, dev, sources)
    if settings.kept:
        behind = load_network(resolve(settings.behind))
        calibration["bound"] = gate_bound(
            lambda triples: pair_scores(module, texts, triples),
            lambda triples: pair_scores(behind, texts, triples),
            dev, sources, kept=settings.kept,
        )  # fmt: skip
    return calibration, report.figures


def _train_evidence(
    module: Any, texts: Texts, settings: ScopeSettings, folder: Path, data: Path
) -> tuple[dict[str, float], Mapping[str, float]]:
    """Train on evidence and claims; returns the calibration and the dev figures. A dual network gives no verdict."""
    import numpy as np

    sources = EvidenceSources(data)
    dev = EvidenceDev.read(data)
    pair = settings.network.shape == "pair"
    make, loss = (pair_batch, pair_loss) if pair else (dual_batch, dual_loss)

    def batch_at(source: random.Random) -> Any:
        return make(sources.batch(source, settings.loop.batch), texts, settings, source)

    def scores(network: Any) -> tuple[Any, Any]:
        if pair:
            odds, kinds = pair_logits(network, texts, dev.triples)
            return odds, truth_odds(kinds, KINDS)
        odds = dual_scores(network, texts, dev.triples)
        return odds, np.zeros_like(odds)

    train(
        module, batch_at, loss, settings.loop, folder,
        evaluate=lambda network: dev.figures(*scores(network)), better="balance" if pair else "scope",
    )  # fmt: skip
    odds, truth = scores(module)
    told = dev.hard_or_inside()
    calibration = calibrated(odds[told], dev.inside()[told], None if pair else module)
    return calibration, dev.figures(odds, truth)
