"""ENN: a model trained to be edited by a step of gradient descent (Sinitsin et al., 2020; SERAC, section 5).

The weights that edits change and a step size for each are trained together, through the step itself (second order), so
that one step on an edit makes it hold and leaves other answers alone. Unlike any other editor it changes the weights
before there is an edit; a term of its training keeps the answers near the base's, and drawdown counts from the base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from errata.editors.gradients import Rank, Ridged, edit_loss, factors, hold_partings, learned, watched
from errata.editors.learned import Learned, trained
from errata.editors.updates import Updates, packed
from errata.editors.weights import Editable
from errata.errors import ConfigError
from errata.models import Model
from errata.models.weights import feed_forward, place

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class EnnSettings:
    """The inner step. The papers: one, of size 1e-2 to begin with, and no ridge."""

    last: int = 2
    """Blocks of either stack whose feed-forward weights change; 0 is all."""
    steps: int = 1
    """Steps of gradient descent that make an edit; after the first, none once its likeliest tokens are its answer's.
    One while training."""
    step: float = 1e-2
    """The step size that training starts from; every weight matrix learns its own."""
    ridge: float = 0.0
    """Above 0, a gradient's inputs are multiplied by the inverse of their second moments on other inputs, so that what
    those share with an edit's moves them least; this share of their mean square is added before. 0 in the papers."""

    def __post_init__(self) -> None:
        if self.last < 0 or self.steps < 1 or not self.step > 0 or not self.ridge >= 0:
            raise ConfigError("steps and step must be above 0, last and ridge 0 or more", key="step")


def new_enn(model: Editable, settings: EnnSettings) -> Any:
    """Untrained: a torch module with the base's weights and step sizes, which edits by plain gradient descent.

    Its `tensors(model, told)` gives the edited weights, differentiable in its own while it is in training mode,
    `before()` those before any edit; its forward gives the `Updates` that several sets of edits make of those.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    class Adaptable(Ridged, torch.nn.Module):
        rates: ClassVar[Mapping[str, float]] = {"log_steps": 100.0}  # step sizes move faster than the weights may

        def __init__(self) -> None:
            super().__init__()
            self.names, self.ridge = feed_forward(model.module, settings.last), settings.ridge
            own = [model.module.get_parameter(name).detach().clone() for name in self.names]
            self.weights = torch.nn.ParameterList(torch.nn.Parameter(value) for value in own)
            self.log_steps = torch.nn.Parameter(torch.full((len(own),), math.log(settings.step)))
            if settings.ridge:
                hold_partings(self, model, self.names)

        def parted(self, slopes: Sequence[Tensor]) -> list[Tensor]:
            """Gradients with what other inputs share taken out of the inputs' side, whichever side that is."""
            if not settings.ridge:
                return list(slopes)
            made = []
            for at, (name, slope) in enumerate(zip(self.names, slopes, strict=True)):
                parting, layer = self.get_buffer(f"parting{at}"), model.module.get_submodule(name.rpartition(".")[0])
                made.append(slope @ parting if isinstance(layer, torch.nn.Linear) else parting @ slope)
            return made

        def before(self) -> dict[str, Tensor]:
            return dict(zip(self.names, self.weights, strict=True))

        def tensors(
            self, base: Editable, told: Sequence[tuple[str, str]], start: Mapping[str, Tensor] | None = None
        ) -> dict[str, Tensor]:
            values = list((start or self.before()).values())
            twice = sdpa_kernel(SDPBackend.MATH) if self.training else nullcontext()  # others have no second derivative
            with torch.enable_grad(), twice:
                for taken in range(settings.steps):
                    now = dict(zip(self.names, values, strict=True))
                    if taken and not self.training and learned(base.through(now), told):
                        break
                    values = [value if value.requires_grad else value.detach().requires_grad_() for value in values]
                    loss = edit_loss(base.through(dict(zip(self.names, values, strict=True))), told)
                    slopes = self.parted(torch.autograd.grad(loss, values, create_graph=self.training))
                    sizes = self.log_steps.exp()
                    values = [value - size * slope for value, size, slope in zip(values, sizes, slopes, strict=True)]
            return dict(zip(self.names, values, strict=True))

        def updates(self, base: Editable, sets: Sequence[Sequence[tuple[str, str]]]) -> dict[str, Updates]:
            """A step from the weights before, of each of several sets of as many edits."""
            told = [one for own in sets for one in own]
            before = base.through(self.before())
            with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), watched(base, self.names) as seen:
                found = factors(edit_loss(before, told) * len(sets), seen, twice=True)
            sizes = dict(zip(self.names, self.log_steps.exp(), strict=True))
            inputs = {name: own.inputs for name, own in found.items()}
            if settings.ridge:
                inputs = {name: own @ self.get_buffer(f"parting{at}") for at, (name, own) in enumerate(inputs.items())}
            stepped = {name: Rank(inputs[name], own.deltas * sizes[name], own.edits) for name, own in found.items()}
            return {name: packed(rank, [len(own) for own in sets]) for name, rank in stepped.items()}

        forward = updates

    return Adaptable().to(place(model.module))


class Enn(Learned):
    """ENN with trained weights and step sizes; see Learned."""

    name = "enn"
    settings: EnnSettings
    defaults = EnnSettings()
    new = staticmethod(new_enn)

    def __init__(self, model: Model, network: Any, settings: EnnSettings, *, untold: str = "") -> None:
        super().__init__(model, network, settings, untold=untold)
        self.changed = {name: value.detach() for name, value in network.before().items()}
        self.model = self.model.with_weights(self.changed)

    def learn(self, model: Editable, told: Sequence[tuple[str, str]]) -> Mapping[str, Tensor]:
        """See WeightEditor: gradient descent from the weights as they are now."""
        start = {name: model.module.get_parameter(name) for name in self.network.names}
        return {name: value.detach() for name, value in self.network.tensors(model, told, start).items()}


def enn(model: Model, *, weights: str | Path = "", untold: str = "") -> Enn:
    """ENN in front of the base model that it was trained from.

    Args:
        model: the base model.
        weights: the folder that `errata train editor enn PROBLEM` left (`out/model`).
        untold: see WeightEditor.

    Raises:
        ConfigError: no folder is named.
        ModelError, UnsupportedModel: see `Learned.from_pretrained`.
    """
    found: Enn = trained(Enn, model, weights, untold)
    return found
