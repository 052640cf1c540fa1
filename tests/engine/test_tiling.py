"""Change maps to refinement plans: what counts as a change, how many patches, in which order."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage

from napari_nninteractive.core.box import Box
from napari_nninteractive.engine import tiling
from napari_nninteractive.engine.tiling import Tile, opened, plan_tiles


def block(shape: tuple[int, ...], *slices: slice) -> np.ndarray:
    out = np.zeros(shape, bool)
    out[slices] = True
    return out


def test_300_solid_takes_27_patches_and_a_tenth_of_a_second() -> None:
    change = np.ones((300, 300, 300), bool)
    began = time.perf_counter()
    tiles = plan_tiles(change, (0, 0, 0), (192, 192, 192), 1 / 8)
    seconds = time.perf_counter() - began
    assert len(tiles) == 27
    assert {t.patch.shape for t in tiles} == {(192, 192, 192)}
    assert {t.core.shape for t in tiles} == {(144, 144, 144)}
    assert seconds < 1  # 0.1 s on a quiet machine: measured in benchmarks, bounded here


def test_one_tile_is_centred_on_its_change() -> None:
    change = block((40, 40, 40), slice(10, 14), slice(20, 30), slice(3, 4))
    (tile,) = plan_tiles(change, (100, 200, 300), (16, 16, 16), 1 / 8)
    assert tile == Tile(
        Box((104, 217, 295), (120, 233, 311)), Box((106, 219, 297), (118, 231, 309))
    )


def test_order_is_most_change_first_then_position() -> None:
    change = np.zeros((12, 12, 48), bool)
    change[:2, :2, :2] = True  # 8 voxels
    change[:3, :3, 12:15] = True  # 27
    change[:2, :2, 24:26] = True  # 8
    change[:1, :1, 47] = True  # 1
    tiles = plan_tiles(change, (0, 0, 0), (16, 16, 16), 1 / 8)
    assert [t.core.start[2] for t in tiles] == [12, 0, 24, 36]


def test_ties_are_broken_by_position_along_z_first() -> None:
    tiles = plan_tiles(np.ones((24, 24, 24), bool), (0, 0, 0), (16, 16, 16), 1 / 8)
    starts = [t.core.start for t in tiles]
    assert len(starts) == 8
    assert starts == sorted(starts)


def test_parts_without_change_are_left_out() -> None:
    change = np.zeros((12, 12, 120), bool)
    change[5, 5, 0] = change[5, 5, 119] = True
    tiles = plan_tiles(change, (0, 0, 0), (16, 16, 16), 1 / 8)
    assert len(tiles) == 2
    assert all(change[t.core.clip(change.shape).slices].any() for t in tiles)


def test_no_change_no_tile() -> None:
    assert plan_tiles(np.zeros((5, 6, 7), bool), (0, 0, 0), (16, 16, 16), 1 / 8) == ()
    assert plan_tiles(np.zeros((0, 0, 0), bool), (0, 0, 0), (16, 16, 16), 1 / 8) == ()


@pytest.mark.parametrize(
    ("patch", "margin", "core"),
    [
        pytest.param((192, 192, 192), 1 / 8, (144, 144, 144), id="as published: 24 of 192"),
        pytest.param((64, 64, 64), 1 / 8, (48, 48, 48), id="8 of 64"),
        pytest.param((16, 32, 48), 0.25, (8, 16, 24), id="anisotropic"),
        pytest.param((16, 16, 16), 0.0, (16, 16, 16), id="no margin"),
        pytest.param((7, 7, 7), 1 / 8, (7, 7, 7), id="too small for a margin"),
    ],
)
def test_margin(patch: tuple[int, int, int], margin: float, core: tuple[int, int, int]) -> None:
    (tile,) = plan_tiles(np.ones((1, 1, 1), bool), (0, 0, 0), patch, margin)
    assert tile.patch.shape == patch
    assert tile.core.shape == core
    assert tile.patch.contains(tile.core)


OPENINGS = [
    pytest.param(np.ones((20, 20, 20), bool), None, id="solid"),
    pytest.param(block((20, 20, 20), slice(5, 10), slice(5, 10), slice(5, 10)), 125, id="a cube"),
    pytest.param(block((20, 20, 20), slice(5, 9), slice(5, 15), slice(5, 15)), 0, id="4 thick"),
    pytest.param(block((20, 20, 20), slice(5, 8), slice(None), slice(None)), 0, id="a plane"),
    pytest.param(
        block((20, 20, 20), slice(0, 3), slice(5, 10), slice(5, 10)), 75, id="3 thick at the border"
    ),
    pytest.param(
        block((20, 20, 20), slice(0, 2), slice(5, 10), slice(5, 10)), 0, id="2 thick at the border"
    ),
    pytest.param(
        block((20, 20, 20), slice(17, 20), slice(17, 20), slice(0, 3)), 27, id="in a corner"
    ),
    pytest.param(np.ones((1, 20, 20), bool), 400, id="a 2D image"),
    pytest.param(block((1, 20, 20), slice(0, 1), slice(4, 9), slice(4, 9)), 25, id="in 2D"),
    pytest.param(block((1, 20, 20), slice(0, 1), slice(4, 8), slice(4, 9)), 0, id="thin in 2D"),
    pytest.param(np.ones((2, 3, 4), bool), 24, id="a stack thinner than the cube"),
    pytest.param(np.zeros((6, 6, 6), bool), 0, id="nothing"),
    pytest.param(np.zeros((0, 0, 0), bool), 0, id="no voxels"),
]


@pytest.mark.parametrize(("change", "left"), OPENINGS)
def test_opened(change: np.ndarray, left: int | None) -> None:
    before = change.copy()
    out = opened(change, 5)
    assert np.count_nonzero(out) == (change.size if left is None else left)
    assert not (out & ~change).any()
    np.testing.assert_array_equal(change, before)


@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", [(9, 11, 13), (40, 7, 8), (1, 30, 30), (3, 4, 40), (2, 2, 2)])
@pytest.mark.parametrize("block", [1, 200, 1 << 22])
def test_opened_agrees_with_scipy_where_the_outside_counts_as_changed(
    side: int, shape: tuple[int, int, int], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiling, "_BLOCK_VOXELS", block)
    rng = np.random.default_rng(side)
    change = ndimage.binary_dilation(rng.random(shape) < 0.03, iterations=2)
    cube = np.ones((side,) * 3, bool)
    eroded = ndimage.binary_erosion(change, cube, border_value=1)
    expected = ndimage.binary_dilation(eroded, cube, border_value=0)
    np.testing.assert_array_equal(opened(change, side), expected)


def test_opened_accepts_any_memory_layout() -> None:
    change = np.random.default_rng(0).random((8, 9, 10)) < 0.9
    expected = opened(change, 3)
    np.testing.assert_array_equal(opened(np.asfortranarray(change), 3), expected)
    np.testing.assert_array_equal(opened(change[::-1], 3)[::-1], expected)
