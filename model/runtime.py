"""ONNX Runtime: the one module that knows it."""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.bundle import MANIFEST_FILE, Bundle
from model.cores import has_vnni, usable_cores
from model.errors import BundleError, RuntimeMissingError
from model.placement import RUNTIME_NAMES, Placed, Placement, candidates, placement
from model.settings import ModelSettings

logger = logging.getLogger(__name__)

Tokens = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]

INPUTS = ("input_ids", "attention_mask")
OUTPUTS = ("topic_logits", "sentiment_logits")

ALONE = "finsentry.alone"
"""Metadata key: the graph gives a batch of one text the same bits as a larger batch, so `run` need not duplicate the
row."""

SUMS_IN_32_BITS = "session.x64quantprecision"
"""x86 processors without VNNI add two products in 16 bits and clip some. With this, and from the extended optimisations
on, ONNX Runtime takes another kernel, which does not: an audit on another machine finds the same labels. It costs a
seventh of the time there; with VNNI the other kernel is taken too, for half as much time again and the same bits."""

SLOW_FUSIONS = ["SkipLayerNormFusion", "BiasGeluFusion"]
"""Extended optimisations that put a kernel that is not vectorised in place of two that are."""


class Session:
    """A loaded model that any number of threads may run at once; on the CPU each run is on its caller's own core."""

    def __init__(self, session: Any, placed: Placement, *, device: str = "cpu") -> None:
        self._session = session
        self._device = device
        self.placement = placed

    @cached_property
    def _one_differs(self) -> bool:
        """ONNX Runtime sums a batch of one text in another order than a larger one."""
        return ALONE not in self._session.get_modelmeta().custom_metadata_map

    def placed(self, placement: Placement) -> "Session":
        """The same loaded model, run in other portions. Raises `ValueError` where its engine has no such shapes."""
        if self.placement.provider == "tensorrt" and placement.batch_tokens > self.placement.batch_tokens:
            raise ValueError(
                f"the engine is built for {self.placement.batch_tokens} tokens a batch, not {placement.batch_tokens}"
            )
        return Session(self._session, placement, device=self._device)

    def run(self, ids: Tokens, mask: Tokens) -> tuple[Logits, Logits]:
        """Topic logits (batch x 20) and sentiment logits (batch x 3) of `ids` (batch x length)."""
        rows = len(ids)
        if rows == 1 and self._one_differs:
            ids, mask = np.repeat(ids, 2, axis=0), np.repeat(mask, 2, axis=0)
        inputs = dict(zip(INPUTS, (ids, mask), strict=True))
        if self.placement.provider == "cpu":
            topic, sentiment = self._session.run(OUTPUTS, inputs)
        else:
            topic, sentiment = self._run_bound(inputs)
        return topic[:rows], sentiment[:rows]

    def _run_bound(self, inputs: dict[str, Tokens]) -> tuple[Logits, Logits]:
        """With inputs and outputs bound to the device, so that each is copied once and nothing waits in between."""
        binding = self._session.io_binding()
        for name, values in inputs.items():
            binding.bind_cpu_input(name, values)
        for name in OUTPUTS:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        topic, sentiment = binding.copy_outputs_to_cpu()
        return topic, sentiment


def open_session(bundle: Bundle, settings: ModelSettings) -> Session:
    """The bundle's model where the settings want it and in the portions that suit that place; says so in the log.

    Raises `RuntimeMissingError` where ONNX Runtime, or what the settings ask of it, is not there, and `BundleError` for
    a model that does not load.
    """
    runtime = _import_runtime()
    available = runtime.get_available_providers()
    manifest = bundle.manifest
    for name in candidates(available, settings.provider, manifest.precision):
        placed = placement(name, settings, manifest.maximum_length, usable_cores())
        session = _load(runtime, bundle, placed, settings)
        # Where a driver or library is missing, ONNX Runtime says so on standard error and goes on without.
        if session.get_providers()[0] != RUNTIME_NAMES[name]:
            logger.warning("%s is part of this ONNX Runtime but does not start here", name)
            continue
        _require_names(bundle, session)
        logger.info(
            "model version=%s precision=%s provider=%s threads=%d batch_tokens=%d lengths=%s",
            manifest.version, manifest.precision, name, placed.threads, placed.batch_tokens, placed.lengths or "exact",
        )  # fmt: skip
        return Session(session, placed, device="cpu" if name == "cpu" else "cuda")
    raise RuntimeMissingError(
        f"`model.provider` asks for {settings.provider}, which does not run here; this ONNX Runtime has"
        f" {', '.join(available)}",
        fix="in the checkout: pip uninstall onnxruntime && pip install '.[gpu]', beside the GPU's driver, CUDA and"
        " cuDNN (and TensorRT), or set `model.provider` to `auto`.",
    )


