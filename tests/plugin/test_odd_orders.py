"""What users do in orders that nobody planned: nothing is lost, and what is shown is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.mouse import spin, wait_until
from fixtures.windows import Gate, oracle_workspace

from napari_nninteractive.core.frame import frame_of
from napari_nninteractive.core.prompts import Point
from napari_nninteractive.plugin.view import messages
from napari_nninteractive.plugin.view.state import Action, Kind, Message
from napari_nninteractive.workspace.values.placed import ImageSource

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)

Open = Callable[..., Any]


def test_an_object_of_another_channel_comes_back_with_its_prompts(windowless: Open) -> None:
    shown = windowless((np.stack([IMAGE] * 3, axis=-1) * 255).astype(np.uint8), rgb=True)
    assert shown.panel.view.source.channel.names[1:] == ["Red", "Green", "Blue"]
    shown.click((5, 6, 7))
    made = shown.voxels()
    shown.panel.view.source.channel.choose(1)
    shown.wait()
    shown.panel.view.objects.list.selectRow(0)
    shown.push(shown.panel.view.objects.edit)
    assert shown.client.source.frame.channel is None
    assert shown.panel.view.source.channel.value is None
    assert shown.prompts == [Point((5, 6, 7))]
    assert shown.voxels() == made


def test_an_object_of_another_time_comes_back_where_it_is(windowless: Open) -> None:
    shown = windowless(np.stack([IMAGE] * 3), axis_labels=("t", "z", "y", "x"))
    shown.click((2, 5, 6, 7))
    shown.viewer.dims.set_point(0, 0)
    wait_until(lambda: "time 0" in shown.state.fact)
    shown.panel.view.objects.list.selectRow(0)
    shown.push(shown.panel.view.objects.edit)
    assert shown.viewer.dims.point[0] == 2
    assert "time 2" in shown.state.fact
    assert shown.prompts == [Point((5, 6, 7))]


def test_painting_other_objects_is_undone(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.press("N")
    before = shown.labels.copy()
    shown.paint_objects(7, [(5, 6, 5), (5, 6, 7), (5, 6, 9)])
    after = shown.labels.copy()
    assert (after[5, 6, 5:10] == 7).all()
    shown.push(shown.panel.view.prompts.undo)
    np.testing.assert_array_equal(shown.labels, before)
    assert [o.label for o in shown.client.objects()] == [1]
    assert shown.client.objects()[0].voxels == np.count_nonzero(before == 1)
    shown.push(shown.panel.view.prompts.redo)
    np.testing.assert_array_equal(shown.labels, after)
    assert {o.label: o.voxels for o in shown.client.objects()} == shown.voxels()


def test_painting_takes_voxels_from_objects_beneath_too(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    first = shown.labels.copy()
    shown.press("N")
    shown.panel.view.objects.options["overwrite"].native.click()
    shown.click((5, 6, 8))
    shown.paint_objects(0, [(5, 6, 7)])
    assert shown.labels[5, 6, 7] == 0
    shown.push(shown.panel.view.objects.reset)
    assert shown.labels[5, 6, 7] == 0, "it was erased by hand"
    expected = first.copy()
    expected[5, 6, 7] = 0
    np.testing.assert_array_equal(shown.labels, expected)
    source = shown.client.source
    _, mask = shown.client.workspace.objects(source.image, source.frame)[1]
    assert np.count_nonzero(mask.mask) == np.count_nonzero(expected)
    for _ in range(3):
        shown.push(shown.panel.view.prompts.undo)
    np.testing.assert_array_equal(shown.labels, first)


def test_nothing_is_left_of_an_object_that_was_undone(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.push(shown.panel.view.prompts.undo)
    assert shown.panel.view.objects.list.rowCount() == 0
    shown.click((5, 6, 7))
    shown.press("N")
    shown.click((5, 16, 17))
    for _ in range(2):
        shown.panel.view.prompts.undo.click()
        shown.wait()
    assert [o.label for o in shown.client.objects()] == [1]
    shown.press("N")
    assert shown.client.label == 2


def test_the_prompt_chosen_in_the_list_is_flipped(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.click((5, 16, 17))
    view = shown.panel.view
    view.prompts.list.setCurrentRow(0)
    view.prompts.list.itemClicked.emit(view.prompts.list.item(0))
    view.prompts.flip.click()
    shown.wait()
    assert shown.prompts == [Point((5, 6, 7), False), Point((5, 16, 17))]


def test_a_mask_has_no_sign_to_flip(windowless: Open) -> None:
    shown = windowless(IMAGE)
    mask = np.zeros(IMAGE.shape, np.uint8)
    mask[3:6, 4:8, 4:8] = 1
    shown.viewer.add_labels(mask).selected_label = 1
    view = shown.panel.view
    view.objects.start.click()
    shown.wait()
    view.prompts.list.setCurrentRow(0)
    view.prompts.flip.click()
    shown.wait()
    assert "have a sign" in shown.error
    assert view.prompts.list.count() == 1


def test_the_voxels_of_the_image_change(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.image.scale = (4, 1, 1)
    shown.image.units = ("um",) * 3
    shown.wait()
    assert shown.layers.objects.layer.scale.tolist() == [4, 1, 1]
    assert shown.layers.points.layer.units == shown.image.units
    assert "4 × 1 × 1 µm" in shown.state.fact
    (row,) = shown.client.objects()
    assert row.volume == row.voxels * 4
    shown.click((7, 16, 17))
    assert shown.prompts == [Point((5, 6, 7)), Point((7, 16, 17))]


class Press:
    """A press of the mouse in a slice."""

    dims_displayed = (1, 2)

    def __init__(self, layer: Any, voxel: Any) -> None:
        self.position = layer.data_to_world(voxel)


def test_an_object_is_written_during_a_stroke(windowless: Open) -> None:
    gate = Gate()
    shown = windowless(IMAGE, oracle_workspace(gate))
    shown.layers.points.layer.add([[5, 6, 7]])
    wait_until(gate.reached.is_set)
    layer = shown.layers.objects.layer
    with layer.block_history():
        for pressed in layer.mouse_drag_callbacks:
            pressed(layer, Press(layer, (5, 6, 7)))
        layer.paint((5, 6, 7), 9)
        gate.open.set()
        shown.wait()
        layer.paint((5, 6, 8), 9)
    shown.wait()
    assert {o.label: o.voxels for o in shown.client.objects() if o.voxels} == shown.voxels()


def test_no_prompts_in_3d_and_the_tool_is_armed_after_it(window: Open) -> None:
    shown = window(IMAGE)
    shown.viewer.dims.ndisplay = 3
    spin(50)
    shown.layers.points.layer.add([[5, 6, 7]])
    shown.wait()
    assert shown.prompts == []
    assert "2D view" in shown.error
    shown.viewer.dims.ndisplay = 2
    spin(50)
    assert shown.layers.points.layer.mode == "add"
    shown.click((5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]


def test_only_what_is_not_the_object_is_no_object(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.choose("point", positive=False)
    shown.click((5, 6, 7))
    assert shown.voxels() == {}
    assert "mark the object too" in shown.error
    shown.choose("point")
    shown.click((5, 16, 17))
    assert shown.labels[5, 16, 17] == 1
    assert shown.labels[5, 6, 7] == 0


def test_a_model_that_cannot_be_loaded_is_given_back(windowless: Open) -> None:
    shown = windowless(IMAGE, oracle_workspace(only="builtin"))
    shown.click((5, 6, 7))
    shown.panel.parts.models.choose_folder("/nowhere")
    shown.wait()
    assert "choose another" in shown.error
    assert shown.panel.view.source.model.value == "builtin"
    shown.click((5, 16, 17))
    assert shown.labels[5, 16, 17] == 1


def test_the_probability_is_cleared_and_hidden(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.panel.view.objects.options["probability"].native.click()
    shown.click((5, 6, 7))
    layer = shown.viewer.layers["image: probability"]
    assert layer.data.any()
    shown.push(shown.panel.view.prompts.undo)
    assert not layer.data.any()
    shown.panel.view.objects.options["probability"].native.click()
    assert not layer.visible


def test_new_and_renamed_images_are_in_the_list(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.image.name = "other name"
    assert shown.panel.view.source.image.name == "other name"
    shown.layers.points.layer.mode = "pan_zoom"
    shown.viewer.layers.remove(shown.image)
    shown.wait()
    assert "was removed" in shown.error
    shown.viewer.add_image(IMAGE, name="new")
    shown.wait()
    assert shown.panel.view.source.image.name == "new"
    assert shown.client.source is not None


def test_a_2d_image_has_areas_and_no_slices(windowless: Open) -> None:
    shown = windowless(IMAGE[5], units=("um",) * 2)
    shown.click((6, 7))
    view = shown.panel.view
    assert view.objects.list.horizontalHeaderItem(3).text() == "µm²"
    assert view.prompts.list.item(0).text() == "+ Point"


@pytest.mark.parametrize(
    ("labels", "said"),
    [(("t", "z", "y", "x"), "time 1"), (("angle", "z", "y", "x"), "angle 1"), ((), "time 1")],
)
def test_other_axes_are_named(labels: tuple[str, ...], said: str) -> None:
    frame = frame_of((3, 4, 5, 6), position=(1, 0, 0, 0))
    source = ImageSource("k", np.zeros((3, 4, 5, 6)), frame)
    assert messages.image_fact(source, "px", labels).endswith(said)


def test_long_messages_do_not_grow_the_panel(window: Open) -> None:
    shown = window((np.stack([IMAGE] * 3, axis=-1) * 255).astype(np.uint8), rgb=True)
    view = shown.panel.view
    for offer in (
        "",
        "Something was kept after napari had ended before its time, to be recovered.",
    ):
        text = "Something is wrong, and this is what to do about it. " * 8
        message = Message(Kind.PROBLEM, text, Action("Do it", print))
        view.show_state(replace(shown.state, offer=offer, message=message))
        spin(20)
        hint = view.minimumSizeHint()
        assert hint.width() <= 320
        assert hint.height() <= 900
    text = "The point at (5, 500, 500) lies outside the image of shape (64, 128, 128)."
    view.show_state(replace(shown.state, message=Message(Kind.PROBLEM, text)))
    spin(50)
    assert view.drawing.message.verticalScrollBar().maximum() == 0, "usual messages are seen whole"
