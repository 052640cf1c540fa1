"""The label map: who wins a voxel, numbers, painting by hand, counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame, frame_of
from napari_nninteractive.workspace.labels.label_map import LabelMap
from napari_nninteractive.workspace.labels.numbers import count, numbered
from napari_nninteractive.workspace.labels.strokes import edits_of
from napari_nninteractive.workspace.objects import ObjectTable
from napari_nninteractive.workspace.values.outcome import Change, Motion
from napari_nninteractive.workspace.values.placed import Stroke

ROW = frame_of((1, 1, 8))


def row(*labels: int) -> LabelMap:
    made = LabelMap(np.array(labels, np.uint8).reshape(1, 1, -1))
    made.recount()
    return made


def change(label: int, *mask: int, start: int = 0, frame: Frame = ROW) -> Change:
    box = Box((0, 0, start), (1, 1, start + len(mask)))
    return Change(frame, label, box, np.array(mask, np.uint8).reshape(1, 1, -1))


@pytest.mark.parametrize(
    ("overwrite", "then", "back"),
    [
        (False, [1, 1, 1, 2, 2, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]),
        (True, [1, 2, 2, 2, 2, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]),
    ],
    ids=["finished objects keep their voxels", "what was covered comes back"],
)
def test_who_wins_a_voxel(overwrite: bool, then: list[int], back: list[int]) -> None:
    labels = row(1, 1, 1, 0, 0, 0, 0, 0)
    parts = labels.write([change(2, 1, 1, 1, 1, start=1)], overwrite=overwrite)
    assert labels.array.ravel().tolist() == then
    assert parts == [(slice(0, 1), slice(0, 1), slice(1, 5))]
    labels.write([change(2, 0, 0, 0, 0, start=1)], overwrite=overwrite)
    assert labels.array.ravel().tolist() == back
    assert labels.voxels == count(labels.array)


def test_several_changes_are_one_action_in_any_order() -> None:
    taken, given_up = change(1, 1, 1), change(2, 0, 0)
    for changes in ([taken, given_up], [given_up, taken]):
        labels = row(2, 2, 0)
        labels.write(changes)
        assert labels.array.ravel().tolist() == [1, 1, 0]
        assert +labels.voxels == {1: 2}


def test_a_label_widens_the_array() -> None:
    labels = row(0, 3, 0, 0)
    labels.write([change(300, 1, 1)])
    assert labels.array.dtype == np.uint16
    assert labels.array.ravel().tolist() == [300, 3, 0, 0]


def test_time_points_are_apart() -> None:
    first, second = (frame_of((2, 1, 1, 4), position=(t, 0, 0, 0)) for t in (0, 1))
    labels = LabelMap(np.zeros((2, 1, 1, 4), np.uint8))
    labels.write([change(1, 1, 1, frame=first), change(2, 1, 1, frame=second)])
    labels.write([change(3, 1, 1, frame=first)], overwrite=True)
    labels.write([change(3, 0, 0, frame=second)], overwrite=True)  # has nothing there
    assert labels.array[:, 0, 0].tolist() == [[3, 3, 0, 0], [2, 2, 0, 0]]
    labels.write([change(3, 0, 0, frame=first)], overwrite=True)
    assert labels.array[:, 0, 0].tolist() == [[1, 1, 0, 0], [2, 2, 0, 0]]
    assert labels.mask(second, 2).ravel().tolist() == [True, True, False, False]


def test_channels_hold_the_same_and_count_once() -> None:
    frame = frame_of((1, 3, 1, 4), ("z", "c", "y", "x"))
    labels = LabelMap(np.zeros((1, 3, 1, 4), np.uint8), channel_axis=1)
    labels.write([change(1, 1, 1, frame=frame)])
    assert labels.array[0, :, 0].tolist() == [[1, 1, 0, 0]] * 3
    assert labels.recount() == {1: 2}


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.data())
def test_an_edit_of_each_object_makes_the_same_map(old: list[int], data: st.DataObject) -> None:
    new = data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8))
    before, after = (np.array(v, np.uint8).reshape(1, 1, 8) for v in (old, new))
    stroke = Stroke((0, 0, 0), before != after, before, after)
    labels = row(*old)
    for frame, label, edit in edits_of(stroke, ROW):
        mask = (labels.array == label).astype(np.uint8)
        mask[edit.bounds.slices][edit.mask] = edit.value
        labels.write([Change(frame, label, Box((0, 0, 0), (1, 1, 8)), mask)])
    assert labels.array.ravel().tolist() == new
    assert +labels.voxels == count(after)
    painted = row(*old)
    painted.array[...] = after
    painted.painted(stroke, ROW)
    assert +painted.voxels == count(after)


def test_a_stroke_over_time_and_channels_edits_each_time_point_once() -> None:
    frame = frame_of((2, 2, 1, 1, 3), ("t", "c", "z", "y", "x"))
    old = np.zeros((2, 2, 1, 1, 3), np.uint8)
    new = old.copy()
    new[..., 1] = 7
    found = list(edits_of(Stroke((0, 0, 0, 0, 0), old != new, old, new), frame))
    assert [(f.index, label, edit.value) for f, label, edit in found] == [
        ((0, 0, 0, 0, 0), 7, True),
        ((1, 0, 0, 0, 0), 7, True),
    ]
    assert all(edit.bounds == Box((0, 0, 1), (1, 1, 2)) for _, _, edit in found)


@pytest.mark.parametrize(
    ("dtype", "numbers", "expected", "wide"),
    [
        ("u1", {}, [0, 1, 2, 255], "u1"),
        ("u1", {2: 1, 255: 7}, [0, 1, 1, 7], "u1"),
        ("u1", {1: 300}, [0, 300, 2, 255], "u2"),
        ("u1", {70000: 4}, [0, 1, 2, 255], "u1"),  # of an object that has no voxels here
        ("u2", {1: 2, 2: 1}, [0, 2, 1, 255], "u2"),
        ("u4", {1: 2, 2: 1}, [0, 2, 1, 255], "u4"),
        ("u2", {1: 70000}, [0, 70000, 2, 255], "u4"),
    ],
)
def test_numbers_for_labels(
    dtype: str, numbers: dict[int, int], expected: list[int], wide: str
) -> None:
    labels = np.array([0, 1, 2, 255], dtype)
    shown = numbered(labels, numbers)
    assert shown.tolist() == expected
    assert shown.dtype == wide
    assert labels.tolist() == [0, 1, 2, 255]


@pytest.mark.parametrize(
    ("number", "owner"),
    [(0, 0), (5, 3), (1, 1), (9, 9), (3, 4)],
    ids=["nothing", "the current one's", "another's", "nobody's", "nobody's, but a label in use"],
)
def test_who_owns_what_is_painted(number: int, owner: int) -> None:
    table = ObjectTable(LabelMap(np.zeros((1, 1, 1), np.uint8), {2: 1, 3: 5}), highest=3)
    table.labels.voxels.update({1: 10, 2: 5, 3: 2})
    assert table.owner(number, 3) == owner
    assert table.labels.number(owner) == number


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_voxels_are_counted(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_nninteractive.workspace.labels.numbers._COUNTED", 7)
    labels = np.random.default_rng(0).integers(0, 4, (3, 4, 5)).astype(dtype)
    assert count(labels) == {n: np.count_nonzero(labels == n) for n in (1, 2, 3)}
    assert count(np.zeros((2, 2), dtype)) == {}


def test_what_came_beneath_since_comes_up_when_a_stroke_is_undone() -> None:
    labels = row(0, 0, 0)
    touched = np.array([True, False, False]).reshape(1, 1, 3)
    old, new = labels.array.copy(), np.where(touched, 2, labels.array)
    labels.array[...] = new
    frame = frame_of((1, 1, 3))
    assert labels.painted(Stroke((0, 0, 0), touched, old, new), frame)
    labels.write([], Motion.PAINTED)
    labels.write([change(1, 1, 1, frame=frame)])  # as all are shown again in a new layer
    labels.write([], Motion.UNDONE)
    assert labels.array.ravel().tolist() == [1, 1, 0]
    assert +labels.voxels == count(labels.array)
