"""Boxes: named cases; the algebra as such is in properties/test_box_properties.py."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from napari_nninteractive.core.box import Box

CUBE = Box((2, 3, 4), (5, 7, 9))
EMPTY = Box((4, 4, 4), (4, 9, 9))
REVERSED = Box((4, 4, 4), (1, 9, 9))


def test_shape_size_and_centre() -> None:
    assert CUBE.shape == (3, 4, 5)
    assert CUBE.size == 60
    assert CUBE.centre == (4, 5, 6)
    assert Box((-3, -3, -3), (0, 0, 0)).centre == (-2, -2, -2)
    assert Box((46, 5, 5), (47, 22, 10)).centre == (46, 14, 8)  # half to even
    assert not CUBE.is_empty


@pytest.mark.parametrize("box", [EMPTY, REVERSED], ids=["empty", "reversed"])
def test_without_voxels(box: Box) -> None:
    assert box.is_empty
    assert box.shape == (0, 5, 5)
    assert box.size == 0
    assert np.zeros((9, 9, 9))[box.slices].size == 0
    assert list(box.tiles(4)) == []
    assert CUBE.union(box) == CUBE == box.union(CUBE)
    assert CUBE.contains(box)
    assert not box.contains(CUBE)
    assert box.pad(10).is_empty
    assert box.scale(1.5).is_empty


@pytest.mark.parametrize(
    ("centre", "shape", "start", "stop"),
    [
        pytest.param((10, 10, 10), (4, 5, 1), (8, 8, 10), (12, 13, 11), id="even, odd, one"),
        pytest.param((0, 0, 0), (192, 288, 3), (-96, -144, -1), (96, 144, 2), id="beyond 0"),
    ],
)
def test_around_follows_the_published_rule(
    centre: tuple[int, ...], shape: tuple[int, ...], start: tuple[int, ...], stop: tuple[int, ...]
) -> None:
    box = Box.around(centre, shape)
    assert (box.start, box.stop) == (start, stop)
    for c, p, a, b in zip(centre, shape, box.start, box.stop, strict=True):
        assert (a, b) == (c - p // 2, c + p // 2 + p % 2)


def test_slices_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="clip it first"):
        _ = Box((0, -1, 0), (4, 4, 4)).slices


def test_from_slices_is_the_inverse_of_slices() -> None:
    assert Box.from_slices(CUBE.slices) == CUBE


def test_of_shape_takes_numpy_integers_and_keeps_python_ones() -> None:
    box = Box.of_shape(np.array([3, 4, 5]))
    assert box == Box((0, 0, 0), (3, 4, 5))
    assert all(type(v) is int for v in (*box.start, *box.stop))


def test_clip_cuts_to_the_image() -> None:
    assert Box((-5, 2, 90), (3, 4, 110)).clip((10, 10, 100)) == Box((0, 2, 90), (3, 4, 100))
    assert Box((-5, 2, 100), (3, 4, 110)).clip((10, 10, 100)).is_empty


def test_pad_takes_a_margin_per_axis_and_shrinks() -> None:
    assert CUBE.pad(2) == Box((0, 1, 2), (7, 9, 11))
    assert CUBE.pad((0, 1, 2)) == Box((2, 2, 2), (5, 8, 11))
    assert CUBE.pad(-1) == Box((3, 4, 5), (4, 6, 8))
    assert CUBE.pad(-2).is_empty


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        pytest.param(2, Box((4, 6, 8), (10, 14, 18)), id="integer"),
        pytest.param(1.5, Box((3, 4, 6), (8, 11, 14)), id="outward"),
        pytest.param((1, 0.5, 0.25), Box((2, 1, 1), (5, 4, 3)), id="per axis"),
    ],
)
def test_scale_rounds_outward(factor: float | tuple[float, ...], expected: Box) -> None:
    assert CUBE.scale(factor) == expected


def test_tiles_are_anchored_at_zero() -> None:
    tiles = list(Box((3, -1, 0), (9, 1, 4)).tiles(4))
    assert tiles == [
        ((0, -1, 0), Box((3, -1, 0), (4, 0, 4))),
        ((0, 0, 0), Box((3, 0, 0), (4, 1, 4))),
        ((1, -1, 0), Box((4, -1, 0), (8, 0, 4))),
        ((1, 0, 0), Box((4, 0, 0), (8, 1, 4))),
        ((2, -1, 0), Box((8, -1, 0), (9, 0, 4))),
        ((2, 0, 0), Box((8, 0, 0), (9, 1, 4))),
    ]


def test_is_a_frozen_value() -> None:
    assert hash(Box((2, 3, 4), (5, 7, 9))) == hash(CUBE)
    assert sorted([CUBE, EMPTY, Box((0, 9, 9), (1, 10, 10))])[0].start == (0, 9, 9)
    with pytest.raises(FrozenInstanceError):
        CUBE.start = (0, 0, 0)  # type: ignore[misc]
