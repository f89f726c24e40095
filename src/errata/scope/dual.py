"""Embed: input and edit descriptor encoded apart, probability from their squared distance (SERAC, section 3.1).

This scope classifier encodes and scores; it never sees the memory it is searched with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Match
from errata.models.backbone import find_backbone
from errata.models.network import NetworkConfig, fingerprint
from errata.models.runtime import CHUNK, Runtime, choose, open_runtime, run_sorted
from errata.models.saving import Saved, resolve
from errata.models.text import Texts


class DualScope(Saved):
    """The dual scope classifier: g(z_e, x) = sigmoid(bias - scale * |v(x) - v(z_e)|^2), scale and bias learned.

    With `fixed=True` it is the authors' exp(-d^2), without bias and with scale 1 (released code, not the paper).

    Args:
        folder: a trained network of shape "dual".
        runtime: "auto", "onnx" (int8 for inputs; edits are always encoded in float32), "onnx-fp32" or "torch".
        fixed: use exp(-d^2) instead of the learned scale and bias.

    Raises:
        ModelError: the network or its backbone cannot be read.

    Example:
        >>> scope = DualScope.from_pretrained("dual")  # doctest: +SKIP
        >>> scope.encode_inputs(["who wrote Emma"]).shape  # doctest: +SKIP
        (1, 384)
    """

    k: int | None = 6

    def __init__(self, folder: Path, *, runtime: str = "auto", fixed: bool = False) -> None:
        self.folder = folder
        self.config = NetworkConfig.read(folder)
        self.fixed = fixed
        self._inputs = open_runtime(folder, runtime)
        self._edits: Runtime | None = None if choose(folder, runtime) == "onnx" else self._inputs
        self._texts = Texts(find_backbone(self.config.backbone), max_length=self.config.max_length)
        self._fingerprint = fingerprint(folder, precision="fp32")
        self.dimension = 384 if self._known() else int(self.encode_inputs(["?"]).shape[1])

    def _known(self) -> bool:
        from errata.models.backbone import MINILM

        return self.config.backbone == MINILM

    @classmethod
    def from_pretrained(cls, name: str | Path = "dual", *, revision: str | None = None, **options: Any) -> Self:
        """Load a shipped part ("dual"), a folder, or a hub id."""
        return cls(resolve(name, revision=revision), **options)

    @property
    def fingerprint(self) -> str:
        """See Scope. Edits are encoded in float32 whatever the runtime, so all runtimes share it."""
        return self._fingerprint

    def encode_inputs(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """See Scope."""
        return self._stack(self._inputs, self._texts.singles, list(inputs))

    def encode_edits(self, edits: Sequence[Edit]) -> NDArray[np.float32]:
        """See Scope."""
        if self._edits is None:
            self._edits = open_runtime(self.folder, "onnx-fp32")
        return self._stack(self._edits, self._texts.edits, [(edit.prompt, edit.target) for edit in edits])

    def _stack(self, runtime: Runtime, make: Any, items: list[Any]) -> NDArray[np.float32]:
        if not items:
            return np.zeros((0, self.dimension), np.float32)
        return np.stack([out[0] for out in run_sorted(runtime, make, items, chunk=CHUNK)]).astype(np.float32)

    def probability(self, distance: float) -> float:
        """Calibrated probability of a squared distance."""
        if self.fixed:
            return math.exp(-distance)
        odds = self.config.calibration["bias"] - self.config.calibration["scale"] * distance
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, odds))))

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        """See Scope."""
        return [
            sorted(
                (Match(found.edit, self.probability(found.distance)) for found in row),
                key=lambda match: (-match.score, match.edit.id),
            )
            for row in candidates
        ]
