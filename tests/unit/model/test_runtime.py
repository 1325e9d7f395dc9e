import sys
from pathlib import Path

import onnxruntime
import pytest
from pydantic import ValidationError

from model.bundle import Bundle
from model.errors import BundleError, RuntimeMissingError
from model.runtime import CPU, open_session
from model.settings import ModelSettings, usable_cores


def test_a_missing_runtime_names_what_to_install(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeMissingError, match=r"pip install finsentry\[cpu\]"):
        open_session(tiny_bundle, "auto")


def test_cuda_that_is_not_there_says_what_is(tiny_bundle: Bundle) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA is there")
    with pytest.raises(RuntimeMissingError, match=r"has only .*CPUExecutionProvider"):
        open_session(tiny_bundle, "cuda")


def test_int8_runs_on_the_cpu_wherever_it_may_choose(tiny_bundle: Bundle) -> None:
    assert open_session(tiny_bundle, "auto").provider == CPU


def test_a_file_that_is_no_model_is_named(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        open_session(Bundle(tmp_path, tiny_bundle.manifest), "cpu")


def test_one_thread_for_each_core_unless_told() -> None:
    assert ModelSettings().threads == usable_cores() >= 1


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"batch_tokens": 0}, {"provider": "tpu"}, {"bundel": "x"}])
def test_wrong_settings_name_their_key(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ModelSettings.model_validate(wrong)
