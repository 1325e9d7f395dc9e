"""Pictures get to their files, or somebody is told why not."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from model.errors import InputError
from model.picture import save


@pytest.mark.parametrize(
    ("name", "begin"), [("out.png", b"\x89PNG"), ("out.svg", b"<?xml"), ("out.pdf", b"%PDF"), ("out.PNG", b"\x89PNG")]
)
def test_the_extension_says_the_format(tmp_path: Path, name: str, begin: bytes) -> None:
    save(Figure(layout="constrained"), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begin)


@pytest.mark.parametrize(
    ("name", "said"), [("out.doc", "'doc' is not supported"), ("missing/out.png", "No such file or directory")]
)
def test_what_cannot_be_written_is_named(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: cannot write the picture: .*{said}") as caught:
        save(Figure(), tmp_path / name)
    assert ".svg" in caught.value.fix
