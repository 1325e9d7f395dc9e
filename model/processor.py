"""What this machine's processor can do, as far as the numbers of an int8 model depend on it."""

import platform
from collections.abc import Set
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""As Linux calls them: products of whole numbers, summed in 32 bits. Intel since 2019, AMD since Zen 4."""

X86 = frozenset({"x86_64", "amd64"})

SATURATES = "this processor has no VNNI: ONNX Runtime sums int8 products in 16 bits, which clips some of them"
SATURATES_FIX = (
    "probabilities may differ from those of other machines: measure with `finsentry evaluate`, serve an fp32 bundle"
    " (`finsentry export --precision fp32`), or move to a processor with VNNI (Intel since 2019, AMD since Zen 4)"
)


def clips_int8(machine: str, flags: Set[str] | None) -> bool:
    """Whether int8 sums are clipped there. `flags` are None where nobody knows, which counts as no."""
    return machine.lower() in X86 and flags is not None and not flags & VNNI


def this_clips_int8() -> bool:
    """Whether int8 sums are clipped on this machine."""
    try:
        return clips_int8(platform.machine(), processor_flags(CPUINFO.read_text(encoding="utf-8", errors="replace")))
    except OSError:  # not Linux
        return False


def processor_flags(cpuinfo: str) -> frozenset[str] | None:
    """The features of the first processor in the text of `/proc/cpuinfo`; None where it lists none."""
    for line in cpuinfo.splitlines():
        name, _, values = line.partition(":")
        if name.strip() == "flags":
            return frozenset(values.split())
    return None
