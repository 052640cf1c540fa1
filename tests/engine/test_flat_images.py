"""Images thinner than the distance of the samples of a wide view: 2D images, thin stacks, a row of voxels."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.oracles import IMAGE, Counting, Network, bright, make_session

import napari_nninteractive as nni

PATCH = (48, 48, 48)
WIDE = (24, 128, 128)  # at the widest zoom, 4, it sees all of 400 × 400 voxels
BUILTIN_SEES = np.zeros((400, 400), bool)
BUILTIN_SEES[200 - 96 : 200 + 96, 200 - 96 : 200 + 96] = True


def scene(depth: int, side: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """A stack of 400 × 400 voxels with a bright square in all its slices, on noise; the square, and where it lies."""
    a, b = 200 - side // 2, 200 + side // 2
    truth = np.zeros((depth, 400, 400), bool)
    truth[:, a:b, a:b] = True
    return truth + np.random.default_rng(0).normal(0, 0.03, truth.shape), truth, a, b


def z_score(image: np.ndarray, value: float) -> float:
    return float((value - image.mean()) / image.std())


def halfway(image: np.ndarray) -> Network:
    return bright(z_score(image, 0.5))


@pytest.mark.parametrize("side", [60, 130, 250, 390])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("patch", [PATCH, WIDE, (20, 128, 128)])
def test_a_large_box_on_a_thin_stack_finds_the_object_in_all_slices(patch, depth, side):
    image, truth, a, b = scene(depth, side)
    network = Counting(halfway(image))
    session = make_session(image, network, patch)
    session.add(nni.BoxPrompt((0, a, a), (1, b, b)))
    first = network.inputs[0][IMAGE]
    assert first.max() > 0.5 * z_score(image, 1)
    seen = truth & BUILTIN_SEES if patch == PATCH else truth
    np.testing.assert_array_equal(session.mask[...][:, BUILTIN_SEES], truth[:, BUILTIN_SEES])
    np.testing.assert_array_equal(session.mask[...] & seen, seen)
    assert not (session.mask[...] & ~truth).any()


@pytest.mark.parametrize("side", range(60, 391, 30))
def test_boxes_of_every_size_on_a_2d_image(side):
    image, truth, a, b = scene(1, side)
    session = make_session(image[0], halfway(image), WIDE)
    session.add(nni.BoxPrompt((0, a, a), (1, b, b)))
    np.testing.assert_array_equal(session.mask[...].reshape(truth.shape), truth)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("n", [8, 50, 180])
def test_a_row_of_voxels(axis, n):
    a, b = n // 4, n - n // 4
    truth = np.zeros(n, bool)
    truth[a:b] = True
    image = truth + np.random.default_rng(0).normal(0, 0.03, n)
    session = make_session(image.reshape(np.roll((n, 1, 1), axis)), halfway(image), (32, 32, 32))
    start, stop = [0, 0, 0], [1, 1, 1]
    start[axis], stop[axis] = a, b
    session.add(nni.BoxPrompt(start, stop))
    np.testing.assert_array_equal(session.mask[...].ravel(), truth)


def test_a_click_on_what_fills_a_2d_image_widens_the_view():
    image, truth, _, _ = scene(1, 390)
    network = Counting(halfway(image))
    session = make_session(image[0], network, WIDE, config=nni.EngineConfig(border_voxels_many=40))
    session.add(nni.Point((0, 200, 200)))
    np.testing.assert_array_equal(session.mask[...].reshape(truth.shape), truth)


def test_a_large_lasso_on_a_2d_image():
    image, truth, a, b = scene(1, 250)
    session = make_session(image[0], halfway(image), WIDE)
    session.add(nni.Lasso(truth[:, a:b, a:b], (0, a, a)))
    np.testing.assert_array_equal(session.mask[...].reshape(truth.shape), truth)
