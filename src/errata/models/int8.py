"""Weights and activations in bytes, so that a network runs about twice as fast on a CPU. Knows graphs, never texts.

A weight matrix is quantised column by column, once. What is multiplied with it is quantised in one of two ways, neither
of which lets a result depend on what else is in the batch, as ONNX Runtime's own dynamic quantisation does:

- what a normalisation gives (the input of attention, and of the wider layer) hardly varies from token to token, but
  much from column to column. Each column has a scale of its own, chosen once from texts that the network has read, and
  the weights take their part of it (Xiao et al., SmoothQuant, 2023, section 4);
- what comes of attention, and of GELU, varies much: a token's scale is its own largest value, found while it runs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.models.graph import Graph

FULL, REDUCED = 127, 63
"""Steps of the largest weight. Processors without a dot product of bytes add two products in 16 bits, which weights of
8 bits may overflow (ONNX Runtime's `reduce_range`)."""
STEPS = 127
"""Steps of the largest activation."""
TINY = float(np.finfo(np.float32).tiny)
ZERO = 128
"""What stands for 0 among the activations, which are unsigned."""
MOVED = 0.8
"""How much of what columns differ in is moved from the activations into the weights (SmoothQuant's alpha)."""
ROOM = 1.1
"""How much larger than any value seen an activation may be."""
PROCESSOR = Path("/proc/cpuinfo")

Ranges = Mapping[str, NDArray[np.float32]]
"""By product, the largest value that each column of what is multiplied has taken."""


@functools.cache
def largest_weight() -> int:
    """`FULL` where the processor says that it has a dot product of bytes, else `REDUCED`."""
    try:
        told = PROCESSOR.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return REDUCED
    return FULL if any(word in told for word in ("vnni", "asimddp")) else REDUCED


class Bytes:
    """Products of bytes.

    Args:
        ranges: the products whose columns have scales of their own; all others are scaled token by token.
        largest: steps of the largest weight, see `largest_weight`.
    """

    def __init__(self, ranges: Ranges, largest: int) -> None:
        self._ranges, self._largest = ranges, largest

    def product(self, graph: Graph, x: str, name: str, weights: NDArray[Any], bias: NDArray[Any]) -> str:
        """See `errata.models.graph.Products`."""
        if name in self._ranges:
            return self._by_column(graph, x, name, weights, bias)
        largest = graph.node("ReduceMax", graph.node("Abs", x), graph.held("last", [-1], np.int64), keepdims=1)
        size = graph.node("Max", largest, graph.held("tiny", TINY))
        step = graph.held("step", 1 / STEPS)
        rows = graph.node("QuantizeLinear", graph.node("Div", x, size), step, self._zero(graph))
        product = self._multiplied(graph, rows, step, name, weights)
        return graph.node("Add", graph.node("Mul", product, size), graph.held(f"{name}_bias", bias))

    def _by_column(self, graph: Graph, x: str, name: str, weights: NDArray[Any], bias: NDArray[Any]) -> str:
        seen = self._ranges[name]
        seen = np.maximum(seen, 1e-3 * max(float(seen.max()), TINY))
        heavy = np.maximum(np.abs(weights).max(1), 1e-6)
        moved = seen**MOVED / heavy ** (1 - MOVED)
        scale = moved * float((seen / moved).max()) * ROOM / STEPS
        even = graph.node("Mul", x, graph.held(f"{name}_even", 1 / scale))
        one = graph.held("one", 1.0)
        rows = graph.node("QuantizeLinear", even, one, self._zero(graph))
        return self._multiplied(graph, rows, one, name, weights * scale[:, None], graph.held(f"{name}_bias", bias))

    def _multiplied(
        self, graph: Graph, rows: str, step: str, name: str, weights: NDArray[Any], *bias: str
    ) -> str:  # fmt: skip
        columns = np.maximum(np.abs(weights).max(0), TINY) / self._largest
        whole = graph.held(f"{name}_weights", np.rint(weights / columns), np.int8)
        scale = graph.held(f"{name}_scale", columns)
        ends = ("", *bias) if bias else ()  # the weights' own zero is 0
        return graph.fused("MatMulIntegerToFloat", rows, whole, step, scale, self._zero(graph), *ends)

    def _zero(self, graph: Graph) -> str:
        return graph.held("zero", ZERO, np.uint8)


def ranges_of(module: Any, batches: Any) -> dict[str, NDArray[np.float32]]:
    """The ranges of what normalisations give, in a network that reads some texts.

    Args:
        module: a network in eval mode.
        batches: `Tokens` of the texts.
    """
    import torch

    from errata.models.graph import linears

    found: dict[str, NDArray[np.float32]] = {}
    masks: list[Any] = []

    def watch(name: str) -> Any:
        def seen(layer: Any, given: Any) -> None:
            values = given[0].detach()[masks[-1]].abs().amax(0).float().numpy()
            found[name] = np.maximum(found.get(name, 0.0), values)

        return seen

    normal = [(name, own) for name, own in linears(module).items() if name.endswith(("attend", "widen"))]
    hooks = [own[0].register_forward_pre_hook(watch(name)) for name, own in normal]
    try:
        for tokens in batches:
            ids, mask, types = (torch.from_numpy(part) for part in (tokens.ids, tokens.mask, tokens.types))
            masks.append(mask.bool())
            with torch.inference_mode():
                module(ids, mask, types)
    finally:
        for hook in hooks:
            hook.remove()
    return found
