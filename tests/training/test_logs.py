"""Curves and pictures: what is written can be read again; pictures show the slices and the outlines."""

import sys

import numpy as np
import pytest

from napari_nninteractive.core.box import Box
from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.config import StepReport
from napari_nninteractive.training.data.dataset import Sample
from napari_nninteractive.training.logs import Board, Progress, picture
from napari_nninteractive.training.loop import train


def report(step, loss, dice, first, names):
    return StepReport(step, loss, dice, first, names, seconds=2.0, rate=0.5)


def test_progress_means_and_line():
    progress = Progress()
    progress.add(report(1, 1.0, (0.2, 0.4), (True, False), ("tubes", "nuclei")))
    progress.add(report(2, 3.0, (0.6,), (True,), ("tubes",)))
    assert progress.means() == pytest.approx(
        {
            "loss": 2.0,
            "seconds": 2.0,
            "dice/first": 0.4,
            "dice/later": 0.4,
            "family/nuclei": 0.4,
            "family/tubes": 0.4,
        }
    )
    line = progress.line(90.0, 7)
    assert line == (
        "step 2  1.5 min  2.00 s/step  loss 2.000  dice first 0.400 later 0.400  scenes 7  nuclei=0.40 tubes=0.40"
    )


def test_without_later_prompts_their_dice_is_not_a_number():
    progress = Progress()
    progress.add(report(1, 1.0, (0.2,), (True,), ("tubes",)))
    assert "later nan" in progress.line(0.0, 0)


def test_a_picture_shows_image_truth_and_prediction_in_three_planes():
    inputs = np.zeros((8, 4, 6, 8), np.float32)
    inputs[0] = np.linspace(0, 1, 8)
    truth, found = np.zeros((2, 4, 6, 8), bool)
    truth[2, 3, 4] = True
    found[2, 3, 5] = True
    shown = picture(Sample(inputs, truth, Box.of_shape((4, 6, 8))), found)
    assert shown.dtype == np.uint8
    assert shown.shape == (6 + 4 + 4, 3 * 8, 3)
    assert shown[0, 0].tolist() == [0, 0, 0]
    assert shown[0, 7].tolist() == [255, 255, 255]
    assert shown[3, 8 + 4].tolist() == [51, 229, 76]  # truth in the slice across z
    assert shown[3, 16 + 5].tolist() == [255, 76, 229]  # prediction
    assert shown[6 + 2, 8 + 4].tolist() == [51, 229, 76]  # truth in the slice across y
    assert shown[10 + 2, 6 + 3].tolist() == [51, 229, 76]  # and across x, at x = 4


def test_a_run_writes_curves_and_pictures(tmp_path, tiny):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    losses = []
    train(tmp_path, tiny, tensorboard=True, report=lambda r: losses.append(r.loss))
    found = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert {"loss", "rate", "seconds", "dice/first"} <= set(found.Tags()["scalars"])
    (event,) = found.Scalars("loss")
    assert (event.step, event.value) == (1, pytest.approx(losses[0]))
    image = found.Images("sample/0")[0]
    assert (image.width, image.height) == (3 * 16, 3 * 16)


def test_without_tensorboard_the_remedy_is_said_before_anything_is_written(
    tmp_path, tiny, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        ModelError, match=r"pip install tensorboard, or train with tensorboard=False"
    ):
        Board(tmp_path / "board")
    with pytest.raises(
        ModelError, match=r"pip install tensorboard, or train with tensorboard=False"
    ):
        train(tmp_path / "run", tiny, tensorboard=True)
    assert not (tmp_path / "run").exists()
