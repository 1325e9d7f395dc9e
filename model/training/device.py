"""Where a training computes and in what precision, and whether the recipe's are to be had there."""

from collections.abc import Mapping
from typing import Literal

import torch

from model.data.recipe import Training
from model.errors import InputError

Precision = Literal["bf16", "fp16", "fp32"]

# What processors that multiply in bfloat16 say of themselves: Intel's and AMD's, then ARM's.
CPU_HAS_BF16 = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")


def choose_device(training: Training) -> torch.device:
    """The device of the recipe; `auto` is a GPU where torch sees one. Raises `InputError` that names the key."""
    has_gpu = torch.cuda.is_available()
    if training.device == "cuda" and not has_gpu:
        raise InputError(
            "training.device: cuda, but torch sees no GPU here",
            fix='Set it to "auto" or "cpu", or install the driver and a torch that is built for CUDA.',
        )
    return torch.device("cuda" if has_gpu and training.device != "cpu" else "cpu")


def choose_precision(training: Training, device: torch.device) -> Precision:
    """The precision of the recipe's matrix products on `device`; `auto` is bf16 where the device has it, else fp32.

    A CPU without bf16 takes it too, and then converts back and forth: many times as slow as float32.
    Raises `InputError` that names the key.
    """
    if training.precision == "auto":
        return "bf16" if _has_bf16(device) else "fp32"
    if training.precision == "fp16" and device.type == "cpu":
        raise InputError(
            "training.precision: fp16 needs a GPU, and this training would run on the CPU",
            fix='Set it to "auto", "bf16" or "fp32".',
        )
    if training.precision == "bf16" and device.type == "cuda" and not _has_bf16(device):
        raise InputError(
            f"training.precision: {torch.cuda.get_device_name()} has no bf16", fix='Set it to "auto", "fp16" or "fp32".'
        )
    return training.precision


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A torch that cannot say trains in float32.
    has: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has.get(name, False) for name in CPU_HAS_BF16)
