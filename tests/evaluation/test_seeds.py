"""What prompts say to a method without a network: where to look, and what is in or out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import BoxPrompt, InitialMask, Lasso, Point, Scribble
from napari_nninteractive.errors import PromptError
from napari_nninteractive.evaluation.methods.seeds import check_kind, choose_window, make_seeds

SHAPE = (100, 200, 200)
WHOLE = Box((0, 0, 0), SHAPE)
CLICK = 19  # voxels within 1.5 of one


@pytest.mark.parametrize(
    ("prompts", "spacing", "expected"),
    [
        ([Point((50, 100, 100))], (1, 1, 1), Box((18, 68, 68), (83, 133, 133))),
        ([Point((50, 100, 100))], (4, 1, 1), Box((42, 68, 68), (59, 133, 133))),
        ([Point((5, 100, 199))], (1, 1, 1), Box((0, 68, 167), (38, 133, 200))),
        (
            [Point((50, 40, 100)), Point((50, 100, 100)), Point((9, 9, 9), positive=False)],
            (1, 1, 1),
            Box((18, 8, 68), (83, 133, 133)),
        ),
        # A box of 20 x 40: half as much again in its plane, and 30 voxels to both sides of it.
        ([BoxPrompt((50, 80, 60), (51, 100, 100))], (1, 1, 1), Box((20, 75, 50), (81, 105, 110))),
        ([BoxPrompt((40, 80, 60), (60, 100, 100))], (1, 1, 1), Box((35, 75, 50), (65, 105, 110))),
        ([Point((50, 100, 100), positive=False)], (1, 1, 1), WHOLE),
    ],
)  # fmt: skip
def test_window(prompts, spacing, expected: Box) -> None:
    assert choose_window(prompts, SHAPE, spacing, None) == expected


def test_window_of_a_told_box_does_not_ask_the_prompts() -> None:
    told = choose_window([Point((1, 1, 1))], SHAPE, (1, 1, 1), Box((40, 80, 60), (60, 100, 100)))
    assert told == Box((35, 75, 50), (65, 105, 110))


def test_clicks_and_the_sides_of_the_window() -> None:
    window = Box((0, 68, 68), (65, 133, 133))
    prompts = [Point((32, 100, 100)), Point((10, 100, 100), positive=False)]
    seeds = make_seeds(prompts, window, SHAPE)
    assert seeds.inside.sum() == seeds.outside.sum() == CLICK
    assert seeds.inside[32, 32, 32]
    assert seeds.outside[10, 32, 32]
    assert not seeds.assumed[0, 1:-1, 1:-1].any()  # the image ends here: the object may not
    for side in (np.s_[-1], np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        assert seeds.assumed[side].all()
    assert seeds.assumed.sum() == 65**3 - 64 * 63 * 63


def test_where_the_image_ends_on_all_sides_its_border_is_outside() -> None:
    seeds = make_seeds([Point((5, 5, 5))], Box((0, 0, 0), (11, 11, 11)), (11, 11, 11))
    assert seeds.assumed.sum() == 11**3 - 9**3
    flat = make_seeds([Point((0, 5, 5))], Box((0, 0, 0), (1, 11, 11)), (1, 11, 11))
    assert flat.assumed.sum() == 11**2 - 9**2


def test_the_sides_are_background_beside_negative_prompts_too() -> None:
    window = Box((10, 10, 10), (30, 30, 30))
    yes, no = Point((20, 20, 20)), Point((20, 20, 25), positive=False)
    alone, both = (make_seeds(prompts, window, SHAPE) for prompts in ([yes], [yes, no]))
    assert alone.assumed.sum() > 0
    np.testing.assert_array_equal(both.assumed, alone.assumed)
    assert both.background.sum() == alone.assumed.sum() + CLICK


def test_the_later_prompt_decides() -> None:
    window = Box((0, 0, 0), (20, 20, 20))
    prompts = [Point((10, 10, 10)), Point((10, 10, 11), positive=False)]
    seeds = make_seeds(prompts, window, SHAPE)
    assert seeds.outside.sum() == CLICK
    assert 0 < seeds.inside.sum() < CLICK
    assert not (seeds.inside & seeds.outside).any()
    assert not (seeds.background & seeds.inside).any()


def test_a_scribble_is_what_it_covers() -> None:
    stroke = np.ones((1, 1, 9), bool)
    for positive in (True, False):
        scribble = Scribble(stroke, (10, 10, 5), positive)
        seeds = make_seeds([scribble], Box((0, 0, 0), (20, 20, 10)), SHAPE)
        painted = seeds.inside if positive else seeds.outside
        assert painted.sum() == 5  # the window ends before the stroke does
        assert painted[10, 10, 5:].all()


@pytest.mark.parametrize("kind", ["box", "lasso"])
def test_a_box_or_lasso_has_its_middle_in_and_its_surroundings_out(kind: str) -> None:
    window = Box((0, 0, 0), (20, 40, 40))
    prompt = (
        BoxPrompt((10, 10, 10), (11, 30, 30))
        if kind == "box"
        else Lasso(np.ones((1, 20, 20)), (10, 10, 10))
    )
    seeds = make_seeds([prompt], window, SHAPE)
    assert seeds.inside.sum() == 12 * 12  # at least 5 deep, of 10
    assert seeds.inside[10, 14:26, 14:26].all()
    assert seeds.outside.sum() == 40 * 40 - 20 * 20
    assert not seeds.outside[:10].any()

    wrong = BoxPrompt((10, 10, 10), (11, 30, 30), positive=False)
    seeds = make_seeds([Point((10, 35, 35)), wrong], window, SHAPE)
    assert seeds.outside.sum() == 12 * 12
    assert seeds.inside.sum() == CLICK


def test_masks_are_refused() -> None:
    with pytest.raises(PromptError, match="no masks"):
        check_kind(InitialMask(np.ones((2, 2, 2))))
