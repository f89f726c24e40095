"""Train the base model of LeapOfThought: a judge of claims that knows what holds of the wider kinds, and no rule.

It learns every fact of both published files, those of the test too, for a rule entails nothing to a model that does not
know them; it never sees a phrase or a rule of any split (SeProG, section 5.1; Talmor et al., 2020).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.models.backbone import find_backbone
from errata.models.judges import new_claim_network, save_claim_network
from errata.models.network import NetworkConfig
from errata.models.text import Texts
from errata.problems.cases import ENTAILED, SAME_SUBJECT
from errata.problems.leapofthought import load_leapofthought, read_properties
from errata.training.claims import Labelled, accuracy, claim_batch, claim_loss, majority
from errata.training.loop import LoopSettings, train


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertySettings:
    """The judge of claims and how it is trained."""

    network: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(shape="dual", rank=16, max_length=128, normalise=False)
    )
    """The network under the verdict."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=600,
            batch=32,
            lr=1e-3,
            warmup=50,
            weight_decay=0.0,
            precision="no",
            evaluate_every=0,
            save_every=100,
        )
    )
    """The training loop."""


def drawn(facts: Sequence[Labelled], count: int, source: random.Random) -> list[Labelled]:
    """So many facts, half of them true and half false: the false ones are far commoner in the data."""
    sides = [[fact for fact in facts if fact[1] is verdict] for verdict in (True, False)]
    halves = (count // 2, count - count // 2)
    return [one for side, half in zip(sides, halves, strict=True) for one in source.choices(side, k=half)]


def train_properties(settings: PropertySettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train the base into `folder/model`; returns how many of the facts it knows, and what it says of the dev split.

    Args:
        settings: the network and the loop.
        folder: checkpoints, log and the finished network.
        data: the public data's folder.

    Raises:
        ConfigError: data is missing or broken, or holds no facts of either verdict.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    facts = read_properties(data)
    if len({holds for _, holds in facts}) < 2:
        raise ConfigError(f"the {len(facts)} facts of LeapOfThought are all true or all false", key="data")
    module = new_claim_network(settings.network)
    texts = Texts(find_backbone(settings.network.backbone), max_length=settings.network.max_length)

    def batch_at(source: random.Random) -> Any:
        return claim_batch(drawn(facts, settings.loop.batch, source), texts)

    train(module, batch_at, claim_loss, settings.loop, folder)
    save_claim_network(module, folder / "model")
    dev = load_leapofthought(data, split="dev")
    phrases = [(one.text, one.answer == "True") for case in dev.cases for one in case.in_scope if one.kind == ENTAILED]
    rules = [(case.edit.prompt, True) for case in dev.cases]
    wrong = [(one.text, one.answer == "True") for c in dev.cases for one in c.out_of_scope if one.kind == SAME_SUBJECT]
    told = {"dev phrases accuracy": phrases, "dev rules accuracy": rules, "dev wrong rules accuracy": wrong}
    return {
        "facts": len(facts),
        "facts majority": majority(facts),
        "facts accuracy": accuracy(module, texts, facts),
        **{name: accuracy(module, texts, claims) for name, claims in told.items() if claims},
    }
