"""The dev pairs that choose a checkpoint and calibrate its probabilities; made from zsRE's dev edits only.

In scope: the published rephrases. Out of scope: other relations of the same subject (from the phrasebook), the nearest
questions about other subjects, and ordinary questions. Never a test question.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.training.corpora import Item
from errata.training.groups import Sources
from errata.training.phrasebook import relation_of
from errata.training.texts import normal, read


@dataclass(frozen=True, slots=True)
class DevPair:
    """An (input, prompt, target) triple; part says what kind of input it is, "in" when it is in scope."""

    triple: tuple[str, str, str]
    part: str

    @staticmethod
    def read(data: Path, sources: Sources, *, seed: int = 0) -> list[DevPair]:
        """About 2,000 dev pairs."""
        source = random.Random(seed)
        rows = read(data / "zsre" / "decao_dev.jsonl")
        words: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            for word in set(normal(row["prompt"]).split()):
                words[word].append(row)
        nq = [row["loc"].removeprefix("nq question: ") for row in read(data / "zsre" / "mend_train.json")][800:]
        pairs = []
        for row in rows:
            edit = (row["prompt"], row["target_new"])
            said = row["rephrase_prompt"]
            pairs += [DevPair((text, *edit), "in") for text in ([said] if isinstance(said, str) else said)]
            relation = relation_of(row["prompt"].replace(row["subject"], "{}"))
            if relation and sources.by_relation[relation]:
                drawn = sources.outside(Item(row["subject"], relation, ""), source)[:2]
                pairs += [DevPair((text, *edit), "same subject") for text in drawn if row["subject"] in text]
            near = _nearest(row, words, source)
            pairs += [DevPair((text, *edit), "other subject") for text in near]
            pairs.append(DevPair((source.choice(nq), *edit), "ordinary"))
        return pairs


def _nearest(
    row: Mapping[str, Any], words: Mapping[str, Sequence[Mapping[str, Any]]], source: random.Random
) -> list[str]:
    mine = set(normal(row["prompt"]).split())
    scored: dict[str, float] = {}
    for word in mine:
        for other in words[word]:
            if normal(other["subject"]) != normal(row["subject"]):
                theirs = set(normal(other["prompt"]).split())
                scored[other["prompt"]] = len(mine & theirs) / len(mine | theirs)
    return sorted(scored, key=lambda text: (-scored[text], text))[:2]


@dataclass(frozen=True, slots=True)
class DevReport:
    """Figures by part, and the scores they were made of."""

    figures: dict[str, float]
    scores: NDArray[np.float32]
    inside: NDArray[np.bool_]


def dev_figures(scores: NDArray[np.float32], dev: Sequence[DevPair]) -> DevReport:
    """Share of right verdicts at log-odds 0, by part; `balance` is the mean of in and the mean of the out parts."""
    inside = np.array([pair.part == "in" for pair in dev])
    right = (scores >= 0) == inside
    parts = {
        part: float(right[[pair.part == part for pair in dev]].mean()) for part in sorted({pair.part for pair in dev})
    }
    out = [value for part, value in parts.items() if part != "in"]
    loss = np.logaddexp(0, np.where(inside, -scores, scores))
    figures = {f"dev {part}": value for part, value in parts.items()}
    figures["balance"] = (parts["in"] + float(np.mean(out))) / 2 - 0.01 * float(
        loss[inside].mean() + loss[~inside].mean()
    )
    return DevReport(figures, scores, inside)


def calibrated(scores: NDArray[np.float32], inside: NDArray[np.bool_], dual: Any = None) -> dict[str, float]:
    """Platt scaling on dev pairs, both sides weighing alike; for a dual network folded into its scale and bias."""
    slope, shift = platt(scores, inside)
    if dual is None:
        return {"slope": slope, "shift": shift}
    scale, bias = float(dual.scale.detach()), float(dual.bias.detach())
    return {"scale": scale * slope, "bias": bias * slope + shift}


def platt(scores: NDArray[np.float32], inside: NDArray[np.bool_], *, steps: int = 50) -> tuple[float, float]:
    """Slope and shift that calibrate log-odds: logistic regression by Newton's method, both classes weighing alike."""
    weight = np.where(inside, 0.5 / inside.sum(), 0.5 / (~inside).sum())
    design = np.stack([scores.astype(np.float64), np.ones(len(scores))], 1)
    signed = np.where(inside, 1.0, -1.0)[:, None] * design
    start = theta = np.array([1.0, 0.0])

    def cost(at: NDArray[np.float64]) -> float:
        return float(weight @ np.logaddexp(0, -signed @ at) + 5e-5 * ((at - start) ** 2).sum())

    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(design @ theta, -60, 60)))
        gradient = design.T @ (weight * (chance - inside)) + 1e-4 * (theta - start)
        curve = (design * (weight * chance * (1 - chance))[:, None]).T @ design + 1e-4 * np.eye(2)
        step = np.linalg.solve(curve, gradient)
        while cost(theta - step) > cost(theta) and np.abs(step).max() > 1e-6:  # far out, the curve leads astray
            step = step / 2
        theta = theta - step
        if np.abs(step).max() < 1e-6:
            break
    return float(max(theta[0], 1e-3)), float(theta[1])
