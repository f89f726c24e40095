"""MEND: a network that turns an edit's gradient into a better one (Mitchell et al., 2021; SERAC, section 5).

The gradient of a linear layer comes in factors, two vectors a token. A small network rewrites both, the edited weights
are W - step * (sum over tokens of their outer products), and network and step sizes are trained until such an update
makes the edit hold, for rephrases too, and leaves other answers alone. Layers of one shape share a network and have a
scale and a shift of their own (released code).

Unlike there, step sizes are learnt as logarithms, so that none changes its sign, the network's inner weights begin with
a deviation of 1 over the root of their width instead of 1, so that one rate of learning serves all, and the last layer
is not clamped at 0: where both only add, no direction that other inputs share can be taken out of an update.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from errata.editors.gradients import Rank, gradient, learned, partings, ranks, shape_of, size
from errata.editors.learned import Learned, trained
from errata.editors.updates import Updates, packed
from errata.editors.weights import Editable
from errata.errors import ConfigError
from errata.models import Model
from errata.models.weights import feed_forward, place

if TYPE_CHECKING:
    from torch import Tensor

SPREAD = 1e-7
"""Added to a standard deviation before it is divided by."""
STEP_RATE = 10.0
"""How much faster step sizes are learnt than the network (100 times in the released code, whose steps are no logs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MendSettings:
    """The network. The released code: rank 1,920 or the layer's width, step 1e-4."""

    last: int = 2
    """Blocks of either stack whose feed-forward weights change; 0 is all."""
    rank: int = 128
    """Rank of the network's layers."""
    step: float = 1e-4
    """The step size that training starts from; every weight matrix learns its own."""
    normalise: bool = True
    """Whether vectors are brought to mean 0 and deviation 1, both measured while training."""
    ridge: float = 0.0
    """Above 0, a layer's inputs are multiplied by the inverse of their second moments instead, so that what other
    inputs share with an edit's moves them least (the input's side of a natural gradient); this share of their mean
    square is added before. Inputs and deltas are then brought to size 1. 0 in the paper."""

    steps: int = 1
    """Updates at most, each from the gradient at the weights before, until the edits' likeliest tokens are their
    answers'. 1 in the paper, and while training."""

    def __post_init__(self) -> None:
        if self.last < 0 or min(self.rank, self.steps) < 1 or not self.step > 0 or not self.ridge >= 0:
            raise ConfigError("rank, step and steps must be above 0, last and ridge 0 or more", key="rank")


def new_mend(model: Editable, settings: MendSettings) -> Any:
    """An untrained network for a model's layers: a torch module that leaves the (normalised) gradient as it is.

    Its `tensors(model, told)` gives the edited weights, differentiable in the network's own, and its forward the
    `Updates` that several sets of edits make, each of which has as many.
    """
    import torch

    class Block(torch.nn.Module):
        """x + scale * (U V x + b) + shift, U zero at first; scale and shift by layer; what is added may be clamped."""

        def __init__(self, width: int, rank: int, layers: int, *, clamped: bool) -> None:
            super().__init__()
            self.clamped = clamped
            rank = min(rank, width)
            self.up = torch.nn.Parameter(torch.zeros(width, rank))
            self.down = torch.nn.Parameter(torch.randn(rank, width) / width**0.5)
            self.bias = torch.nn.Parameter(torch.zeros(width))
            self.scale = torch.nn.Embedding(layers, width, _weight=torch.ones(layers, width))
            self.shift = torch.nn.Embedding(layers, width, _weight=torch.zeros(layers, width))

        def forward(self, rows: Tensor, layer: Tensor) -> Tensor:
            made = rows @ self.down.T @ self.up.T + self.bias
            moved: Tensor = self.scale(layer) * made + self.shift(layer)
            return rows + (moved.clamp(min=0) if self.clamped else moved)  # the slope at 0 is 1, not 0

    class Running(torch.nn.Module):
        """Mean and deviation of all rows met while training (Welford's sums)."""

        mean: Tensor
        spread: Tensor
        count: Tensor

        def __init__(self, width: int) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("spread", torch.zeros(width))
            self.register_buffer("count", torch.zeros(()))

        def forward(self, rows: Tensor) -> Tensor:
            if self.training:
                self._meet(rows.detach())
            if self.count < 2:
                return rows
            return (rows - self.mean) / ((self.spread / (self.count - 1)).sqrt() + SPREAD)

        def _meet(self, rows: Tensor) -> None:
            met = self.count + len(rows)
            gap = rows.mean(0) - self.mean
            self.spread += ((rows - rows.mean(0)) ** 2).sum(0) + gap**2 * self.count * len(rows) / met
            self.mean += gap * len(rows) / met
            self.count += len(rows)

    class Transform(torch.nn.Module):
        """Rewrites the factors of layers of one shape."""

        def __init__(self, d_in: int, d_out: int, layers: int) -> None:
            super().__init__()
            self.d_in = d_in
            self.left, self.right = Running(d_in), Running(d_out)
            self.blocks = torch.nn.ModuleList(
                Block(d_in + d_out, settings.rank, layers, clamped=clamped) for clamped in (True, False)
            )

        def forward(self, rank: Rank, layer: int) -> Rank:
            inputs, deltas = rank.inputs, rank.deltas
            if settings.normalise and not settings.ridge:
                inputs, deltas = self.left(inputs), self.right(deltas)
            rows, number = torch.cat([inputs, deltas], -1), torch.tensor(layer, device=inputs.device)
            for block in self.blocks:
                rows = block(rows, number)
            return Rank(rows[:, : self.d_in], rows[:, self.d_in :], rank.edits)

    class Mender(torch.nn.Module):
        rates: ClassVar[Mapping[str, float]] = {"log_steps": STEP_RATE}
        sizes: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.names = feed_forward(model.module, settings.last)
            shapes = [shape_of(model, name) for name in self.names]
            self.places = [(f"{a}x{b}", shapes[:at].count((a, b))) for at, (a, b) in enumerate(shapes)]
            kinds = dict.fromkeys(shapes)
            self.transforms = torch.nn.ModuleDict({f"{a}x{b}": Transform(a, b, shapes.count((a, b))) for a, b in kinds})
            self.log_steps = torch.nn.Parameter(torch.full((len(shapes),), math.log(settings.step)))
            if settings.ridge:
                self.register_buffer("sizes", torch.ones(len(shapes)))
                for at, (width, _) in enumerate(shapes):
                    self.register_buffer(f"parting{at}", torch.eye(width))

        def meet(
            self, base: Editable, sets: Sequence[Sequence[tuple[str, str]]], said: Sequence[tuple[str, str]]
        ) -> None:
            """Measure, before any training, what a ridge asks for: inputs' second moments, and the deltas' size.

            Args:
                base: the base model.
                sets: edits as they will be made, so many at once.
                said: inputs that edits must leave alone, with the base's own answers.
            """
            if not settings.ridge:
                return
            told = ranks(base, [one for edits in sets for one in edits], self.names)
            met = ranks(base, said, self.names)
            for at, (name, parting) in enumerate(partings(base, self.names, said, settings.ridge).items()):
                self.sizes[at] = size(told[name].deltas * len(sets))
                self.get_buffer(f"parting{at}").copy_(parting / size(met[name].inputs))

        def better(self, base: Editable, told: Sequence[tuple[str, str]], share: float) -> dict[str, Rank]:
            """The rewritten factors, step size and all; `share` of these edits are made at once."""
            found = ranks(base, told, self.names)
            made = {}
            for at, (name, (shape, layer)) in enumerate(zip(self.names, self.places, strict=True)):
                own = found[name]  # of the loss of all of them; each set's own loss averages over fewer
                inputs, deltas = own.inputs, own.deltas / share
                if settings.ridge:
                    inputs, deltas = inputs @ self.get_buffer(f"parting{at}"), deltas / self.sizes[at]
                new = self.transforms[shape](Rank(inputs, deltas, own.edits), layer)
                made[name] = Rank(new.inputs, new.deltas * self.log_steps[at].exp(), new.edits)
            return made

        def tensors(self, base: Editable, told: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
            found = self.once(base, told)
            for _ in range(settings.steps - 1):
                moved = base.with_weights(found)
                if learned(moved, told):
                    break
                found = self.once(moved, told)
            return found

        def once(self, base: Editable, told: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
            return {
                name: base.module.get_parameter(name).detach()
                - gradient(base.module.get_submodule(name.rpartition(".")[0]), rank)
                for name, rank in self.better(base, told, 1.0).items()
            }

        def updates(self, base: Editable, sets: Sequence[Sequence[tuple[str, str]]]) -> dict[str, Updates]:
            made = self.better(base, [one for told in sets for one in told], 1 / len(sets))
            return {name: packed(rank, [len(told) for told in sets]) for name, rank in made.items()}

        forward = updates

    return Mender().to(place(model.module))


class Mend(Learned):
    """MEND with a trained network: one step along the rewritten gradient of all edits together; see Learned."""

    name = "mend"
    settings: MendSettings
    defaults = MendSettings()
    new = staticmethod(new_mend)


def mend(model: Model, *, weights: str | Path = "", untold: str = "") -> Mend:
    """MEND in front of the base model that its network was trained for.

    Args:
        model: the base model.
        weights: the folder that `errata train editor mend PROBLEM` left (`out/model`).
        untold: see WeightEditor.

    Raises:
        ConfigError: no folder is named.
        ModelError, UnsupportedModel: see `Learned.from_pretrained`.
    """
    found: Mend = trained(Mend, model, weights, untold)
    return found
