"""Layers without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from napari.utils.colormaps.standardize_color import transform_color

from napari_nninteractive.core.frame import frame_of
from napari_nninteractive.core.prompts import Scribble
from napari_nninteractive.plugin.layers.layer_set import LayerSet
from napari_nninteractive.plugin.layers.objects import ObjectsLayer
from napari_nninteractive.plugin.layers.paint_events import compare, read_stroke
from napari_nninteractive.plugin.layers.prompts import PointPrompts, ShapePrompts
from napari_nninteractive.plugin.layers.scribbles import ScribblePrompts
from napari_nninteractive.plugin.layers.style import SYMBOLS, SignColours, role_of
from napari_nninteractive.workspace.values.placed import PlacedPrompt

IMAGE = Image(
    np.zeros((4, 5, 6)),
    scale=(3, 1, 0.5),
    translate=(1, 2, 3),
    rotate=(0, 0, 20),
    units=("um",) * 3,
    axis_labels=("z", "y", "x"),
)


@pytest.mark.parametrize(
    "layer",
    [
        PointPrompts.make(IMAGE, 3, 6),
        ShapePrompts.make(IMAGE, 3, 6),
        ScribblePrompts.make(IMAGE, (4, 5, 6), 6),
        ObjectsLayer.make(IMAGE, (4, 5, 6)),
    ],
    ids=lambda layer: layer.name,
)
def test_our_layers_lie_on_the_image_and_are_known(layer: Any) -> None:
    for voxel in ((0, 0, 0), (3, 2, 5)):
        np.testing.assert_allclose(layer.data_to_world(voxel), IMAGE.data_to_world(voxel))
    assert layer.units == IMAGE.units
    assert layer.axis_labels == IMAGE.axis_labels
    assert role_of(layer, IMAGE) in ("points", "shapes", "scribbles", "objects")
    assert role_of(layer, Image(np.zeros((4, 5, 6)))) is None


@pytest.mark.parametrize(("label", "dtype"), [(255, "u1"), (256, "u2"), (65536, "u4")])
def test_the_result_grows_with_its_labels(label: int, dtype: str) -> None:
    result = ObjectsLayer(ObjectsLayer.make(IMAGE, (4, 5, 6)), lambda *_: None)
    result.labels.array[1, 2, 3] = 7
    result.labels.reserve(label)
    result.redraw([])
    assert result.labels.array.dtype == dtype
    assert result.labels.array[1, 2, 3] == 7
    assert result.layer.data is result.labels.array
    assert result.count() == {7: 1}


def test_a_stroke_is_read_from_napari() -> None:
    layer = Labels(np.zeros((4, 8, 8), np.uint8))
    layer.data[1, 3, 3] = 5
    seen: list[Any] = []
    layer.events.paint.connect(lambda event: seen.append(event.value))
    layer.brush_size = 1
    layer.paint((1, 3, 2), 2)
    layer.data_setitem((np.array([1, 1]), np.array([3, 3]), np.array([3, 4])), 2)
    strokes = [read_stroke(value, layer.data) for value in seen]
    assert [s.start for s in strokes] == [(1, 3, 2), (1, 3, 3)]
    assert strokes[0].touched.sum() == 1
    assert strokes[1].old.ravel().tolist() == [5, 0]
    assert strokes[1].new.ravel().tolist() == [2, 2]


def test_pieces_of_a_stroke_that_overlap() -> None:
    data = np.zeros((4, 4), int)
    data[1, 1:4] = 3
    pieces = [
        ((np.array([1, 1]), np.array([1, 2])), np.array([7, 0]), 3),
        ((np.array([1, 1]), np.array([2, 3])), np.array([3, 3]), 3),
    ]
    stroke = read_stroke(pieces, data)
    assert stroke.start == (1, 1)
    assert stroke.old.tolist() == [[7, 0, 3]], "what was there first counts"
    assert stroke.touched.tolist() == [[True, True, False]]


def test_what_happened_to_rows() -> None:
    known = {1: np.array([0.0, 0]), 2: np.array([1.0, 1]), 3: np.array([2.0, 2])}
    rows = [np.array([0.0, 0]), np.array([1.0, 5]), np.array([9.0, 9]), np.array([0.0, 0])]
    assert compare(known, [1, 2, -1, 1], rows) == ([2, 3], [1], [3])


COLOURS = SignColours()


class Drawings:
    """Takes what is drawn, and gives each its number."""

    def __init__(self) -> None:
        self.signs: list[bool] = []

    def add(self, drawing: Any) -> int:
        self.signs.append(drawing.positive)
        return len(self.signs)

    def move(self, uid: int, drawing: Any) -> bool:
        return True

    def remove(self, uid: int) -> None:
        pass


@pytest.fixture
def drawn_in() -> Any:
    """A viewer without a window, the layers of an image in it, and who is told of the drawings."""
    viewer, told = ViewerModel(), Drawings()
    image = viewer.add_image(np.zeros((4, 16, 16)))
    layers = LayerSet(viewer, image, frame_of((4, 16, 16)), told, told, {}, COLOURS)
    yield viewer, layers, told
    layers.close()


def stroke(layer: Any, voxel: Any, number: int | None = None) -> None:
    with layer.block_history():
        layer.paint(voxel, layer.selected_label if number is None else number)


def test_tools_and_signs_build_no_colormap(drawn_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, layers, told = drawn_in
    layer = layers.scribbles.layer
    built: list[Any] = []
    layer.events.colormap.connect(built.append)
    for kind in (CyclicLabelColormap, DirectLabelColormap):
        make = kind.__init__
        monkeypatch.setattr(
            kind, "__init__", lambda self, *a, make=make, **k: built.append(make(self, *a, **k))
        )
    layer.brush_size = 1
    for positive in (True, False, True, True):
        for tool in ("point", "box", "lasso", "scribble"):
            layers.arm(tool, positive=positive)
        stroke(layer, (1, len(told.signs), 3))
    assert told.signs == [True, False, True, True]
    assert built == []
    seen = [layer.colormap.map(layer.data[1, y, 3]) for y in range(4)]
    for colour, positive in zip(seen, told.signs, strict=True):
        np.testing.assert_allclose(colour, transform_color(COLOURS.of(positive))[0], atol=1e-6)


def test_a_layer_that_the_user_goes_to_has_the_sign_of_the_panel(drawn_in: Any) -> None:
    _, layers, told = drawn_in
    layers.arm("box", positive=False)
    layers.set_sign(layers.points.layer, positive=False)
    layers.points.layer.add([[1, 2, 3]])
    assert told.signs == [False]
    assert str(layers.points.layer.current_symbol) == SYMBOLS[False]


def test_a_stroke_with_another_number_has_the_sign_that_is_armed(drawn_in: Any) -> None:
    _, layers, told = drawn_in
    layers.arm("scribble", positive=False)
    layer = layers.scribbles.layer
    layer.brush_size = 1
    stroke(layer, (1, 2, 3), 7)
    assert told.signs == [False]
    assert layer.data[1, 2, 3] % 2 == 0
    assert np.count_nonzero(layer.data) == 1


def test_flipping_a_scribble_shows_its_other_sign(drawn_in: Any) -> None:
    _, layers, _ = drawn_in
    layers.arm("scribble", positive=True)
    layer, frame = layers.scribbles.layer, frame_of((4, 16, 16))
    layer.brush_size = 1
    for voxel in ((1, 2, 3), (1, 2, 5)):
        stroke(layer, voxel)
    first, second = (
        PlacedPrompt(uid, Scribble(np.ones((1, 1, 1)), (1, 2, x), uid == 2))
        for uid, x in ((1, 3), (2, 5))
    )
    layers.scribbles.show((first, second), frame)
    signs = [layer.data[1, 2, x] % 2 == 1 for x in (3, 5)]
    assert signs == [False, True]
    layers.scribbles.show((second,), frame)
    assert np.argwhere(layer.data).tolist() == [[1, 2, 5]]
