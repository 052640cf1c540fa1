"""The chunk store against a dense array: any writes, any boxes, any toggles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_nninteractive.core.box import Box
from napari_nninteractive.engine import store as module
from napari_nninteractive.engine.store import ChunkStore, MaskView

SHAPE = (13, 9, 17)


@pytest.fixture(autouse=True, scope="module")
def _small_chunks() -> object:
    """Chunks of 4 voxels: many borders in a small volume."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 4)
        yield


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Boxes inside, across and beyond the border, and empty ones."""
    start = draw(st.tuples(*[st.integers(-4, n + 2) for n in SHAPE]))
    return Box.of_shape(draw(st.tuples(*[st.integers(0, 12)] * 3))).shift(start)


@st.composite
def writes(draw: st.DrawFn) -> tuple[Box, np.ndarray, np.ndarray | None]:
    box = draw(boxes())
    kind = draw(st.sampled_from(["ones", "zeros", "random"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = {"ones": np.ones, "zeros": np.zeros, "random": rng.random}[kind](box.shape)
    values = values > 0.5 if kind == "random" else values
    where = rng.random(box.shape) < 0.5 if draw(st.booleans()) else None
    return box, values, where


def apply(array: np.ndarray, box: Box, values: np.ndarray, where: np.ndarray | None) -> None:
    part = box.clip(SHAPE)
    if part.is_empty:
        return
    inside = part.relative_to(box).slices
    at = np.ones(part.shape, bool) if where is None else where[inside]
    array[part.slices][at] = values[inside][at]


def dense(store: ChunkStore) -> np.ndarray:
    return store.read(Box.of_shape(SHAPE))


def tight(array: np.ndarray, box: Box) -> Box | None:
    part = box.clip(SHAPE)
    found = np.argwhere(array[part.slices]) if not part.is_empty else np.empty((0, 3), int)
    if not len(found):
        return None
    low, high = found.min(0) + part.start, found.max(0) + part.start + 1
    return Box(tuple(low.tolist()), tuple(high.tolist()))


@given(st.lists(st.lists(writes(), max_size=5), min_size=1, max_size=4), boxes())
def test_stores_behave_as_dense_arrays(
    drafts: list[list[tuple[Box, np.ndarray, np.ndarray | None]]], probe: Box
) -> None:
    arrays = [np.zeros(SHAPE, np.uint8)]
    stores = [ChunkStore(SHAPE)]
    for ops in drafts:
        draft, array = stores[-1].draft(), arrays[-1].copy()
        for op in ops:
            draft.write(*op)
            apply(array, *op)
            np.testing.assert_array_equal(draft.read(Box.of_shape(SHAPE)), array)
            assert draft.bounds(probe) == tight(array, probe)
        stores.append(draft.finish())
        arrays.append(array)
    for store, array in zip(stores, arrays, strict=True):  # the earlier ones are as they were
        np.testing.assert_array_equal(dense(store), array)
        assert store.count() == array.sum()
        assert store.bounds() == tight(array, Box.of_shape(SHAPE))
        assert all(chunk.any() for chunk in store._chunks.values())
        assert not any(chunk.flags.writeable for chunk in store._chunks.values())
        expected = np.zeros(probe.shape, np.uint8)
        part = probe.clip(SHAPE)
        if not part.is_empty:
            expected[part.relative_to(probe).slices] = array[part.slices]
        np.testing.assert_array_equal(store.read(probe), expected)
    for i, (a, before) in enumerate(zip(stores, arrays, strict=True)):
        for b, after in zip(stores[i:], arrays[i:], strict=True):
            delta = a.difference(b)
            assert delta.bounds == tight(before ^ after, Box.of_shape(SHAPE))
            np.testing.assert_array_equal(dense(a.toggled(delta)), after)
            np.testing.assert_array_equal(dense(b.toggled(delta)), before)
            assert a.toggled(delta)._chunks.keys() == b._chunks.keys()


@given(npst.arrays(bool, SHAPE), npst.basic_indices(SHAPE, allow_newaxis=True))
def test_the_view_indexes_as_numpy_does(array: np.ndarray, key: object) -> None:
    draft = ChunkStore(SHAPE).draft()
    draft.write(Box.of_shape(SHAPE), array)
    got, expected = MaskView(draft.finish())[key], array.astype(np.uint8)[key]  # type: ignore[index]
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)
