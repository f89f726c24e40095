"""A trained network written as an ONNX graph: a BERT encoder of a dozen nodes a layer, and its heads.

PyTorch's exporter writes some eighty nodes a layer, and a short text spends more time between them than in them. Here
attention, normalisation with the residual, and GELU are one node each. How a product with constant weights is made,
of floats or of bytes, is told by a `Products`. Knows graphs and modules, never texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from errata.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

INPUTS = ("ids", "mask", "types")
OUTPUTS = {"dual": ("vector",), "pair": ("scope", "kind", "start", "end")}
_FLOAT, _INT32, _INT64 = 1, 6, 7  # ONNX's numbers of its types
_FUSED = "com.microsoft"  # ONNX Runtime's own operators


class Graph:
    """Nodes and constants as they come."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def held(self, name: str, values: Any, kind: Any = np.float32) -> str:
        """A constant; the same name is the same constant."""
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.array(values, kind, order="C"), name)
        return name

    def node(self, kind: str, *inputs: str, **options: Any) -> str:
        """An operator of ONNX's with one output."""
        return self._add(kind, inputs, "", 1, options)[0]

    def fused(self, kind: str, *inputs: str, outputs: int = 1, **options: Any) -> str:
        """An operator of ONNX Runtime's own; its first output."""
        return self._add(kind, inputs, _FUSED, outputs, options)[0]

    def split(self, name: str, parts: int, width: int) -> list[str]:
        """A (n, t, parts * width) array in parts."""
        sizes = self.held(f"{parts}_times_{width}", [width] * parts, np.int64)
        return self._add("Split", (name, sizes), "", parts, {"axis": 2})

    def _add(self, kind: str, inputs: Any, domain: str, outputs: int, options: dict[str, Any]) -> list[str]:
        from onnx import helper

        names = [f"v{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **options))
        return names

    def model(self, inputs: dict[str, int], given: dict[str, str]) -> ModelProto:
        """The whole: inputs with their types, outputs by their names."""
        from onnx import helper

        for name, value in given.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(
            self.nodes,
            "errata",
            [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items()],
            [helper.make_tensor_value_info(name, _FLOAT, None) for name in given],
            list(self._constants.values()),
        )
        versions = [helper.make_opsetid("", 18), helper.make_opsetid(_FUSED, 1)]
        return helper.make_model(graph, opset_imports=versions, ir_version=9)


class Products(Protocol):
    """Writes products with constant weights."""

    def product(self, graph: Graph, x: str, name: str, weights: NDArray[Any], bias: NDArray[Any]) -> str:
        """The value x @ weights + bias.

        Args:
            graph: it is written to.
            x: the value that is multiplied, its last axis as long as `weights` has rows.
            name: of this product, the same for the same one of another network; see `linears`.
            weights: (in, out).
            bias: (out,).
        """
        ...


class Floats:
    """Products of float32."""

    def product(self, graph: Graph, x: str, name: str, weights: NDArray[Any], bias: NDArray[Any]) -> str:
        """See Products."""
        product = graph.node("MatMul", x, graph.held(f"{name}_weights", weights))
        return graph.node("Add", product, graph.held(f"{name}_bias", bias))


def check(module: Any) -> None:
    """Whether a network can be written so.

    Raises:
        ModelError: its encoder is no BERT with GELU and absolute positions.
    """
    told = module.encoder.config
    if told.model_type != "bert" or told.hidden_act != "gelu":
        raise ModelError(
            f"an encoder of type {told.model_type!r} with {getattr(told, 'hidden_act', 'no')!r} cannot be written for"
            " ONNX Runtime, only BERT with 'gelu' can; use runtime='torch'"
        )


def linears(module: Any) -> dict[str, list[Any]]:
    """The linear layers of the encoder by the product they are parts of: those that read the same are one product."""
    found: dict[str, list[Any]] = {}
    for at, layer in enumerate(module.encoder.encoder.layer):
        attention = layer.attention
        found[f"{at}_attend"] = [attention.self.query, attention.self.key, attention.self.value]
        found[f"{at}_attended"] = [attention.output.dense]
        found[f"{at}_widen"] = [layer.intermediate.dense]
        found[f"{at}_narrow"] = [layer.output.dense]
    return found


def write(module: Any, products: Products) -> ModelProto:
    """A network in eval mode, its adapters merged, as an ONNX model.

    Args:
        module: as `load_network` gives it.
        products: how products are made.

    Raises:
        ModelError: see `check`.
    """
    check(module)
    return _Writer(module, products).written()


class _Writer:
    def __init__(self, module: Any, products: Products) -> None:
        self.module, self.products, self.graph = module, products, Graph()
        self.told = module.encoder.config
        self.linears = linears(module)

    def written(self) -> ModelProto:
        mask = self.graph.node("Cast", "mask", to=_INT32)
        hidden = self.embedded()
        for at in range(len(self.module.encoder.encoder.layer)):
            hidden = self.layer(at, hidden, mask)
        return self.graph.model(dict.fromkeys(INPUTS, _INT64), self.given(hidden))

    def embedded(self) -> str:
        """(n, t, width): the sum of word, position and type, normalised."""
        graph, made = self.graph, self.module.encoder.embeddings
        tables = [
            graph.held(name, _array(table.weight))
            for name, table in (
                ("words", made.word_embeddings),
                ("positions", made.position_embeddings),
                ("types_", made.token_type_embeddings),
            )
        ]
        ids, types = (graph.node("Cast", name, to=_INT32) for name in ("ids", "types"))
        return graph.fused(
            "EmbedLayerNormalization", ids, types, *tables, *self.norm("embedded", made.LayerNorm), outputs=2,
            epsilon=self.told.layer_norm_eps,
        )  # fmt: skip

    def layer(self, at: int, hidden: str, mask: str) -> str:
        graph, made = self.graph, self.module.encoder.encoder.layer[at]
        heads = graph.split(self.product(f"{at}_attend", hidden), 3, self.told.hidden_size)
        seen = graph.fused("MultiHeadAttention", *heads, "", mask, num_heads=self.told.num_attention_heads)
        hidden = self.added(f"{at}_attended", seen, hidden, made.attention.output.LayerNorm)
        wide = graph.fused("Gelu", self.product(f"{at}_widen", hidden))
        return self.added(f"{at}_narrow", wide, hidden, made.output.LayerNorm)

    def added(self, name: str, x: str, hidden: str, norm: Any) -> str:
        """The product of x, added to the residual, normalised."""
        return self.graph.fused(
            "SkipLayerNormalization", self.product(name, x), hidden, *self.norm(name, norm),
            epsilon=self.told.layer_norm_eps,
        )  # fmt: skip

    def product(self, name: str, x: str) -> str:
        weights = np.concatenate([_array(one.weight).T for one in self.linears[name]], axis=1)
        bias = np.concatenate([_array(one.bias) for one in self.linears[name]])
        return self.products.product(self.graph, x, name, weights, bias)

    def norm(self, name: str, norm: Any) -> tuple[str, str]:
        held = self.graph.held
        return held(f"{name}_norm", _array(norm.weight)), held(f"{name}_norm_bias", _array(norm.bias))

    def given(self, hidden: str) -> dict[str, str]:
        """What the network gives, by name."""
        told, graph = self.module.config, self.graph
        if told.shape == "dual":
            vector = self.mean(hidden) if told.pooling == "mean" else self.cls(hidden)
            return {"vector": graph.node("LpNormalization", vector, axis=-1, p=2) if told.normalise else vector}
        read = self.head("inner", self.cls_and_mean(hidden), squash=True)
        span = self.head("span", hidden)
        ends = [graph.node("Gather", span, graph.held(f"number_{at}", at, np.int64), axis=2) for at in (0, 1)]
        scope, kind = self.flat(self.head("scope", read)), self.head("kind", read)
        return dict(zip(OUTPUTS["pair"], (scope, kind, *ends), strict=True))

    def head(self, name: str, x: str, *, squash: bool = False) -> str:
        linear = getattr(self.module, name)
        product = self.products if squash else Floats()  # the rest has a handful of columns
        value = product.product(self.graph, x, name, _array(linear.weight).T, _array(linear.bias))
        return self.graph.node("Tanh", value) if squash else value

    def flat(self, name: str) -> str:
        return self.graph.node("Squeeze", name, self.graph.held("last", [-1], np.int64))

    def cls(self, hidden: str) -> str:
        return self.graph.node("Gather", hidden, self.graph.held("number_0", 0, np.int64), axis=1)

    def mean(self, hidden: str) -> str:
        """The mean of the tokens that are none of the padding."""
        graph = self.graph
        weight = graph.node("Cast", "mask", to=_FLOAT)
        last, middle = graph.held("last", [-1], np.int64), graph.held("middle_axis", [1], np.int64)
        share = graph.node("Div", weight, graph.node("ReduceSum", weight, last, keepdims=1))
        return graph.node("Squeeze", graph.node("MatMul", graph.node("Unsqueeze", share, middle), hidden), middle)

    def cls_and_mean(self, hidden: str) -> str:
        return self.graph.node("Concat", self.cls(hidden), self.mean(hidden), axis=-1)


def _array(value: Any) -> NDArray[np.float32]:
    return np.asarray(value.detach().float().numpy(), np.float32)
