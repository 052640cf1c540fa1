"""Scenes: seeded, and every target visible."""

import numpy as np
import pytest

from napari_nninteractive.training._render import CONTRAST_FLOOR, object_contrast
from napari_nninteractive.training.scenes import FAMILIES, MIN_VOXELS, make_scene

SHAPE = (24, 40, 44)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_scene_and_another_one_does_not(family):
    a, b, c = (make_scene(np.random.default_rng(s), family=family, shape=SHAPE) for s in (5, 5, 6))
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.labels, b.labels)
    assert a.targets == b.targets
    assert not np.array_equal(a.image, c.image)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_target_is_large_enough_and_its_contrast_is_above_the_floor_and_the_noise(family):
    targets = 0
    for seed in range(4):
        scene = make_scene(np.random.default_rng([9, seed]), family=family, shape=SHAPE)
        assert np.isfinite(scene.image).all()
        sizes = np.bincount(scene.labels.ravel())
        for label, contrast in zip(scene.targets, scene.contrast, strict=True):
            targets += 1
            assert sizes[label] >= MIN_VOXELS
            assert contrast >= CONTRAST_FLOOR
            assert scene.noise <= 0.45 * min(contrast, 1.0)
    assert targets >= 4


def test_contrast_of_a_body_is_its_step_and_of_a_cell_that_of_its_wall():
    image, mask = np.zeros((20, 20, 20), np.float32), np.zeros((20, 20, 20), bool)
    mask[5:15, 5:15, 5:15] = True
    assert object_contrast(image, mask) == 0
    assert object_contrast(image + 0.6 * mask, mask) == pytest.approx(0.6)
    wall = np.zeros_like(mask)
    wall[4:16, 4:16, 4:16] = True
    wall[6:14, 6:14, 6:14] = False
    assert object_contrast(image + 0.8 * wall, mask) == pytest.approx(0.8)


def test_a_body_whose_border_shows_on_one_side_only_is_not_visible():
    image, mask = np.zeros((20, 20, 20), np.float32), np.zeros((20, 20, 20), bool)
    mask[5:15, 5:15, 5:15] = True
    image[:, :, 15:] = 1.0
    assert object_contrast(image, mask) == 0


def test_touching_nuclei_are_told_apart_by_what_lies_between_them():
    """Between two touching nuclei the noise-free image is darker than inside both of them."""
    found = 0
    for seed in range(40):
        scene = make_scene(
            np.random.default_rng([3, seed]), family="nuclei", level=0.0, shape=SHAPE
        )
        labels, image = scene.labels, scene.image
        pairs = (labels[:, :, :-1] > 0) & (labels[:, :, 1:] > 0)
        touching = pairs & (labels[:, :, :-1] != labels[:, :, 1:])
        if touching.sum() < 30:
            continue
        found += 1
        seam = np.minimum(image[:, :, :-1], image[:, :, 1:])[touching].mean()
        inside = image[:, :, :-1][pairs & ~touching].mean()
        ground = image[labels == 0].mean()
        sign = np.sign(inside - ground)
        assert sign * seam < sign * inside
    assert found >= 2
