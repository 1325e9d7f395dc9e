"""ONNX Runtime: the one module that knows it."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from model.bundle import MANIFEST_FILE, Bundle
from model.errors import BundleError, RuntimeMissingError

Provider = Literal["auto", "cpu", "cuda"]
Tokens = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

INPUTS = ("input_ids", "attention_mask")
OUTPUTS = ("topic_logits", "sentiment_logits")


class Session:
    """A loaded model that any number of threads may run at once, each run on its caller's own core."""

    def __init__(self, session: Any, provider: str) -> None:
        self._session = session
        self.provider = provider
        """Where it runs, by ONNX Runtime's name."""

    def run(self, ids: Tokens, mask: Tokens) -> tuple[Logits, Logits]:
        """Topic logits (batch x 20) and sentiment logits (batch x 3) of `ids` (batch x length)."""
        rows = len(ids)
        if rows == 1:
            # A product with one row goes another way through ONNX Runtime, which sums in another order.
            ids, mask = np.repeat(ids, 2, axis=0), np.repeat(mask, 2, axis=0)
        topic, sentiment = self._session.run(OUTPUTS, dict(zip(INPUTS, (ids, mask), strict=True)))
        return topic[:rows], sentiment[:rows]


def open_session(bundle: Bundle, provider: Provider) -> Session:
    """The bundle's model, ready to run. Raises `RuntimeMissingError` or, for a model that does not load, `BundleError`.

    `auto` is CUDA where it is present, but not for int8: its operators have no CUDA kernels and would hop to the CPU.
    """
    runtime = _import_runtime()
    available = runtime.get_available_providers()
    if provider == "cuda" and CUDA not in available:
        raise RuntimeMissingError(
            f"CUDA is asked for, but this ONNX Runtime has only {', '.join(available)}",
            fix="pip uninstall onnxruntime && pip install finsentry[gpu], or set `model.provider` to `auto`.",
        )
    use_cuda = provider == "cuda" or (provider == "auto" and CUDA in available and bundle.manifest.precision != "int8")
    options = runtime.SessionOptions()
    # One single-threaded run a core, each on its own batch, beats one run over all cores by a half.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(
            str(bundle.model_path), options, providers=[CUDA, CPU] if use_cuda else [CPU]
        )
    except Exception as error:  # its exceptions share no base but Exception
        raise BundleError(
            f"{bundle.model_path}: ONNX Runtime cannot load it: {error}", fix="Export it again."
        ) from error
    _require_names(bundle, session)
    return Session(session, session.get_providers()[0])


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeMissingError(
            "ONNX Runtime is not installed, so nothing can be classified",
            fix="pip install finsentry[cpu], or finsentry[gpu] on a machine with CUDA.",
        ) from error
    return onnxruntime


def _require_names(bundle: Bundle, session: Any) -> None:
    found = ({i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()})
    if found != (set(INPUTS), set(OUTPUTS)):
        raise BundleError(
            f"{bundle.model_path}: has inputs {sorted(found[0])} and outputs {sorted(found[1])}",
            fix=f"Export it with inputs {INPUTS} and outputs {OUTPUTS}; {MANIFEST_FILE} is fine.",
        )
