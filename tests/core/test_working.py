"""Working voxels: blocks of an image's voxels, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_nninteractive as nni
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.core.working import WorkingResolution

ZOOM = WorkingResolution((1, 2, 4))
zooms = st.tuples(*[st.integers(1, 4)] * 3)
shapes = st.tuples(*[st.integers(1, 9)] * 3)


def test_boxes_of_working_voxels() -> None:
    assert ZOOM.shape((3, 5, 9)) == (3, 3, 3)
    assert ZOOM.box(Box((0, 1, 3), (2, 4, 5))) == Box((0, 0, 0), (2, 2, 2))
    assert ZOOM.voxels(Box((0, 1, 1), (2, 3, 3)), (3, 5, 9)) == Box((0, 2, 4), (2, 5, 9))
    assert WorkingResolution().is_full
    assert not ZOOM.is_full


@given(zooms, shapes, st.integers(0, 99))
def test_the_image_is_averaged_where_it_is_read(zoom: Index3, shape: Index3, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random(shape)
    resolution = WorkingResolution(zoom)
    working = resolution.volume(Volume.open(image, (2, 1, 0.5)))
    assert working.shape == resolution.shape(shape)
    assert working.spacing == (2 * zoom[0], zoom[1], 0.5 * zoom[2])
    start = [int(rng.integers(0, n)) for n in working.shape]
    box = Box(
        start, [int(rng.integers(a + 1, n + 1)) for a, n in zip(start, working.shape, strict=True)]
    )
    block = working.read(box)
    assert block.shape == box.shape
    for index in np.ndindex(box.shape):
        one = Box(
            [a + i for a, i in zip(start, index, strict=True)],
            [a + i + 1 for a, i in zip(start, index, strict=True)],
        )
        np.testing.assert_allclose(
            block[index], image[resolution.voxels(one, shape).slices].mean(), rtol=1e-5
        )


@given(zooms, shapes, st.integers(0, 99))
def test_repeated_masks_come_back_as_they_were(zoom: Index3, shape: Index3, seed: int) -> None:
    resolution = WorkingResolution(zoom)
    box = Box.of_shape(resolution.shape(shape))
    mask = np.random.default_rng(seed).random(box.shape) < 0.5
    full = resolution.repeated(mask, box, Box.of_shape(shape))
    assert full.shape == shape
    np.testing.assert_array_equal(resolution.averaged(full) >= 0.5, mask)


def test_values_are_enlarged_between_the_middles_of_the_blocks() -> None:
    values = np.array([0, 1, 1], np.float32).reshape(1, 1, 3)
    box, target = Box((0, 0, 5), (1, 1, 8)), Box((0, 0, 20), (1, 1, 32))
    expected = [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(
        WorkingResolution((1, 1, 4)).enlarged(values, box, target)[0, 0], expected
    )


def test_prompts_in_working_voxels() -> None:
    line = np.zeros((1, 2, 9))
    line[0, 0, 1:] = 1
    assert ZOOM.prompt(nni.Point((2, 3, 7), False)) == nni.Point((2, 1, 1), False)
    assert ZOOM.prompt(nni.BoxPrompt((2, 1, 3), (3, 4, 5))) == nni.BoxPrompt((2, 0, 0), (3, 2, 2))
    # Nothing that is drawn is lost, however thin.
    assert ZOOM.prompt(nni.Scribble(line, (2, 3, 0))) == nni.Scribble(np.ones((1, 1, 3)), (2, 1, 0))
    square = np.ones((1, 6, 7))
    assert ZOOM.prompt(nni.Lasso(square, (2, 2, 4))) == nni.Lasso(np.ones((1, 3, 2)), (2, 1, 1))
    edit = nni.MaskEdit(np.ones((1, 1, 1)), (0, 0, 5), value=False)
    assert ZOOM.prompt(edit) == nni.MaskEdit(np.ones((1, 1, 1)), (0, 0, 1), value=False)
    mask = np.zeros((2, 4, 8))
    mask[1, 2:, 3:] = 1
    expected = np.zeros((2, 2, 2))
    expected[1, 1, 1] = 1
    assert ZOOM.prompt(nni.InitialMask(mask)) == nni.InitialMask(expected)
    assert WorkingResolution().prompt(edit) is edit


@pytest.mark.parametrize("flat", [0, 1, 2])
def test_a_flat_lasso_stays_flat_and_whole(flat: int) -> None:
    shape = [8, 8, 8]
    shape[flat] = 1
    drawn = WorkingResolution((4, 4, 4)).prompt(nni.Lasso(np.ones(shape), (8, 8, 8)))
    assert isinstance(drawn, nni.Lasso)
    assert drawn.mask.all()
    assert drawn.bounds == Box((2, 2, 2), [2 + (1 if a == flat else 2) for a in range(3)])
