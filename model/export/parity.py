"""How far an ONNX model is from the network that it was made from."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from model.runtime import INPUTS, session_options

# Batch x length: one token, one row, ragged rows, the longest.
SHAPES = ((1, 1), (1, 17), (3, 9), (8, 32), (2, 96))

Network = Callable[[torch.Tensor, torch.Tensor], Sequence[torch.Tensor]]
"""Ids and mask (batch x length) to logits (batch x classes), one tensor an output."""


def largest_difference(
    network: Network, path: Path, outputs: Sequence[str], *, longest: int, vocabulary: int, int8: bool = False
) -> float:
    """The largest difference of any logit over random ragged batches of at most `longest` tokens; NaN if one is.

    `int8`: the model at `path` is, and runs as such a one is served.
    """
    options = session_options(onnxruntime, int8=int8)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], **options)
    rng = np.random.default_rng(0)
    differences = []
    for batch, length in SHAPES:
        ids, mask = _ragged(rng, batch, min(length, longest), vocabulary)
        with torch.no_grad():
            wanted = network(torch.from_numpy(ids), torch.from_numpy(mask))
        found = session.run(outputs, dict(zip(INPUTS, (ids, mask), strict=True)))
        differences += [float(np.abs(f - w.numpy()).max()) for f, w in zip(found, wanted, strict=True)]
    return float(np.max(differences))  # one that is not a number is the largest


def _ragged(rng: np.random.Generator, batch: int, length: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    ids = rng.integers(0, vocabulary, (batch, length))
    lengths = rng.integers(1, length + 1, batch)
    lengths[0] = length
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
    return ids, mask
