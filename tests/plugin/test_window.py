"""The panel in a window, with real mouse and key events."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.mouse import drag, spin, wait_until

from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point, Scribble
from napari_nninteractive.plugin.view.state import Kind, Message
from napari_nninteractive.simulation.images.samples import nuclei
from napari_nninteractive.simulation.users.next_prompt import centre_point
from napari_nninteractive.workspace.workspace import Workspace

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)

Open = Callable[..., Any]


def dice(a: Any, b: Any) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def square(z: float, low: float, high: float) -> list[tuple[float, float, float]]:
    """Path along a square, in (z, y, x)."""
    sides = [(low, low), (low, high), (high, high), (high, low), (low, low)]
    path = []
    for (a, b), (c, d) in itertools.pairwise(sides):
        path += [(z, a + (c - a) * t, b + (d - b) * t) for t in (0, 0.25, 0.5, 0.75)]
    return path


@pytest.fixture(scope="module")
def sample() -> Any:
    made = nuclei((32, 96, 96))
    label = made.inner_object()
    return made, label, made.labels == label


def test_the_first_click_gives_an_object(window: Open, sample: Any) -> None:
    made, _, truth = sample
    shown = window(made.image, Workspace(), scale=made.spacing, units=("um",) * 3)
    shown.click(centre_point(truth).position)
    assert shown.error == ""
    assert dice(shown.labels == 1, truth) >= 0.8
    assert "1 pass" in shown.status
    assert shown.panel.view.objects.list.item(0, 2).text() == str(np.count_nonzero(shown.labels))


@pytest.mark.parametrize("tool", ["box", "scribble", "lasso"])
def test_other_tools_give_an_object(window: Open, sample: Any, tool: str) -> None:
    made, _, truth = sample
    shown = window(made.image, Workspace(), scale=made.spacing)
    z = centre_point(truth).position[0]
    rows, columns = np.nonzero(truth[z])
    low, high = (rows.min(), columns.min()), (rows.max(), columns.max())
    middle, half = (np.add(low, high) / 2), (np.subtract(high, low) / 2)
    shown.choose(tool)
    if tool == "box":
        shown.drag([(z, *low), (z, *middle), (z, *high)])
    elif tool == "scribble":
        shown.drag([(z, middle[0], middle[1] + half[1] * t) for t in (-0.5, -0.2, 0.2, 0.5)])
    else:
        angles = np.linspace(0, 2 * np.pi, 16)
        shown.drag([(z, *(middle + half * (np.cos(a), np.sin(a)))) for a in angles])
    assert shown.error == ""
    assert len(shown.prompts) == 1
    assert dice(shown.labels == 1, truth) >= 0.8


def test_each_tool_makes_its_prompt(window: Open) -> None:
    shown = window(IMAGE)
    shown.click((5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]
    shown.choose("box", positive=False)
    shown.drag([(3, 3.6, 4.6), (3, 6, 6), (3, 9.4, 10.4)])
    assert shown.prompts[1] == BoxPrompt((3, 4, 5), (4, 10, 11), False)
    shown.choose("scribble")
    shown.layers.scribbles.layer.brush_size = 1
    shown.drag([(8, 5, 5), (8, 5, 8), (8, 5, 11)])
    assert isinstance(shown.prompts[2], Scribble)
    assert shown.prompts[2].bounds.start == (8, 5, 5)
    assert shown.prompts[2].bounds.shape == (1, 1, 7)
    shown.choose("lasso")
    shown.drag(square(9, 12.6, 18.4))
    lasso = shown.prompts[3]
    assert isinstance(lasso, Lasso)
    assert lasso.bounds.start == (9, 13, 13)
    assert lasso.bounds.shape == (1, 6, 6)
    assert [m.positive for m in shown.prompts] == [True, False, True, True]
    assert shown.panel.view.prompts.list.count() == 4


def test_a_negative_prompt_takes_something_away(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.choose("box")
    shown.drag([(5, 3.6, 3.6), (5, 8, 8), (5, 15.4, 15.4)])
    before = shown.voxels()[1]
    assert before == 144
    shown.press("G")
    shown.press("W")
    shown.click((5, 9, 9))
    assert shown.prompts[1] == Point((5, 9, 9), False)
    assert 0 < shown.voxels()[1] < before
    assert shown.labels[5, 9, 9] == 0
    layer = shown.layers.points.layer
    assert layer.features["polarity"].tolist() == ["−"]
    assert str(layer.symbol[0]) == "x"


def test_the_right_button_draws_nothing(window: Open) -> None:
    shown = window(IMAGE)
    shown.click((5, 6, 7), button=2)
    assert shown.prompts == []
    assert len(shown.layers.points.layer.data) == 0
    shown.click((5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]


def test_a_hidden_layer_says_that_clicks_draw_nothing(window: Open) -> None:
    shown = window(IMAGE)
    shown.layers.points.layer.visible = False
    shown.click((5, 6, 7))
    assert shown.prompts == []
    assert "press a tool" in shown.status
    shown.panel.view.drawing.tools["point"].click()
    shown.click((5, 6, 7))
    assert len(shown.prompts) == 1


def test_undo_and_redo_by_key_are_in_step_with_the_layers(window: Open) -> None:
    shown = window(IMAGE)
    shown.click((5, 6, 7))
    shown.choose("box")
    shown.drag([(3, 3.6, 4.6), (3, 6, 6), (3, 9.4, 10.4)])
    shown.choose("scribble")
    shown.drag([(8, 5, 5), (8, 5, 8), (8, 5, 11)])
    prompts, voxels = shown.prompts, shown.voxels()
    layers = (shown.layers.points.layer, shown.layers.shapes.layer)
    strokes = shown.layers.scribbles.layer.data
    for left in (2, 1, 0):
        shown.press("U")
        assert shown.prompts == prompts[:left]
        assert [len(layer.data) for layer in layers] == [int(left > 0), int(left > 1)]
        assert strokes.any() == (left > 2)
    assert shown.voxels() == {}
    for _ in range(3):
        shown.press("U", shift=True)
    assert shown.prompts == prompts
    assert shown.voxels() == voxels
    assert [len(layer.data) for layer in layers] == [1, 1]
    assert strokes.any()


def test_moving_and_deleting_a_point_with_naparis_tools(window: Open) -> None:
    shown = window(IMAGE)
    shown.click((5, 6, 7))
    layer = shown.layers.points.layer
    layer.mode = "select"
    drag(shown.viewer, [(5, 6, 7), (5, 9, 10), (5, 14, 15)])
    shown.wait()
    assert shown.prompts == [Point((5, 14, 15))]
    assert shown.labels[5, 14, 15] == 1
    assert shown.labels[5, 6, 7] == 0
    layer.selected_data = {0}
    layer.remove_selected()
    shown.wait()
    assert shown.prompts == []
    assert shown.voxels() == {}
    shown.panel.view.prompts.undo.click()
    shown.wait()
    assert shown.prompts == [Point((5, 14, 15))]
    np.testing.assert_allclose(layer.data, [[5, 14, 15]], atol=0.3)


def test_moving_a_box_with_naparis_tools(window: Open) -> None:
    shown = window(IMAGE)
    shown.choose("box")
    shown.drag([(3, 3.6, 4.6), (3, 6, 6), (3, 9.4, 10.4)])
    shown.layers.shapes.layer.mode = "select"
    drag(shown.viewer, [(3, 3.6, 6), (3, 3.6, 6)])
    drag(shown.viewer, [(3, 6, 7), (3, 8, 9), (3, 11, 12)])
    shown.wait()
    assert shown.prompts == [BoxPrompt((3, 9, 10), (4, 15, 16))]
    assert shown.voxels() == {1: 36}


def test_erasing_part_of_a_scribble(window: Open) -> None:
    shown = window(IMAGE)
    shown.choose("scribble")
    layer = shown.layers.scribbles.layer
    layer.brush_size = 1
    shown.drag([(8, 5, 5), (8, 5, 8), (8, 5, 11)])
    shown.drag([(8, 9, 5), (8, 9, 8), (8, 9, 11)])
    assert len(np.unique(layer.data[layer.data != 0])) == 2
    layer.mode = "erase"
    drag(shown.viewer, [(8, 5, 5), (8, 5, 6), (8, 5, 7)])
    shown.wait()
    assert [p.bounds.shape for p in shown.prompts] == [(1, 1, 4), (1, 1, 7)]
    assert not shown.labels[8, 5, 5:8].any()
    drag(shown.viewer, [(8, 5, 8), (8, 5, 10), (8, 5, 11)])
    shown.wait()
    assert [p.bounds.shape for p in shown.prompts] == [(1, 1, 7)]
    shown.panel.view.prompts.undo.click()
    shown.wait()
    assert (layer.data[8, 5] != 0).sum() == 4


def test_flipping_the_selected(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.click((5, 16, 17))
    layer = shown.layers.points.layer
    layer.mode = "select"
    layer.selected_data = {1}
    shown.push(shown.panel.view.prompts.flip)
    assert shown.prompts == [Point((5, 6, 7)), Point((5, 16, 17), False)]
    assert layer.features["polarity"].tolist() == ["+", "−"]
    assert not np.allclose(layer.face_color[0], layer.face_color[1])
    assert shown.labels[5, 16, 17] == 0


def test_the_list_goes_to_a_prompt_and_deletes_it(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.click((9, 16, 17))
    prompts = shown.panel.view.prompts.list
    assert [prompts.item(i).text() for i in range(2)] == ["+ Point, z 5", "+ Point, z 9"]
    prompts.setCurrentRow(0)
    prompts.itemClicked.emit(prompts.item(0))
    assert shown.viewer.dims.point[0] == 5
    shown.push(shown.panel.view.prompts.delete)
    assert shown.prompts == [Point((9, 16, 17))]
    assert len(shown.layers.points.layer.data) == 1


def test_next_object_keeps_the_first_and_their_border(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.choose("box")
    shown.drag([(5, 3.6, 3.6), (5, 6, 6), (5, 9.4, 9.4)])
    shown.press("N")
    assert shown.panel.view.prompts.list.count() == 0
    assert len(shown.layers.shapes.layer.data) == 0
    first = shown.labels == 1
    shown.drag([(5, 3.6, 6.6), (5, 6, 9), (5, 9.4, 13.4)])
    np.testing.assert_array_equal(shown.labels == 1, first)
    assert shown.voxels() == {1: 36, 2: 24}
    view = shown.panel.view
    assert view.objects.list.rowCount() == 2
    view.objects.list.selectRow(0)
    view.objects.edit.click()
    shown.wait()
    assert shown.prompts == [BoxPrompt((5, 4, 4), (6, 10, 10))]
    assert len(shown.layers.shapes.layer.data) == 1


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_other_planes(window: Open, order: tuple[int, int, int]) -> None:
    shown = window(IMAGE, scale=(2.0, 1.0, 1.0))
    shown.viewer.dims.order = order
    spin(50)
    shown.viewer.reset_view()
    spin(20)
    shown.click((5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]
    low, high = np.array([2.6, 3.6, 4.6]), np.array([6.4, 9.4, 10.4])
    low[order[0]] = high[order[0]] = 8
    shown.choose("box")
    shown.drag([low, (low + high) / 2, high])
    start, stop = np.array([3, 4, 5]), np.array([7, 10, 11])
    start[order[0]], stop[order[0]] = 8, 9
    assert shown.prompts[1] == BoxPrompt(tuple(start), tuple(stop))
    shown.choose("scribble")
    shown.drag([low, (low + high) / 2, high])
    assert shown.prompts[2].bounds.shape[order[0]] == 1
    assert shown.error == ""


def test_a_rotated_and_anisotropic_layer(window: Open) -> None:
    shown = window(IMAGE, scale=(3, 1, 0.5), rotate=(0, 0, 30), translate=(5, -3, 8))
    shown.click((5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]
    assert shown.labels[5, 6, 7] == 1
    result = shown.layers.objects.layer
    np.testing.assert_allclose(result.data_to_world((5, 6, 7)), shown.world((5, 6, 7)))
    assert shown.client.source.spacing == pytest.approx((3, 1, 0.5))


def test_a_2d_image(window: Open) -> None:
    shown = window(IMAGE[0])
    shown.click((6, 7))
    shown.choose("box")
    shown.drag([(3.6, 4.6), (6, 6), (9.4, 10.4)])
    assert shown.prompts == [Point((0, 6, 7)), BoxPrompt((0, 4, 5), (1, 10, 11))]
    assert shown.labels.shape == (24, 24)
    assert shown.labels[5, 6] == 1


def test_an_rgb_image(windowless: Open) -> None:
    rgb = (np.random.default_rng(0).random((24, 24, 3)) * 255).astype(np.uint8)
    shown = windowless(rgb, rgb=True)
    assert not shown.panel.view.source.channel.native.isHidden()
    assert len(shown.panel.view.source.channel.names) == 4
    shown.click((6, 7))
    assert shown.labels[6, 7] == 1
    shown.panel.view.source.channel.choose(1)
    shown.wait()
    assert shown.client.source.frame.channel == 1
    shown.click((16, 17))
    assert shown.labels[16, 17] == 2


def test_a_stack_at_time_two(windowless: Open) -> None:
    image = np.stack([IMAGE + t for t in range(3)])
    shown = windowless(image, axis_labels=("t", "z", "y", "x"))
    shown.click((2, 5, 6, 7))
    assert shown.prompts == [Point((5, 6, 7))]
    assert np.flatnonzero(shown.labels.any((1, 2, 3))).tolist() == [2]
    assert "time 2" in shown.state.fact


def test_the_panel_follows_the_time_that_is_shown(windowless: Open) -> None:
    shown = windowless(np.stack([IMAGE] * 3), axis_labels=("t", "z", "y", "x"))
    shown.viewer.dims.set_point(0, 0)
    wait_until(lambda: "time 0" in shown.state.fact)
    assert shown.client.source.frame.holds((0, 0, 0, 0))


def test_a_lazy_image(windowless: Open) -> None:
    dask = pytest.importorskip("dask.array")
    shown = windowless(dask.from_array(IMAGE, chunks=8))
    shown.click((5, 6, 7))
    assert shown.labels[5, 6, 7] == 1


def test_what_is_painted_into_the_result_is_kept(window: Open) -> None:
    shown = window(IMAGE)
    shown.click((5, 6, 7))
    shown.paint_objects(1, [(5, 15, 15), (5, 15, 17), (5, 15, 19)])
    assert (shown.labels[5, 15, 15:20] == 1).all()
    shown.choose("point")
    shown.click((5, 10, 10))
    assert (shown.labels[5, 15, 15:20] == 1).all()
    shown.panel.view.prompts.undo.click()
    shown.panel.view.prompts.undo.click()
    shown.wait()
    assert not shown.labels[5, 15].any()
    assert shown.labels[5, 6, 7] == 1


def test_starting_from_a_mask(windowless: Open) -> None:
    shown = windowless(IMAGE)
    mask = np.zeros(IMAGE.shape, np.uint16)
    mask[3:6, 4:8, 4:8] = 7
    shown.viewer.add_labels(mask, name="cellpose").selected_label = 7
    shown.push(shown.panel.view.objects.start)
    np.testing.assert_array_equal(shown.labels == 1, mask == 7)


def test_a_prompt_outside_is_said_and_vanishes(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.layers.points.layer.add([[5, 40, 40]])
    shown.wait()
    assert "outside the image" in shown.error
    assert len(shown.layers.points.layer.data) == 1
    shown.click((5, 8, 8))
    assert shown.error == ""


def test_a_constant_image_is_said(windowless: Open) -> None:
    shown = windowless(np.ones((8, 16, 16), np.uint8))
    assert "constant" in shown.error.lower()


def test_the_panel_fits(window: Open) -> None:
    shown = window(IMAGE)
    text = "Something is wrong, and this is what to do about it. " * 2
    shown.panel.view.show_state(replace(shown.state, message=Message(Kind.PROBLEM, text)))
    spin(20)
    hint = shown.panel.view.minimumSizeHint()
    assert hint.width() <= 320
    assert hint.height() <= 900
