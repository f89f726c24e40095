"""A torch module with some weights changed and the others shared with the module it came from, which stays as it is.

Knows names and tensors; what a change is for, the editors know.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from errata.errors import ConfigError, UnsupportedModel

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = re.compile(r"(?P<stack>(?:.*?\.)?(?:block|blocks|layer|layers|h))\.(?P<number>\d+)\.(?P<rest>.*)")
"""A weight within a stack of like blocks, whatever the architecture calls it."""
_NOT_FEED_FORWARD = re.compile(r"att|norm|ln_|bias|lora", re.IGNORECASE)


def overlaid(module: Any, changed: Mapping[str, Tensor]) -> Any:
    """A module that differs in these parameters alone; all else is shared, so it takes their memory and no more.

    Args:
        module: any torch module; not changed.
        changed: new values by parameter name, of the same shapes.

    Raises:
        ConfigError: there is no such parameter, or it has another shape.
    """
    import torch

    own = dict(module.named_parameters())
    for name, value in changed.items():
        if name not in own or own[name].shape != value.shape:
            said = f"the model has no weights {name!r} of shape {tuple(value.shape)}"
            raise ConfigError(said, key=name, accepted=tuple(own))
    kept = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    for name, value in changed.items():  # wherever else the module holds the same weights, these stand too
        kept[id(own[name])] = torch.nn.Parameter(value.detach().clone(), requires_grad=False)
    return copy.deepcopy(module, kept)


def place(module: Any) -> Any:
    """The torch device that a module's weights lie on."""
    return next(module.parameters()).device


SAMPLED = 256
"""Numbers of each parameter that a fingerprint is made from: all of a large model's would take long to read."""


def fingerprint(module: Any) -> str:
    """Sixteen hexadecimal digits that tell models apart: SHA-256 over names, shapes and a sample of the weights.

    The same model in another precision has another one.
    """
    digest = hashlib.sha256()
    for name, value in module.named_parameters():
        flat = value.detach().flatten()
        sample = flat[:: max(1, len(flat) // SAMPLED)][:SAMPLED]
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


class Substituted:
    """A module that is run with tensors in the place of some weights, so that gradients flow through these.

    Args:
        module: any torch module; not changed.
        tensors: by parameter name; need be no leaves.
    """

    def __init__(self, module: Any, tensors: Mapping[str, Tensor]) -> None:
        self._module, self._tensors = module, dict(tensors)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The module's forward with these tensors."""
        import torch

        return torch.func.functional_call(self._module, self._tensors, args, options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def feed_forward(module: Any, last: int = 2) -> tuple[str, ...]:
    """Names of the feed-forward weight matrices in the last blocks of every stack (encoder and decoder apart).

    These are what the papers' weight editors change (SERAC's released code: the last two blocks of either stack of T5;
    SeProG, section 4: the last two layers).

    Args:
        module: a transformer.
        last: blocks of each stack; 0 takes all.

    Raises:
        UnsupportedModel: no stack of blocks is found in it.
    """
    found: dict[str, dict[int, list[str]]] = {}
    for name, value in module.named_parameters():
        place = _BLOCK.fullmatch(name)
        if place and value.dim() == 2 and not _NOT_FEED_FORWARD.search(place["rest"]):
            found.setdefault(place["stack"], {}).setdefault(int(place["number"]), []).append(name)
    if not found:
        raise UnsupportedModel(f"{type(module).__name__} has no stack of blocks whose weights could be edited")
    return tuple(
        name
        for blocks in found.values()
        for number in sorted(blocks)[-last if last else None :]
        for name in blocks[number]
    )
