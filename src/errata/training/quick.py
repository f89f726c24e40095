"""Train a shallow network to give a deep one's vectors, so that an input is encoded in a fraction of the time.

The edits keep the deep network's vectors, so a memory is the same with and without the shallow one. It learns from
texts alone: those that scope classifiers are trained on, whichever side of a scope they are on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.models.backbone import find_backbone
from errata.models.network import NetworkConfig, load_network, new_network, save_network
from errata.models.saving import resolve
from errata.models.text import Texts
from errata.training.dev import DevPair, calibrated, dev_figures
from errata.training.groups import Sources
from errata.training.loop import LoopSettings, train
from errata.training.scope import embed, in_chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickSettings:
    """A shallow network and how it is trained."""

    teacher: str = "dual"
    """The network whose vectors it learns: a shipped part, a folder or a hub id."""
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(shape="dual", layers=3, rank=64))
    """The network's shape; pooling and length of its vectors are the teacher's."""
    max_length: int = 72
    """Tokens kept of a text while training."""
    alike: float = 0.2
    """Share of the groups that are about subjects which the teacher takes for one another."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=2400, batch=64, lr=1e-3, warmup=100, precision="bf16", evaluate_every=800, save_every=100
        )
    )
    """The training loop; its batch counts texts."""

    def __post_init__(self) -> None:
        if self.network.shape != "dual":
            raise ConfigError("a quick network is of shape 'dual'", key="shape", accepted=("dual",))


def texts_of(sources: Sources, source: random.Random, count: int) -> list[str]:
    """So many texts as they stand in groups: edits' prompts, inputs in scope and outside."""
    found: list[str] = []
    while len(found) < count:
        group = sources.draw(source)
        found += [group.prompt, *(one.text for one in group.inside), *group.outside]
    return found[:count]


def train_quick(settings: QuickSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train one shallow network into `folder/model`; returns its dev figures.

    Args:
        settings: the network and its loop.
        folder: checkpoints, log and the finished network.
        data: the public data's folder.

    Raises:
        ModelError: there is no such teacher.
    """
    import torch

    from errata.scope.dual import DualScope

    torch.manual_seed(settings.loop.seed)
    teacher = load_network(resolve(settings.teacher))
    told = teacher.config
    network = replace(settings.network, pooling=told.pooling, normalise=told.normalise, backbone=told.backbone)
    module = new_network(network)
    texts = Texts(find_backbone(network.backbone), max_length=settings.max_length)
    sources = Sources(data, seed=settings.loop.seed)
    sources.learn_alike(DualScope.from_pretrained(settings.teacher).encode_inputs, settings.alike)
    dev = DevPair.read(data, sources)
    edits = embed_all(teacher, texts, [pair.triple[1:] for pair in dev], edits=True)

    def batch_at(source: random.Random) -> Any:
        asked = in_chunks(texts.singles, texts_of(sources, source, settings.loop.batch))
        with torch.inference_mode():
            wanted = embed(teacher, asked)
        return asked, wanted.clone()

    def loss(module: Any, batch: Any) -> Mapping[str, Any]:
        asked, wanted = batch
        far = 1 - (embed(module, asked) * wanted).sum(-1)
        return {"loss": far.mean(), "worst": far.max()}

    def odds(network: Any) -> Any:
        given = embed_all(network, texts, [pair.triple[0] for pair in dev])
        return teacher.log_odds(((given - edits) ** 2).sum(-1)).detach().numpy()

    def evaluate(network: Any) -> Mapping[str, float]:
        return dev_figures(odds(network), dev).figures

    train(module, batch_at, loss, settings.loop, folder, evaluate=evaluate, better="balance")
    report = dev_figures(odds(module), dev)
    calibration = calibrated(report.scores, report.inside, teacher)
    save_network(module, replace(network, calibration=calibration), folder / "model")
    return report.figures


def embed_all(module: Any, texts: Texts, items: Sequence[Any], *, edits: bool = False, batch: int = 128) -> Any:
    """Vectors of many texts, or of (prompt, target) edits, without gradients."""
    import torch

    make = texts.edits if edits else texts.singles
    with torch.inference_mode():
        parts = [embed(module, in_chunks(make, items[at : at + batch])) for at in range(0, len(items), batch)]
    return torch.cat(parts)
