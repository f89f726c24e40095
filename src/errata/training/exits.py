"""Where the exit of a pair network refuses: what is surely out of scope, and hardly anything that is in it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from errata.models.text import Texts
from errata.training.dev import DevPair
from errata.training.groups import Sources

KEPT = 0.998
"""Share of the inputs in scope, of those that the whole network accepts, that pass the exit."""
DRAWN = 2000
"""Inputs in scope that are drawn beside those of the dev pairs."""


def exit_bound(module: Any, texts: Texts, dev: Sequence[DevPair], sources: Sources, *, kept: float = KEPT) -> float:
    """The log-odds at the exit below which a pair is refused.

    Chosen on published rephrases (the dev pairs) and on inputs in scope of every kind that is trained on, half of each.

    Args:
        module: a pair network with an exit.
        texts: its tokenizer.
        dev: dev pairs.
        sources: draw the others.
        kept: share of inputs in scope that pass.
    """
    source = random.Random("exit")
    triples = [pair.triple for pair in dev if pair.part == "in"][:DRAWN]
    while len(triples) < 2 * DRAWN:
        group = sources.draw(source)
        triples += [(one.text, group.prompt, group.target) for one in group.inside]
    odds, early = odds_of(module, texts, triples)
    return float(np.quantile(early[odds > 0], 1 - kept))


def odds_of(module: Any, texts: Texts, triples: Sequence[tuple[str, str, str]], *, batch: int = 64) -> Any:
    """Scope log-odds of (input, prompt, target) triples, of the whole network and at its exit, each (n,)."""
    import torch

    order = sorted(range(len(triples)), key=lambda at: sum(map(len, triples[at])))
    odds, early = np.zeros(len(triples), np.float32), np.zeros(len(triples), np.float32)
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        tokens, _ = texts.pairs([triples[at] for at in part])
        given = (torch.from_numpy(one) for one in (tokens.ids, tokens.mask, tokens.types))
        with torch.inference_mode():
            out = module(*given)
        odds[part], early[part] = out[0].float().numpy(), out[4].float().numpy()
    return odds, early
