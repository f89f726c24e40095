"""What gradient editors read off an edit: the loss, and at every edited layer what went in and what came back.

The gradient of a weight matrix is the sum over tokens of an outer product of the layer's input and of the gradient at
its output (MEND; Mitchell et al., 2021, section 3): two vectors a token tell all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from errata.editors.weights import Editable

if TYPE_CHECKING:
    from torch import Tensor


TINY = 1e-7


@dataclass(frozen=True, slots=True)
class Rank:
    """A weight matrix's gradient in factors.

    Args:
        inputs: the layer's inputs, one row a token, shape (tokens, d_in).
        deltas: the gradients of the loss at its outputs, shape (tokens, d_out).
        edits: the number of the edit that each row is of, shape (tokens,); None where it does not matter.
    """

    inputs: Tensor
    deltas: Tensor
    edits: Tensor | None = None

    def used(self) -> Rank:
        """Without the rows that no gradient reached (padding)."""
        rows = (self.deltas != 0).any(-1)
        return Rank(self.inputs[rows], self.deltas[rows], None if self.edits is None else self.edits[rows])


def partings(
    model: Editable, names: Sequence[str], said: Sequence[tuple[str, str]], ridge: float
) -> Mapping[str, Tensor]:
    """By weight what its inputs are multiplied by, so that what they share with others' moves those least.

    That is the inverse of the inputs' second moments, of a size that leaves inputs the size they have. A gradient whose
    inputs are so divided is the inputs' side of a natural gradient.

    Args:
        model: the base model.
        names: weight matrices of linear layers.
        said: inputs that edits must leave alone, with the base's own answers.
        ridge: this share of the inputs' mean square is added to their second moments first.
    """
    import torch

    found = {}
    for name, rank in ranks(model, said, names).items():
        inputs = rank.inputs.double()
        moments = inputs.T @ inputs / len(inputs)
        share = ridge * moments.diagonal().mean().clamp(min=TINY)
        parting = torch.linalg.inv(moments + share * torch.eye(len(moments), device=moments.device))
        found[name] = (parting * size(inputs) / size(inputs @ parting)).float()
    return found


def hold_partings(network: Any, model: Editable, names: Sequence[str]) -> None:
    """Give a network a buffer for each of its weights' `partings`, which leave gradients alone until measured."""
    import torch

    for at, name in enumerate(names):
        network.register_buffer(f"parting{at}", torch.eye(shape_of(model, name)[0]))


def measure_partings(
    network: Any, model: Editable, names: Sequence[str], said: Sequence[tuple[str, str]], ridge: float
) -> None:
    """Fill these buffers; arguments as for `partings`."""
    for at, parting in enumerate(partings(model, names, said, ridge).values()):
        network.get_buffer(f"parting{at}").copy_(parting)


class Ridged:
    """What a network is shown before it is trained, where a ridge alone asks for it (a mixin of torch modules)."""

    names: Sequence[str]
    """Of the weights that change."""
    ridge: float
    """0 asks for nothing."""

    def meet(self, base: Editable, sets: Sequence[Sequence[tuple[str, str]]], said: Sequence[tuple[str, str]]) -> None:
        """Measure the second moments of each layer's inputs.

        Args:
            base: the base model.
            sets: edits as they will be made; not looked at.
            said: inputs that edits must leave alone, with the base's own answers.
        """
        if self.ridge:
            measure_partings(self, base, self.names, said, self.ridge)


def size(rows: Tensor) -> Tensor:
    """Root of the mean square; never 0."""
    return rows.square().mean().sqrt().clamp(min=TINY)


def edit_loss(model: Any, told: Sequence[tuple[str, str]]) -> Tensor:
    """The edits' negative log-likelihood per token, averaged over edits; differentiable.

    Args:
        model: whose `logits` are taken.
        told: (prompt, answer) of every edit.
    """
    import torch

    rows = model.logits([prompt for prompt, _ in told], [answer for _, answer in told])
    return torch.stack([torch.nn.functional.cross_entropy(logits.float(), ids) for logits, ids in rows]).mean()


