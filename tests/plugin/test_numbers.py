"""Numbers of objects in the layer: their labels, or numbers of the user's that several may share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fixtures.mouse import wait_until
from napari.layers import Image

from napari_nninteractive.core.prompts import BoxPrompt, Point
from napari_nninteractive.plugin.layers.objects import ObjectsLayer
from napari_nninteractive.workspace.labels.numbers import difference
from napari_nninteractive.workspace.values.placed import Stroke

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)

Open = Callable[..., Any]


class PaintListener:
    """Notes what it is told; voxels painted with a number go to object 2."""

    def __init__(self) -> None:
        self.strokes: list[Stroke] = []
        self.recounts = 0
        self.seen: list[int] = []

    def painted(self, stroke: Stroke) -> None:
        self.strokes.append(stroke)

    def recount(self) -> None:
        self.recounts += 1

    def select_object(self, label: int) -> None:
        self.seen.append(label)

    def owner(self, number: int) -> int:
        return 2 if number else 0


def result(listener: PaintListener) -> ObjectsLayer:
    made = ObjectsLayer(
        ObjectsLayer.make(Image(np.zeros((4, 5, 6)), name="i"), (4, 5, 6)), listener
    )
    labels = made.labels.array
    labels[1, 1, 1:3], labels[1, 1, 3:5] = 1, 2
    return made


def show(made: ObjectsLayer, numbers: dict[int, int]) -> None:
    made.labels.numbers = dict(numbers)
    compute, then = made.renumber()
    then(compute())


def test_the_layer_shows_numbers_and_keeps_labels() -> None:
    made = result(PaintListener())
    show(made, {2: 1})
    assert made.layer.data[1, 1].tolist() == [0, 1, 1, 1, 1, 0]
    assert made.labels.array[1, 1].tolist() == [0, 1, 1, 2, 2, 0]
    assert made.count() == {1: 2, 2: 2}
    made.labels.array[1, 1, 0] = 3
    made.labels.numbers[3] = 300
    made.redraw([(slice(1, 2), slice(1, 2), slice(0, 6))])
    assert made.layer.data[1, 1].tolist() == [300, 1, 1, 1, 1, 0]
    again = ObjectsLayer(made.layer, PaintListener())  # as a panel that is opened later
    assert again.labels.numbers == {2: 1, 3: 300}
    assert again.labels.array[1, 1].tolist() == [3, 1, 1, 2, 2, 0]
    show(made, {})
    assert made.layer.data[1, 1].tolist() == [3, 1, 1, 2, 2, 0]
    assert made.labels.numbers == {}
    assert ObjectsLayer(made.layer, PaintListener()).labels.numbers == {}


def test_what_is_written_while_numbers_are_computed_is_not_lost() -> None:
    made = result(PaintListener())
    made.labels.numbers = {2: 1}
    compute, then = made.renumber()
    shown = compute()
    made.labels.array[0, 0, 0] = 2
    made.redraw([(slice(0, 1), slice(0, 1), slice(0, 1))])
    then(shown)
    assert made.layer.data[0, 0, 0] == 1
    assert made.labels.array[0, 0, 0] == 2


def test_strokes_of_numbers_become_strokes_of_labels() -> None:
    listener = PaintListener()
    made = result(listener)
    show(made, {2: 1})
    made.layer.brush_size = 1
    for voxel, number in (((1, 3, 3), 1), ((1, 1, 1), 0)):
        with made.layer.block_history():  # as a stroke of the mouse: told when it is finished
            made.layer.paint(voxel, number)
    assert made.labels.array[1, 3, 3] == 2
    assert made.labels.array[1, 1].tolist() == [0, 0, 1, 2, 2, 0]
    assert [difference(s.old, s.new) for s in listener.strokes] == [{2: 1}, {1: -1}]
    assert [s.new.ravel().tolist() for s in listener.strokes] == [[2], [0]]


def test_a_class_of_objects(windowless: Open, tmp_path: Path) -> None:
    shown = windowless(IMAGE)
    view = shown.panel.view
    view.objects.options["same_number"].native.click()
    shown.choose("box")
    shown.drag([(5, 3.6, 3.6), (5, 6, 6), (5, 9.4, 9.4)])
    shown.press("N")
    shown.drag([(5, 3.6, 6.6), (5, 6, 9), (5, 9.4, 13.4)])
    assert shown.voxels() == {1: 60}, "one number for both"
    assert [o.voxels for o in shown.client.objects()] == [36, 24]
    assert [view.objects.list.item(row, 0).text() for row in (0, 1)] == ["1", "1"]

    shown.panel.parts.files.save(str(tmp_path / "work.nni.json"))
    shown.wait()
    view.prompts.undo.click()
    shown.wait()
    assert shown.voxels() == {1: 36}, "the first keeps what both cover"
    view.prompts.redo.click()
    shown.wait()

    view.objects.list.item(1, 0).setText("2")
    shown.wait()
    assert shown.voxels() == {1: 36, 2: 24}
    view.objects.list.item(1, 0).setText("none")
    assert "is no number" in shown.error
    assert view.objects.list.item(1, 0).text() == "2"
    view.objects.list.item(0, 0).setText("0")
    assert "from 1 to" in shown.error

    for label in (1, 2):
        shown.client.delete_object(label)
    shown.wait()
    assert shown.voxels() == {}
    shown.panel.parts.files.open(str(tmp_path / "work.nni.json"))
    wait_until(lambda: not shown.client.busy and "open" in shown.status)
    shown.wait()
    assert shown.voxels() == {1: 60}


def test_an_object_is_picked_and_painted_by_its_number(window: Open) -> None:
    shown = window(IMAGE)
    shown.choose("box")
    shown.drag([(5, 3.6, 3.6), (5, 6, 6), (5, 7.4, 7.4)])
    shown.press("N")
    shown.drag([(5, 13.6, 13.6), (5, 16, 16), (5, 19.4, 19.4)])
    layer = shown.layers.objects.layer
    assert layer.selected_label == 2
    shown.viewer.layers.selection.active = layer
    layer.mode = "pick"
    shown.click((5, 5, 5))
    assert shown.client.label == 1
    assert shown.prompts == [BoxPrompt((5, 4, 4), (6, 8, 8))]
    assert layer.selected_label == 1
    shown.click((5, 22, 5))  # nothing is there
    assert shown.client.label == 1

    shown.panel.view.objects.list.item(1, 0).setText("1")
    shown.wait()
    assert layer.selected_label == 0  # as napari picked it
    shown.paint_objects(1, [(5, 10, 10), (5, 10, 11), (5, 10, 12)])
    assert [o.voxels for o in shown.client.objects()] == [19, 36]
    layer.mode = "pick"
    shown.click((5, 16, 16))
    assert shown.client.label == 2, "the object under the cursor, of those with this number"


def test_prompts_of_a_class_are_apart(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.panel.view.objects.options["same_number"].native.click()
    shown.click((5, 6, 7))
    shown.press("N")
    shown.click((5, 16, 17))
    assert shown.prompts == [Point((5, 16, 17))]
    shown.panel.view.objects.list.selectRow(0)
    shown.push(shown.panel.view.objects.edit)
    assert shown.prompts == [Point((5, 6, 7))]
    assert set(shown.voxels()) == {1}
