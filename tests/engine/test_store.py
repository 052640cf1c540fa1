"""The chunked mask: reads, writes, differences, and its view, which indexes as a numpy array does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_nninteractive.core.box import Box
from napari_nninteractive.engine.store import CHUNK, ChunkStore, Delta, MaskView

SHAPE = (70, 130, 65)


def store_of(array: np.ndarray) -> ChunkStore:
    draft = ChunkStore(array.shape).draft()
    draft.write(Box.of_shape(array.shape), array)
    return draft.finish()


def dense(store: ChunkStore) -> np.ndarray:
    return store.read(Box.of_shape(store.shape))


@pytest.fixture(scope="module")
def array() -> np.ndarray:
    rng = np.random.default_rng(0)
    out = (rng.random(SHAPE) < 0.3).astype(np.uint8)
    out[:, 64:128, :] = 0  # chunks that do not exist
    return out


@pytest.fixture(scope="module")
def view(array: np.ndarray) -> MaskView:
    return MaskView(store_of(array))


def test_an_empty_store_costs_nothing() -> None:
    store = ChunkStore((10**6, 10**6, 10**6))
    assert (store.nbytes, store.count(), store.bounds()) == (0, 0, None)
    np.testing.assert_array_equal(
        store.read(Box((5, 5, 5), (7, 8, 9))), np.zeros((2, 3, 4), np.uint8)
    )
    draft = store.draft()
    draft.write(Box((999_999, 0, 500_000), (10**6 + 5, 1, 500_001)), np.ones((6, 1, 1)))
    far = draft.finish()
    assert far.count() == 1
    assert far.bounds() == Box((999_999, 0, 500_000), (10**6, 1, 500_001))
    assert far.nbytes == CHUNK**3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.array([0, 1, 255, 3], np.uint8), [0, 1, 1, 1], id="labels"),
        pytest.param(np.array([False, True, False, True]), [0, 1, 0, 1], id="bool"),
        pytest.param(np.array([0.0, 0.5, -1.0, 2.0]), [0, 1, 1, 1], id="float"),
        pytest.param(np.array([0, 256, 512, 1], np.uint16), [0, 1, 1, 1], id="would wrap around"),
    ],
)
def test_non_zero_is_one(values: np.ndarray, expected: list[int]) -> None:
    store = store_of(values[None, None])
    assert dense(store).ravel().tolist() == expected
    assert dense(store).dtype == np.uint8


def test_write_only_where_asked() -> None:
    draft = store_of(np.ones((4, 4, 4))).draft()
    where = np.zeros((2, 2, 2), bool)
    where[0, 0, 0] = where[1, 1, 1] = True
    draft.write(Box((1, 1, 1), (3, 3, 3)), np.zeros((2, 2, 2)), where)
    draft.write(Box((3, 3, 3), (5, 5, 5)), np.zeros((2, 2, 2)), where)  # most of it outside
    expected = np.ones((4, 4, 4), np.uint8)
    expected[1, 1, 1] = expected[2, 2, 2] = expected[3, 3, 3] = 0
    np.testing.assert_array_equal(dense(draft.finish()), expected)


def test_reads_beyond_the_volume_are_zero(array: np.ndarray) -> None:
    box = Box((-3, 120, -5), (75, 140, 70))
    expected = np.zeros(box.shape, np.uint8)
    expected[3:73, :10, 5:70] = array[:, 120:, :]
    np.testing.assert_array_equal(store_of(array).read(box), expected)


def test_a_read_is_a_copy(array: np.ndarray) -> None:
    store = store_of(array)
    dense(store)[...] = 7
    store.read(Box((0, 0, 0), (1, 1, 1)))[...] = 7
    np.testing.assert_array_equal(dense(store), array)


def test_drafts_share_chunks_until_they_are_written_to(array: np.ndarray) -> None:
    store = store_of(array)
    one, other = store.draft(), store.draft()
    one.write(Box((0, 0, 0), (1, 1, 1)), np.array([[[1 - array[0, 0, 0]]]]))
    assert one.read(Box((0, 0, 0), (1, 1, 1)))[0, 0, 0] == 1 - array[0, 0, 0]
    np.testing.assert_array_equal(other.read(Box.of_shape(SHAPE)), array)
    changed = one.finish()
    assert (
        sum(changed._chunks[i] is store._chunks[i] for i in store._chunks) == len(store._chunks) - 1
    )
    np.testing.assert_array_equal(dense(store), array)


def test_chunks_that_become_empty_vanish() -> None:
    store = store_of(np.ones((CHUNK, CHUNK, 2 * CHUNK)))
    assert store.nbytes == 2 * CHUNK**3
    draft = store.draft()
    draft.write(Box((0, 0, 0), (CHUNK, CHUNK, CHUNK)), np.zeros((CHUNK,) * 3))
    half = draft.finish()
    assert (half.nbytes, half.count()) == (CHUNK**3, CHUNK**3)
    whole = half.difference(ChunkStore(half.shape))
    assert half.toggled(whole).nbytes == 0
    assert half.toggled(whole).toggled(whole).count() == CHUNK**3


def test_difference_of_equal_stores_is_empty(array: np.ndarray) -> None:
    a, b = store_of(array), store_of(array)
    for delta in (a.difference(a), a.difference(b)):
        assert (delta.bounds, delta.nbytes, dict(delta.chunks)) == (None, 0, {})
    assert Delta().nbytes == 0
    np.testing.assert_array_equal(dense(a.toggled(Delta())), array)


def test_difference_toggles_both_ways(array: np.ndarray) -> None:
    other = array.copy()
    other[10:20, 60:70, 63:65] ^= 1
    other[0, 0, 0] ^= 1
    a, b = store_of(array), store_of(other)
    delta = a.difference(b)
    assert delta.bounds == Box((0, 0, 0), (20, 70, 65))
    np.testing.assert_array_equal(dense(a.toggled(delta)), other)
    np.testing.assert_array_equal(dense(b.toggled(delta)), array)
    np.testing.assert_array_equal(dense(a), array)
    assert 0 < delta.nbytes < 20_000  # 201 voxels in six chunks of 256 KiB


@pytest.mark.parametrize(
    "box",
    [
        pytest.param(None, id="all"),
        pytest.param(Box((0, 0, 0), (70, 130, 65)), id="the volume"),
        pytest.param(Box((-9, -9, -9), (999, 999, 999)), id="more than the volume"),
        pytest.param(Box((60, 100, 60), (70, 130, 65)), id="over chunk borders"),
        pytest.param(Box((0, 64, 0), (70, 128, 65)), id="where nothing is"),
        pytest.param(Box((5, 5, 5), (5, 9, 9)), id="empty"),
        pytest.param(Box((3, 4, 5), (4, 5, 6)), id="a voxel"),
    ],
)
def test_bounds_in_a_box(array: np.ndarray, box: Box | None) -> None:
    part = (box or Box.of_shape(SHAPE)).clip(SHAPE)
    found = np.argwhere(array[part.slices])
    expected = None
    if len(found):
        low, high = found.min(0) + part.start, found.max(0) + part.start + 1
        expected = Box(tuple(low.tolist()), tuple(high.tolist()))
    store = store_of(array)
    assert store.bounds(box) == expected
    assert store.draft().bounds(box) == expected


KEYS = [
    np.s_[3],
    np.s_[-1],
    np.s_[np.int64(5)],
    np.s_[3, 4, 5],
    np.s_[-3, -4, -5],
    np.s_[3, ...],
    np.s_[..., 3],
    np.s_[..., 3, 4],
    np.s_[...],
    np.s_[()],
    np.s_[3, ..., 4],
    np.s_[1, 2, ..., 3],
    np.s_[..., 1, 2, 3],
    np.s_[:],
    np.s_[2:5],
    np.s_[60:68, 60:132, 62:],
    np.s_[-5:],
    np.s_[:-66],
    np.s_[5:2],
    np.s_[500:],
    np.s_[-500:3],
    np.s_[::2],
    np.s_[1::3, ::5, 3:60:7],
    np.s_[::-1],
    np.s_[::-1, ::-2, ::-3],
    np.s_[60:10:-7, -2::-50],
    np.s_[5::-1],
    np.s_[0::-1],
    np.s_[:0:-1],
    np.s_[2:5:-1],
    np.s_[10:0:-3, 5],
    np.s_[::100],
    np.s_[::-100],
    np.s_[None],
    np.s_[..., None],
    np.s_[True],
    np.s_[False],
    np.s_[True, 3],
    np.s_[[1, 5, 1]],
    np.s_[[1, 5], [2, 3]],
    np.s_[np.array([0, 69]), :, -1],
    np.s_[np.arange(70) % 7 == 0],
    np.s_[:, np.arange(130) > 120, 3],
    np.s_[np.ix_([0, 1], [2], [3, 4])],
    np.s_[np.uint8(200) - np.uint8(190) :],
]


@pytest.mark.parametrize("key", [pytest.param(k, id=str(k)[:40]) for k in KEYS])
def test_the_view_indexes_as_numpy_does(view: MaskView, array: np.ndarray, key: Any) -> None:
    got, expected = view[key], array[key]
    assert got.dtype == np.uint8
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


def test_the_view_takes_a_boolean_array(view: MaskView, array: np.ndarray) -> None:
    np.testing.assert_array_equal(view[array == 0], array[array == 0])


@pytest.mark.parametrize(
    ("key", "error"),
    [
        pytest.param(np.s_[70], IndexError, id="outside"),
        pytest.param(np.s_[-71], IndexError, id="outside, negative"),
        pytest.param(np.s_[0, 0, 65], IndexError, id="outside along x"),
        pytest.param(np.s_[0, 0, 0, 0], IndexError, id="four axes"),
        pytest.param(np.s_[:, :, :, :], IndexError, id="four slices"),
        pytest.param(np.s_[0, 0, 0, 0, ...], IndexError, id="four axes and an ellipsis"),
        pytest.param(np.s_[..., ...], IndexError, id="two ellipses"),
        pytest.param(np.s_[1.0], IndexError, id="float"),
        pytest.param(np.s_["a"], IndexError, id="text"),
        pytest.param(np.s_[::0], ValueError, id="step 0"),
        pytest.param(np.s_[1.0:], TypeError, id="slice from a float"),
    ],
)
def test_the_view_refuses_what_numpy_refuses(
    view: MaskView, array: np.ndarray, key: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        array[key]
    with pytest.raises(error):
        view[key]


def test_the_view_is_an_array_of_uint8(view: MaskView, array: np.ndarray) -> None:
    assert (view.shape, view.dtype, view.ndim, view.size, len(view)) == (
        array.shape,
        array.dtype,
        3,
        array.size,
        70,
    )
    assert view.count() == np.count_nonzero(array)
    assert view.bounds == store_of(array).bounds()
    assert repr(view) == f"<mask of {SHAPE} voxels, {view.count()} set>"
    assert sum(int(plane.sum()) for plane in view) == view.count()


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda m: np.asarray(m), id="asarray"),
        pytest.param(lambda m: np.array(m), id="array"),
        pytest.param(lambda m: np.array(m, copy=True), id="copy"),
        pytest.param(lambda m: np.array(m, copy=None), id="copy if needed"),
        pytest.param(lambda m: np.asarray(m, dtype=np.uint8), id="its own type"),
        pytest.param(lambda m: np.asarray(m, dtype=bool), id="bool"),
        pytest.param(lambda m: np.asarray(m, dtype=np.float32), id="float32"),
        pytest.param(lambda m: np.ascontiguousarray(m), id="contiguous"),
        pytest.param(lambda m: m[...], id="ellipsis"),
    ],
)
def test_arrays_of_the_view_are_copies(view: MaskView, array: np.ndarray, convert: Any) -> None:
    out = convert(view)
    np.testing.assert_array_equal(out, array.astype(out.dtype))
    out[...] = 1
    np.testing.assert_array_equal(np.asarray(view), array)


def test_a_view_without_copy_is_refused(view: MaskView) -> None:
    with pytest.raises(ValueError, match="always a copy"):
        np.array(view, copy=False)


def test_the_view_cannot_be_written_to(view: MaskView) -> None:
    with pytest.raises(TypeError):
        view[0, 0, 0] = 1  # type: ignore[index]


def test_slicing_a_large_mask_builds_only_what_is_asked_for() -> None:
    view = MaskView(ChunkStore((10**6, 10**6, 10**6)))  # 1 EB
    assert view[5, 5:7, ::500_000].shape == (2, 2)
    assert view[-1, -1, -1] == 0
    assert view[10**6 - 1 :, 3, :2].tolist() == [[0, 0]]
