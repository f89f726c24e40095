"""FT: fine-tuning on the edits until the model says them (SERAC, section 5, "FT"; appendix B).

Gradient descent on the edits' likelihood in the last feed-forward layers, stopped when every edit is learnt. Nothing
holds other answers in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from errata.editors.weights import Editable, WeightEditor
from errata.errors import ConfigError
from errata.models import Model
from errata.models.weights import feed_forward
from errata.settings import apply

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 32
"""Edits in one forward pass; the gradient is that of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneSettings:
    """How edits are learnt. The papers: Adam, lr 1e-4 for T5 and 5e-6 for BERT, at most 100 steps."""

    lr: float = 1e-4
    """Adam's learning rate."""
    steps: int = 100
    """Steps at most."""
    last: int = 2
    """Blocks of either stack whose feed-forward weights change; 0 is all."""
    clip: float = 100.0
    """Largest gradient norm."""

    def __post_init__(self) -> None:
        if not self.lr > 0 or self.steps < 1 or self.last < 0 or not self.clip > 0:
            raise ConfigError("lr, steps and clip must be above 0, last 0 or more", key="lr")


class FineTune(WeightEditor):
    """Fine-tuning on the edits.

    Args:
        model: the base model.
        untold: see WeightEditor.
        settings: fields of FineTuneSettings.

    Raises:
        ConfigError: a setting is unknown, or its value makes no sense.
        UnsupportedModel: the model does not show its weights.
    """

    name = "ft"
    settings: FineTuneSettings

    def __init__(self, model: Model, *, untold: str = "", **settings: Any) -> None:
        super().__init__(model, apply(settings, FineTuneSettings(), self.name), untold=untold)

    def learn(self, model: Editable, told: Sequence[tuple[str, str]]) -> Mapping[str, Tensor]:
        """See WeightEditor: Adam until every edit's likeliest tokens are its answer's."""
        return fine_tune(model, told, self.settings)


def fine_tune(model: Any, told: Sequence[tuple[str, str]], settings: FineTuneSettings) -> Mapping[str, Tensor]:
    """New values of a model's last feed-forward weights, learnt from edits.

    Args:
        model: has `module`, `with_weights` and `logits`; stays as it is.
        told: (prompt, answer) of every edit.
        settings: how they are learnt.
    """
    import torch

    names = feed_forward(model.module, settings.last)
    own = model.with_weights({name: model.module.get_parameter(name) for name in names})
    weights = {name: own.module.get_parameter(name).requires_grad_(True) for name in names}
    adam = torch.optim.Adam(weights.values(), lr=settings.lr)
    own.module.eval()
    for _ in range(settings.steps):
        adam.zero_grad()
        if _loss(own, told):
            break
        torch.nn.utils.clip_grad_norm_(weights.values(), settings.clip)
        adam.step()
    return {name: value.detach() for name, value in weights.items()}


def _loss(model: Any, told: Sequence[tuple[str, str]]) -> bool:
    """Add the gradients of the average negative log-likelihood per edit; whether all edits are learnt."""
    import torch

    learnt = True
    with torch.enable_grad():
        for begin in range(0, len(told), AT_ONCE):
            prompts, answers = zip(*told[begin : begin + AT_ONCE], strict=True)
            rows = model.logits(prompts, answers)
            learnt &= all(bool((logits.argmax(-1) == ids).all()) for logits, ids in rows)
            losses = [torch.nn.functional.cross_entropy(logits.float(), ids) for logits, ids in rows]
            torch.autograd.backward(torch.stack(losses).sum() / len(told))
    return learnt
