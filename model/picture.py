"""Writing a picture, for whatever draws one."""

from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: "Figure", path: Path, *, dpi: int = 110) -> None:
    """Writes `figure` as PNG, SVG or PDF, by the extension of `path`. Raises `InputError` where it cannot."""
    try:
        figure.savefig(path, dpi=dpi)
    except (OSError, ValueError) as error:  # the latter for an extension that no picture has
        raise InputError(
            f"{path}: cannot write the picture: {error}",
            fix="Name a .png, .svg or .pdf file, in a folder that can be written.",
        ) from error
