"""The exported graph in the operators that ONNX Runtime's CPU kernels run fastest: the same function, other nodes.

ONNX Runtime's fused operators are made for GPUs. On a CPU `SkipLayerNormalization` takes six times as long as the two
sums and the `LayerNormalization` that it stands for, `MultiHeadAttention` three times as long as the standard's
`Attention`, and `BiasGelu` more than a sum and a `Gelu`: these have vectorised kernels, those have plain loops.
"""

from collections.abc import Callable, Iterator

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from model.runtime import ALONE

OPSET = 23
"""The first with `Attention`."""

SHAPE = "cpu.shape"
"""Of the hidden states: batch, length, width."""
MASK = "cpu.mask"
"""What each token may look at: batch x 1 x length x length."""
TWICE = "twice"
"""Ends the name of what the pooling has twice."""


FUSED = {"EmbedLayerNormalization", "SkipLayerNormalization", "MultiHeadAttention", "BiasGelu"}


def suits_cpu(graph: GraphProto) -> bool:
    """Whether the graph is of the form that `for_cpu` rewrites: all of an encoder fused, one part upon the other."""
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    # Where embeddings are narrower than the states, a product stands between them and the first layer.
    follows = any(
        made_by.get(name) == "EmbedLayerNormalization"
        for node in graph.node
        if node.op_type == "SkipLayerNormalization"
        for name in node.input
    )
    return follows and set(made_by.values()) >= FUSED


def for_cpu(model: ModelProto) -> None:
    """Rewrites `model`, as `export` makes it, in place.

    Between the embeddings and the pooling, states are rows (batch x length, width), so that products and scales need no
    reshaping; attention alone sees batches.
    """
    graph = model.graph
    rewriter = _Rewriter(graph)
    nodes = [node for old in graph.node for node in rewriter.rewrite(old)]
    del graph.node[:]
    graph.node.extend(nodes)
    rewriter.constants += pool_twice(model, rewriter.last)
    nodes = list(graph.node)
    unused = {tensor.name for tensor in graph.initializer} - {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name not in unused]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *rewriter.constants])
    del graph.value_info[:]  # shapes of tensors that are gone or have another rank
    next(one for one in model.opset_import if not one.domain).version = OPSET


def pool_twice(model: ModelProto, states: str) -> list[TensorProto]:
    """Pools every text twice and keeps the first of each, in place; returns the constants that this needs.

    ONNX Runtime sums the tokens of a batch of one text in another order than those of any larger one, and its last
    decimals with it: the only place where a batch's size is seen. Pooling twice costs nothing that can be measured;
    running such a batch twice, as must be done without this, takes 1.6 to 1.9 times as long. `states` are what is
    pooled (batch x length x width).
    """
    graph = model.graph
    at = next(place for place, node in enumerate(graph.node) if states in node.output) + 1
    before, after = list(graph.node[:at]), list(graph.node[at:])
    made = {one.name for one in graph.input} | {name for node in before for name in node.output}
    taken = sorted(made & {name for node in after for name in node.input})
    heads = [one.name for one in graph.output]
    for node in after:
        for names, renamed in ((node.input, taken), (node.output, heads)):
            names[:] = [f"{name}.{TWICE}" if name in renamed else name for name in names]
    doubled = [helper.make_node("Concat", [name, name], [f"{name}.{TWICE}"], axis=0) for name in taken]
    first = numpy_helper.from_array(np.array([0]), "cpu.first")
    kept = [
        helper.make_node("Shape", ["input_ids"], ["cpu.texts"], end=1),
        *(helper.make_node("Slice", [f"{one}.{TWICE}", first.name, "cpu.texts", first.name], [one]) for one in heads),
    ]
    del graph.node[:]
    graph.node.extend([*before, *doubled, *after, *kept])
    helper.set_model_props(model, {ALONE: "1"})
    return [first]


