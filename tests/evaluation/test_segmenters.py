"""The engine as it is measured: as users get it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.flood_model import write_flood_model

import napari_nninteractive as nni
from napari_nninteractive.core.box import Box
from napari_nninteractive.evaluation.methods.segmenters import SessionSegmenter
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import run_volume


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Floods bright voxels from a click."""
    return write_flood_model(tmp_path_factory.mktemp("models") / "flood")


def test_every_object_starts_anew(two_balls, flood: Path) -> None:
    session = nni.InferenceSession.from_pretrained(flood, "cpu", precision="fp32")
    segmenter = SessionSegmenter(session, "flood")
    results = list(run_volume(segmenter, two_balls, (1, 2), [Trial("points", 2)]))
    assert [r.error for r in results] == [None, None]
    assert min(r.dice[0] for r in results) > 0.9
    assert {(r.method, r.volume) for r in results} == {("flood", "balls")}
    session.reset()
    session.add(results[1].prompts[0])
    mask = np.asarray(session.mask[...]) != 0
    assert not mask[two_balls.labels == 1].any()


def test_the_name_says_the_model_and_whether_autozoom_is_off(flood: Path) -> None:
    model = nni.load_model(flood, device="cpu")
    assert SessionSegmenter(nni.InferenceSession(model)).name == "flood"
    off = nni.InferenceSession(model, autozoom=False)
    assert SessionSegmenter(off).name == "flood without AutoZoom"


def test_flat_images_and_what_is_told(flood: Path) -> None:
    session = nni.InferenceSession.from_pretrained(flood, "cpu", precision="fp32")
    segmenter = SessionSegmenter(session)
    image = np.zeros((20, 30), np.float32)
    image[5:15, 5:15] = 100
    segmenter.start(image, (1.0, 0.5, 0.5))
    segmenter.reset(Box((0, 5, 5), (1, 15, 15)))
    mask = segmenter.add(nni.Point((0, 10, 10)))
    assert (mask.shape, mask.dtype) == ((1, 20, 30), np.dtype(bool))
    assert session.prompts == (nni.Point((0, 10, 10)),)
