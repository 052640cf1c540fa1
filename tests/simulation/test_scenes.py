"""Scenes: seeded, and every target visible."""

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_nninteractive.simulation.images import families_cells, families_tissue
from napari_nninteractive.simulation.images._fields import label_borders
from napari_nninteractive.simulation.images._optics import _blurred, noise_like, quantised
from napari_nninteractive.simulation.images._render import specimen
from napari_nninteractive.simulation.images._visible import CONTRAST_FLOOR, object_contrast
from napari_nninteractive.simulation.images.scenes import FAMILIES, MIN_VOXELS, make_scene

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
            assert scene.noise <= 0.72 * min(contrast, 1.0)
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


def scenes_of(family, count=8, shape=SHAPE, **settings):
    return [
        make_scene(np.random.default_rng([21, k]), family=family, shape=shape, **settings)
        for k in range(count)
    ]


def test_a_whole_holds_its_parts_and_both_are_targets():
    both = 0
    for scene in scenes_of("nested"):
        for whole, parts in scene.parts.items():
            mask = scene.whole(whole)
            assert mask.sum() == np.isin(scene.labels, [whole, *parts]).sum()
            both += whole in scene.targets and parts[0] in scene.targets
            for part in parts:
                assert np.array_equal(scene.whole(part), scene.labels == part)
    assert both >= 4


@pytest.mark.parametrize("style", ["walled", "electron"])
def test_walls_are_brighter_and_membranes_darker_than_what_they_enclose(style):
    family = families_cells.packed if style == "walled" else families_tissue.processes
    found = 0
    for seed in range(6):
        rng = np.random.default_rng([4, seed])
        layout = family(rng, SHAPE, (1.0, 1.0, 1.0), 0.5)
        if layout.style != style:
            continue
        found += 1
        clean = specimen(rng, layout, 1.0, 0.5)
        border = label_borders(layout.labels, between_objects=True)
        inside = ~ndi.binary_dilation(border, iterations=3) & (layout.labels > 0)
        if inside.any():
            sign = 1 if style == "walled" else -1
            assert sign * np.median(clean[border]) > sign * np.median(clean[inside])
    assert found >= 3


def test_the_truth_of_hazy_nuclei_reaches_beyond_their_stain():
    rng = np.random.default_rng(0)
    layouts = [families_cells.nuclei(rng, SHAPE, (1.0, 1.0, 1.0), 0.5) for _ in range(12)]
    hazy = [x for x in layouts if x.stained is not None]
    assert 3 <= len(hazy) <= 11
    for layout in hazy:
        stained = layout.stained > 0
        assert not (stained & (layout.labels != layout.stained)).any()
        assert stained.sum() < (layout.labels > 0).sum()


def test_lengths_are_physical_so_coarse_planes_are_fewer():
    """The same bodies in planes three times as far apart are a third as many voxels deep."""
    depth = []
    for step, planes in ((1.0, 60), (3.0, 20)):
        labels = families_tissue.tubes(
            np.random.default_rng(3), (planes, 40, 40), (step, 1.0, 1.0), 0.5
        ).labels
        depth.append((labels > 0).sum() * step)
    assert depth[1] == pytest.approx(depth[0], rel=0.15)


def test_mixed_scenes_and_single_planes_occur():
    scenes = [make_scene(np.random.default_rng([8, k])) for k in range(60)]
    assert any(s.family == "mixed" for s in scenes)
    assert any(s.image.shape[0] == 1 for s in scenes)
    assert len({s.family for s in scenes}) >= 7
    for scene in scenes:
        assert scene.image.shape == scene.labels.shape
        assert set(scene.targets) <= set(np.unique(scene.labels))


def test_haze_and_blur_are_wider_along_z_and_noise_has_unit_strength():
    point = np.zeros((33, 33, 33), np.float32)
    point[16, 16, 16] = 1.0
    wider = 0
    for seed in range(10):
        image = _blurred(np.random.default_rng(seed), point, 1.0, 0.0)
        along_z, along_x = image[17, 16, 16], image[16, 16, 17]
        assert along_z >= along_x - 1e-7
        wider += along_z > along_x + 1e-6
    assert wider >= 3
    noise = noise_like(np.random.default_rng(1), np.zeros((30, 30, 30), np.float32))
    assert noise.std() == pytest.approx(1.0, rel=0.6)


def test_quantised_images_have_few_values():
    image = np.random.default_rng(0).random((8, 9, 10)).astype(np.float32)
    coarse = quantised(np.random.default_rng(0), image)
    assert 20 <= len(np.unique(coarse)) <= 256
    assert np.abs(coarse - image).max() <= 0.5 / 20
