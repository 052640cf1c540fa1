"""Boxes: named cases; the algebra as such is in properties/test_box_properties.py."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace
from typing import Any

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


@pytest.mark.parametrize("box", [EMPTY, REVERSED], ids=["empty", "reversed"])
def test_the_empty_box_adds_nothing(box: Box) -> None:
    assert Box((0, 0, 0), (0, 0, 0)) == Box.EMPTY
    assert Box.EMPTY.is_empty
    assert Box.EMPTY.union(CUBE) == CUBE == CUBE.union(Box.EMPTY)
    assert Box.EMPTY.union(box).is_empty


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        pytest.param([2, 3, 4], [5, 7, 9], id="lists"),
        pytest.param(np.array([2, 3, 4]), np.array([5, 7, 9], np.uint8), id="arrays"),
        pytest.param(range(2, 5), (np.int32(5), 7, np.int64(9)), id="scalars of numpy"),
    ],
)
def test_corners_of_any_integers_become_tuples(start: Sequence[int], stop: Sequence[int]) -> None:
    box = Box(start, stop)
    assert box == CUBE
    assert hash(box) == hash(CUBE)
    assert all(type(n) is int for n in (*box.start, *box.stop))
    assert box == pickle.loads(pickle.dumps(box)) == replace(CUBE, start=start)


@pytest.mark.parametrize(
    ("start", "error"),
    [
        ((1.5, 0, 0), TypeError),
        (("1", 0, 0), TypeError),
        ((1, 2), ValueError),
        ([0] * 4, ValueError),
    ],
)
def test_corners_of_something_else_are_refused(start: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Box(start, (9, 9, 9))
    with pytest.raises(error):
        Box((0, 0, 0), start)


def block(shape: tuple[int, ...], *key: slice) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[key] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "bounds"),
    [
        pytest.param(np.zeros((3, 4, 5), bool), None, id="empty"),
        pytest.param(np.zeros((0, 4, 5), bool), None, id="no voxels"),
        pytest.param(np.ones((3, 4, 5), bool), Box((0, 0, 0), (3, 4, 5)), id="all"),
        pytest.param(
            block((9, 9, 9), slice(2, 3), slice(0, 4), slice(8, 9)),
            Box((2, 0, 8), (3, 4, 9)),
            id="part",
        ),
    ],
)
def test_the_box_of_a_mask(mask: np.ndarray, bounds: Box | None) -> None:
    assert Box.of_mask(mask) == bounds
    assert Box.of_mask(np.asfortranarray(mask)) == bounds


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
