"""Fakes of the trained parts: a scope of shared words, and a counterfactual model that says the target."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Match
from errata.errors import UnsupportedEdit
from errata.models import Model


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class OverlapScope:
    """Score: the words that input and prompt share, among all their words (implements `errata.scope.Scope`)."""

    k: int | None = 6
    dimension = 64
    fingerprint = "overlap-1"

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_inputs(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(inputs), self.dimension), np.float32)
        for row, text in zip(vectors, inputs, strict=True):
            for word in words(text):
                row[crc32(word.encode()) % self.dimension] += 1.0
            row /= max(1e-6, float(np.linalg.norm(row)))
        return vectors

    def encode_edits(self, edits: Sequence[Edit]) -> NDArray[np.float32]:
        self.encoded += [edit.id for edit in edits]
        return self.encode_inputs([edit.prompt for edit in edits])

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        return [
            sorted((Match(one.edit, self.score(text, one.edit)) for one in row), key=lambda m: (-m.score, m.edit.id))
            for text, row in zip(inputs, candidates, strict=True)
        ]

    def score(self, text: str, edit: Edit) -> float:
        both, either = words(text) & words(edit.prompt), words(text) | words(edit.prompt)
        return len(both) / len(either) if either else 0.0


class EchoCounterfactual:
    """Answers with the edit's target, word for word."""

    def check(self, edit: Edit) -> None:
        if not edit.target:
            raise UnsupportedEdit(f"edit {edit.id} has no target")

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        return [match.edit.target for match in matches]
