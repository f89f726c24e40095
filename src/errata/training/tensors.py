"""Texts as batches of tensors, in chunks of like length: a long one must not pad all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from errata.models.text import Tokens

CHUNKS = 3
"""Parts that a batch is run in."""


def tensors(tokens: Tokens) -> tuple[Any, Any, Any]:
    """A batch's three arrays as torch tensors."""
    import torch

    return torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask), torch.from_numpy(tokens.types)


def in_chunks(make: Callable[[list[Any]], Tokens], items: Sequence[Any]) -> tuple[list[Any], Any]:
    """Token tensors of items in chunks of like length, and where each item's row is then found."""
    import torch

    order = sorted(range(len(items)), key=lambda at: len(str(items[at])))
    size = max(1, -(-len(items) // CHUNKS))
    chunks = [tensors(make([items[at] for at in order[begin : begin + size]])) for begin in range(0, len(order), size)]
    return chunks, torch.tensor(order).argsort()


def embed(module: Any, chunked: tuple[list[Any], Any]) -> Any:
    """Vectors of chunked items, in the items' own order."""
    import torch

    chunks, rows = chunked
    return torch.cat([module(*chunk).float() for chunk in chunks])[rows]
