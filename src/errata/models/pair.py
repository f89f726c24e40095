"""The pair network at work: one pass over an input and an edit judges the scope and reads the answer.

The cross scope classifier and the reader share it: what the one has read, the other finds in a small cache. It knows
texts only, never a memory.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.models.backbone import find_backbone
from errata.models.network import KINDS, NetworkConfig, fingerprint
from errata.models.runtime import CHUNK, open_runtime
from errata.models.text import PairSpans, Texts

SAID = {"true": "True", "false": "False", "yes": "Yes", "no": "No"}
"""What is answered where the answer is no span."""
LONGEST = 40
"""Tokens an answer may span."""
REMEMBERED = 4096
"""Pairs whose reading is kept."""

Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network makes of one (input, prompt, target).

    Args:
        probability: calibrated probability that the input is in the edit's scope.
        answer: a span of the edit in its exact spelling, or "True", "False", "Yes" or "No".
        kind: one of `KINDS`.
        confidence: probability of the kind.
        verdict: log-odds of True against False, whatever the likeliest kind.
    """

    probability: float
    answer: str
    kind: str
    confidence: float
    verdict: float = 0.0


class PairNetwork:
    """Reads (input, prompt, target) triples; thread-safe.

    Args:
        folder: a trained network of shape "pair".
        runtime: see `open_runtime`.

    Raises:
        ModelError: the network or its backbone cannot be read.
    """

    def __init__(self, folder: Path, *, runtime: str = "auto") -> None:
        self.folder = folder
        self.config = NetworkConfig.read(folder)
        self.fingerprint = fingerprint(folder, precision=runtime)
        self._runtime = open_runtime(folder, runtime)
        self._texts = Texts(
            find_backbone(self.config.backbone), max_length=self.config.max_length, numbers=self.config.numbers
        )
        self._seen: OrderedDict[Triple, Reading] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, triples: Sequence[Triple]) -> list[Reading]:
        """One reading for each triple, in order."""
        with self._lock:
            found = {triple: self._seen[triple] for triple in triples if triple in self._seen}
        new = [triple for triple in dict.fromkeys(triples) if triple not in found]
        new.sort(key=lambda triple: sum(map(len, triple)))
        for begin in range(0, len(new), CHUNK):
            part = new[begin : begin + CHUNK]
            tokens, spans = self._texts.pairs(part)
            scope, kind, start, end = self._runtime.run(tokens)
            for row, triple in enumerate(part):
                found[triple] = self._reading(triple, scope[row], kind[row], start[row], end[row], spans[row])
        with self._lock:
            for triple in new:
                self._seen[triple] = found[triple]
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return [found[triple] for triple in triples]

    def passes(self, triples: Sequence[Triple]) -> list[bool]:
        """Whether each triple's log-odds reach the bound of a network that is a gate; all do where there is none."""
        bound = self.config.calibration.get("bound", -math.inf)
        found: list[bool] = []
        for begin in range(0, len(triples), CHUNK):
            tokens, _ = self._texts.pairs(triples[begin : begin + CHUNK])
            found += (self._runtime.run(tokens)[0] >= bound).tolist()
        return found

    def _reading(self, triple: Triple, scope: Any, kind: Any, start: Any, end: Any, spans: PairSpans) -> Reading:
        odds = float(scope) * self.config.calibration.get("slope", 1.0) + self.config.calibration.get("shift", 0.0)
        chance = np.exp(kind - kind.max())
        chance = chance / chance.sum()
        best = int(chance.argmax())
        whole = self.config.calibration.get("whole", 0.0)
        text = SAID.get(KINDS[best]) or _span(triple, start, end, spans, whole)
        probability = 1 / (1 + math.exp(-max(-60.0, min(60.0, odds))))
        verdict = float(kind[KINDS.index("true")] - kind[KINDS.index("false")])
        return Reading(probability, text, KINDS[best], float(chance[best]), verdict)


def _span(triple: Triple, start: NDArray[np.float32], end: NDArray[np.float32], spans: PairSpans, whole: float) -> str:
    """The best span that lies in the prompt or in the target, as it is spelt there."""
    score = span_scores(start, end, spans)
    if not np.isfinite(score).any():
        return triple[2] or triple[1]
    target = whole_target(spans)
    if target:
        score[target] += whole
    i, j = divmod(int(score.argmax()), len(spans.offsets))
    part, begin, _ = spans.offsets[i]
    return triple[1 + part][begin : spans.offsets[j][2]]


def span_scores(start: NDArray[np.float32], end: NDArray[np.float32], spans: PairSpans) -> NDArray[np.float64]:
    """Score of every span (first token, last token) of the edit's tokens; -inf where none may lie."""
    count = len(spans.offsets)
    first, last = start[spans.first : spans.first + count], end[spans.first : spans.first + count]
    score = (first[:, None] + last[None, :]).astype(np.float64)
    score[~_allowed(tuple(part for part, _, _ in spans.offsets))] = -np.inf
    return score


def whole_target(spans: PairSpans) -> tuple[int, int] | None:
    """The span that is the target from end to end, or None when there is no target."""
    inside = [at for at, (part, _, _) in enumerate(spans.offsets) if part == 1]
    return (inside[0], inside[-1]) if inside else None


@lru_cache(maxsize=1024)
def _allowed(parts: tuple[int, ...]) -> NDArray[np.bool_]:
    own = np.array(parts)
    ahead = np.arange(len(own))[None, :] - np.arange(len(own))[:, None]
    return np.asarray((own[:, None] == own[None, :]) & (own[:, None] >= 0) & (ahead >= 0) & (ahead < LONGEST))


@cache
def open_pair(folder: Path, runtime: str = "auto") -> PairNetwork:
    """The pair network of a folder, loaded once a process: whoever judges and whoever answers share it."""
    return PairNetwork(folder, runtime=runtime)
