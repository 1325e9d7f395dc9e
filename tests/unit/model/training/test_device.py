"""Where a training computes and in what precision. What needs a GPU skips by name where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from model.data.recipe import Recipe, Training
from model.data.splits import Splits
from model.errors import InputError
from model.training.device import choose_device, choose_precision
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.run import read_run
from model.training.step import Row, Step
from model.training.train import train
from tests.unit.model.training.test_resuming import changed, ctrl_c

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")
needs_none = pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")


def weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / WEIGHTS_FILE)


@needs_none
def test_without_a_gpu_auto_is_the_cpu() -> None:
    assert choose_device(Training()).type == "cpu"


@needs_none
def test_a_gpu_that_is_not_there_is_named(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training\.device: cuda, but torch sees no GPU"):
        train(changed(tiny_recipe, device="cuda"), tiny_splits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fp16_on_the_cpu_is_refused() -> None:
    with pytest.raises(InputError, match=r"training\.precision: fp16 needs a GPU.*\n.*bf16.*fp32"):
        choose_precision(Training(precision="fp16"), torch.device("cpu"))


@pytest.mark.parametrize(
    ("has", "precision"),
    [
        ({"avx2": True, "avx512_bf16": False}, "fp32"),
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"neon": True, "bf16": True}, "bf16"),
    ],
)
def test_auto_is_bf16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert choose_precision(Training(), torch.device("cpu")) == precision
    assert choose_precision(Training(precision="bf16"), torch.device("cpu")) == "bf16"


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_products_have_the_precision_of_the_recipe_and_weights_are_float32(
    tiny_encoder: Path, precision: str, dtype: torch.dtype
) -> None:
    network = TwoHeads.pretrained(tiny_encoder)
    seen: set[torch.dtype] = set()
    network.topic.register_forward_hook(lambda *given: seen.add(given[2].dtype))
    optimiser = torch.optim.AdamW(network.parameters())
    Step(network, optimiser, Training.model_validate({"precision": precision}))([Row([2, 5, 3], 0, 1)])
    assert seen == {dtype}
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("automatic", ["bf16", "fp32"])
def test_a_recipe_that_says_nothing_gets_what_the_processor_has(
    tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, automatic: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": automatic == "bf16"})
    for name, said in {"nothing": {}, "bf16": {"precision": "bf16"}, "fp32": {"precision": "fp32"}}.items():
        train(changed(tiny_recipe, epochs=1, device="cpu", **said), tiny_splits, tmp_path / name)
    assert read_run(tmp_path / "nothing").precision == automatic
    found = {name: weights(tmp_path / name) for name in ("nothing", "bf16", "fp32")}
    for name in ("bf16", "fp32"):
        same = all(np.array_equal(weight, found[name][key]) for key, weight in found["nothing"].items())
        assert same == (name == automatic)


def test_another_device_does_not_resume(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(changed(tiny_recipe, device="cpu"), tiny_splits, tmp_path, watch=ctrl_c(epoch=2))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state["asked"]["device"] = "cuda"
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="another training: device: cuda -> cpu"):
        train(changed(tiny_recipe, device="cpu"), tiny_splits, tmp_path, resume=True)


@needs_gpu
# fp16 leaves out its first steps until it has found a scale, which the schedule of rates remarks upon.
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("adversarial", [0.0, 0.5])
def test_it_learns_on_a_gpu(
    tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path, precision: str, adversarial: float
) -> None:
    train(
        changed(tiny_recipe, epochs=4, device="cuda", precision=precision, adversarial=adversarial),
        tiny_splits,
        tmp_path / "run",
    )
    run = read_run(tmp_path / "run")
    assert run.device == "cuda"
    assert run.losses[-1] < run.losses[0] / 2
    TwoHeads.load(tmp_path / "run")


@needs_gpu
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_a_training_on_a_gpu_is_resumed(
    tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path, precision: str
) -> None:
    """Some of a GPU's sums have no fixed order, so within rounding and not to the bit."""
    recipe = changed(tiny_recipe, epochs=2, device="cuda", precision=precision)
    train(recipe, tiny_splits, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tiny_splits, tmp_path / "run", watch=ctrl_c(epoch=2))
    train(recipe, tiny_splits, tmp_path / "run", resume=True)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert all(np.allclose(whole[name], resumed[name], atol=1e-2) for name in whole)
