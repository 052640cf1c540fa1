"""What happens while it computes, and the panel's end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.mouse import click, spin, wait_until
from fixtures.oracles import raise_at
from fixtures.windows import Gate, drawn, oracle_workspace
from qtpy.QtCore import QCoreApplication, QEvent

from napari_nninteractive.core.prompts import Point
from napari_nninteractive.engine.estimate import Estimate

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)

Open = Callable[..., Any]


def start(shown: Any, gate: Gate) -> None:
    """Place a point, and wait until the network is at it."""
    shown.layers.points.layer.add([[5, 6, 7]])
    wait_until(gate.reached.is_set)


def test_a_click_made_while_it_computes_is_queued(window: Open) -> None:
    gate = Gate()
    shown = window(IMAGE, oracle_workspace(gate))
    shown.look_at((5, 6, 7))
    click(shown.viewer, shown.world((5, 6, 7)))
    wait_until(gate.reached.is_set)
    assert shown.panel.view.drawing.cancel.isEnabled()
    click(shown.viewer, shown.world((5, 16, 17)))
    assert shown.prompts == [Point((5, 6, 7)), Point((5, 16, 17))]
    gate.open.set()
    shown.wait()
    assert shown.labels[5, 6, 7] == 1
    assert shown.labels[5, 16, 17] == 1
    assert not shown.panel.view.drawing.cancel.isEnabled()


def test_cancel_keeps_the_prompt_for_run(windowless: Open) -> None:
    gate = Gate()
    shown = windowless(IMAGE, oracle_workspace(gate))
    start(shown, gate)
    shown.panel.view.drawing.cancel.click()
    gate.open.set()
    shown.wait()
    assert shown.voxels() == {}
    assert shown.prompts == [Point((5, 6, 7))]
    assert "kept" in shown.status
    shown.press("Q")
    assert shown.labels[5, 6, 7] == 1


def test_when_memory_runs_out_the_cpu_is_offered(windowless: Open) -> None:
    network = raise_at(1, torch.OutOfMemoryError("CUDA out of memory"), drawn)
    shown = windowless(IMAGE, oracle_workspace(network))
    shown.click((5, 6, 7))
    view = shown.panel.view
    assert "Not enough memory" in shown.error
    assert "your prompt is kept" in shown.error
    assert "choose CPU under “Compute on”" in shown.error
    assert view.drawing.action.text() == "Compute on the CPU"
    view.drawing.action.click()
    shown.wait()
    assert shown.error == ""
    assert view.source.device.name == "CPU"
    assert shown.client.choice.device == "cpu"
    assert shown.labels[5, 6, 7] == 1


def test_the_image_is_removed_while_it_computes(windowless: Open) -> None:
    gate = Gate()
    shown = windowless(IMAGE, oracle_workspace(gate))
    start(shown, gate)
    shown.viewer.layers.remove(shown.image)
    gate.open.set()
    shown.wait()
    assert "removed" in shown.error
    assert shown.panel.view.source.image.names == []
    assert not shown.panel.view.objects.next.isEnabled()


def test_closing_while_it_computes_frees_everything(window: Open) -> None:
    gate = Gate()
    shown = window(IMAGE, oracle_workspace(gate))
    start(shown, gate)
    parts = shown.panel.parts
    worker = parts.worker
    gone = [weakref.ref(x) for x in (parts, parts.client, parts.link, parts.worker)]
    gone.append(weakref.ref(shown.panel))
    points, labels = shown.layers.points.layer, shown.labels
    shown.viewer.window.remove_dock_widget(shown.panel)
    shown.panel.close_panel()
    shown.panel.deleteLater()
    shown.panel.close_panel()
    gate.open.set()
    assert worker.wait(30)
    # What deleteLater asked for: else only an event loop that returns does it.
    QCoreApplication.sendPostedEvents(shown.panel, QEvent.Type.DeferredDelete.value)
    assert not labels.any()
    assert len(points.data) == 1, "what the user drew stays"
    points.add([[5, 1, 1]])
    assert "G" not in {str(k) for k in points.keymap}
    del parts, worker
    shown.panel = None
    gc.collect()
    assert [ref() for ref in gone] == [None] * 5


def test_the_window_is_closed(make_napari_viewer: Any) -> None:
    from napari_nninteractive.plugin.panel import Panel

    viewer = make_napari_viewer()
    viewer.add_image(IMAGE)
    panel = Panel(viewer, oracle_workspace())
    parts = panel.parts
    viewer.window.add_dock_widget(panel)
    wait_until(lambda: not parts.client.busy)
    viewer.close()
    spin(50)
    assert parts.closed
    assert parts.worker.wait(30)


def test_opening_the_panel_again_goes_on_with_its_layers(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    layers = list(shown.viewer.layers)
    shown.reopen_panel()
    assert list(shown.viewer.layers) == layers
    assert shown.client.label == 2
    assert len(shown.layers.points.layer.data) == 0
    shown.click((5, 16, 17))
    assert shown.prompts == [Point((5, 16, 17))]
    assert shown.labels[5, 6, 7] == 1
    assert shown.labels[5, 16, 17] == 2
    assert [o.label for o in shown.client.objects()] == [1, 2]


def test_two_viewers_do_not_disturb_each_other(windowless: Open) -> None:
    first = windowless(IMAGE)
    second = windowless(IMAGE)
    second.click((5, 6, 7))
    assert first.prompts == []
    assert not first.labels.any()
    assert len(first.layers.points.layer.data) == 0
    second.panel.close_panel()
    first.click((5, 16, 17))
    assert first.labels[5, 16, 17] == 1


def test_two_images_have_layers_of_their_own(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    first = shown.layers
    other = shown.viewer.add_image(IMAGE + 1, name="other", scale=(2, 1, 1))
    view = shown.panel.view
    assert view.source.image.names == ["image", "other"]
    view.source.image.choose(other)
    shown.wait()
    assert shown.prompts == []
    assert shown.layers is not first
    assert not first.points.layer.visible
    view.source.image.choose(shown.image)
    shown.wait()
    assert shown.prompts == [Point((5, 6, 7))]
    assert shown.layers.points.layer is first.points.layer
    assert shown.layers.points.layer.visible


@pytest.mark.filterwarnings("error")
def test_through_the_public_proxy(make_napari_viewer_proxy: Any) -> None:
    from napari_nninteractive.plugin.panel import Panel

    viewer = make_napari_viewer_proxy()
    image = viewer.add_image(np.stack([IMAGE] * 2), axis_labels=("t", "z", "y", "x"))
    panel = Panel(viewer, oracle_workspace())
    client = panel.client
    wait_until(lambda: not client.busy)
    points = panel.link.layers.points.layer
    assert points.mode == "add"
    points.add([[0, 5, 6, 7]])
    wait_until(lambda: not client.busy)
    assert [m.prompt for m in client.placed] == [Point((5, 6, 7))]
    panel.view.drawing.tools["box"].click()
    viewer.dims.set_point(0, 1)
    wait_until(lambda: client.source.frame.index[0] == 1)
    panel.view.objects.next.click()
    viewer.layers.remove(image)
    wait_until(lambda: not client.busy)
    assert "removed" in panel.state.error
    panel.close_panel()
    assert panel.parts.worker.wait(30)


def test_layers_that_were_deleted_are_made_again(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.push(shown.panel.view.objects.next)
    shown.click((5, 16, 17))
    labels = shown.labels.copy()
    shown.panel.view.objects.list.renamed.emit(1, "first")
    for name in ("image: points", "image: objects"):
        shown.viewer.layers.remove(name)
    assert shown.client.placed, "the prompts are not lost with their layer"
    shown.choose("point")
    shown.wait()
    np.testing.assert_array_equal(shown.labels, labels)
    np.testing.assert_allclose(shown.layers.points.layer.data, [[5, 16, 17]], atol=0.3)
    shown.click((5, 18, 4))
    assert shown.labels[5, 18, 4] == 2


def test_the_data_of_the_image_are_replaced(windowless: Open) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.image.data = IMAGE + 1
    shown.wait()
    assert shown.prompts == [Point((5, 6, 7))]
    assert shown.labels[5, 6, 7] == 1
    assert shown.client.workspace.volume.data is shown.image.data
    shown.image.data = IMAGE[:, :20, :20]
    shown.wait()
    assert shown.prompts == []
    assert shown.labels.shape == (12, 20, 20)
    shown.click((5, 6, 7))
    assert shown.labels[5, 6, 7] == 1


def test_the_cost_is_said_before_the_first_prompt(windowless: Open) -> None:
    asked = []

    def cost(engine: Any) -> Estimate:
        asked.append(engine)
        return Estimate(2.0, 5 << 30, "cpu", "fp32")

    shown = windowless(IMAGE, oracle_workspace(estimate=cost))
    wait_until(lambda: shown.status.startswith("About 2 s and 5.0 GB for a prompt"))
    assert asked == [shown.client.workspace.engine]
