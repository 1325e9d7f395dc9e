"""Where a bundle runs and in what portions, chosen by what is there. Pure: it is told what is there."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from model.bundle import Precision
from model.settings import ModelSettings, Provider

Placed = Literal["tensorrt", "cuda", "cpu"]

RUNTIME_NAMES: dict[Placed, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}

# 8 to 16 headlines of 25 tokens, whose widest states stay in a core's own cache: the best of a sweep on two cores.
CPU_TOKENS = 256

# A GPU is busy with no fewer; some 700 headlines of 25 tokens, whose states take about half a gigabyte.
GPU_TOKENS = 16_384

# One batch is copied while another is computed; more would only hold more of the GPU's memory.
GPU_THREADS = 2

BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Lengths on a GPU, in tokens: each a third to a half more than the last, so that some 15 % are padding."""


class Placement(NamedTuple):
    """Where batches run, how many at a time, and how they are cut."""

    provider: Placed
    threads: int
    """Batches that run at the same time."""
    batch_tokens: int
    """Most tokens in a batch, padding included."""
    lengths: tuple[int, ...]
    """What lengths are rounded up to, ascending; every length as it is where empty."""


def candidates(available: Sequence[str], wanted: Provider, precision: Precision) -> list[Placed]:
    """Where to try to run, best first; `available` are ONNX Runtime's names. Empty where `wanted` is not there.

    int8 stays on the CPU unless told: its operators have no kernels elsewhere and would hop between the two. TensorRT
    is for fp16: it knows the standard's operators, in which those bundles are, not those that float32 is fused to.
    """
    here: list[Placed] = [name for name, runtime_name in RUNTIME_NAMES.items() if runtime_name in available]
    if wanted != "auto":
        return [name for name in here if name == wanted]
    fit: dict[Precision, set[Placed]] = {"int8": {"cpu"}, "fp32": {"cuda", "cpu"}, "fp16": {"tensorrt", "cuda", "cpu"}}
    return [name for name in here if name in fit[precision]]


def placement(provider: Placed, settings: ModelSettings, maximum_length: int, cores: int) -> Placement:
    """How to run there: what the settings say, and where they say nothing what suits the provider.

    `maximum_length` is the bundle's, in tokens; `cores` are those that this process may use.
    """
    if provider == "cpu":
        return Placement("cpu", settings.threads or cores, settings.batch_tokens or CPU_TOKENS, ())
    lengths = (*(length for length in BUCKETS if length < maximum_length), maximum_length)
    return Placement(provider, settings.threads or GPU_THREADS, settings.batch_tokens or GPU_TOKENS, lengths)
