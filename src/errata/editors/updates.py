"""Updates of weights in factors, each row of a batch under its own: many edits are tried in one pass while training.

An edited matrix is W less a sum of outer products, one a token. Its product with an input needs no such matrix: it is
the base's own, less the update's factors applied one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from errata.editors.gradients import Rank
from errata.editors.weights import Editable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates of one weight matrix, one for each of n sets of edits.

    Args:
        inputs: shape (n, tokens, d_in); rows of zeros where a set has fewer tokens.
        deltas: shape (n, tokens, d_out), the step size in them.
    """

    inputs: Tensor
    deltas: Tensor

    def of(self, sets: Tensor) -> Updates:
        """Those of these sets, one a row."""
        return Updates(self.inputs[sets], self.deltas[sets])


def packed(rank: Rank, sizes: Sequence[int]) -> Updates:
    """The factors of edits that were told together, by sets of so many edits.

    Args:
        rank: with the number of the edit that each row is of.
        sizes: edits of each set, in order.
    """
    import torch

    if rank.edits is None:
        raise ValueError("the rows do not tell which edit they are of")
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(rank.edits.device)[rank.edits]
    rows = [(owner == at).nonzero()[:, 0] for at in range(len(sizes))]
    pad = torch.nn.utils.rnn.pad_sequence
    return Updates(*(pad([part[own] for own in rows], batch_first=True) for part in (rank.inputs, rank.deltas)))


@contextmanager
def under(model: Editable, updates: Mapping[str, Updates]) -> Iterator[None]:
    """Meanwhile row i of what the model is asked sees the weights under the i-th of these updates.

    Args:
        model: asked once inside, as many rows as there are updates, in order.
        updates: by the names of weight matrices of linear layers.
    """
    handles = [
        model.module.get_submodule(name.rpartition(".")[0]).register_forward_hook(_less(update))
        for name, update in updates.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _less(update: Updates) -> Any:
    """A hook that takes each row's update off a layer's output; rows are counted over all its calls."""
    done = 0

    def hook(layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        nonlocal done
        rows = slice(done, done := done + len(output))
        less: Tensor = (inputs[0] @ update.inputs[rows].mT) @ update.deltas[rows]
        return output - less

    return hook
