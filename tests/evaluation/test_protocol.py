"""What is asked, what is written down, and what happens when a method is right, or fails."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.balls import Scripted, ball

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import Point
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import MaskCrop, run_object, run_volume

SHAPE = (24, 24, 48)


@pytest.fixture
def small() -> np.ndarray:
    """A ball of radius 4 in the middle of the first object."""
    return ball(SHAPE, (12, 12, 12), 4)


def test_clicks_go_to_the_object_then_to_the_larger_error(two_balls, small) -> None:
    truth = two_balls.labels == 1
    both = two_balls.labels > 0
    method = Scripted([small, both, truth])
    result = run_object(method, two_balls, 1, Trial("points", 5))

    first, second, third = method.seen[0]
    assert first == Point((12, 12, 12))
    assert second.positive
    assert truth[second.position]
    assert not small[second.position]
    assert third == Point((12, 12, 34), positive=False)

    n, m, k = (int(x.sum()) for x in (truth, small, both))
    np.testing.assert_allclose(result.dice, [2 * m / (n + m), 2 * n / (n + k), 1, 1, 1])
    assert result.surface_dice[2:] == (1.0, 1.0, 1.0)
    assert result.seconds[3:] == (0.0, 0.0)
    assert result.prompts == (first, second, third)
    assert (result.volume, result.method, result.label, result.voxels) == (
        "balls", "scripted", 1, n,
    )  # fmt: skip
    assert result.error is None
    assert result.dice_auc == pytest.approx((sum(result.dice) - (result.dice[0] + 1) / 2) / 4)
    np.testing.assert_array_equal(result.mask.inside(Box.of_shape(SHAPE)), truth)


def test_a_failure_keeps_what_was_before_it_and_the_other_objects(two_balls, small) -> None:
    method = Scripted([small], fails_at=Box.of_mask(two_balls.labels == 2))
    results = list(run_volume(method, two_balls, (2, 1), [Trial("points", 3)]))
    lost, kept = results
    assert (lost.label, kept.label) == (2, 1)
    assert lost.error == kept.error == "RuntimeError: out of answers"
    assert lost.dice == lost.surface_dice == (0.0, 0.0, 0.0)
    assert lost.prompts == ()
    assert kept.dice[0] > 0
    assert kept.dice == (kept.dice[0],) * 3
    assert kept.seconds[1:] == (0.0, 0.0)
    assert len(kept.prompts) == 1


def test_the_image_is_set_once_and_every_trial_has_every_object(two_balls) -> None:
    method = Scripted([two_balls.labels == 1])
    trials = [Trial("points", 1), Trial("box", 1)]
    results = list(run_volume(method, two_balls, (1, 2), trials))
    assert len(method.images) == 1
    assert [(r.trial.style, r.label) for r in results] == [
        ("points", 1), ("points", 2), ("box", 1), ("box", 2),
    ]  # fmt: skip
    assert [r.prompts[0].kind for r in results] == ["point", "point", "bbox2d", "bbox2d"]


@pytest.mark.parametrize("style", ["random", "sunk-cost", "box", "scribble", "lasso", "point"])
def test_a_seed_decides_the_prompts_whatever_came_before(two_balls, small, style: str) -> None:
    def prompts(labels, seed):
        method = Scripted([small, small, small])
        found = run_volume(method, two_balls, labels, [Trial(style, 3)], seed=seed)
        return {r.label: r.prompts for r in found}

    both = prompts((1, 2), 0)
    assert both[2] == prompts((2,), 0)[2]
    assert len(both[1]) == 3
    if style != "point":
        assert both != prompts((1, 2), 1)


def test_an_empty_crop_and_one_that_reaches_beyond_the_box() -> None:
    empty = MaskCrop.of(np.zeros((3, 4, 5), bool))
    assert not empty.inside(Box((0, 0, 0), (3, 4, 5))).any()
    mask = np.zeros((3, 4, 5), bool)
    mask[1, 1:4, 2] = True
    crop = MaskCrop.of(mask)
    assert (crop.origin, crop.voxels.shape) == ((1, 1, 2), (1, 3, 1))
    box = Box((0, 2, 1), (3, 6, 3))
    expected = np.zeros((3, 4, 2), bool)
    expected[1, :2, 1] = True
    np.testing.assert_array_equal(crop.inside(box), expected)
