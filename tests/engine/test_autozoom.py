"""Where to look first, how far the view widens, and when."""

from __future__ import annotations

import numpy as np
import pytest

import napari_nninteractive as nni
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.core.view import View
from napari_nninteractive.engine.autozoom import border_changed, start_view, wider_view, zooms_from

CONFIG = nni.EngineConfig()
SHAPE, PATCH = (200, 300, 400), (96, 192, 192)


def solid(*shape: int) -> np.ndarray:
    return np.ones(shape, bool)


CORNERS = np.zeros(SHAPE, bool)
CORNERS[10, 20, 30] = CORNERS[109, 219, 229] = True

START = [
    pytest.param(nni.Point((5, 6, 7)), (5, 6, 7), 1.0, id="point: from close by"),
    pytest.param(nni.Point((5.5, 6.5, 7.5)), (6, 6, 8), 1.0, id="point: half to even"),
    pytest.param(
        nni.BoxPrompt((30, 100, 100), (31, 164, 164)), (30, 132, 132), 1.0, id="box 2D that fits"
    ),
    pytest.param(
        nni.BoxPrompt((30, 100, 100), (31, 228, 164)), (30, 164, 132), 1.0, id="box: just fits"
    ),
    pytest.param(
        nni.BoxPrompt((30, 100, 100), (31, 229, 164)),
        (30, 164, 132),
        (129 + 64) / 192,
        id="box: one voxel more",
    ),
    pytest.param(
        nni.BoxPrompt((30, 0, 0), (31, 256, 384)),
        (30, 128, 192),
        (384 + 64) / 192,
        id="box 2D: largest axis",
    ),
    pytest.param(
        nni.BoxPrompt((0, 100, 100), (160, 164, 164)),
        (80, 132, 132),
        (160 + 32) / 96,
        id="box 3D: short axis of the patch",
    ),
    pytest.param(
        nni.BoxPrompt((-50, 200, 350), (51, 400, 999)),
        (26, 250, 375),
        1.0,
        id="box: clipped to the image",
    ),
    pytest.param(
        nni.BoxPrompt((0, 0, 0), (1, 3, 5)), (0, 2, 2), 1.0, id="centre: 0.5 → 0, 1.5 → 2, 2.5 → 2"
    ),
    pytest.param(
        nni.Lasso(solid(1, 200, 20), (7, 50, 60)),
        (8, 150, 70),
        (200 + 64) / 192,
        id="lasso",
    ),
    pytest.param(
        nni.Scribble(solid(2, 1, 300), (7, 50, 60)),
        (8, 50, 210),
        (300 + 64) / 192,
        id="scribble: 50.5 → 50",
    ),
    pytest.param(
        nni.Scribble(solid(1, 1, 300), (7, 50, 260), positive=False),
        (8, 50, 330),
        (140 + 64) / 192,
        id="scribble: clipped",
    ),
    pytest.param(
        nni.InitialMask(CORNERS),
        (60, 120, 130),
        (200 + 64) / 192,
        id="initial mask: box of what is set",
    ),
    pytest.param(nni.MaskEdit(solid(2, 2, 2), (4, 4, 4)), (5, 5, 5), 1.0, id="edit by hand"),
]


@pytest.mark.parametrize(("prompt", "centre", "zoom"), START)
def test_start_view(prompt: Prompt, centre: tuple[int, int, int], zoom: float) -> None:
    assert start_view(prompt, SHAPE, PATCH, CONFIG) == View.at(centre, zoom, PATCH)


@pytest.mark.parametrize(
    ("extent", "zoom"),
    [
        pytest.param(1, 1.0, id="never closer than 1"),
        pytest.param(11, 1.0, id="(11 + 16 // 3) / 16"),
        pytest.param(12, 17 / 16, id="(12 + 5) / 16"),
        pytest.param(58, 63 / 16, id="below the widest"),
        pytest.param(59, 4.0, id="exactly the widest"),
        pytest.param(60, 4.0, id="never wider than 4"),
        pytest.param(1000, 4.0, id="far too large"),
    ],
)
def test_start_zoom_of_a_small_patch(extent: int, zoom: float) -> None:
    prompt = nni.BoxPrompt((0, 0, 0), (1, 1, extent))
    assert start_view(prompt, (4, 4, 2000), (16, 16, 16), CONFIG).zoom == (zoom,) * 3


