import pytest

from deploy.errors import FinSentryError
from deploy.training import training_libraries


def test_a_missing_library_says_how_to_get_it() -> None:
    said = r"(?s)training needs torch.utils.*pip install '\.\[cpu,train\]'"
    with pytest.raises(FinSentryError, match=said), training_libraries():
        raise ModuleNotFoundError(name="torch.utils")


def test_a_module_of_ours_that_is_missing_is_our_fault() -> None:
    with pytest.raises(ModuleNotFoundError), training_libraries():
        raise ModuleNotFoundError(name="model.nowhere")
