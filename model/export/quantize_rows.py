"""float32 ONNX to int8 for graphs of any form: slower than `model.export.quantize` makes of those that it knows.

Each token's row has a scale of its own, as in ZeroQuant (Yao et al. 2022): what a row becomes depends on that row
alone, and the sums of whole numbers are exact, so a text scores the same in any batch.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

EMBEDDINGS = ["EmbedLayerNormalization", "Gather"]
"""Two thirds of a small encoder's weights are its vocabulary."""

LARGEST = 127
ZERO = 128
"""Activations are unsigned about this, which x86 multiplies with signed weights in one instruction."""


def quantize_rows(source: Path, target: Path) -> None:
    """Writes `source` with int8 embeddings, and int8 products with one scale a row and one a column, to `target`."""
    quantize_dynamic(
        str(source),
        str(target),
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=EMBEDDINGS,
        # Shape inference stops at the fused operators, all of whose tensors are float32.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    model = onnx.load(target)
    _quantize_products(model.graph)
    onnx.save(model, target)


def _quantize_products(graph: GraphProto) -> None:
    weights = {tensor.name: tensor for tensor in graph.initializer}
    rewritten = _Rows()
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            nodes.extend(rewritten.product(node, numpy_helper.to_array(weights.pop(node.input[1]))))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend([*weights.values(), *rewritten.constants.values()])


class _Rows:
    """Nodes that scale, quantise and multiply rows; rows that several products share are quantised once."""

    def __init__(self) -> None:
        self.constants: dict[str, TensorProto] = {}
        self._quantised: set[str] = set()

    def product(self, node: NodeProto, weight: np.ndarray) -> Iterator[NodeProto]:
        """The nodes that stand for `node`, whose constant right side is `weight` (width x columns)."""
        rows, output = node.input[0], node.output[0]
        if rows not in self._quantised:
            self._quantised.add(rows)
            yield from self._quantise(rows, width=weight.shape[0])
        scales = np.abs(weight).max(axis=0) / LARGEST
        scales[scales == 0] = 1
        whole = np.rint(weight / scales).astype(np.int8)
        inputs = [
            f"{rows}.q",
            self._constant(f"{output}.weight", whole),
            self._constant("one", np.array(1, np.float32)),
            self._constant(f"{output}.scale", scales.astype(np.float32)),
            self._constant("zero", np.array(ZERO, np.uint8)),
        ]
        yield helper.make_node("MatMulIntegerToFloat", inputs, [f"{output}.unscaled"], domain="com.microsoft")
        yield helper.make_node("Mul", [f"{output}.unscaled", f"{rows}.scale"], [output])

    def _quantise(self, rows: str, *, width: int) -> Iterator[NodeProto]:
        """`rows` (batch x length x width) to `rows.q` (the same in uint8) and `rows.scale` (batch x length x 1)."""
        step = self._constant("step", np.array(1 / LARGEST, np.float32))
        tiny = self._constant("tiny", np.array(1e-10, np.float32))  # a row of zeros must not divide by zero
        flat, all_ = self._constant(f"flat.{width}", np.array([-1, width])), self._constant("flat", np.array([-1]))
        zero = helper.make_tensor("zero", TensorProto.UINT8, [1], [ZERO])
        yield helper.make_node("Abs", [rows], [f"{rows}.abs"])
        yield helper.make_node("ReduceMax", [f"{rows}.abs"], [f"{rows}.max"], axes=[-1], keepdims=1)
        yield helper.make_node("Max", [f"{rows}.max", tiny], [f"{rows}.range"])
        yield helper.make_node("Mul", [f"{rows}.range", step], [f"{rows}.scale"])
        # QuantizeLinear takes a scale a row only for two dimensions.
        yield helper.make_node("Reshape", [rows, flat], [f"{rows}.flat"])
        yield helper.make_node("Reshape", [f"{rows}.scale", all_], [f"{rows}.scales"])
        yield helper.make_node("Shape", [f"{rows}.scales"], [f"{rows}.count"])
        yield helper.make_node("ConstantOfShape", [f"{rows}.count"], [f"{rows}.zeros"], value=zero)
        yield helper.make_node(
            "QuantizeLinear", [f"{rows}.flat", f"{rows}.scales", f"{rows}.zeros"], [f"{rows}.flat.q"], axis=0
        )
        yield helper.make_node("Shape", [rows], [f"{rows}.shape"])
        yield helper.make_node("Reshape", [f"{rows}.flat.q", f"{rows}.shape"], [f"{rows}.q"])

    def _constant(self, name: str, value: np.ndarray) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(value, name))
        return name
