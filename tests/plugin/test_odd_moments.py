"""What a user does between prompts: other layers, other images, closing and opening, numbers beyond the first byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.mouse import wait_until
from qtpy.QtWidgets import QTableWidgetItem

from napari_nninteractive.core.prompts import InitialMask, Lasso, Point
from napari_nninteractive.plugin import timers
from napari_nninteractive.plugin.view.object_list import ObjectList
from napari_nninteractive.session_file.files import read_session
from napari_nninteractive.workspace.objects import ObjectRow

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)

Open = Callable[..., Any]


def armed(shown: Any) -> list[str]:
    return [name for name, button in shown.panel.view.drawing.tools.items() if button.isChecked()]


def test_the_first_click_counts_where_the_panel_was_there_before_the_image(window: Open) -> None:
    shown = window(IMAGE)
    shown.viewer.layers.clear()
    shown.wait()
    shown.image = shown.viewer.add_image(IMAGE, name="later")
    shown.viewer.add_labels((IMAGE > 0.5).astype(np.uint8), name="truth")
    # napari selects each layer that comes; when all are there, the tool is armed.
    active = shown.viewer.layers.selection
    wait_until(lambda: active.active == shown.layers.points.layer)
    shown.click((5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]
    assert armed(shown) == ["point"]


def test_a_tool_shows_as_armed_only_where_clicks_draw(windowless: Open) -> None:
    shown = windowless(IMAGE)
    assert armed(shown) == ["point"]
    shown.viewer.layers.selection.active = shown.image
    wait_until(lambda: "press a tool" in shown.status)
    assert armed(shown) == []
    shown.click((5, 6, 7))
    assert shown.prompts == []
    shown.choose("point")
    assert armed(shown) == ["point"]
    shown.click((5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]


def test_after_starting_from_a_mask_the_next_click_corrects(windowless: Open) -> None:
    shown = windowless(IMAGE)
    mask = np.zeros(IMAGE.shape, np.uint8)
    mask[3:6, 4:8, 4:8] = 1
    shown.viewer.add_labels(mask, name="first")
    shown.viewer.add_labels(mask, name="second")
    shown.panel.view.objects.masks.choose(shown.viewer.layers["first"])
    shown.viewer.add_points([[1, 1, 1]], name="mine")  # leaves the choice as it is
    assert shown.panel.view.objects.masks.name == "first"
    shown.push(shown.panel.view.objects.start)
    shown.click((8, 15, 15))
    assert [type(p) for p in shown.prompts] == [InitialMask, Point]
    assert shown.labels[8, 15, 15] == 1


def test_a_mask_that_lies_elsewhere_is_not_taken(windowless: Open) -> None:
    shown = windowless(IMAGE)
    mask = np.zeros(IMAGE.shape, np.uint8)
    mask[3:6, 4:8, 4:8] = 1
    shown.viewer.add_labels(mask, name="moved", translate=(0, 5, 5))
    shown.push(shown.panel.view.objects.start)
    assert "moved lies elsewhere" in shown.error
    assert not shown.labels.any()


def test_a_mask_on_a_turned_image_is_taken(windowless: Open) -> None:
    shown = windowless(IMAGE, scale=(2, 1, 1), rotate=(0, 0, 45), translate=(3, 4, 5))
    mask = np.zeros(IMAGE.shape, np.uint8)
    mask[3:6, 4:8, 4:8] = 1
    options = {"scale": (2, 1, 1), "rotate": (0, 0, 45), "translate": (3, 4, 5)}
    shown.viewer.add_labels(mask, name="mask", **options)
    shown.push(shown.panel.view.objects.start)
    assert shown.error == ""
    assert np.array_equal(shown.labels == 1, mask == 1)


def test_objects_made_before_the_panel_was_reopened_are_saved(
    windowless: Open, tmp_path: Path
) -> None:
    shown = windowless(np.stack([IMAGE] * 3), axis_labels=("t", "z", "y", "x"))
    shown.click((2, 5, 6, 7))
    shown.panel.view.objects.next.click()
    shown.click((0, 5, 15, 15))
    before = shown.labels.copy()
    shown.reopen_panel()
    shown.panel.parts.files.save(str(tmp_path / "again.json"))
    shown.wait()
    session = read_session(tmp_path / "again.json")
    frames = {
        frame.index: {n for n, o in frame.objects.items() if o.shown} for frame in session.frames
    }
    assert {index: labels for index, labels in frames.items() if labels} == {
        (0, 0, 0, 0): {2},
        (2, 0, 0, 0): {1},
    }
    assert "Saved" in shown.status
    assert np.array_equal(shown.labels, before)


def test_nothing_is_not_saved(windowless: Open, tmp_path: Path) -> None:
    shown = windowless(IMAGE)
    shown.panel.parts.files.save(str(tmp_path / "empty.json"))
    shown.wait()
    assert "nothing to save" in shown.error
    assert not (tmp_path / "empty.json").exists()


def test_more_objects_than_a_byte_holds(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((2, 6, 7))
    shown.paint_objects(255, [(6, 15, 15), (6, 15, 16), (6, 15, 17)])
    shown.panel.view.objects.next.click()
    shown.choose("point")
    shown.click((9, 18, 6))
    assert shown.error == ""
    assert shown.client.label == 256
    assert shown.layers.objects.layer.selected_label == 256
    assert shown.labels[9, 18, 6] == 256
    assert (shown.labels[6, 15, 15:18] == 255).all()


def test_a_removed_layer_of_objects_comes_back_with_all_times(windowless: Open) -> None:
    shown = windowless(np.stack([IMAGE] * 3), axis_labels=("t", "z", "y", "x"))
    shown.click((0, 5, 6, 7))
    shown.panel.view.objects.next.click()
    shown.click((2, 5, 15, 15))
    shown.client.rename(1, "first")
    before = shown.labels.copy()
    assert set(np.unique(before)) == {0, 1, 2}
    shown.viewer.layers.remove(shown.layers.objects.layer)
    shown.choose("point")
    shown.wait()
    assert np.array_equal(shown.labels, before)
    rows = {row.label: (row.name, row.voxels) for row in shown.client.objects()}
    assert rows == {
        1: ("first", np.count_nonzero(before == 1)),
        2: ("Object 2", np.count_nonzero(before == 2)),
    }


def test_work_without_a_pause_is_kept_too(
    windowless: Open, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "SAVE_AFTER", 60_000)
    monkeypatch.setattr(timers, "SAVE_AT_LAST", 100)
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.client.rename(1, "name")
    wait_until(lambda: list(state_folder.glob("*.json")))


def test_an_image_that_cannot_be_segmented_is_said_and_the_work_on_the_last_stays(
    windowless: Open,
) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    before = shown.labels.copy()
    odd = np.zeros((4, 3, 20), np.float32)
    shown.viewer.add_image(odd, name="odd", axis_labels=("t", "c", "x"))
    combo = shown.panel.view.source.image
    combo.choose(shown.viewer.layers["odd"])
    shown.wait()
    assert "fewer than two are space" in shown.error
    assert shown.panel.link.image is shown.image
    assert combo.name == "image"
    assert shown.prompts == [Point((5, 6, 7))]
    assert np.array_equal(shown.labels, before)
    shown.push(shown.panel.view.prompts.undo)
    assert not shown.labels.any()
    shown.choose("point")
    shown.click((5, 6, 7))
    assert np.array_equal(shown.labels, before)


def test_a_copy_of_the_objects_stays_as_it_is(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    original = shown.layers.objects.layer
    shown.viewer.layers.selection = {original}
    from napari.layers import Layer

    copy = Layer.create(*original.as_layer_data_tuple())
    copy.data, copy.name = original.data.copy(), "backup"
    shown.viewer.add_layer(copy)
    before = copy.data.copy()
    other = shown.viewer.add_image(IMAGE[:6], name="other")
    shown.panel.link.choose(other)
    shown.panel.link.choose(shown.image)
    shown.wait()
    assert shown.layers.objects.layer is original
    shown.click((8, 15, 15))
    assert np.array_equal(copy.data, before)


def test_painting_over_another_object_is_one_step(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.panel.view.objects.next.click()
    shown.click((5, 15, 15))
    before = shown.labels.copy()
    shown.paint_objects(2, [(5, 6, 6), (5, 6, 7), (5, 6, 8)])
    painted = shown.labels.copy()
    assert painted[5, 6, 7] == 2
    shown.push(shown.panel.view.prompts.undo)
    assert np.array_equal(shown.labels, before)
    shown.push(shown.panel.view.prompts.redo)
    assert np.array_equal(shown.labels, painted)


def test_an_ellipse_is_the_ellipse_that_is_seen(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.look_at((5, 12, 12))
    shown.layers.shapes.layer.add_ellipses([[5, 6, 4], [5, 6, 20], [5, 18, 20], [5, 18, 4]])
    shown.wait()
    (prompt,) = shown.prompts
    assert isinstance(prompt, Lasso)
    assert np.count_nonzero(prompt.mask) == pytest.approx(np.pi * 6 * 8, rel=0.1)
    assert prompt.bounds.start[0] == 5


def test_the_probability_follows_its_image(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.panel.view.objects.options["probability"].native.click()
    shown.click((5, 6, 7))
    shown.image.scale = (2, 1, 1)
    layer = shown.viewer.layers["image: probability"]
    assert tuple(layer.scale) == (2, 1, 1)
    shown.image.scale = (1, 1, 1)
    shown.image.data = IMAGE[:6, :20, :20]
    shown.wait()
    shown.click((3, 6, 7))
    assert shown.error == ""
    assert shown.viewer.layers["image: probability"].data.shape == (6, 20, 20)


def test_messages_go_with_their_reason(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.viewer.dims.ndisplay = 3
    shown.panel.view.drawing.tools["box"].click()
    assert "2D view" in shown.error
    shown.viewer.dims.ndisplay = 2
    assert shown.error == ""
    shown.viewer.layers.remove(shown.layers.points.layer)
    assert "press a tool" in shown.error
    shown.panel.view.drawing.tools["point"].click()
    assert shown.error == ""


def row(label: int, voxels: int, *, current: bool = False) -> ObjectRow:
    return ObjectRow(label, label, f"Object {label}", voxels, voxels / 4, 1, current)


def test_the_table_changes_what_changed_and_makes_nothing_anew(
    qapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = ObjectList()
    table.show_rows([row(n, 10 * n) for n in range(1, 301)], "µm³")
    made = []
    original = ObjectList.setItem

    def counted(self: Any, at: int, column: int, item: QTableWidgetItem) -> None:
        made.append((at, column))
        original(self, at, column, item)

    monkeypatch.setattr(ObjectList, "setItem", counted)
    table.show_rows([row(n, 10 * n + (n == 7), current=n == 9) for n in range(1, 302)], "µm³")
    assert made == [(300, column) for column in range(5)]
    assert table.item(6, 2).text() == "71"
    assert table.item(8, 1).font().bold()
    assert not table.item(7, 1).font().bold()
    assert table.item(300, 1).text() == "Object 301"
    table.show_rows([row(4, 40)], "µm³")
    assert table.rowCount() == 1
    assert [table.item(0, c).text() for c in range(5)] == ["4", "Object 4", "40", "10", "1"]


def test_the_newest_prompt_is_in_sight(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.panel.view.drawing.auto_run.setChecked(False)
    for x in range(4, 20, 2):
        shown.client.add(Point((5, 6, x)))
    shown.panel.show()
    wait_until(lambda: shown.panel.view.prompts.list.count() == 8)
    bar = shown.panel.view.prompts.list.verticalScrollBar()
    assert bar.maximum() > 0
    assert bar.value() == bar.maximum()


def test_objects_of_an_image_with_channels_are_counted_once(windowless: Open) -> None:
    shown = windowless(np.stack([IMAGE] * 3), axis_labels=("c", "z", "y", "x"))
    shown.click((0, 5, 6, 7))
    before = {row.label: row.voxels for row in shown.client.objects()}
    assert before == {1: np.count_nonzero(shown.labels[0])}
    shown.reopen_panel()
    assert {row.label: row.voxels for row in shown.client.objects()} == before


def test_painting_by_hand_counts_in_all_channels(windowless: Open) -> None:
    shown = windowless(np.stack([IMAGE] * 3), axis_labels=("c", "z", "y", "x"))
    shown.click((0, 5, 6, 7))
    shown.panel.view.objects.next.click()
    shown.click((0, 5, 15, 15))
    before = shown.labels.copy()
    sizes = {row.label: row.voxels for row in shown.client.objects()}
    shown.paint_objects(2, [(1, 5, 6, 6), (1, 5, 6, 7), (1, 5, 6, 8)])
    assert (shown.labels == shown.labels[:1]).all()
    assert (shown.labels[0, 5, 6, 6:9] == 2).all()
    rows = {row.label: row.voxels for row in shown.client.objects()}
    assert rows == {n: np.count_nonzero(shown.labels[0] == n) for n in (1, 2)} != sizes
    shown.push(shown.panel.view.prompts.undo)
    assert np.array_equal(shown.labels, before)
    assert {row.label: row.voxels for row in shown.client.objects()} == sizes
