"""Prompt channels: closed forms and figures of the published engine; the dense comparison is in properties/."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence
from itertools import product
from types import MappingProxyType

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_nninteractive.core import rasterize as module
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Prompt,
    Scribble,
)
from napari_nninteractive.core.rasterize import (
    PromptEncoding,
    dilation_side,
    paint,
    rasterize,
    support,
    to_array,
    weights,
)
from napari_nninteractive.core.view import View

PUBLISHED = PromptEncoding()
PATCH = (32, 32, 32)
CENTRE = (16, 16, 16)
EDIT = MaskEdit(np.ones((1, 1, 1)))
MASK = InitialMask(np.ones((1, 1, 1)))
CLICK = Point(CENTRE)


def channels(
    prompts: Sequence[Prompt],
    region: Box | None = None,
    image: Index3 = PATCH,
    zoom: float = 1.0,
    encoding: PromptEncoding = PUBLISHED,
) -> NDArray[np.float32]:
    view = View.of(Box.of_shape(PATCH) if region is None else region, PATCH)
    drawn = rasterize(prompts, view.zoomed((zoom,) * 3), image, encoding)
    return to_array(drawn, PATCH, 7)


# A point is a ball. Inside a ball of radius 4 the value is the distance to the nearest voxel outside, over sqrt(17).


@pytest.mark.parametrize(
    ("offset", "squared"),
    [
        pytest.param((0, 0, 0), 17, id="centre: (4, 1, 0)"),
        pytest.param((1, 0, 0), 10, id="1 along an axis"),
        pytest.param((2, 0, 0), 5, id="2 along an axis"),
        pytest.param((3, 0, 0), 2, id="3 along an axis"),
        pytest.param((4, 0, 0), 1, id="4 along an axis"),
        pytest.param((1, 1, 0), 8, id="edge diagonal: (3, 3, 0)"),
        pytest.param((2, 2, 2), 1, id="space diagonal: (3, 2, 2)"),
        pytest.param((3, 3, 0), 0, id="outside"),
        pytest.param((4, 1, 0), 0, id="just outside"),
    ],
)
def test_ball_of_radius_4(offset: tuple[int, ...], squared: int) -> None:
    expected = math.sqrt(squared / 17)
    image = channels([CLICK])[3]
    for order in {(0, 1, 2), (1, 2, 0), (2, 0, 1)}:
        for signs in product((-1, 1), repeat=3):
            position = tuple(
                c + s * offset[a] for c, s, a in zip(CENTRE, signs, order, strict=True)
            )
            assert image[position] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("radius", "count", "total"),
    [
        pytest.param(0, 1, 1.0, id="0"),
        pytest.param(1, 7, 5.242640687119285, id="1"),
        pytest.param(2, 33, 16.42228667520096, id="2"),
        pytest.param(3, 123, 48.35766775379089, id="3"),
        pytest.param(4, 257, 90.46976860707754, id="4"),
        pytest.param(5, 515, 168.36315926821953, id="5"),
    ],
)
def test_ball_has_the_published_mass(radius: int, count: int, total: float) -> None:
    image = channels([CLICK], encoding=PromptEncoding(point_radius=radius))[3]
    assert np.count_nonzero(image) == count
    assert image.sum(dtype=float) == pytest.approx(total, rel=1e-6)
    assert image.max() == image[CENTRE] == 1


@pytest.mark.parametrize(
    ("zoom", "side"),
    [
        (1, 1),
        (1.25, 1),
        (1.49, 1),
        (1.5, 3),
        (2, 3),
        (2.25, 3),
        (2.49, 3),
        (2.5, 5),
        (3, 5),
        (3.375, 5),
        (3.5, 7),
        (4, 7),
    ],
)
def test_dilation_side_is_the_odd_number_nearest_to_2_zoom_minus_1(zoom: float, side: int) -> None:
    assert dilation_side(zoom) == side
    assert side % 2 == 1
    assert abs(side - (2 * zoom - 1)) <= 1


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([CLICK], [1], id="one"),
        pytest.param([CLICK] * 4, [0.9**3, 0.9**2, 0.9, 1], id="four"),
        pytest.param([CLICK, EDIT, CLICK], [0.9, 0.9, 1], id="an edit ages nothing"),
        pytest.param([CLICK, CLICK, EDIT, EDIT], [0.9, 1, 1, 1], id="edits last"),
        pytest.param([MASK, CLICK, CLICK], [0.81, 0.9, 1], id="after a mask"),
        pytest.param([CLICK, MASK], [0.9, 1], id="a mask is a prompt"),
        pytest.param(
            [CLICK, BoxPrompt((0, 0, 0), (1, 4, 4)), Scribble(np.ones((1, 1, 1)))],
            [0.81, 0.9, 1],
            id="every kind ages the others",
        ),
    ],
)
def test_weights(prompts: list[Prompt], expected: list[float]) -> None:
    assert weights(prompts, 0.9) == pytest.approx(expected, rel=1e-12)
    assert weights(prompts, 1.0) == (1.0,) * len(prompts)


BOX2D = BoxPrompt((16, 10, 10), (17, 14, 15))
BOX3D = BoxPrompt((15, 10, 10), (18, 14, 15))
RING = np.ones((1, 4, 4), bool)
RING[0, 1:3, 1:3] = False


@pytest.mark.parametrize(
    ("prompt", "channel", "painted"),
    [
        pytest.param(BOX2D, 1, 20, id="box +"),
        pytest.param(BoxPrompt(BOX2D.start, BOX2D.stop, False), 2, 20, id="box -"),
        pytest.param(BOX3D, 1, 60, id="3D box +"),
        pytest.param(Lasso(RING, CENTRE), 1, 12, id="lasso +"),
        pytest.param(Lasso(RING, CENTRE, positive=False), 2, 12, id="lasso -"),
        pytest.param(CLICK, 3, 257, id="point +"),
        pytest.param(Point(CENTRE, positive=False), 4, 257, id="point -"),
        pytest.param(Scribble(RING * 255, CENTRE), 5, 12, id="scribble +"),
        pytest.param(Scribble(RING, CENTRE, positive=False), 6, 12, id="scribble -"),
    ],
)
def test_each_kind_fills_its_channel(prompt: Prompt, channel: int, painted: int) -> None:
    image = channels([prompt])
    assert np.count_nonzero(image[channel]) == painted
    assert np.count_nonzero(image) == painted
    assert image.max() == 1
    if not isinstance(prompt, Point):
        assert set(np.unique(image)) == {0, 1}
        box = Box(*[tuple(c) for c in (prompt.bounds.start, prompt.bounds.stop)])
        assert np.count_nonzero(image[(channel, *box.slices)]) == painted


@pytest.mark.parametrize("prompt", [EDIT, MASK], ids=["edit", "initial mask"])
def test_masks_and_edits_have_no_channel(prompt: Prompt) -> None:
    assert PUBLISHED.channel(prompt) is None
    assert rasterize([prompt], View.of(Box.of_shape(PATCH), PATCH), PATCH, PUBLISHED) == []
    with pytest.raises(TypeError, match="no channel"):
        paint(prompt, prompt.bounds, 4)


def test_a_model_may_share_or_lack_channels() -> None:
    encoding = PromptEncoding(channels=MappingProxyType({"point": (1, 1), "lasso": (2, 2)}))
    image = channels([CLICK, BOX2D, Point(CENTRE, positive=False)], encoding=encoding)
    assert image[1][CENTRE] == 1
    assert not image[2:].any()
    assert encoding.is_dilated(1)
    assert not encoding.is_dilated(2)


def test_overlapping_prompts_combine_by_maximum_after_decay() -> None:
    image = channels([CLICK, Point((16, 16, 18))])[3]
    alone, later = channels([CLICK])[3], channels([Point((16, 16, 18))])[3]
    np.testing.assert_allclose(image, np.maximum(np.float32(0.98) * alone, later), rtol=1e-6)
    assert image[16, 16, 16] == pytest.approx(0.98)
    assert image[16, 16, 18] == 1


def test_prompts_are_clipped_to_the_image_not_only_to_the_patch() -> None:
    region = Box((-8, -8, -8), (24, 24, 24))
    image = channels(
        [Point((0, 0, 0)), BoxPrompt((10, -5, -5), (11, 30, 30))], region, (16, 12, 14)
    )
    inside = np.zeros(PATCH, bool)
    inside[8:24, 8:20, 8:22] = True
    assert not image[:, ~inside].any()
    assert image[3, 8, 8, 8] == pytest.approx(0.98)  # older than the box
    assert np.count_nonzero(image[1]) == 12 * 14
    offsets = product(range(5), repeat=3)
    assert np.count_nonzero(image[3]) == sum(z * z + y * y + x * x <= 16 for z, y, x in offsets)


def test_what_lies_outside_leaves_nothing() -> None:
    view = View.of(Box.of_shape(PATCH), PATCH)
    far = [Point((40, 16, 16)), BoxPrompt((0, 0, 50), (1, 4, 60)), Scribble(RING, (-1, 0, 0))]
    assert rasterize(far, view, (64, 64, 64), PUBLISHED) == []
    assert rasterize([], view, PATCH, PUBLISHED) == []
    # Of a ball that is centred outside, the part inside counts.
    assert channels([Point((35, 16, 16))], image=(64, 64, 64))[3, 31, 16, 16] > 0


@pytest.mark.parametrize("zoom", [1.5, 2.0, 4.0])
def test_a_box_is_averaged_but_not_dilated(zoom: float) -> None:
    side = round(32 * zoom)
    region = Box.of_shape((side, side, side))
    image = channels([BOX3D], region, region.shape, zoom)[1]
    assert image.sum(dtype=float) * zoom**3 == pytest.approx(BOX3D.bounds.size, rel=0.35)
    if zoom == 2:  # z 15 to 18, y 10 to 14, x 10 to 15
        np.testing.assert_allclose(image[7:9, 5, 5], [0.5, 1])
        np.testing.assert_allclose(image[8, 5, 5:8], [1, 1, 0.5])
        assert image.sum(dtype=float) * 8 == pytest.approx(60)


def test_a_scribble_is_dilated_by_a_cube_before_it_is_averaged() -> None:
    region = Box.of_shape((64, 64, 64))
    image = channels([Scribble(np.ones((1, 1, 1)), (20, 20, 20))], region, region.shape, 2.0)[5]
    # 3 voxels, 19 to 21, of which the first fills half a bin and the other two a whole one
    profile = np.zeros(32)
    profile[9:11] = 0.5, 1
    np.testing.assert_allclose(image, np.multiply.outer(np.outer(profile, profile), profile))


def test_each_axis_is_dilated_by_its_own_zoom() -> None:
    view = View.of(Box((0, 0, 0), (64, 32, 32)), PATCH)
    drawn = rasterize([Scribble(np.ones((1, 1, 1)), CENTRE)], view, (64, 32, 32), PUBLISHED)
    expected = np.zeros(PATCH)
    # Planes 15 to 17, of which each voxel of the patch averages two; nothing along y and x.
    expected[7:9, 16, 16] = 0.5, 1
    np.testing.assert_array_equal(to_array(drawn, PATCH, 7)[5], expected)


def test_dilation_does_not_reach_in_from_outside_the_region() -> None:
    image = channels(
        [Scribble(np.ones((1, 1, 1)), (64, 20, 20))], Box.of_shape((64,) * 3), (99,) * 3, 2.0
    )
    assert not image.any()


# Sums of the input channels that the published engine 2.6.0 had in these passes, with a decay of 0.9; it keeps prompts
# in half precision.
OLDER = Point((62, 50, 46))
NEWER = Point((62, 50, 80), positive=False)


@pytest.mark.parametrize(
    ("prompts", "centre", "image", "zoom", "sums"),
    [
        pytest.param([OLDER], OLDER, (128, 96, 96), 1, {3: 90.476318359375}, id="point"),
        pytest.param([OLDER], OLDER, (128, 96, 96), 1.5, {3: 82.16600036621094}, id="point, 1.5"),
        pytest.param(
            [OLDER, NEWER],
            NEWER,
            (128, 96, 96),
            1,
            {3: 15.834228515625, 4: 90.451171875},
            id="half out of sight",
        ),
        pytest.param(
            [OLDER, NEWER],
            NEWER,
            (128, 96, 96),
            1.5,
            {3: 73.94277954101562, 4: 82.14859008789062},
            id="half out of sight, 1.5",
        ),
    ],
)
def test_channel_sums_are_the_published_ones(
    prompts: list[Prompt], centre: Point, image: Index3, zoom: float, sums: dict[int, float]
) -> None:
    patch = (64, 64, 64)
    view = View.at(centre.position, zoom, patch)
    encoding = PromptEncoding(decay=0.9)
    painted = to_array(rasterize(prompts, view, image, encoding), patch, 7)
    for channel, values in enumerate(painted):
        assert values.sum(dtype=float) == pytest.approx(sums.get(channel, 0), rel=1e-3, abs=1e-3)


def test_memory_does_not_grow_with_the_image() -> None:
    prompts = [Point((500, 500, 500)), BoxPrompt((499, 480, 480), (500, 520, 520))]
    peaks = []
    for side in (1_000, 1_000_000):
        view = View.at((500, 500, 500), 1.5, (32,) * 3)
        rasterize(prompts, view, (side,) * 3, PUBLISHED)  # fills the caches
        tracemalloc.start()
        rasterize(prompts, view, (side,) * 3, PUBLISHED)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 2_000_000
    assert peaks[1] < 1.2 * peaks[0] + 10_000


def test_a_prompt_that_fills_the_region_is_drawn_in_slabs() -> None:
    region = Box.of_shape((400,) * 3)
    view = View.of(region, (100, 100, 100))
    prompt = BoxPrompt((0, 0, 0), (400, 400, 400))
    rasterize([CLICK], view, region.shape, PUBLISHED)
    tracemalloc.start()
    painted = rasterize([prompt], view, region.shape, PUBLISHED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(painted) > 1
    assert all(np.allclose(part.values, 1, atol=1e-5) for part in painted)
    assert sum(part.box.size for part in painted) == 10**6
    assert peak < 0.5 * region.size * 4  # half of one full-resolution channel


def test_support_bounds_what_is_painted() -> None:
    assert support(CLICK, 4) == Box((12, 12, 12), (21, 21, 21))
    assert support(BOX2D, 4) == BOX2D.bounds
    part = Box((16, 16, 14), (17, 17, 21))
    np.testing.assert_allclose(
        paint(CLICK, part, 4)[0, 0] ** 2 * 17, [5, 10, 17, 10, 5, 2, 1], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(0, 2), (2, 4)], [((0, 2), [0]), ((2, 4), [1])], id="touching stay apart"),
        pytest.param([(0, 3), (2, 4)], [((0, 4), [0, 1])], id="overlapping are joined"),
        pytest.param([(0, 2), (3, 5), (1, 4)], [((0, 5), [0, 1, 2])], id="joined by a third"),
        pytest.param([(0, 9), (3, 5)], [((0, 9), [0, 1])], id="one in the other"),
        pytest.param(
            [(6, 8), (0, 2), (7, 9), (1, 3)], [((6, 9), [0, 2]), ((0, 3), [1, 3])], id="two pairs"
        ),
    ],
)
def test_groups(
    boxes: list[tuple[int, int]], expected: list[tuple[tuple[int, int], list[int]]]
) -> None:
    def cube(span: tuple[int, int]) -> Box:
        return Box((span[0],) * 3, (span[1],) * 3)

    groups = module._groups([cube(span) for span in boxes])
    assert sorted((box, sorted(members)) for box, members in groups) == sorted(
        (cube(span), members) for span, members in expected
    )


def test_groups_whose_joint_box_meets_a_third() -> None:
    # An L: its arms overlap in a corner, the box around both swallows the one in its angle.
    arms = [Box((0, 0, 0), (1, 9, 2)), Box((0, 0, 0), (1, 2, 9)), Box((0, 6, 6), (1, 7, 7))]
    for order in ([0, 1, 2], [2, 1, 0], [0, 2, 1]):
        ((box, members),) = module._groups([arms[i] for i in order])
        assert box == Box((0, 0, 0), (1, 9, 9))
        assert sorted(members) == [0, 1, 2]


def test_many_prompts_far_apart_stay_apart() -> None:
    grid = [Point(p) for p in product(range(40, 768, 80), repeat=3)]
    region = Box.of_shape((768,) * 3)
    view = View.of(region, (192,) * 3)
    painted = rasterize(grid, view, region.shape, PromptEncoding(decay=1.0))
    assert len(painted) == len(grid) == 1000
    assert {part.box.shape for part in painted} == {(4, 4, 4)}
    assert all(np.array_equal(part.values, painted[0].values) for part in painted)
