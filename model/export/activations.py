"""How large a network's activations are on given texts."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper

from model.batching import cut_batches, pad
from model.runtime import INPUTS

BATCH_TOKENS = 512


def largest_by_column(
    model: ModelProto, names: Sequence[str], texts: Sequence[Sequence[int]]
) -> Mapping[str, np.ndarray]:
    """The largest absolute value of each column (width) of the tensors `names`, over all tokens of `texts`.

    `model` takes ids and mask; the tensors are rows (rows x width). `texts` are token ids.
    """
    watched = ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    largest: dict[str, np.ndarray] = {}
    # Of one length, since what stands in padding is nobody's.
    for batch in cut_batches([len(text) for text in texts], BATCH_TOKENS, equal=True):
        inputs = dict(zip(INPUTS, pad([texts[index] for index in batch]), strict=True))
        for name, rows in zip(names, session.run(names, inputs), strict=True):
            found = np.abs(rows).max(axis=0)
            largest[name] = np.maximum(largest.get(name, found), found)
    return largest