def _load(runtime: Any, bundle: Bundle, placed: Placement, settings: ModelSettings) -> Any:
    int8 = placed.provider == "cpu" and bundle.manifest.precision == "int8"
    try:
        return runtime.InferenceSession(
            str(bundle.model_path),
            providers=provider_options(placed, settings.engine_cache / bundle.manifest.version),
            **session_options(runtime, int8=int8, exact=settings.repeatable),
        )
    except Exception as error:  # its exceptions share no base but Exception
        raise BundleError(
            f"{bundle.model_path}: ONNX Runtime cannot load it: {error}", fix="Export it again."
        ) from error


def session_options(runtime: Any, *, int8: bool, exact: bool = True) -> dict[str, Any]:
    """Arguments of ONNX Runtime's `InferenceSession`; `int8` is for such a model on the CPU, `exact` for the same sums
    on every processor."""
    options = runtime.SessionOptions()
    # One single-threaded run a core, each on its own batch, beats one run over all cores by a half.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not int8:
        return {"sess_options": options}
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    if exact and not has_vnni():
        options.add_session_config_entry(SUMS_IN_32_BITS, "1")
    return {"sess_options": options, "disabled_optimizers": SLOW_FUSIONS}


def provider_options(placed: Placement, engines: Path) -> list[tuple[str, dict[str, str]]]:
    """ONNX Runtime's list of providers: the one chosen, and those that take what it cannot do."""
    order: list[Placed] = list(RUNTIME_NAMES)
    names = [RUNTIME_NAMES[name] for name in order[order.index(placed.provider) :]]
    others: list[tuple[str, dict[str, str]]] = [(name, {}) for name in names[1:]]
    if placed.provider != "tensorrt":
        return [(names[0], {}), *others]
    most, longest = largest_shape(placed)
    shapes = {"min": (1, 1), "opt": (max(most // 2, 1), placed.lengths[0]), "max": (most, longest)}
    # One engine for all shapes, kept for the next start; without these it builds one whenever a shape is new.
    profiles = {
        f"trt_profile_{name}_shapes": ",".join(f"{one}:{batch}x{length}" for one in INPUTS)
        for name, (batch, length) in shapes.items()
    }
    engine = {"trt_fp16_enable": "1", "trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"}
    engines.mkdir(parents=True, exist_ok=True)
    folders = {"trt_engine_cache_path": str(engines), "trt_timing_cache_path": str(engines)}
    return [(names[0], engine | folders | profiles), *others]


def largest_shape(placed: Placement) -> tuple[int, int]:
    """Texts and tokens of each, no fewer than in any batch that `Session.run` may get: what an engine is built for."""
    # Two rows where one is asked for, see `Session.run`.
    return max(placed.batch_tokens // placed.lengths[0], 2), placed.lengths[-1]


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeMissingError(
            "ONNX Runtime is not installed, so nothing can be classified",
            fix="in the checkout: pip install '.[cpu]', or '.[gpu]' on a machine with CUDA",
        ) from error
    return onnxruntime


def _require_names(bundle: Bundle, session: Any) -> None:
    found = ({i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()})
    if found != (set(INPUTS), set(OUTPUTS)):
        raise BundleError(
            f"{bundle.model_path}: has inputs {sorted(found[0])} and outputs {sorted(found[1])}",
            fix=f"Export it with inputs {INPUTS} and outputs {OUTPUTS}; {MANIFEST_FILE} is fine.",
        )
