"""Drawings to prompts and back: a table for every plane and kind of image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame, frame_of, voxel_size
from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point, Scribble, flipped
from napari_nninteractive.errors import ImageError, PromptError
from napari_nninteractive.plugin.layers import drawings

ZYX = frame_of((10, 20, 30))
YX = frame_of((20, 30))
TZYX = frame_of((5, 10, 20, 30), ("t", "z", "y", "x"), position=(2.2, 0, 0, 0))
CZYX = frame_of((3, 10, 20, 30), ("c", "z", "y", "x"), channel=1)


@pytest.mark.parametrize(
    ("shape", "labels", "options", "expected"),
    [
        ((10, 20, 30), (), {}, Frame((10, 20, 30), (0, 1, 2), (0, 0, 0))),
        ((20, 30), (), {}, Frame((20, 30), (0, 1), (0, 0))),
        ((20, 30, 3), (), {"rgb": True}, Frame((20, 30), (0, 1), (0, 0), 2)),
        (
            (10, 20, 30, 4),
            (),
            {"rgb": True, "channel": 2},
            Frame((10, 20, 30), (0, 1, 2), (0, 0, 0), 3, 2),
        ),
        ((5, 20, 30), ("time", "y", "x"), {}, Frame((5, 20, 30), (1, 2), (0, 0, 0))),
        (
            (5, 10, 20, 30),
            (),
            {"position": (7.0, 3, 4, 5)},
            Frame((5, 10, 20, 30), (1, 2, 3), (4, 0, 0, 0)),
        ),
        (
            (10, 3, 20, 30),
            ("Z", "C", "Y", "X"),
            {"channel": 1},
            Frame((10, 3, 20, 30), (0, 2, 3), (0, 0, 0, 0), 1, 1),
        ),
        ((10, 20, 30), (), {"channel": 1}, Frame((10, 20, 30), (0, 1, 2), (0, 0, 0))),
    ],
)
def test_frames(shape: Any, labels: Any, options: Any, expected: Frame) -> None:
    assert frame_of(shape, labels, **options) == expected


def test_too_few_axes_of_space() -> None:
    with pytest.raises(ImageError, match="rename its axes"):
        frame_of((5, 20), ("t", "x"))


@pytest.mark.parametrize(
    ("frame", "position", "expected"),
    [
        (ZYX, (3, 4.4, 5.6), (3, 4, 6)),
        (YX, (4.4, 5.6), (0, 4, 6)),
        (TZYX, (2, 3, 4.4, 5.6), (3, 4, 6)),
        (CZYX, (0, 3, 4.4, 5.6), (3, 4, 6)),
    ],
)
def test_points(frame: Frame, position: Any, expected: Any) -> None:
    assert drawings.point(position, frame, positive=False) == Point(expected, False)
    back = frame.to_layer(expected)[0]
    assert drawings.point(back, frame) == Point(expected)
    assert frame.holds(back)


def test_a_position_at_another_time() -> None:
    assert not TZYX.holds((3, 0, 0, 0))
    assert CZYX.holds((2, 0, 0, 0)), "all channels are one image"


def test_a_drawing_of_other_axes() -> None:
    with pytest.raises(PromptError, match="2 axes, but the image has 3"):
        drawings.point((1, 2), ZYX)


def rectangle(frame: Frame, axis: int, at: float, low: Any, high: Any) -> Any:
    """Corners in the layer of a rectangle across a (z, y, x) axis."""
    rows, columns = (a for a in range(3) if a != axis)
    corners = np.zeros((4, 3))
    corners[:, axis] = at
    corners[:, rows] = [low[0], low[0], high[0], high[0]]
    corners[:, columns] = [low[1], high[1], high[1], low[1]]
    return frame.to_layer(corners).astype(np.float32)


@pytest.mark.parametrize("frame", [ZYX, TZYX, CZYX])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_boxes_in_each_plane(frame: Frame, axis: int) -> None:
    box = drawings.box_prompt(rectangle(frame, axis, 4, (2.2, 3.0), (7.9, 8.6)), frame)
    start, stop = [3, 3], [8, 9]
    start.insert(axis, 4)
    stop.insert(axis, 5)
    assert box == BoxPrompt(tuple(start), tuple(stop))
    assert drawings.box_prompt(drawings.outline(box, frame), frame, frame.spatial[axis]) == box


def test_the_smallest_box_is_a_voxel() -> None:
    corners = rectangle(ZYX, 0, 4, (2.2, 3.2), (2.4, 3.4))
    assert drawings.box_prompt(corners, ZYX, 0) == BoxPrompt((4, 2, 3), (5, 3, 4))


def test_a_flat_box_lies_in_the_plane_that_was_looked_at() -> None:
    corners = rectangle(ZYX, 0, 4, (2, 3), (2, 8))
    assert drawings.box_prompt(corners, ZYX, 1) == BoxPrompt((4, 2, 3), (5, 3, 9))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_lassos_in_each_plane(axis: int) -> None:
    found = drawings.lasso(rectangle(ZYX, axis, 4, (1.6, 2.6), (5.4, 8.4)), ZYX)
    origin, shape = [2, 3], [4, 6]
    origin.insert(axis, 4)
    shape.insert(axis, 1)
    assert found == Lasso(np.ones(shape), tuple(origin))
    assert drawings.lasso(drawings.outline(found, ZYX), ZYX, axis) == found


def test_a_lasso_is_filled_by_voxel_centres() -> None:
    triangle = np.array([[3, 2, 2], [3, 2, 8], [3, 8, 2]], float)
    mask = drawings.lasso(triangle, ZYX).mask[0]
    assert mask.sum() == pytest.approx(21, abs=7)
    assert mask[1, 1]
    assert not mask[-1, -1]


def test_a_lasso_is_clipped_and_refused_outside() -> None:
    part = drawings.lasso(rectangle(ZYX, 0, 4, (-5.5, -5.5), (2.5, 3.5)), ZYX)
    assert part == Lasso(np.ones((1, 3, 4)), (4, 0, 0))
    with pytest.raises(PromptError, match="outside"):
        drawings.lasso(rectangle(ZYX, 0, 4, (-9, -9), (-5, -5)), ZYX)


def test_a_thin_lasso_still_marks_a_voxel() -> None:
    assert drawings.lasso(rectangle(ZYX, 0, 4, (2.2, 3.2), (2.4, 3.4)), ZYX, 0).mask.sum() == 1


def test_lasso_in_2d() -> None:
    found = drawings.lasso(np.array([[2, 3], [2, 6], [5, 6], [5, 3]]) + 0.1, YX)
    assert found.bounds.start[0] == 0
    assert found.bounds.shape[0] == 1


@pytest.mark.parametrize(
    ("frame", "start", "shape", "origin", "kept"),
    [
        (ZYX, (4, 2, 3), (1, 2, 5), (4, 2, 3), (1, 2, 5)),
        (YX, (2, 3), (2, 5), (0, 2, 3), (1, 2, 5)),
        (TZYX, (2, 4, 2, 3), (1, 3, 2, 5), (4, 2, 3), (3, 2, 5)),
        (CZYX, (0, 4, 2, 3), (1, 1, 2, 5), (4, 2, 3), (1, 2, 5)),
    ],
)
def test_scribbles(frame: Frame, start: Any, shape: Any, origin: Any, kept: Any) -> None:
    found = drawings.scribble(np.ones(shape, bool), start, frame, positive=False)
    assert found == Scribble(np.ones(kept), origin, False)


@pytest.mark.parametrize(
    "frame", [ZYX, TZYX, CZYX, frame_of((10, 2, 20, 30), ("z", "c", "y", "x"))]
)
def test_results_are_written_where_they_belong(frame: Frame) -> None:
    labels = np.zeros(frame.shape, np.uint8)
    box = Box((4, 2, 3), (6, 5, 9))
    values = np.arange(box.size, dtype=np.uint8).reshape(box.shape) + 1
    frame.write(labels, box, values)
    np.testing.assert_array_equal(frame.read(labels, box), values)
    copies = 1 if frame.channels is None else frame.shape[frame.channels]
    assert np.count_nonzero(labels) == box.size * copies


def test_results_in_2d() -> None:
    labels = np.zeros((20, 30), np.uint8)
    YX.write(labels, Box((0, 2, 3), (1, 4, 6)), np.full((1, 2, 3), 7))
    assert labels[2:4, 3:6].tolist() == [[7] * 3] * 2
    assert labels.sum() == 42


def test_selecting_the_volume() -> None:
    rng = np.random.default_rng(0)
    data = rng.random((5, 10, 20, 30))
    np.testing.assert_array_equal(TZYX.select(data), data[2])
    channels = data[:3]
    np.testing.assert_array_equal(CZYX.select(channels), channels[1])
    mean = frame_of(channels.shape, "czyx")
    np.testing.assert_allclose(mean.select(channels), channels.mean(0), rtol=1e-6)
    plain = data[0]
    assert ZYX.select(plain) is plain
    rgba = rng.integers(0, 255, (20, 30, 4), np.uint8)
    np.testing.assert_allclose(
        frame_of(rgba.shape, rgb=True).select(rgba), rgba[..., :3].mean(-1), rtol=1e-6
    )
    np.testing.assert_array_equal(
        frame_of(rgba.shape, rgb=True, channel=1).select(rgba), rgba[..., 1]
    )


def test_the_voxel_size_is_measured_in_the_world() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) @ np.diag([2.0, 0.5])
    corners = [[0, 0, 0], [3, 0, 0], [0, *turn[:, 0]], [0, *turn[:, 1]]]
    assert voxel_size(corners, ZYX) == pytest.approx((3, 2, 0.5))
    assert voxel_size([[1, 1], [3, 1], [1, 1.5]], YX) == pytest.approx((1, 2, 0.5))


def test_flipping() -> None:
    mask = np.ones((1, 2, 2))
    for prompt in (Point((1, 2, 3)), BoxPrompt((0, 0, 0), (1, 2, 2)), Scribble(mask), Lasso(mask)):
        other = flipped(prompt)
        assert not other.positive
        assert flipped(other) == prompt
