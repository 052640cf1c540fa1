"""The simulated user: prompts lie where something is wrong, and only there."""

import numpy as np
import pytest

from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point, Scribble
from napari_nninteractive.errors import PromptError
from napari_nninteractive.simulation.users.next_prompt import (
    UserStyle,
    centre_point,
    next_centre_point,
    next_prompt,
    prompt_in,
)

KINDS = {"point": Point, "box": BoxPrompt, "scribble": Scribble, "lasso": Lasso}


def ball(centre, radius, shape=(24, 30, 32)):
    grid = np.indices(shape)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


TRUTH = ball((12, 15, 16), 8)
SMALL = ball((12, 15, 16), 4)
SHIFTED = ball((12, 15, 22), 8)


def voxels(prompt, shape=TRUTH.shape):
    out = np.zeros(shape, bool)
    if isinstance(prompt, Point):
        out[prompt.position] = True
    elif isinstance(prompt, BoxPrompt):
        out[prompt.bounds.slices] = True
    else:
        out[prompt.bounds.slices] = prompt.mask
    return out


def test_the_first_click_of_the_protocol_is_the_middle_of_the_object():
    assert next_centre_point(TRUTH, np.zeros_like(TRUTH)) == Point((12, 15, 16))


def test_later_clicks_of_the_protocol_go_to_the_larger_error():
    missed = next_centre_point(TRUTH, SMALL)
    assert missed.positive
    assert (TRUTH & ~SMALL)[missed.position]
    wrong = next_centre_point(SMALL, TRUTH)
    assert not wrong.positive
    assert (TRUTH & ~SMALL)[wrong.position]
    assert next_centre_point(TRUTH, TRUTH) is None


def test_an_object_at_the_border_counts_as_going_on_there():
    half = ball((0, 15, 16), 8)
    assert centre_point(half) == Point((0, 15, 16))


def test_a_full_volume_has_a_middle_too():
    assert centre_point(np.ones((5, 5, 5), bool)) == Point((2, 2, 2))


def test_nothing_to_point_at():
    with pytest.raises(PromptError, match="empty"):
        centre_point(np.zeros((4, 4, 4), bool))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_first_prompts_come_from_the_truth(kind, seed):
    style = UserStyle(kinds={kind: 1.0})
    prompt = next_prompt(TRUTH, None, np.random.default_rng(seed), style)
    assert isinstance(prompt, KINDS[kind])
    assert prompt.positive
    drawn = voxels(prompt)
    if kind in ("point", "scribble"):
        assert not (drawn & ~TRUTH).any()
    else:
        flat = int(np.argmin(prompt.bounds.shape))
        index = prompt.bounds.start[flat]
        plane, seen = np.take(TRUTH, index, flat), np.take(drawn, index, flat)
        assert (plane & seen).sum() > 0.5 * plane.sum()
        assert seen.sum() < 2.5 * plane.sum() + 8


@pytest.mark.parametrize("kind", ["point", "scribble"])
@pytest.mark.parametrize("seed", range(6))
def test_corrections_lie_in_the_error_of_their_sign(kind, seed):
    style = UserStyle(kinds={kind: 1.0}, larger=0.0)
    prompt = next_prompt(TRUTH, SHIFTED, np.random.default_rng(seed), style)
    error = TRUTH & ~SHIFTED if prompt.positive else SHIFTED & ~TRUTH
    assert not (voxels(prompt) & ~error).any()


def test_both_errors_get_corrected_and_all_planes_are_drawn_in():
    signs, planes = set(), set()
    style = UserStyle(kinds={"box": 1.0}, larger=0.0)
    for seed in range(30):
        prompt = next_prompt(TRUTH, SHIFTED, np.random.default_rng(seed), style)
        signs.add(prompt.positive)
        planes.add(int(np.argmin(prompt.bounds.shape)))
    assert signs == {True, False}
    assert planes == {0, 1, 2}


def test_centred_clicks_are_deepest_and_the_others_are_spread():
    depth = {1.0: [], 0.0: []}
    for centred, found in depth.items():
        for seed in range(20):
            rng = np.random.default_rng(seed)
            point = prompt_in(TRUTH, "point", rng, UserStyle(centred=centred))
            found.append(np.linalg.norm(np.subtract(point.position, (12, 15, 16))))
    assert max(depth[1.0]) == 0
    assert np.mean(depth[0.0]) > 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_generator_state_gives_the_same_prompt(kind):
    style = UserStyle(kinds={kind: 1.0})
    a, b = (next_prompt(TRUTH, SMALL, np.random.default_rng(4), style) for _ in range(2))
    assert a == b


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_voxel_can_be_prompted(kind):
    one = np.zeros((5, 6, 7), bool)
    one[2, 3, 4] = True
    prompt = prompt_in(one, kind, np.random.default_rng(0), UserStyle())
    assert voxels(prompt, one.shape)[2, 3, 4] or kind == "box"


def test_nothing_wrong_means_no_prompt():
    assert next_prompt(TRUTH, TRUTH, np.random.default_rng(0)) is None
    nothing = np.zeros_like(TRUTH)
    assert next_prompt(nothing, None, np.random.default_rng(0)) is None


def test_an_unknown_kind_is_named():
    with pytest.raises(PromptError, match="wand"):
        prompt_in(TRUTH, "wand", np.random.default_rng(0), UserStyle())


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("kind", ["box", "scribble", "lasso"])
def test_in_a_single_slice_prompts_are_drawn_in_its_plane(axis, kind):
    flat = np.take(TRUTH, [12, 15, 16][axis], axis)
    single = np.expand_dims(flat, axis)
    for seed in range(4):
        prompt = next_prompt(
            single, None, np.random.default_rng(seed), UserStyle(kinds={kind: 1.0})
        )
        assert prompt.bounds.shape[axis] == 1
        assert min(n for a, n in enumerate(prompt.bounds.shape) if a != axis) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_far_away_in_a_large_image_the_same_is_drawn(kind):
    style = UserStyle(kinds={kind: 1.0})
    large = np.zeros((64, 128, 160), bool)
    large[20:44, 60:90, 100:132] = TRUTH
    near = next_prompt(np.pad(TRUTH, 20), None, np.random.default_rng(2), style)
    far = next_prompt(large, None, np.random.default_rng(2), style)
    moved = np.subtract(far.bounds.start, near.bounds.start)
    assert tuple(moved) == (0, 40, 80)
    assert far.bounds.shape == near.bounds.shape


@pytest.mark.parametrize("centred", [0.0, 1.0])
def test_clicks_into_a_large_object_lie_in_it(centred):
    large = ball((40, 40, 40), 36, (80, 80, 80))
    points = [
        prompt_in(large, "point", np.random.default_rng(s), UserStyle(centred=centred)).position
        for s in range(6)
    ]
    assert all(large[p] for p in points)
    far = max(float(np.linalg.norm(np.subtract(p, 40))) for p in points)
    assert far == 0 if centred else far > 5