@pytest.mark.parametrize("p", range(1, 300))
def test_context_is_a_third_of_the_patch_rounded_down(p: int) -> None:
    prompt = nni.BoxPrompt((0, 0, 0), (1, 1, 2 * p))
    expected = max(1.0, (2 * p + p // 3) / p)
    assert start_view(prompt, (1, 1, 9999), (p, p, p), CONFIG).zoom == (expected,) * 3


@pytest.mark.parametrize(
    ("centre", "zoom", "patch", "region"),
    [
        pytest.param((8, 8, 8), 1.0, (16, 16, 16), Box((0, 0, 0), (16, 16, 16)), id="even"),
        pytest.param((8, 8, 8), 1.0, (5, 6, 7), Box((6, 5, 5), (11, 11, 12)), id="odd"),
        pytest.param(
            (0, 0, 0), 1.0, (4, 4, 4), Box((-2, -2, -2), (2, 2, 2)), id="beyond the image"
        ),
        pytest.param(
            (50, 50, 50), 1.5, (16, 16, 16), Box((38, 38, 38), (62, 62, 62)), id="zoom 1.5"
        ),
        pytest.param(
            (50, 50, 50),
            3.375,
            (16, 12, 2),
            Box((23, 30, 47), (77, 70, 54)),
            id="54, 40.5 → 40, 6.75 → 7",
        ),
        pytest.param(
            (100, 100, 100), 4.0, (64, 64, 64), Box((-28, -28, -28), (228, 228, 228)), id="zoom 4"
        ),
    ],
)
def test_region_of_a_view(
    centre: tuple[int, int, int], zoom: float, patch: tuple[int, int, int], region: Box
) -> None:
    assert View.at(centre, zoom, patch).region == region
    assert View.of(region, patch).region == region


def sequence(zoom: float, config: nni.EngineConfig) -> list[float]:
    views = [View.at((8, 8, 8), zoom, PATCH)]
    while (wider := wider_view(views[-1], config)) is not None:
        views.append(wider)
    assert {view.centre for view in views} == {(8, 8, 8)}
    assert all(len(set(view.zoom)) == 1 for view in views)
    return [view.zoom[0] for view in views]


@pytest.mark.parametrize(
    ("start", "config", "expected"),
    [
        pytest.param(1.0, CONFIG, [1.0, 1.5, 2.25, 3.375, 4.0], id="as published"),
        pytest.param(1.2, CONFIG, [1.2, 1.2 * 1.5, 1.2 * 1.5 * 1.5, 4.0], id="from a box"),
        pytest.param(4.0, CONFIG, [4.0], id="the widest"),
        pytest.param(
            1.0, nni.EngineConfig(zoom_growth=2, max_zoom=3), [1.0, 2.0, 3.0], id="other thresholds"
        ),
        pytest.param(1.0, nni.EngineConfig(max_zoom=1), [1.0], id="no growth"),
    ],
)
def test_zoom_sequence(start: float, config: nni.EngineConfig, expected: list[float]) -> None:
    assert sequence(start, config) == expected
    assert zooms_from(start, config) == tuple(expected)


def test_axes_widen_each_on_its_own() -> None:
    view = wider_view(View((0, 0, 0), (1.0, 2.0, 4.0), PATCH), CONFIG)
    assert view == View((0, 0, 0), (1.5, 3.0, 4.0), PATCH)


def face(n: int) -> np.ndarray:
    """A face of 64 × 64 voxels with its first `n` set."""
    return (np.arange(4096) < n).reshape(64, 64)


def shifted(n: int, by: int) -> np.ndarray:
    """As many voxels set, the first `by` of them elsewhere."""
    return np.roll(face(n).ravel(), by).reshape(64, 64)


@pytest.mark.parametrize(
    ("new", "old", "changed"),
    [
        pytest.param(face(0), face(0), False, id="empty"),
        pytest.param(face(4096), face(4096), False, id="full and unchanged"),
        pytest.param(face(100), face(0), False, id="100 appear: few"),
        pytest.param(face(101), face(0), True, id="101 appear"),
        pytest.param(face(0), face(100), False, id="100 vanish: few"),
        pytest.param(face(0), face(101), True, id="101 vanish"),
        pytest.param(face(1320), face(1100), False, id="exactly 20 % more"),
        pytest.param(face(1321), face(1100), True, id="just above 20 % more"),
        pytest.param(face(1100), face(1320), False, id="exactly 20 % less"),
        pytest.param(face(1100), face(1321), True, id="just above 20 % less"),
        pytest.param(face(600), face(500), False, id="100 more, 20 %"),
        pytest.param(shifted(2000, 750), face(2000), False, id="1500 differ, as many set"),
        pytest.param(shifted(2000, 751), face(2000), True, id="1502 differ, as many set"),
        pytest.param(face(4096 - 1500), face(4096), True, id="1500 of all vanish: 58 %"),
        pytest.param(shifted(2001, 750), face(2000), True, id="1501 differ"),
    ],
)
@pytest.mark.parametrize("at", [0, 3, 5])
def test_border_changed(new: np.ndarray, old: np.ndarray, changed: bool, at: int) -> None:
    news, olds = ([face(50)] * 6 for _ in range(2))
    news[at], olds[at] = new, old
    assert border_changed(news, olds, CONFIG) is changed


def test_faces_are_not_added_up() -> None:
    assert not border_changed([face(100)] * 6, [face(0)] * 6, CONFIG)


def test_thresholds_come_from_the_configuration() -> None:
    config = nni.EngineConfig(border_voxels_many=10, border_voxels_few=2, border_ratio=1.0)
    assert border_changed([face(3)], [face(0)], config)
    assert not border_changed([face(2)], [face(0)], config)
    assert not border_changed([face(20)], [face(10)], config)
    assert border_changed([face(21)], [face(10)], config)
    assert border_changed([face(30)], [face(19)], config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("zoom_growth", 1.0, id="growth of 1: an endless loop"),
        pytest.param("zoom_growth", float("nan"), id="growth NaN"),
        pytest.param("max_zoom", 0.5, id="widest below 1"),
        pytest.param("max_zoom", float("inf"), id="widest endless"),
        pytest.param("border_voxels_few", -1, id="negative count"),
        pytest.param("border_voxels_many", -1, id="negative count, many"),
        pytest.param("border_ratio", -0.1, id="negative ratio"),
        pytest.param("opening_side", 4, id="even cube"),
        pytest.param("opening_side", 0, id="empty cube"),
        pytest.param("opening_side", 5.0, id="cube not whole"),
        pytest.param("margin_fraction", 0.5, id="no core left"),
        pytest.param("margin_fraction", -0.1, id="negative margin"),
        pytest.param("context_fraction", 1.0, id="context of a whole patch"),
    ],
)
def test_senseless_thresholds_are_refused(field: str, value: float) -> None:
    with pytest.raises(nni.SessionError, match=field):
        nni.EngineConfig(**{field: value})


def test_thresholds_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(nni.SessionError, match="zoom_growth"):
        nni.EngineConfig(zoom_growth="2")  # type: ignore[arg-type]