def learned(model: Any, told: Sequence[tuple[str, str]]) -> bool:
    """Whether every edit's likeliest tokens, given those before, are its answer's.

    Args:
        model: whose `logits` are taken.
        told: (prompt, answer) of every edit.
    """
    import torch

    with torch.no_grad():
        rows = model.logits([prompt for prompt, _ in told], [answer for _, answer in told])
    return all(bool((logits.argmax(-1) == ids).all()) for logits, ids in rows)


def ranks(model: Editable, told: Sequence[tuple[str, str]], names: Sequence[str]) -> Mapping[str, Rank]:
    """The factors of the edit loss's gradient at each of these weights.

    Args:
        model: the base model as it is now.
        told: (prompt, answer) of every edit.
        names: weight matrices of linear layers.

    Returns:
        By name; `gradient` puts them together.
    """
    import torch

    with torch.enable_grad(), watched(model, names) as seen:
        return factors(edit_loss(model, told), seen)


Seen = Mapping[str, list[tuple[Any, Any]]]
"""Inputs and outputs of layers, call by call, by the names of their weights."""


@contextmanager
def watched(model: Editable, names: Sequence[str]) -> Iterator[Seen]:
    """Keep what goes into and comes out of these weights' layers meanwhile, for `factors`."""
    seen: Seen = {name: [] for name in names}
    handles = []
    for name in names:
        layer = model.module.get_submodule(name.rpartition(".")[0])
        handles.append(layer.register_forward_hook(_watch(seen[name])))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def factors(loss: Tensor, seen: Seen, *, twice: bool = False) -> Mapping[str, Rank]:
    """The factors of a loss's gradient at the layers that were watched while it was made, by weight.

    Args:
        loss: a scalar.
        seen: what `watched` gave; the first axis of every tensor in it counts edits, over all calls of a layer.
        twice: whether the factors are differentiable themselves.
    """
    import torch

    outputs = [out for calls in seen.values() for _, out in calls]
    grads = iter(torch.autograd.grad(loss, outputs, allow_unused=True, create_graph=twice))
    found = {}
    for name, calls in seen.items():
        pairs = [(x if twice else x.detach(), grad) for x, out in calls if (grad := next(grads)) is not None]
        each = [tokens for x, _ in pairs for tokens in [x.shape[1:-1].numel()] * len(x)]
        found[name] = Rank(
            torch.cat([x.flatten(0, -2) for x, _ in pairs]),
            torch.cat([grad.flatten(0, -2) for _, grad in pairs]),
            torch.arange(len(each), device=loss.device).repeat_interleave(torch.tensor(each, device=loss.device)),
        ).used()
    return found


def shape_of(model: Editable, name: str) -> tuple[int, int]:
    """(d_in, d_out) of a layer, whatever way round it keeps its weights."""
    import torch

    first, second = model.module.get_parameter(name).shape
    linear = isinstance(model.module.get_submodule(name.rpartition(".")[0]), torch.nn.Linear)
    return (second, first) if linear else (first, second)


def sides(layer: Any, rank: Rank) -> tuple[Tensor, Tensor]:
    """The factors by the rows and by the columns of the weights: left.T @ right is their gradient."""
    import torch

    if isinstance(layer, torch.nn.Linear):  # (d_out, d_in); GPT-2's layers keep (d_in, d_out)
        return rank.deltas, rank.inputs
    return rank.inputs, rank.deltas


def gradient(layer: Any, rank: Rank) -> Tensor:
    """The weight gradient that the factors make, the way round that the layer keeps its weights."""
    left, right = sides(layer, rank)
    return left.T @ right


def _watch(found: list[tuple[Tensor, Tensor]]) -> Any:
    """A hook that keeps a layer's input and output."""

    def hook(layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        if not output.requires_grad:
            output = output.detach().requires_grad_(True)
        found.append((inputs[0], output))
        return output

    return hook
