"""Where a gate refuses: what is surely out of scope, and hardly anything that the network behind it would accept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.training.dev import DevPair
from errata.training.groups import Sources

DRAWN = 2000
"""Inputs in scope that are drawn beside those of the dev pairs."""

Triple = tuple[str, str, str]
Score = Callable[[Sequence[Triple]], NDArray[np.float32]]
"""Scope log-odds of (input, prompt, target) triples, of shape (n,)."""


def gate_bound(gate: Score, behind: Score, dev: Sequence[DevPair], sources: Sources, *, kept: float) -> float:
    """The log-odds below which a gate refuses a pair.

    Chosen on published rephrases (the dev pairs) and on inputs in scope of every kind that is trained on.

    Args:
        gate: the gate's log-odds.
        behind: those of the network behind it.
        dev: dev pairs.
        sources: draw the others.
        kept: share of the inputs in scope that the network behind accepts which pass the gate.
    """
    source = random.Random("gate")
    triples: list[Any] = [pair.triple for pair in dev if pair.part == "in"]
    wanted = len(triples) + DRAWN
    while len(triples) < wanted:
        group = sources.draw(source)
        triples += [(one.text, group.prompt, group.target) for one in group.inside]
    return float(np.quantile(gate(triples)[behind(triples) > 0], 1 - kept))