class _Rewriter:
    def __init__(self, graph: GraphProto) -> None:
        self.constants: list[TensorProto] = []
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._rewrite: dict[str, Callable[[NodeProto], Iterator[NodeProto]]] = {
            "EmbedLayerNormalization": self._embed,
            "SkipLayerNormalization": self._normalise,
            "MultiHeadAttention": self._attend,
            "BiasGelu": self._gelu,
        }
        self.last = [node.output[0] for node in graph.node if node.op_type == "SkipLayerNormalization"][-1]

    def rewrite(self, node: NodeProto) -> Iterator[NodeProto]:
        """The nodes that stand for `node`."""
        if node.op_type in self._rewrite:
            yield from self._rewrite[node.op_type](node)
        else:
            yield node

    def _embed(self, node: NodeProto) -> Iterator[NodeProto]:
        """Token, position and segment embeddings, summed and normalised; a text is one segment, the first."""
        rows = node.output[0]
        _, _, tokens, positions, segments, scale, shift = node.input[:7]
        places = self._array(positions) + self._array(segments)[:1]
        zero, one = self._constant("cpu.0", [0]), self._constant("cpu.1", [1])
        flat, axes = self._constant("cpu.rows", [-1, places.shape[1]]), self._constant("cpu.1.2", [1, 2])
        table = self._constant("cpu.places", places)
        yield helper.make_node("Shape", ["input_ids"], ["cpu.length"], start=1)
        yield helper.make_node("Gather", [tokens, "input_ids"], [f"{rows}.tokens"])
        yield helper.make_node("Slice", [table, zero, "cpu.length", zero], ["cpu.place"])
        yield helper.make_node("Add", [f"{rows}.tokens", "cpu.place"], [f"{rows}.sum"])
        yield helper.make_node("Shape", [f"{rows}.sum"], [SHAPE])
        yield helper.make_node("Reshape", [f"{rows}.sum", flat], [f"{rows}.rows"])
        yield helper.make_node(
            "LayerNormalization", [f"{rows}.rows", scale, shift], [rows], axis=-1, epsilon=_attribute(node, "epsilon")
        )
        # Attention wants the mask for each query, though all queries of a text have the same.
        yield helper.make_node("Cast", ["attention_mask"], ["cpu.keys"], to=TensorProto.BOOL)
        yield helper.make_node("Unsqueeze", ["cpu.keys", axes], ["cpu.keys.each"])
        yield helper.make_node("Concat", [one, one, "cpu.length", one], ["cpu.mask.shape"], axis=0)
        yield helper.make_node("Expand", ["cpu.keys.each", "cpu.mask.shape"], [MASK])

    def _normalise(self, node: NodeProto) -> Iterator[NodeProto]:
        rows, skipped, scale, shift, bias = node.input
        output = node.output[0]
        normalised = f"{output}.rows" if output == self.last else output
        yield helper.make_node("Add", [rows, bias], [f"{output}.biased"])
        yield helper.make_node("Add", [f"{output}.biased", skipped], [f"{output}.sum"])
        yield helper.make_node(
            "LayerNormalization", [f"{output}.sum", scale, shift], [normalised], axis=-1,
            epsilon=_attribute(node, "epsilon"),
        )  # fmt: skip
        if output == self.last:
            yield helper.make_node("Reshape", [normalised, SHAPE], [output])

    def _attend(self, node: NodeProto) -> Iterator[NodeProto]:
        queries, keys, values, biases = node.input[:4]
        output = node.output[0]
        heads = _attribute(node, "num_heads")
        width = len(self._array(biases)) // 3
        batches = []
        # A bias of the keys adds the same to all that a softmax is taken of, and so changes nothing.
        of_queries, _, of_values = np.split(self._array(biases), 3)
        for name, bias in ((queries, of_queries), (keys, None), (values, of_values)):
            rows = name
            if bias is not None:
                rows = f"{name}.biased"
                yield helper.make_node("Add", [name, self._constant(f"{name}.bias", bias)], [rows])
            batches.append(f"{name}.batch")
            yield helper.make_node("Reshape", [rows, SHAPE], [f"{name}.batch"])
        yield helper.make_node(
            "Attention", [*batches, MASK], [f"{output}.batch"], q_num_heads=heads, kv_num_heads=heads
        )
        yield helper.make_node("Reshape", [f"{output}.batch", self._constant("cpu.rows", [-1, width])], [output])

    def _gelu(self, node: NodeProto) -> Iterator[NodeProto]:
        rows, bias = node.input
        yield helper.make_node("Add", [rows, bias], [f"{node.output[0]}.biased"])
        yield helper.make_node("Gelu", [f"{node.output[0]}.biased"], [node.output[0]])

    def _array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self._weights[name])

    def _constant(self, name: str, value: list[int] | np.ndarray) -> str:
        if name not in {tensor.name for tensor in self.constants}:
            self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def _attribute(node: NodeProto, name: str) -> float | int:
    found: float | int = next(helper.get_attribute_value(one) for one in node.attribute if one.name == name)
    return found
