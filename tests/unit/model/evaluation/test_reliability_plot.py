"""The picture of a calibration."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from model.errors import InputError
from model.evaluation.metrics import ReliabilityBin, reliability
from model.evaluation.reliability_plot import BLUE, draw_reliability


def bins(rows: int, right: float) -> list[ReliabilityBin]:
    """Of two classes, all confidences alike often, of which a share of `right` is right."""
    confidence = np.linspace(0.5, 1, rows)
    labels = np.where(np.arange(rows) < right * rows, 0, 1)
    return reliability(np.stack([confidence, 1 - confidence], axis=1), labels)


def blue(path: Path) -> float:
    """Which share of the picture is that of a firm bar."""
    wanted = [int(BLUE[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return float((np.abs(imread(path)[:, :, :3] - wanted) < 0.01).all(axis=2).mean())


def test_higher_bars_are_more_often_right(tmp_path: Path) -> None:
    for name, right in (("bad", 0.2), ("good", 0.9)):
        draw_reliability(bins(400, right), f"a/{name}\n400 texts", tmp_path / f"{name}.png")
    height, width, _ = imread(tmp_path / "good.png").shape
    assert min(height, width) > 600
    assert blue(tmp_path / "good.png") > 1.3 * blue(tmp_path / "bad.png") > 0


@pytest.mark.parametrize("rows", [1, 30])
def test_few_texts_are_drawn_pale(tmp_path: Path, rows: int) -> None:
    """Only how many they are is not in doubt."""
    draw_reliability(bins(rows, 1.0), "a/few", tmp_path / "few.png")
    draw_reliability(bins(30 * rows + 400, 1.0), "a/many", tmp_path / "many.png")
    assert blue(tmp_path / "many.png") > 2 * blue(tmp_path / "few.png")


def test_a_picture_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write the picture"):
        draw_reliability(bins(30, 0.5), "a/few", tmp_path / "few.nonsense")
