import pytest

from model.processor import clips_int8, processor_flags

CPUINFO = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse4_2 avx2 {more}
bugs\t\t: spectre_v1
"""


@pytest.mark.parametrize(
    ("machine", "more", "clips"),
    [
        ("x86_64", "avx512f", True),
        ("x86_64", "avx512f avx512_vnni", False),
        ("AMD64", "avx_vnni", False),
        ("AMD64", "", True),
        ("aarch64", "", False),  # its sums have 32 bits
    ],
)
def test_without_vnni_x86_clips_sums(machine: str, more: str, clips: bool) -> None:
    assert clips_int8(machine, processor_flags(CPUINFO.format(more=more))) is clips


def test_where_nobody_knows_nothing_is_said() -> None:
    assert processor_flags("Hardware : something else\n") is None
    assert not clips_int8("x86_64", None)
