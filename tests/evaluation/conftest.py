"""A volume with known answers: two bright balls in the dark, 13 voxels apart."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.balls import ball

from napari_nninteractive.evaluation.cases import LabelledVolume


@pytest.fixture
def two_balls() -> LabelledVolume:
    """Image 0 outside, 100 in the balls; labels 1 (radius 7) and 2 (radius 5)."""
    shape = (24, 24, 48)
    labels = np.zeros(shape, np.uint8)
    labels[ball(shape, (12, 12, 12), 7)] = 1
    labels[ball(shape, (12, 12, 34), 5)] = 2
    return LabelledVolume("balls", (labels > 0) * np.float32(100), labels)
