"""The pair network turns logits into a probability and an answer in the edit's own spelling."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from errata.models.network import KINDS
from errata.models.pair import PairNetwork, Triple, open_pair
from errata.models.text import Tokens
from tiny_encoder import tiny_backbone, tiny_network

TRIPLE: Triple = ("who", "what is Paris?", "The Capital")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pair")
    return tiny_network(home / "pair", tiny_backbone(home / "backbone"), "pair")


class Scripted:
    """A runtime with the outputs it is told, counting its calls."""

    def __init__(self, scope: float, kind: int, start: int, end: int) -> None:
        self.told, self.calls = (scope, kind, start, end), 0

    def run(self, tokens: Tokens) -> tuple[np.ndarray, ...]:
        self.calls += 1
        scope, kind, start, end = self.told
        n, t = tokens.ids.shape
        kinds, starts, ends = np.zeros((n, len(KINDS))), np.zeros((n, t)), np.zeros((n, t))
        kinds[:, kind], starts[:, start], ends[:, end] = 5, 5, 5
        return np.full(n, scope), kinds, starts, ends


def network(
    folder: Path, scope: float = 0.0, kind: int = 0, start: int = 3, end: int = 3
) -> tuple[PairNetwork, Scripted]:
    made = PairNetwork(folder, runtime="torch")
    made._runtime = Scripted(scope, kind, start, end)
    return made, made._runtime


# tokens of TRIPLE: 0 [CLS] 1-3 "who" is one word piece: [CLS] who [SEP] what is p ##a ##r ##i ##s? ...


def spans(folder: Path) -> list[str]:
    """The exact text of every token of the edit, by its position."""
    made = PairNetwork(folder, runtime="torch")
    _, (where,) = made._texts.pairs([TRIPLE])
    return [""] * where.first + [TRIPLE[1 + part][a:b] if part >= 0 else "" for part, a, b in where.offsets]


def test_probability_is_the_calibrated_logistic(folder: Path) -> None:
    made, _ = network(folder, scope=2.0)
    made.config.calibration.update({"slope": 0.5, "shift": 1.0})
    assert made.read([TRIPLE])[0].probability == pytest.approx(1 / (1 + math.exp(-2.0)))


@pytest.mark.parametrize(("kind", "answer"), [(1, "True"), (2, "False")])
def test_a_verdict_is_answered_with_true_or_false(folder: Path, kind: int, answer: str) -> None:
    reading = network(folder, kind=kind)[0].read([TRIPLE])[0]
    assert (reading.answer, reading.kind) == (answer, answer.lower()) and reading.confidence > 0.9


def test_a_span_keeps_the_edits_spelling(folder: Path) -> None:
    texts = spans(folder)
    start = texts.index("The")
    end = len(texts) - 1
    assert network(folder, start=start, end=end)[0].read([TRIPLE])[0].answer == "The Capital"


def test_a_span_may_lie_in_the_prompt(folder: Path) -> None:
    texts = spans(folder)
    first = next(at for at, text in enumerate(texts) if text in ("Paris", "P"))
    last = texts.index("?") - 1
    assert network(folder, start=first, end=last)[0].read([TRIPLE])[0].answer == "Paris"


def test_a_span_never_crosses_from_prompt_to_target(folder: Path) -> None:
    texts = spans(folder)
    answer = network(folder, start=texts.index("?"), end=len(texts) - 1)[0].read([TRIPLE])[0].answer
    assert answer and (answer in TRIPLE[1] or answer in TRIPLE[2])


def test_a_pair_is_read_once(folder: Path) -> None:
    made, runtime = network(folder)
    made.read([TRIPLE, TRIPLE])
    made.read([TRIPLE])
    assert runtime.calls == 1


def test_readings_come_back_in_order(folder: Path) -> None:
    made = PairNetwork(folder, runtime="torch")
    triples: list[Triple] = [
        (f"who is {word}", "what is it?", "paris " * count) for count, word in ((9, "a"), (1, "b"), (5, "c"))
    ]
    together = made.read(triples)
    alone = [PairNetwork(folder, runtime="torch").read([triple])[0] for triple in triples]
    assert [one.answer for one in together] == [one.answer for one in alone]
    assert [one.probability for one in together] == pytest.approx([one.probability for one in alone], abs=1e-6)


def test_judge_and_reader_share_one_network(folder: Path) -> None:
    assert open_pair(folder, "torch") is open_pair(folder, "torch")


def test_the_whole_target_is_preferred_by_its_bonus(folder: Path) -> None:
    texts = spans(folder)
    start, end = texts.index("The"), texts.index("The")
    made, _ = network(folder, start=start, end=end)
    assert made.read([TRIPLE])[0].answer == "The"
    preferring, _ = network(folder, start=start, end=end)
    preferring.config.calibration["whole"] = 6.0
    assert preferring.read([TRIPLE])[0].answer == "The Capital"
