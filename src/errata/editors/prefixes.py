"""Prefixes taught an edit's answer when the edit is made: gradient steps on the prefix, none on the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from errata.models.prompted import Prompted

if TYPE_CHECKING:
    from torch import Tensor

RATE = 0.3
"""Adam's learning rate, as a share of the root mean square of the base's embeddings."""
LEARNT = 0.05
"""Mean negative log-likelihood of an answer's tokens below which no further step is taken."""


def offset(base: Prompted, told: tuple[str, str], prefix: Tensor, *, steps: int, size: float) -> Tensor:
    """What makes the base say an edit's answer when it is added to the edit's prefix.

    Args:
        base: the frozen base model, in float32.
        told: the edit's prompt and answer.
        prefix: what is written for the edit, shape (p, d).
        steps: Adam's, at most; it ends earlier where the answer is learnt.
        size: root mean square of the base's embeddings.

    Returns:
        Shape (p, d).

    Raises:
        EditError, ModelError: as the base's own `logits`.
    """
    import torch

    added = torch.zeros_like(prefix).requires_grad_(True)
    adam = torch.optim.Adam([added], lr=RATE * size)
    with torch.enable_grad():
        for _ in range(steps):
            [(logits, ids)] = base.logits_under([told[0]], [told[1]], (prefix + added)[None])
            loss = torch.nn.functional.cross_entropy(logits.float(), ids)
            if float(loss.detach()) < LEARNT:
                break
            [added.grad] = torch.autograd.grad(loss, [added])
            adam.step()
    return added.detach()
