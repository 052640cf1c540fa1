"""Refinement plans: every changed voxel lies in the core of some patch, with few patches, the same every time."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.engine.tiling import opened, plan_tiles

corner = st.tuples(*[st.integers(-50, 50)] * 3)
patches = st.tuples(*[st.integers(1, 24)] * 3)
margins = st.sampled_from([0.0, 1 / 8, 0.25, 0.4, 0.49])
shapes = st.tuples(*[st.integers(1, 30)] * 3)


@st.composite
def changes(draw: st.DrawFn) -> np.ndarray:
    """Maps with a few boxes and single voxels changed."""
    shape = draw(shapes)
    change = np.zeros(shape, bool)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.tuples(*[st.integers(0, n - 1) for n in shape]))
        stop = draw(st.tuples(*[st.integers(a + 1, n) for a, n in zip(start, shape, strict=True)]))
        change[Box(start, stop).slices] = True
    return change


@given(changes(), corner, patches, margins)
def test_every_changed_voxel_lies_in_the_core_of_a_tile(
    change: np.ndarray, origin: Index3, patch: Index3, margin: float
) -> None:
    tiles = plan_tiles(change, origin, patch, margin)
    left = change.copy()
    for tile in tiles:
        assert tile.patch.shape == patch
        assert tile.core == tile.patch.pad([-int(p * margin) for p in patch])
        inside = tile.core.relative_to(Box(origin, origin)).clip(change.shape)
        assert change[inside.slices].any()  # no tile without change
        left[inside.slices] = False
    assert not left.any()
    assert plan_tiles(change.copy(), origin, patch, margin) == tiles
    bounds = Box.of_mask(change)
    if bounds is not None:
        cores = [p - 2 * int(p * margin) for p in patch]
        assert len(tiles) <= math.prod(
            math.ceil(n / c) for n, c in zip(bounds.shape, cores, strict=True)
        )


@given(changes(), corner, st.tuples(*[st.sampled_from([8, 12, 16])] * 3))
def test_a_plan_moves_with_its_origin(change: np.ndarray, origin: Index3, patch: Index3) -> None:
    here, there = (plan_tiles(change, o, patch, 1 / 8) for o in ((0, 0, 0), origin))
    assert [t.patch.shift(origin) for t in here] == [t.patch for t in there]


@given(npst.arrays(bool, shapes), st.sampled_from([1, 3, 5]))
def test_opening_is_a_subset_and_idempotent(change: np.ndarray, side: int) -> None:
    once = opened(change, side)
    assert not (once & ~change).any()
    np.testing.assert_array_equal(opened(once, side), once)
    assert opened(np.ones_like(change), side).all()
