"""Scores of masks and curves: closed forms, and what is defined where nothing is there."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_nninteractive.core.metrics import area_under_curve, dice, prompts_needed
from napari_nninteractive.core.surfaces import default_tolerance, surface_dice
from napari_nninteractive.errors import ImageError

SHAPE = (24, 24, 24)
EMPTY = np.zeros(SHAPE, bool)


def cube(side: int, start: tuple[int, int, int] = (6, 6, 6)) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, a + side) for a in start)] = True
    return mask


def ball(radius: float, shape: tuple[int, int, int] = (48, 48, 48)) -> NDArray[np.bool_]:
    grid = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    return np.asarray((grid**2).sum(0) <= radius**2)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (cube(4), cube(4), 1.0),
        (cube(4), cube(4, (7, 6, 6)), 0.75),
        (cube(4), cube(4, (7, 7, 6)), 0.75**2),
        (cube(2), cube(4), 2 * 8 / (8 + 64)),
        (cube(4), cube(4, (14, 6, 6)), 0.0),
        (cube(4), EMPTY, 0.0),
        (EMPTY, EMPTY, 1.0),
    ],
)
def test_dice(a, b, expected: float) -> None:
    assert dice(a, b) == pytest.approx(expected)
    assert dice(b, a) == pytest.approx(expected)


@pytest.mark.parametrize(("side", "shift"), [(4, 1), (8, 1), (8, 3)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_surface_dice_of_two_shifted_cubes(side: int, shift: int, axis: int) -> None:
    """Common are the walls along the shift, and at both ends the rim: 4 n (n - d + 1) - 1 of 6 n²."""
    start = [6, 6, 6]
    start[axis] += shift
    a, b = cube(side), cube(side, (start[0], start[1], start[2]))
    common = (4 * side * (side - shift + 1) - 1) / (6 * side**2)
    assert surface_dice(a, b, tolerance=0.0) == pytest.approx(common)
    assert surface_dice(a, b, tolerance=shift - 0.01) < 1.0
    assert surface_dice(a, b, tolerance=shift) == pytest.approx(1.0)


def test_surface_dice_counts_physical_distance_and_area() -> None:
    """A cube of voxels of 3 x 1 x 1: moved by a voxel, it is 3 away along z and 1 along x."""
    a, spacing = cube(4), (3.0, 1.0, 1.0)
    along_z, along_x = cube(4, (7, 6, 6)), cube(4, (6, 6, 7))
    assert surface_dice(a, along_x, spacing, tolerance=1.0) == pytest.approx(1.0)
    assert surface_dice(a, along_z, spacing, tolerance=3.0) == pytest.approx(1.0)
    # Off by 3 are the ends without the rim, 3 x 3 on the one side; on the other a rim 1 wide is 1 from the walls.
    # Walls: 4 * 4 * 4 * 3 = 192 of 192 + 2 * 16 = 224. Not near: the end that sticks out (16 and its walls).
    sticking_out = 16 + 4 * 4 * 3 * 0.5  # the end, and the corners of the walls next to it
    inside = 1  # the middle corner of the end that is inside the other
    assert surface_dice(a, along_z, spacing, tolerance=1.0) == pytest.approx(
        1 - (sticking_out + inside) / 224
    )


@pytest.mark.parametrize(("grown", "tolerance", "low", "high"), [
    (1.0, 1.8, 1.0, 1.0),
    (4.0, 1.8, 0.0, 0.0),
    (4.0, 5.0, 1.0, 1.0),
])  # fmt: skip
def test_surface_dice_of_concentric_balls(grown, tolerance, low, high) -> None:
    assert low <= surface_dice(ball(12), ball(12 + grown), tolerance=tolerance) <= high


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (EMPTY, EMPTY, 1.0),
        (cube(4), EMPTY, 0.0),
        (EMPTY, cube(4), 0.0),
        (cube(4), cube(4), 1.0),
        (~EMPTY, ~EMPTY, 1.0),
        (cube(2), cube(2, (14, 14, 14)), 0.0),
    ],
)
def test_surface_dice_of_nothing_everything_and_far_apart(a, b, expected: float) -> None:
    assert surface_dice(a, b) == expected


def test_surface_dice_is_the_same_in_a_larger_image() -> None:
    a, b = ball(5, (20, 20, 20)), ball(6, (20, 20, 20))
    far = [np.pad(m, ((40, 7), (0, 90), (3, 60))) for m in (a, b)]
    assert surface_dice(*far, tolerance=0.5) == surface_dice(a, b, tolerance=0.5)


@pytest.mark.parametrize(
    ("spacing", "expected"), [((1, 1, 1), 1.0), ((0.5,) * 3, 0.5), ((8.0, 1.0, 1.0), 2.0)]
)
def test_default_tolerance_is_the_edge_of_a_cube_as_large_as_a_voxel(spacing, expected) -> None:
    assert default_tolerance(spacing) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [([0.5], 0.5), ([0.0, 1.0], 0.5), ([1.0, 1.0, 1.0], 1.0), ([0.2, 0.6, 0.8, 0.8], 1.9 / 3)],
)
def test_area_under_curve(curve: list[float], expected: float) -> None:
    assert area_under_curve(curve) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.0, 1), (0.5, 2), (0.8, 4), (0.9, 4), (0.95, None)]
)
def test_prompts_needed(threshold: float, expected: int | None) -> None:
    assert prompts_needed([0.2, 0.5, 0.4, 0.9, 0.7], threshold) == expected


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: dice(EMPTY, EMPTY[1:]), "same image"),
        (lambda: surface_dice(EMPTY, EMPTY[1:]), "same image"),
        (lambda: surface_dice(EMPTY[0], EMPTY[0]), "3D"),
        (lambda: surface_dice(EMPTY, EMPTY, (1.0, 1.0)), "three positive"),
        (lambda: surface_dice(EMPTY, EMPTY, (1.0, 0.0, 1.0)), "three positive"),
        (lambda: surface_dice(EMPTY, EMPTY, tolerance=-1.0), "0 or more"),
        (lambda: area_under_curve([]), "at least one"),
    ],
)
def test_mistakes_are_named(call, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        call()
