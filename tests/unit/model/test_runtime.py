import logging
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.bundle import DEFAULT_BUNDLE, Bundle
from model.classifier import Classifier
from model.errors import BundleError, RuntimeMissingError
from model.labels import TOPICS
from model.placement import RUNTIME_NAMES
from model.runtime import INPUTS, OUTPUTS, SUMS_IN_32_BITS, Session, open_session, session_options
from model.settings import ModelSettings, Provider
from tests.unit.model.conftest import MOODS, THINGS

TEXTS = [f"{thing} {mood} today" for thing in THINGS for mood in MOODS] + ["oil soars " * 9]
GPUS: tuple[Provider, ...] = ("cuda", "tensorrt")


def test_a_missing_runtime_names_what_to_install(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeMissingError, match=r"pip install '\.\[cpu\]'"):
        open_session(tiny_bundle, ModelSettings())


@pytest.mark.parametrize("provider", GPUS)
def test_a_gpu_that_is_not_there_says_what_is(tiny_bundle: Bundle, provider: Provider) -> None:
    if RUNTIME_NAMES[provider] in onnxruntime.get_available_providers():  # type: ignore[index]
        pytest.skip(f"{provider} is there")
    with pytest.raises(RuntimeMissingError, match=rf"asks for {provider}, .* has .*CPUExecutionProvider"):
        open_session(tiny_bundle, ModelSettings(provider=provider))


def test_it_says_where_it_runs(tiny_bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "model.runtime"):
        opened = open_session(tiny_bundle, ModelSettings(threads=3))
    assert opened.placement.provider == "cpu"
    assert "precision=int8 provider=cpu threads=3 batch_tokens=256 lengths=exact" in caplog.text


def test_sums_of_whole_numbers_are_exact_on_every_processor(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """Two products of 255 and 127 are more than 16 bits hold, which is where processors without VNNI add them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.runtime.has_vnni", lambda: False)  # on those with it the sum below proves nothing
        options = session_options(onnxruntime, int8=True)["sess_options"]
    assert options.get_session_config_entry(SUMS_IN_32_BITS) == "1"
    assert ModelSettings().repeatable, "by default"
    width = 8
    _save_product(tmp_path / "model.onnx", np.full((width, len(TOPICS)), 127, np.int8))
    opened = open_session(Bundle(tmp_path, tiny_bundle.manifest), ModelSettings(provider="cpu"))
    topic, _ = opened.run(np.full((3, width), 255), np.ones((3, width), np.int64))
    assert np.array_equal(topic, np.full((3, len(TOPICS)), width * 255 * 127, np.float32))


def test_the_shipped_bundle_gets_the_bits_of_exact_sums_on_this_processor() -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    options = session_options(onnxruntime, int8=True, exact=False)
    options["sess_options"].add_session_config_entry(SUMS_IN_32_BITS, "1")
    exact = onnxruntime.InferenceSession(str(bundle.model_path), providers=["CPUExecutionProvider"], **options)
    opened = open_session(bundle, ModelSettings(provider="cpu"))
    ids = np.random.default_rng(0).integers(1000, 20_000, (48, 24))
    mask = np.ones_like(ids)
    for one, other in zip(
        exact.run(OUTPUTS, dict(zip(INPUTS, (ids, mask), strict=True))), opened.run(ids, mask), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("repeatable", "vnni"), [(True, False), (True, True), (False, False)])
def test_only_what_is_to_be_repeatable_pays_for_exact_sums_and_only_where_they_cost(
    repeatable: bool, vnni: bool, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def watched(*of: Any, **options: Any) -> dict[str, Any]:
        made.append(session_options(*of, **options))
        return made[-1]

    monkeypatch.setattr("model.runtime.session_options", watched)
    monkeypatch.setattr("model.runtime.has_vnni", lambda: vnni)
    open_session(tiny_bundle, ModelSettings(provider="cpu", repeatable=repeatable))
    with nullcontext() if repeatable and not vnni else pytest.raises(RuntimeError, match=SUMS_IN_32_BITS):
        assert made[0]["sess_options"].get_session_config_entry(SUMS_IN_32_BITS) == "1"


def _save_product(path: Path, weights: np.ndarray) -> None:
    """A model whose topic logits are its token ids, as bytes, times int8 `weights`."""
    batch = ["batch", "length"]
    product = ["ids", "weights", "one", "one"]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.UINT8),
        helper.make_node("MatMulIntegerToFloat", product, ["topic_logits"], domain="com.microsoft"),
        helper.make_node("Cast", ["attention_mask"], ["sentiment_logits"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info(name, TensorProto.INT64, batch) for name in INPUTS],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in OUTPUTS],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array(1, np.float32), "one")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def test_a_file_that_is_no_model_is_named(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        open_session(Bundle(tmp_path, tiny_bundle.manifest), ModelSettings(provider="cpu"))


def test_bound_to_a_device_it_computes_the_same(tiny_float_bundle: Bundle) -> None:
    """The way that a GPU takes, on the only device that is everywhere."""
    plain = open_session(tiny_float_bundle, ModelSettings(provider="cpu"))
    bound = Session(plain._session, plain.placement._replace(provider="cuda"), device="cpu")
    ids, mask = np.array([[2, 7, 4, 3], [2, 8, 3, 0]]), np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
    for one, other in zip(plain.run(ids, mask), bound.run(ids, mask), strict=True):
        assert np.array_equal(one, other)


def test_rounded_lengths_change_nothing_but_the_last_decimals(tiny_float_bundle: Bundle) -> None:
    """What a GPU gets: few lengths, much padding, one large batch each."""
    opened = open_session(tiny_float_bundle, ModelSettings(provider="cpu"))
    rounded = Session(opened._session, opened.placement._replace(batch_tokens=4096, lengths=(8, 16)))
    with (
        Classifier(tiny_float_bundle, opened, ModelSettings()) as exact,
        Classifier(tiny_float_bundle, rounded, ModelSettings()) as few,
    ):
        for one, other in zip(exact.logits(TEXTS), few.logits(TEXTS), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("provider", GPUS)
def test_a_gpu_scores_as_the_cpu_does(tiny_half_bundle: Bundle, tmp_path: Path, provider: Provider) -> None:
    if RUNTIME_NAMES[provider] not in onnxruntime.get_available_providers():  # type: ignore[index]
        pytest.skip(f"needs a GPU and an ONNX Runtime with {provider}")
    settings = {"bundle": tiny_half_bundle.folder, "engine_cache": tmp_path}
    with (
        Classifier.load(ModelSettings.model_validate(settings | {"provider": provider})) as there,
        Classifier.load(ModelSettings.model_validate(settings | {"provider": "cpu"})) as here,
    ):
        assert there.placement.provider == provider
        for one, other in zip(there.logits(TEXTS), here.logits(TEXTS), strict=True):
            np.testing.assert_allclose(one, other, atol=0.05)
