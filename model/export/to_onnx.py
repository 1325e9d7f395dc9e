"""A trained network to ONNX: the same numbers, or an error."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.onnx_model import OnnxModel
from onnxruntime.transformers.optimizer import optimize_model

from model.errors import FinSentryError
from model.export import parity
from model.runtime import INPUTS, OUTPUTS
from model.training.encoders import FUSED, longest
from model.training.network import TwoHeads

# 17 is the newest opset whose LayerNormalization and Attention ONNX Runtime's optimiser fuses from a traced graph.
OPSET = 17

# float32 sums in another order differ by some 1e-6; a wrong mask or pooling differs by 1e-1.
TOLERANCE = 1e-4

# Half precision keeps three decimals of a logit of some units; a wrong conversion loses the first.
HALF_TOLERANCE = 0.05


class ExportError(FinSentryError):
    """The exported model does not compute what the network computes."""


def export(network: TwoHeads, path: Path, tolerance: float = TOLERANCE) -> float:
    """Writes `network` as float32 ONNX, its attention fused where ONNX Runtime knows its kind.

    Returns the largest difference of a logit between the two. Raises `ExportError` where the model computes something
    else.
    """
    network.eval()
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / "traced.onnx"
        _trace(network, traced)
        config = network.encoder.config
        fused = fuse(traced, config)
        fused.save_model_to_file(str(path))
        attentions = fused.get_fused_operator_statistics()["MultiHeadAttention"]
    if attentions != config.num_hidden_layers and config.model_type in FUSED:
        raise ExportError(
            f"{path}: {attentions} of {config.num_hidden_layers} attention layers were fused",
            fix="Load the network with `TwoHeads.load`, which gives it plain attention.",
        )
    difference = largest_difference(network, path)
    if not difference <= tolerance:
        raise ExportError(f"{path}: differs from the network by {difference:.1e}", fix="Do not ship this export.")
    return difference


def export_half(network: TwoHeads, path: Path, tolerance: float = HALF_TOLERANCE) -> float:
    """Writes `network` as float16 ONNX in the standard's own operators, which TensorRT knows and CUDA fuses itself.

    Inputs and outputs are those of `export`; pooling and heads stay float32, since they sum over a whole text.
    Returns the largest difference of a logit. Raises `ExportError` where it is not the same.
    """
    network.eval()
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / "traced.onnx"
        _trace(network, traced)
        model = onnx.load(traced)
    types = [node.op_type for node in model.graph.node]
    pooling = model.graph.node[len(types) - types[::-1].index("LayerNormalization") :]
    half = convert_float_to_float16(model, keep_io_types=True, node_block_list=[node.name for node in pooling])
    # The converter casts a tensor once for each node that it leaves in float32, with the same name each time.
    nodes = {node.name: node for node in half.graph.node}
    del half.graph.node[:]
    half.graph.node.extend(nodes.values())
    onnx.save(half, path)
    difference = largest_difference(network, path)
    if not difference <= tolerance:
        raise ExportError(f"{path}: differs from the network by {difference:.1e}", fix="Serve it in fp32 instead.")
    return difference


def largest_difference(network: TwoHeads, path: Path, *, int8: bool = False) -> float:
    """The largest difference of any logit between `network` and the model at `path`; see `model.export.parity`."""
    config = network.encoder.config
    return parity.largest_difference(
        network, path, OUTPUTS, longest=longest(config), vocabulary=config.vocab_size, int8=int8
    )


def fuse(traced: Path, config: Any) -> OnnxModel:
    """The graph at `traced` with the attention of an encoder of this `config` fused.

    The products that make queries, keys and values stay as they are, so that they can be quantised by rows.
    """
    options = FusionOptions("bert")
    options.use_multi_head_attention = True
    return optimize_model(
        str(traced),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        optimization_options=options,
    )


def _trace(network: TwoHeads, path: Path) -> None:
    example = torch.ones((2, 8), dtype=torch.int64)
    axes = {name: {0: "batch", 1: "length"} for name in INPUTS} | {name: {0: "batch"} for name in OUTPUTS}
    with warnings.catch_warnings():
        # The tracer is the way that fuses: with dynamo=True none of the attention nodes does. It warns that it is old,
        # and that shapes become constants, which the ragged batches of `largest_difference` would show.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example, example),
            str(path),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
