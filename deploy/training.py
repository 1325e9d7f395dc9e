"""The libraries that only training needs, and what to say where they are missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.errors import FinSentryError
from model.errors import INSTALL_TRAINING

LIBRARIES = ("huggingface_hub", "onnx", "onnxruntime", "optimum", "peft", "safetensors", "torch", "transformers")


@contextmanager
def training_libraries() -> Iterator[None]:
    """Around the import of what trains: a library that is not there becomes an error that says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in LIBRARIES:
            raise
        raise FinSentryError(f"training needs {error.name}", fix=INSTALL_TRAINING) from error
