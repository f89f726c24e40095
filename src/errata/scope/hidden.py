"""Look-up by the base model's own hidden states: near enough to an edit is in its scope (SERAC, section 5, "LU").

Nothing is trained; one radius is tuned on dev data. The released code averages over padding too, so that a key depends
on its batch mates; here padding is left out. This scope classifier encodes and scores; it never sees the memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Match
from errata.errors import ConfigError, UnsupportedModel


class Seen(Protocol):
    """A base model that shows what its prompts look like to it."""

    @property
    def name(self) -> str:
        """How logs and results call it."""
        ...

    def vectors(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (n, width)."""
        ...


def check_seen(model: object) -> None:
    """Refuse a model that shows no hidden states.

    Raises:
        UnsupportedModel: it is a remote one.
    """
    if not hasattr(model, "vectors"):
        name = getattr(model, "name", type(model).__name__)
        raise UnsupportedModel(f"{name} shows no hidden states, which look-up compares; take a local model")


class HiddenScope:
    """In scope of an edit is what lies within a radius of it, among the base model's mean last hidden states.

    The score is radius / (radius + distance): at least 0.5 within the radius. It is no calibrated probability.

    Args:
        model: the base model itself.
        radius: Euclidean distance up to which an input is in scope.

    Raises:
        ConfigError: the radius is not above 0.
        UnsupportedModel: the model shows no hidden states (a remote one).
    """

    k: int | None = 1

    def __init__(self, model: Seen, radius: float) -> None:
        if not radius > 0 or not math.isfinite(radius):
            raise ConfigError(f"radius must be a number above 0, not {radius!r}", key="radius")
        check_seen(model)
        self.model, self.radius = model, float(radius)
        probe = model.vectors(["What does this look like?"])
        self.dimension = int(probe.shape[1])
        self.fingerprint = f"hidden:{model.name}:{hashlib.sha256(probe.round(4).tobytes()).hexdigest()[:16]}"

    def encode_inputs(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """See Scope."""
        return self.model.vectors(inputs) if inputs else np.zeros((0, self.dimension), np.float32)

    def encode_edits(self, edits: Sequence[Edit]) -> NDArray[np.float32]:
        """See Scope: of the prompts alone."""
        return self.encode_inputs([edit.prompt for edit in edits])

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        """See Scope."""
        return [
            sorted((Match(found.edit, self._score(found)) for found in row), key=lambda one: (-one.score, one.edit.id))
            for row in candidates
        ]

    def _score(self, found: Candidate) -> float:
        return self.radius / (self.radius + math.sqrt(max(0.0, found.distance)))
