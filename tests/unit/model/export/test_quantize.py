"""int8 and what it stands on: the same function in other nodes, and numbers that depend on no other text."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.batching import pad
from model.bundle import Bundle
from model.classifier import open_tokenizer
from model.data.splits import Splits
from model.export.cpu_graph import for_cpu
from model.export.quantize import quantize, quantize_graph
from model.runtime import INPUTS, OUTPUTS, session_options

Logits = list[np.ndarray]


@pytest.fixture(scope="module")
def texts(tiny_float_bundle: Bundle, tiny_splits: Splits) -> list[list[int]]:
    tokenizer = open_tokenizer(tiny_float_bundle)
    encoded = tokenizer.encode_batch([one.text for one in tiny_splits.calibration])
    return [encoding.ids[: 3 + number % 5] for number, encoding in enumerate(encoded)]  # of several lengths


def open_as_served(model: str | bytes) -> onnxruntime.InferenceSession:
    options = session_options(onnxruntime, int8=True)
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"], **options)


def answers(model: Path | onnx.ModelProto, texts: list[list[int]], *, at_once: bool) -> Logits:
    given = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = open_as_served(given)
    batches = [texts] if at_once else [[text] for text in texts]
    found = [session.run(OUTPUTS, dict(zip(INPUTS, pad(batch), strict=True))) for batch in batches]
    return found[0] if at_once else [np.array([one[head][0] for one in found]) for head in range(len(OUTPUTS))]


def test_the_graph_for_cpus_computes_the_same(tiny_float_bundle: Bundle, texts: list[list[int]]) -> None:
    """With padding, which it must hide from attention and from pooling."""
    model = onnx.load(tiny_float_bundle.model_path)
    before = answers(model, texts, at_once=True)
    for_cpu(model)
    assert {"Attention", "LayerNormalization", "Gelu"} <= {node.op_type for node in model.graph.node}
    for one, other in zip(before, answers(model, texts, at_once=True), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("measured", [True, False])
def test_int8_stays_close_and_depends_on_no_other_text(
    tiny_float_bundle: Bundle, texts: list[list[int]], tmp_path: Path, measured: bool
) -> None:
    target = tmp_path / "int8.onnx"
    quantize(tiny_float_bundle.model_path, target, texts if measured else ())
    same_length = [text for text in texts if len(text) == len(texts[0])]
    assert len(same_length) > 3
    original = answers(tiny_float_bundle.model_path, same_length, at_once=True)
    together = answers(target, same_length, at_once=True)
    for exact, found, alone in zip(original, together, answers(target, same_length, at_once=False), strict=True):
        assert np.array_equal(found, alone)
        assert 0 < np.abs(exact - found).max() < 0.15


def test_measured_texts_save_a_scale_for_each_row(
    tiny_float_bundle: Bundle, texts: list[list[int]], tmp_path: Path
) -> None:
    def reductions(texts: list[list[int]]) -> int:
        quantize(tiny_float_bundle.model_path, tmp_path / "model.onnx", texts)
        return sum(node.op_type == "ReduceMax" for node in onnx.load(tmp_path / "model.onnx").graph.node)

    layers, rows_a_layer = 2, 4
    assert reductions([]) == layers * rows_a_layer
    assert reductions(texts) == layers  # only within the feed-forward


def test_it_is_a_quarter_of_the_size(tiny_float_bundle: Bundle, texts: list[list[int]], tmp_path: Path) -> None:
    quantize(tiny_float_bundle.model_path, tmp_path / "model.onnx", texts)
    whole = [tensor for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer if tensor.data_type == 3]
    float_weights = [
        tensor for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer
        if tensor.data_type == 1 and len(tensor.dims) == 2 and min(tensor.dims) > 32
    ]  # fmt: skip
    assert len(whole) == 2 * 6 + 1  # six products a layer, and the vocabulary
    assert not float_weights


@pytest.mark.parametrize("size", [0.0, 1e-6, 0.7, 40.0])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("operator", ["Gelu", "Identity"])
def test_rows_of_any_size_keep_two_digits(operator: str, sign: int, size: float) -> None:
    """Of Gelu's rows only the positive are looked at: those that are negative throughout must not be clipped."""
    rows = (sign * size * np.linspace(0.9, 1, 24)).reshape(3, 8).astype(np.float32)
    weight = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["rows"]), helper.make_node("MatMul", ["rows", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 5])],
        [numpy_helper.from_array(weight, "w")],
    )
    exact = run(graph, rows)
    quantize_graph(graph, {})
    whole = run(graph, rows)
    assert np.abs(whole - exact).max() <= 0.02 * max(float(np.abs(exact).max()), 0.1 if operator == "Gelu" else 1e-8)


def run(graph: onnx.GraphProto, rows: np.ndarray) -> np.ndarray:
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = open_as_served(model.SerializeToString())
    (found,) = session.run(None, {"x": rows})
    return np.asarray(found)
