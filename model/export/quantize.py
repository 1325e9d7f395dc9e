"""float32 ONNX to int8: a quarter of the size and several times the speed on a CPU, the same numbers in any batch.

ONNX Runtime's own dynamic quantisation scales the activations of a matrix product by the extremes of the whole batch,
so a text scores otherwise in other company: 2 % of labels differ between batches of 1 and 64. Here no scale depends on
another text, and the sums of whole numbers are exact, as `model.runtime` sets them up:

- Rows that come out of a normalisation or an attention have one scale for all, measured on texts of the kind that the
  model will see. Their few large columns, which would coarsen all others, are divided by a number of their own, and the
  weights that meet them multiplied by it, as in SmoothQuant (Xiao et al. 2022).
- Rows within a feed-forward layer are too unlike for that, so each has a scale of its own, as in ZeroQuant (Yao et al.
  2022). That costs five passes over the widest states, so it is done only here, or where no texts are given.

Weights have a scale a column, embeddings one a token.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from model.export.activations import largest_by_column
from model.export.cpu_graph import for_cpu, suits_cpu
from model.export.quantize_rows import quantize_rows
from model.runtime import INPUTS

IDS = INPUTS[0]

LARGEST = 127
ZERO = 128
"""Activations are unsigned about this, which x86 multiplies with signed weights in one instruction."""

LEAST_GELU = 0.17
"""x * Phi(x) is nowhere below its negative."""

SHARE_OF_WEIGHTS = 0.2
"""How much of the columns' differences the activations keep (1 - alpha in SmoothQuant). Of 0 to 0.5 the one that keeps
the logits closest to float32; they are closer then than with a scale for each row."""

HEADROOM = 1.1
"""Above the largest activation that the texts showed: a fifth less does great harm, a quarter more hardly any."""

Tokens = Sequence[Sequence[int]]


def quantize(source: Path, target: Path, texts: Tokens = ()) -> None:
    """Writes the float32 model `source`, as `export` makes it, in int8 to `target`.

    `texts` are token ids of some hundreds of texts of the kind that the model will see. Without any, all rows have a
    scale of their own: about a fifth slower. So they have in encoders of a kind whose graph ONNX Runtime does not fuse
    (RoBERTa and its like), and those keep the nodes that they have.
    """
    model = onnx.load(source)
    if not suits_cpu(model.graph):
        quantize_rows(source, target)
        return
    for_cpu(model)
    quantize_graph(model.graph, _columns(model, texts) if texts else {})
    onnx.save(model, target)


def quantize_graph(graph: GraphProto, largest: Mapping[str, np.ndarray]) -> None:
    """Puts int8 in place of all products of rows (rows x width) with constant weights, and of embeddings by token ids.

    `largest` has, for rows that are to have a fixed scale, the largest size of each column; others are scaled each by
    itself.
    """
    rewriter = _Rewriter(graph, largest)
    nodes = [node for old in graph.node for node in rewriter.rewrite(old)]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(rewriter.constants.values())


def _columns(model: ModelProto, texts: Tokens) -> Mapping[str, np.ndarray]:
    """The largest size of each column of the rows that are to have a fixed scale."""
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    rows = {node.input[0] for node in _products(model.graph)}
    return largest_by_column(model, sorted(name for name in rows if made_by[name] != "Gelu"), texts)


def _products(graph: GraphProto) -> Iterator[NodeProto]:
    weights = {tensor.name for tensor in graph.initializer}
    return (node for node in graph.node if node.op_type == "MatMul" and node.input[1] in weights)


class _Rewriter:
    """Nodes that quantise and multiply rows; rows that several products share are quantised once."""

    def __init__(self, graph: GraphProto, columns: Mapping[str, np.ndarray]) -> None:
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self._gelus = {node.output[0] for node in graph.node if node.op_type == "Gelu"}
        self._weights: dict[str, list[str]] = defaultdict(list)
        for node in _products(graph):
            self._weights[node.input[0]].append(node.input[1])
        # The scale of rows and the divisors of their columns, where these are fixed.
        self._fixed = {rows: self._smoothed(rows, largest) for rows, largest in columns.items()}
        products = {node.output[0] for node in _products(graph) if node.input[0] in self._fixed}
        self._biases = {
            node.input[0]: node
            for node in graph.node
            if node.op_type == "Add" and node.input[0] in products and node.input[1] in self.constants
        }
        self._done: set[str] = set()

    def rewrite(self, node: NodeProto) -> Iterator[NodeProto]:
        """The nodes that stand for `node`."""
        if node.op_type == "MatMul" and node.input[1] in self._weights[node.input[0]]:
            yield from self._product(node)
        elif node.op_type == "Gather" and node.input[1] == IDS:
            yield from self._embedding(node)
        elif node.op_type != "Add" or self._biases.get(node.input[0]) != node:
            yield node

    def _smoothed(self, rows: str, largest: np.ndarray) -> tuple[float, np.ndarray]:
        weights = np.max([np.abs(self._array(name)).max(axis=1) for name in self._weights[rows]], axis=0)
        # Columns that are always zero, in either, have nothing to share.
        divisors = np.maximum(largest, 1e-5) ** (1 - SHARE_OF_WEIGHTS) / np.maximum(weights, 1e-5) ** SHARE_OF_WEIGHTS
        return float((largest / divisors).max()) * HEADROOM / LARGEST, divisors.astype(np.float32)

    def _product(self, node: NodeProto) -> Iterator[NodeProto]:
        (rows, weight), output = node.input, node.output[0]
        if rows not in self._done:
            self._done.add(rows)
            yield from self._quantise_alike(rows) if rows in self._fixed else self._quantise_each(rows)
        if rows in self._fixed:
            scale, divisors = self._fixed[rows]
            inputs = self._operands(rows, self._array(weight) * divisors[:, None], output, scale)
            if output in self._biases:
                inputs, output = [*inputs, "", self._biases[output].input[1]], self._biases[output].output[0]
            yield helper.make_node("MatMulIntegerToFloat", inputs, [output], domain="com.microsoft")
        else:
            inputs = self._operands(rows, self._array(weight), output, 1.0)
            yield helper.make_node("MatMulIntegerToFloat", inputs, [f"{output}.unscaled"], domain="com.microsoft")
            yield helper.make_node("Mul", [f"{output}.unscaled", f"{rows}.scale"], [output])
        del self.constants[weight]

    def _operands(self, rows: str, weight: np.ndarray, output: str, scale: float) -> list[str]:
        scales = np.abs(weight).max(axis=0) / LARGEST
        scales[scales == 0] = 1
        return [
            f"{rows}.q",
            self._constant(f"{output}.weight", np.rint(weight / scales).astype(np.int8)),
            self._constant(f"{rows}.fixed", np.array(scale, np.float32)),
            self._constant(f"{output}.scale", scales.astype(np.float32)),
            self._constant("q.zero", np.array(ZERO, np.uint8)),
        ]

    def _embedding(self, node: NodeProto) -> Iterator[NodeProto]:
        (table, ids), output = node.input, node.output[0]
        weight = self._array(table)
        scales = np.abs(weight).max(axis=1, keepdims=True) / LARGEST
        scales[scales == 0] = 1
        del self.constants[table]
        whole = self._constant(f"{output}.weight", np.rint(weight / scales).astype(np.int8))
        yield helper.make_node("Gather", [whole, ids], [f"{output}.whole"])
        yield helper.make_node("Gather", [self._constant(f"{output}.scale", scales), ids], [f"{output}.scales"])
        yield helper.make_node("Cast", [f"{output}.whole"], [f"{output}.unscaled"], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{output}.unscaled", f"{output}.scales"], [output])

    def _quantise_alike(self, rows: str) -> Iterator[NodeProto]:
        """`rows` (rows x width) to `rows.q` (the same in uint8), all by one scale."""
        scale, divisors = self._fixed[rows]
        inverse = self._constant(f"{rows}.inverse", 1 / divisors)
        fixed = self._constant(f"{rows}.fixed", np.array(scale, np.float32))
        zero = self._constant("q.zero", np.array(ZERO, np.uint8))
        yield helper.make_node("Mul", [rows, inverse], [f"{rows}.smooth"])
        yield helper.make_node("QuantizeLinear", [f"{rows}.smooth", fixed, zero], [f"{rows}.q"])

    def _quantise_each(self, rows: str) -> Iterator[NodeProto]:
        """`rows` (rows x width) to `rows.q` (the same in uint8) and `rows.scale` (rows x 1)."""
        largest, least = rows, 1e-10  # a row of zeros must not divide by zero
        if rows in self._gelus:
            least = LEAST_GELU  # what is negative is small, so there is no need to look at its size
        else:
            largest = f"{rows}.abs"
            yield helper.make_node("Abs", [rows], [largest])
        last = self._constant("q.last", np.array([-1]))
        step = self._constant("q.step", np.array(1 / LARGEST, np.float32))
        bound = self._constant(f"q.least.{least}", np.array(least, np.float32))
        zero = helper.make_tensor("zero", TensorProto.UINT8, [1], [ZERO])
        yield helper.make_node("ReduceMax", [largest, last], [f"{rows}.max"], keepdims=0)
        yield helper.make_node("Max", [f"{rows}.max", bound], [f"{rows}.range"])
        yield helper.make_node("Mul", [f"{rows}.range", step], [f"{rows}.scales"])
        yield helper.make_node("Unsqueeze", [f"{rows}.scales", last], [f"{rows}.scale"])
        yield helper.make_node("Shape", [f"{rows}.scales"], [f"{rows}.count"])
        yield helper.make_node("ConstantOfShape", [f"{rows}.count"], [f"{rows}.zeros"], value=zero)
        yield helper.make_node("QuantizeLinear", [rows, f"{rows}.scales", f"{rows}.zeros"], [f"{rows}.q"], axis=0)

    def _array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.constants[name])

    def _constant(self, name: str, value: np.ndarray) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(value, name))
        return name
