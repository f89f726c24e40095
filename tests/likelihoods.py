"""A made-up problem of sentiments, and models whose likelihoods are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from errata.edit import Edit, Match
from errata.problems.cases import EditCase, Labelled, Problem, Replies, Unlabelled

Logs = Mapping[str, Sequence[float]]
BASE: Logs = {"good": (-2.0, -2.0), "fine": (-4.0,), "bad": (-1.0, -3.0)}
UNDER: Logs = {"good": (-1.0, -1.0), "fine": (-4.0,), "bad": (-6.0, -8.0)}


class Words:
    """A tokenizer as far as its vocabulary is asked for."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def get_vocab(self) -> dict[str, int]:
        return {word: at for at, word in enumerate(self.words)}


class Told:
    """A base model, or a counterfactual model, whose likelihoods are given."""

    name = "told"

    def __init__(self, logs: Logs, spread: Sequence[float], says: str, *vocabulary: str) -> None:
        self.logs, self.spread, self.says = logs, np.log(spread), says
        self.tokenizer = Words(*(vocabulary or ("a", "b", "c")))
        self.asked: list[str] = []

    def check(self, edit: Edit) -> None: ...

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        return [self.says] * len(prompts)

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Any, **options: Any) -> list[str]:
        return [f"{self.says} of {match.edit.id}" for match in matches]

    def target_log_probs(self, inputs: Sequence[str], *rest: Any) -> list[Any]:
        assert all(len(part) == len(inputs) for part in rest)
        self.asked += inputs
        return [np.array(self.logs[target]) for target in rest[-1]]

    def token_log_probs(self, inputs: Sequence[str], *rest: Any) -> list[Any]:
        assert all(len(part) == len(inputs) for part in rest)
        return [np.tile(self.spread, (len(self.logs[target]), 1)) for target in rest[-1]]


PROBLEM = Problem(
    name="sentiment",
    split="test",
    cases=(
        EditCase(
            Edit(prompt="Topic: jazz Sentiment: Positive", id="jazz"),
            (
                Labelled("topic jazz sentiment", "", "opinion"),  # 3/4: the edit fires
                Labelled("what about jazz", "", "opinion_held_out"),  # 1/6: it does not
            ),
            (Unlabelled("topic jazz sentiment who", "same_topic", True, "", ("good", "bad")),),
            Replies(("good", "fine"), ("bad",)),
        ),
    ),
    shared=(
        Unlabelled("how far is the moon", "other_topic", replies=("good", "bad")),
        Unlabelled("topic sentiment positive rain", "other_topic", replies=("good", "bad")),  # 3/5: it fires
    ),
    success=frozenset({"opinion", "opinion_held_out"}),
    apart=frozenset({"same_topic"}),
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
