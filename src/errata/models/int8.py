"""Weights and activations in bytes, so that a network runs about twice as fast on a CPU. Knows graphs, never texts.

A weight matrix is quantised column by column, once. What is multiplied with it is quantised row by row while the
network runs: a token's scale is its own largest value. So a result never depends on what else is in the batch, as it
would with ONNX Runtime's own dynamic quantisation, whose scale is the whole batch's.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

FULL, REDUCED = 127, 63
"""Steps of the largest weight. Processors without a dot product of bytes add two products in 16 bits, which weights of
8 bits may overflow (ONNX Runtime's `reduce_range`)."""
INPUT = 127
"""Steps of a row's largest activation."""
TINY = float(np.finfo(np.float32).tiny)
ZERO = 128
"""What stands for 0 among the activations, which are unsigned."""
FLOAT = 1
"""float32 among ONNX's types."""
PROCESSOR = Path("/proc/cpuinfo")


@functools.cache
def largest_weight() -> int:
    """`FULL` where the processor says that it has a dot product of bytes, else `REDUCED`."""
    try:
        told = PROCESSOR.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return REDUCED
    return FULL if any(word in told for word in ("vnni", "asimddp")) else REDUCED


def quantise(source: Path, path: Path, *, largest: int) -> None:
    """Write the network of one ONNX file to another with every product of constant weights made of bytes.

    Args:
        source: an ONNX file in float32.
        path: where the other one is written.
        largest: steps of the largest weight, see `largest_weight`.
    """
    import onnx

    model = onnx.load(str(source))
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    made = _Made(largest)
    for node in graph.node:
        held = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if held is None or len(held.dims) != 2:
            made.nodes.append(node)
        else:
            made.product(node, onnx.numpy_helper.to_array(held))
    used = {name for node in made.nodes for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *made.constants.values()])
    graph.node.extend(made.nodes)
    onnx.save(model, str(path))


class _Made:
    """The nodes and constants of the new graph."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._rows: dict[str, tuple[str, str]] = {}

    def product(self, node: NodeProto, weights: NDArray[np.float32]) -> None:
        """Make a product of bytes: (x / row scale) @ (weights / column scale), times both scales."""
        rows, scale = self._row(node.input[0])
        name = node.output[0]
        columns = np.maximum(np.abs(weights).max(0), TINY) / self.largest
        whole = np.rint(weights / columns).astype(np.int8)
        self._node(
            "MatMulInteger", rows, self._held(f"{name}_bytes", whole), self._byte("zero", ZERO), out=f"{name}_sum"
        )
        self._node("Cast", f"{name}_sum", out=f"{name}_float", to=FLOAT)
        self._node("Mul", f"{name}_float", scale, out=f"{name}_row")
        self._node("Mul", f"{name}_row", self._held(f"{name}_scale", columns.astype(np.float32)), out=name)

    def _row(self, name: str) -> tuple[str, str]:
        """(bytes, scale of every row) of what goes into a product; made once, however many products it goes into."""
        if name not in self._rows:
            most, one = self._number("most", INPUT), self._number("one", 1.0)
            self._node("Abs", name, out=f"{name}_size")
            self._node("ReduceMax", f"{name}_size", out=f"{name}_largest", axes=[-1], keepdims=1)
            self._node("Max", f"{name}_largest", self._number("tiny", TINY), out=f"{name}_safe")
            self._node("Div", f"{name}_safe", most, out=f"{name}_scale")
            self._node("Div", name, f"{name}_scale", out=f"{name}_steps")
            self._node("QuantizeLinear", f"{name}_steps", one, self._byte("zero", ZERO), out=f"{name}_bytes")
            self._rows[name] = f"{name}_bytes", f"{name}_scale"
        return self._rows[name]

    def _node(self, kind: str, *inputs: str, out: str, **options: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [out], **options))

    def _held(self, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def _number(self, name: str, value: float) -> str:
        return self._held(f"errata_{name}", np.array(value, np.float32))

    def _byte(self, name: str, value: int) -> str:
        return self._held(f"errata_{name}", np.array(value, np.uint8))
