"""Methods without a network: balls and walled cells that they must find, and what must hold for all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures.balls import ball

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.metrics import dice
from napari_nninteractive.core.prompts import InitialMask, Point
from napari_nninteractive.errors import NNInteractiveError, PromptError, SessionError
from napari_nninteractive.evaluation.methods.baselines import (
    METHODS,
    BaselineSegmenter,
    make_baseline,
)
from napari_nninteractive.evaluation.methods.seeds import CLICK_RADIUS
from napari_nninteractive.evaluation.presets import BASELINES, Trial
from napari_nninteractive.evaluation.protocol import run_volume

SHAPE = (24, 24, 48)
SPACING = (1.0, 1.0, 1.0)
FIRST, SECOND = Point((12, 12, 12)), Point((12, 12, 34))


def started(name: str, volume) -> BaselineSegmenter:
    method = make_baseline(name)
    method.start(volume.image, volume.spacing)
    method.reset(Box.of_mask(volume.labels == 1))
    return method


@pytest.mark.parametrize("box", ["", "+box"])
@pytest.mark.parametrize(
    ("name", "least"),
    [("otsu", 0.97), ("region-growing", 0.97), ("watershed", 0.9)],
)
def test_a_click_finds_a_ball_and_not_the_other(two_balls, name: str, least: float, box) -> None:
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    two_balls = replace(two_balls, image=(two_balls.image + noise).astype(np.float32))
    found = list(run_volume(make_baseline(name + box), two_balls, (1, 2), [Trial("points", 1)]))
    assert [r.error for r in found] == [None, None]
    assert min(r.dice[0] for r in found) > least
    for result, other in zip(found, (2, 1), strict=True):
        assert not (result.mask.inside(Box.of_shape(SHAPE)) & (two_balls.labels == other)).any()


def test_a_random_walker_finds_a_ball_in_noise(two_balls) -> None:
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    noisy = replace(two_balls, image=(two_balls.image + noise).astype(np.float32))
    mask = started("random-walker+box", noisy).add(FIRST)
    assert dice(mask, two_balls.labels == 1) > 0.8


def test_dark_cells_between_bright_walls() -> None:
    """A row of three cells of 9 x 9 x 9: watershed of the intensity finds the walls from clicks in and around."""
    image = np.full((11, 11, 31), 100.0, np.float32)
    for start in (1, 11, 21):
        image[1:10, 1:10, start : start + 9] = 0
    method = make_baseline("watershed-intensity")
    method.start(image, SPACING)
    method.reset(Box((1, 1, 11), (10, 10, 20)))
    for x, positive in ((15, True), (5, False), (25, False)):
        mask = method.add(Point((5, 5, x), positive))
    cell = np.zeros(image.shape, bool)
    cell[1:10, 1:10, 11:20] = True
    assert mask[cell].mean() > 0.95
    assert not mask[:, :, :9].any()
    assert not mask[:, :, 22:].any()


@pytest.mark.parametrize("name", ["otsu", "region-growing"])
def test_dark_objects_in_bright_surroundings(two_balls, name: str) -> None:
    dark = replace(two_balls, image=100 - np.asarray(two_balls.image))
    mask = started(name, dark).add(FIRST)
    assert dice(mask, two_balls.labels == 1) > 0.95


@pytest.mark.parametrize("name", BASELINES)
def test_a_negative_click_and_all_that_was_said_is_kept(two_balls, name: str) -> None:
    bridge = np.asarray(two_balls.image).copy()
    bridge[11:14, 11:14, 12:34] = 100
    joined = replace(two_balls, image=bridge)
    method = started(name, joined)
    method.add(FIRST)
    mask = method.add(replace(SECOND, positive=False))
    assert (mask.shape, mask.dtype) == (SHAPE, np.dtype(bool))
    assert mask[ball(SHAPE, FIRST.position, CLICK_RADIUS)].all()
    assert not mask[ball(SHAPE, SECOND.position, CLICK_RADIUS)].any()
    assert dice(mask, two_balls.labels == 1) > dice(mask, two_balls.labels == 2)


@pytest.mark.parametrize("name", ["otsu", "region-growing"])
def test_a_click_at_the_rim_does_not_let_the_background_in(two_balls, name: str) -> None:
    truth = two_balls.labels == 1
    method = started(name, two_balls)
    method.add(FIRST)
    assert dice(method.add(Point((5, 12, 12))), truth) > 0.95


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_image_and_a_flat_one(name: str, value: float) -> None:
    method = make_baseline(name)
    for image in (np.full((6, 7, 8), value, np.float32), np.full((7, 8), value, np.float32)):
        method.start(image, SPACING)
        method.reset(Box((0, 1, 1), (1, 4, 4)))
        mask = method.add(Point((0, 3, 3)))
        assert mask[0, 3, 3]
        assert mask.shape == (image.shape if image.ndim == 3 else (1, *image.shape))


def test_not_a_number_is_dark(two_balls) -> None:
    image = np.asarray(two_balls.image).copy()
    image[0] = np.nan
    mask = started("otsu", replace(two_balls, image=image)).add(FIRST)
    assert dice(mask, two_balls.labels == 1) > 0.95


def test_a_large_window_is_sampled_more_coarsely(two_balls, monkeypatch) -> None:
    asked: list[tuple[int, ...]] = []
    otsu = METHODS["otsu"]

    def segment(image, seeds, spacing):
        asked.append((image.shape, tuple(spacing)))
        return otsu.segment(image, seeds, spacing)

    module = "napari_nninteractive.evaluation.methods.baselines.METHODS"
    monkeypatch.setattr(module, {"otsu": replace(otsu, segment=segment, largest=4000)})
    mask = started("otsu", two_balls).add(FIRST)
    (shape, spacing), = asked  # fmt: skip
    assert np.prod(shape) <= 4000
    assert max(spacing) <= 2 * min(spacing)
    assert dice(mask, two_balls.labels == 1) > 0.8


def test_only_those_who_are_told_look_at_the_box(two_balls) -> None:
    window = Box.of_mask(two_balls.labels == 1)
    both = np.asarray(two_balls.image).copy()
    both[10:15, 10:15, :] = 100  # joined to the other ball and to both sides
    joined = replace(two_balls, image=both)
    free, told = (started(name, joined).add(FIRST) for name in ("otsu", "otsu+box"))
    assert free[12, 12, 40]
    assert told[12, 12, 12]
    assert told.sum() == told[window.slices].sum()


def test_mistakes_are_named(two_balls) -> None:
    with pytest.raises(NNInteractiveError, match="no baseline snake: choose of random-walker"):
        make_baseline("snake")
    with pytest.raises(SessionError, match="no image"):
        make_baseline("otsu").add(FIRST)
    with pytest.raises(PromptError, match="no masks"):
        started("otsu", two_balls).add(InitialMask(np.ones(SHAPE, bool)))
