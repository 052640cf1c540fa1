"""The algebra of boxes against the sets of voxels that they stand for."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_nninteractive.core.box import Box, Index3

Voxels = frozenset[tuple[int, ...]]

corner = st.tuples(*[st.integers(-5, 8)] * 3)
boxes = st.builds(Box, corner, corner)  # every eighth holds voxels
filled = st.builds(
    lambda start, shape: Box.of_shape(shape).shift(start),
    corner,
    st.tuples(*[st.integers(1, 6)] * 3),
)
any_box = filled | boxes


def voxels(box: Box) -> Voxels:
    return frozenset(product(*[range(a, b) for a, b in zip(box.start, box.stop, strict=True)]))


def dilated(cells: Voxels, margin: int) -> Voxels:
    offsets = list(product(range(-margin, margin + 1), repeat=3))
    return frozenset(tuple(np.add(cell, o).tolist()) for cell in cells for o in offsets)


@given(any_box)
def test_shape_size_and_emptiness_count_voxels(box: Box) -> None:
    cells = voxels(box)
    assert box.size == len(cells)
    assert box.is_empty == (not cells)
    if cells:
        assert box.shape == tuple(len({c[axis] for c in cells}) for axis in range(3))


@given(any_box, corner)
def test_membership(box: Box, point: Index3) -> None:
    assert (point in box) == (point in voxels(box))


@given(any_box, any_box)
def test_intersect_is_that_of_sets(a: Box, b: Box) -> None:
    assert voxels(a.intersect(b)) == voxels(a) & voxels(b)


@given(any_box, any_box)
def test_contains_is_subset(a: Box, b: Box) -> None:
    assert a.contains(b) == (voxels(b) <= voxels(a))


@given(any_box, any_box)
def test_union_is_the_smallest_box_with_both(a: Box, b: Box) -> None:
    union, cells = a.union(b), voxels(a) | voxels(b)
    assert cells <= voxels(union)
    if cells:
        low = tuple(min(c[axis] for c in cells) for axis in range(3))
        high = tuple(max(c[axis] for c in cells) + 1 for axis in range(3))
        assert union == Box(low, high)
    else:
        assert union.is_empty


@given(any_box, st.tuples(*[st.integers(0, 7)] * 3))
def test_clip_keeps_what_lies_in_the_image(box: Box, shape: Index3) -> None:
    image = np.zeros(shape, bool)
    clipped = box.clip(shape)
    image[clipped.slices] = True
    assert voxels(clipped) == {c for c in voxels(box) if c in set(np.ndindex(*shape))}
    assert frozenset(map(tuple, np.argwhere(image).tolist())) == voxels(clipped)


@given(any_box, corner, any_box)
def test_shift_and_relative_to(box: Box, offset: Index3, frame: Box) -> None:
    assert voxels(box.shift(offset)) == {tuple(np.add(c, offset).tolist()) for c in voxels(box)}
    assert box.shift(offset).shift([-d for d in offset]) == box
    assert box.relative_to(frame).shift(frame.start) == box
    assert frame.relative_to(frame).start == (0, 0, 0)


@given(any_box, st.integers(0, 2))
def test_pad_dilates_and_erodes(box: Box, margin: int) -> None:
    assert voxels(box.pad(margin)) == dilated(voxels(box), margin)
    inner = voxels(box.pad(-margin))
    assert inner == {c for c in voxels(box) if dilated(frozenset([c]), margin) <= voxels(box)}


@given(
    npst.arrays(bool, st.tuples(*[st.integers(0, 6)] * 3)),
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([1, -1])] * 3),
)
def test_the_box_of_a_mask_spans_its_set_voxels(
    mask: np.ndarray, order: list[int], steps: tuple[int, int, int]
) -> None:
    mask = mask.transpose(order)[tuple(slice(None, None, s) for s in steps)]
    found = np.argwhere(mask)
    expected = Box(found.min(0), found.max(0) + 1) if len(found) else None
    assert Box.of_mask(mask) == expected
    assert Box.of_mask(mask.astype(np.float32) * -0.5) == expected


@given(any_box, st.integers(1, 5))
def test_tiles_part_the_box_along_a_fixed_grid(box: Box, step: int) -> None:
    tiles = list(box.tiles(step))
    cells = [cell for _, tile in tiles for cell in voxels(tile)]
    assert len(cells) == len(set(cells))
    assert set(cells) == voxels(box)
    assert [index for index, _ in tiles] == sorted(index for index, _ in tiles)
    for index, tile in tiles:
        assert not tile.is_empty
        assert {tuple(v // step for v in cell) for cell in voxels(tile)} == {index}


@given(any_box, any_box, any_box)
def test_laws(a: Box, b: Box, c: Box) -> None:
    assert voxels(a.intersect(b)) == voxels(b.intersect(a))
    assert voxels(a.union(b)) == voxels(b.union(a))
    assert voxels(a.union(b).union(c)) == voxels(a.union(b.union(c)))
    assert voxels(a.intersect(a.union(b))) == voxels(a)
