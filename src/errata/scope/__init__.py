"""The scope classifier g_phi (SERAC, section 3.1): is this input in the scope of an edit?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from errata.edit import Candidate, Edit, Match


class Scope(Protocol):
    """Encodes inputs and edits into one space, and judges retrieved candidates."""

    @property
    def fingerprint(self) -> str:
        """Names weights, text format and precision of the vectors; vectors of another fingerprint are refused."""
        ...

    @property
    def k(self) -> int | None:
        """How many candidates an input needs from the memory; None means all of them."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode_inputs(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (n, d); a row never depends on the other inputs."""
        ...

    def encode_edits(self, edits: Sequence[Edit]) -> NDArray[np.float32]:
        """Vectors of shape (n, d); a row never depends on the other edits."""
        ...

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        """For each input its candidates with their calibrated probability, best first."""
        ...
