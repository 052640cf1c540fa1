"""Layers without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_nninteractive.plugin.layers.objects import ObjectsLayer
from napari_nninteractive.plugin.layers.paint_events import compare, read_stroke
from napari_nninteractive.plugin.layers.prompts import PointPrompts, ShapePrompts
from napari_nninteractive.plugin.layers.scribbles import ScribblePrompts
from napari_nninteractive.plugin.layers.style import role_of

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
