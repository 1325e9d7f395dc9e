"""Where a bundle runs, as a function of what is there."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from model.bundle import Precision
from model.cores import has_vnni, usable_cores
from model.placement import CPU_TOKENS, GPU_THREADS, GPU_TOKENS, Placed, Placement, candidates, placement
from model.runtime import provider_options
from model.settings import ModelSettings, Provider

EVERYTHING = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
CORES = 6
PLAIN = ("AzureExecutionProvider", "CPUExecutionProvider")


@pytest.mark.parametrize(
    ("available", "wanted", "precision", "expected"),
    [
        (EVERYTHING, "auto", "int8", ["cpu"]),
        (EVERYTHING, "auto", "fp32", ["cuda", "cpu"]),
        (EVERYTHING, "auto", "fp16", ["tensorrt", "cuda", "cpu"]),
        (EVERYTHING[1:], "auto", "fp16", ["cuda", "cpu"]),
        (PLAIN, "auto", "fp16", ["cpu"]),
        (EVERYTHING, "cuda", "int8", ["cuda"]),  # told is told
        (EVERYTHING, "tensorrt", "fp32", ["tensorrt"]),
        (EVERYTHING, "cpu", "fp16", ["cpu"]),
        (PLAIN, "cuda", "fp16", []),
        (PLAIN, "tensorrt", "fp16", []),
    ],
)
def test_the_best_that_is_there_and_suits_the_bundle_comes_first(
    available: tuple[str, ...], wanted: Provider, precision: Precision, expected: list[Placed]
) -> None:
    assert candidates(available, wanted, precision) == expected


def test_a_cpu_gets_small_batches_of_exact_lengths_one_a_core() -> None:
    assert placement("cpu", ModelSettings(), 96, CORES) == Placement("cpu", CORES, CPU_TOKENS, ())


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("200000 100000", 2),
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("9900000 100000", 8),
        ("max 1", 8),
        ("", 8),
    ],
)
def test_a_container_s_limit_counts(quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "cpu.max").write_text(f"{quota}\n", encoding="ascii")
    assert usable_cores(tmp_path / "cpu.max") == cores
    assert usable_cores(tmp_path / "none") == 8


@pytest.mark.parametrize(
    ("features", "has"),
    [
        ("processor : 0\nflags\t\t: fpu avx512_vnni\nprocessor : 1\nflags\t\t: fpu avx512_vnni\n", True),
        ("flags\t\t: fpu avx2 avx_vnni\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("flags : avx_vnni\nflags : avx2\n", False),
        ("model name : with avx_vnni\n", False),
        ("", False),
    ],
)
def test_exact_sums_come_free_only_where_every_core_says_so(tmp_path: Path, features: str, has: bool) -> None:
    (tmp_path / "cpuinfo").write_text(features)
    assert has_vnni(tmp_path / "cpuinfo") == has
    assert not has_vnni(tmp_path / "none")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_gets_large_batches_of_few_lengths(provider: Placed) -> None:
    assert placement(provider, ModelSettings(), 96, CORES) == Placement(
        provider, GPU_THREADS, GPU_TOKENS, (16, 24, 32, 48, 64, 96)
    )


def test_the_longest_length_is_the_bundles_own() -> None:
    assert placement("cuda", ModelSettings(), 100, CORES).lengths[-2:] == (96, 100)
    assert placement("cuda", ModelSettings(), 12, CORES).lengths == (12,)


@pytest.mark.parametrize("provider", ["cpu", "cuda"])
def test_what_is_set_counts_everywhere(provider: Placed) -> None:
    placed = placement(provider, ModelSettings(threads=3, batch_tokens=77), 96, CORES)
    assert (placed.threads, placed.batch_tokens) == (3, 77)


def test_what_a_gpu_cannot_do_falls_to_the_next(tmp_path: Path) -> None:
    cases: dict[Placed, tuple[str, ...]] = {"cuda": EVERYTHING[1:], "cpu": EVERYTHING[2:]}
    for provider, names in cases.items():
        placed = placement(provider, ModelSettings(), 96, CORES)
        assert provider_options(placed, tmp_path) == [(name, {}) for name in names]


def test_tensorrt_builds_one_engine_for_every_batch_and_keeps_it(tmp_path: Path) -> None:
    placed = Placement("tensorrt", 2, 960, (16, 96))
    (name, options), *others = provider_options(placed, tmp_path / "engines")
    assert (name, others) == (EVERYTHING[0], [(other, {}) for other in EVERYTHING[1:]])
    assert options["trt_profile_min_shapes"] == "input_ids:1x1,attention_mask:1x1"
    # The most rows that the budget lets through, and the longest text: no batch lies outside.
    assert options["trt_profile_max_shapes"] == "input_ids:60x96,attention_mask:60x96"
    assert options["trt_engine_cache_path"] == str(tmp_path / "engines")
    assert (tmp_path / "engines").is_dir()


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"batch_tokens": 0}, {"provider": "tpu"}, {"bundel": "x"}])
def test_wrong_settings_name_their_key(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ModelSettings.model_validate(wrong)
