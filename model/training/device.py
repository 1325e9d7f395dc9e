"""Where a training computes, and whether the recipe's precision is to be had there."""

import torch

from model.data.recipe import Training
from model.errors import InputError


def choose_device(training: Training) -> torch.device:
    """The device of the recipe; `auto` is a GPU where torch sees one. Raises `InputError` that names the key."""
    has_gpu = torch.cuda.is_available()
    if training.device == "cuda" and not has_gpu:
        raise InputError(
            "training.device: cuda, but torch sees no GPU here",
            fix='Set it to "auto" or "cpu", or install the driver and a torch that is built for CUDA.',
        )
    name = "cuda" if has_gpu and training.device != "cpu" else "cpu"
    if training.precision == "fp16" and name == "cpu":
        raise InputError(
            "training.precision: fp16 needs a GPU, and this training would run on the CPU",
            fix='Set it to "bf16" or "fp32".',
        )
    if training.precision == "bf16" and name == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise InputError(
            f"training.precision: {torch.cuda.get_device_name()} has no bf16", fix='Set it to "fp16" or "fp32".'
        )
    return torch.device(name)
