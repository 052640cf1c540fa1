"""Predictions at a working resolution, with networks that know the answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.oracles import (
    Network,
    bright,
    decide,
    everything,
    make_model,
    make_session,
    opinionated,
    sphere,
)

import napari_nninteractive as nni
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.working import WorkingResolution
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.resolutions import anisotropic, resolution_of_extent, resolutions

WORKING = nni.EngineConfig(max_working_zoom=8)
PATCH = (24, 24, 24)


def knows(inputs: torch.Tensor) -> torch.Tensor:
    """Bright voxels are the object, and there is no doubt about it."""
    return 20 * bright(0.0)(inputs)


def ball(by: int) -> np.ndarray:
    """A ball of radius 7 in 32³ voxels, enlarged along y and x."""
    return sphere((32, 32, 32), (16, 16, 16), 7).repeat(by, 1).repeat(by, 2).astype(np.float32)


def zooms(
    spacing: tuple[float, ...], shape: tuple[int, int, int], most: int
) -> list[tuple[int, ...]]:
    config = nni.EngineConfig(max_working_zoom=most, working_anisotropy=3.0)
    return [r.zoom for r in resolutions(spacing, shape, config)]


def test_those_with_slices_further_apart_come_before() -> None:
    for spacing, expected in (
        ((1, 1, 1), []),
        ((4, 1, 1), [(1, 1, 1)]),
        ((9, 1, 1), [(1, 1, 1), (1, 2, 2), (1, 3, 3)]),
    ):
        found = anisotropic(spacing, (9, 9, 9), WORKING)
        assert [r.zoom for r in found] == expected
        assert not set(found) & set(resolutions(spacing, (9, 9, 9), WORKING))


@pytest.mark.parametrize(
    ("spacing", "shape", "most", "expected"),
    [
        pytest.param((1, 1, 1), (9, 9, 9), 4, [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)], id="isotropic"),
        pytest.param((2, 1, 1), (9, 9, 9), 4, [(1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 4, 4)], id="slices twice as thick"),
        pytest.param((4, 1, 1), (9, 9, 9), 4, [(1, 2, 2), (1, 3, 3), (1, 4, 4)], id="four times as thick"),
        pytest.param((9, 1, 1), (1, 9, 9), 2, [(1, 1, 1), (1, 2, 2)], id="2D: its thickness means nothing"),
        pytest.param((99, 1, 1), (9, 9, 9), 4, [(1, 4, 4)], id="the coarsest at least"),
        pytest.param((0.3, 0.1, 0.1), (9, 9, 9), 3, [(1, 1, 1), (1, 2, 2), (1, 3, 3)], id="rounded"),
    ],
)  # fmt: skip
def test_resolutions(spacing, shape, most, expected) -> None:
    assert zooms(spacing, shape, most) == expected


def test_the_extent_of_a_prompt_decides() -> None:
    choices = resolutions((1, 1, 1), (99, 99, 99), WORKING)
    at_once = replace(WORKING, working_reach=0.0)
    for extent, zoom in ((16, 1), (17, 2), (32, 2), (33, 3), (500, 8)):
        box = Box((0, 0, 0), (1, extent, extent))
        assert resolution_of_extent(box, choices, PATCH, at_once).zoom == (zoom,) * 3


def test_what_is_up_to_twice_as_large_as_the_patch_is_left_to_wider_views() -> None:
    choices = resolutions((1, 1, 1), (99, 99, 99), WORKING)
    for extent, zoom in ((2 * PATCH[1], 1), (2 * PATCH[1] + 1, 4), (500, 8)):
        box = Box((0, 0, 0), (1, extent, extent))
        assert resolution_of_extent(box, choices, PATCH, WORKING).zoom == (zoom,) * 3


def test_a_model_says_whether_it_is_used_with_one() -> None:
    told = make_model()
    told = replace(told, capabilities=replace(told.capabilities, working_zoom=4))
    assert Engine.of(told).config == nni.EngineConfig(max_working_zoom=4)
    assert Engine.of(told, config=nni.EngineConfig()).config.max_working_zoom == 1
    assert Engine.of(make_model()).config == nni.EngineConfig()


def test_it_is_off_unless_asked_for() -> None:
    assert nni.EngineConfig().max_working_zoom == 1
    session = make_session(ball(3), bright(0.0), PATCH)
    session.add(nni.Point((16, 48, 48)))
    assert session.export().state.resolution is None


@pytest.mark.parametrize("by", [2, 3, 4])
def test_an_enlarged_object_is_found_as_the_object_is(by: int) -> None:
    near = make_session(ball(1), knows, PATCH, config=WORKING, spacing=(1, 1, 1))
    near.add(nni.Point((16, 16, 16)))
    np.testing.assert_array_equal(near.mask[...], ball(1))
    far = make_session(ball(by), knows, PATCH, config=WORKING, spacing=(1, 1 / by, 1 / by))
    out = far.add(nni.Point((16, 16 * by, 16 * by)))
    assert far.export().state.resolution in resolutions(
        far.volume.spacing, far.volume.shape, WORKING
    )
    assert {p.zoom for p in out.passes} <= {1.0, 2.0, 3.0, 4.0}
    # No further from the truth than one working voxel.
    inner, outer = (ball(by).astype(bool) for _ in range(2))
    mask = far.mask[...].astype(bool)
    for axis in (1, 2):
        inner = inner & np.roll(inner, by, axis) & np.roll(inner, -by, axis)
        outer = outer | np.roll(outer, by, axis) | np.roll(outer, -by, axis)
    assert not (inner & ~mask).any()
    assert not (mask & ~outer).any()


def test_the_resolution_is_kept_and_undone_with_its_steps(tmp_path: Path) -> None:
    image = ball(4)
    session = make_session(image, bright(0.0), PATCH, config=WORKING, spacing=(1, 0.25, 0.25))
    masks = [session.mask[...].copy()]
    prompts = (
        nni.Point((16, 64, 64)),
        nni.Point((16, 70, 64)),
        nni.MaskEdit(np.ones((2, 9, 9)), (3, 3, 3)),
        nni.Point((16, 60, 64)),
    )
    for prompt in prompts:
        session.add(prompt)
        masks.append(session.mask[...].copy())
    states = session.export().state
    found = [s.resolution for s in states.steps]
    assert found[0] == found[1] == found[3] == states.resolution
    assert states.resolution != WorkingResolution()
    assert found[2] is None
    assert session.mask[3:5, 3:12, 3:12].all()
    for mask in reversed(masks[:-1]):
        assert session.undo()
        np.testing.assert_array_equal(session.mask[...], mask)
    assert session.export().state.resolution is None
    for mask in masks[1:]:
        assert session.redo()
        np.testing.assert_array_equal(session.mask[...], mask)
    again = make_session(image, bright(0.0), PATCH, config=WORKING, spacing=(1, 0.25, 0.25))
    for prompt in prompts:
        again.add(prompt)
    np.testing.assert_array_equal(again.mask[...], masks[-1])
    # Without the first prompt the others choose for themselves.
    session.remove(0)
    assert session.export().state.steps[0].resolution is not None


def test_what_no_prompt_touches_is_left_out() -> None:
    image = ball(4)
    image[26:29, 20:40, 20:40] = 1
    session = make_session(image, bright(0.0), PATCH, config=WORKING, spacing=(1, 0.25, 0.25))
    out = session.add(nni.Point((16, 64, 64)), probability=True)
    assert not session.mask[26:29, 20:40, 20:40].any()
    assert session.mask[16, 64, 64]
    assert out.probability is not None
    assert out.changed is not None
    changed = session.mask[out.changed.slices]
    np.testing.assert_array_equal(out.probability >= 0.5, changed)
    session.add(nni.Point((27, 30, 30)))
    assert session.mask[27, 30, 30]
    assert session.mask[16, 64, 64]


def test_a_saved_object_is_replayed_to_the_bit(tmp_path: Path) -> None:
    image = ball(4)
    session = make_session(image, opinionated, PATCH, config=WORKING, spacing=(1, 0.25, 0.25))
    for prompt in (nni.BoxPrompt((16, 36, 36), (17, 92, 92)), nni.Point((12, 60, 70), False)):
        session.add(prompt)
    resolution = session.export().state.resolution
    assert resolution is not None
    assert not resolution.is_full
    again = make_session(image, opinionated, PATCH, config=WORKING, spacing=(1, 0.25, 0.25))
    for prompt in session.prompts:
        again.add(prompt)
    np.testing.assert_array_equal(again.mask[...], session.mask[...])
    assert again.export().state.resolution == resolution


def sure(image: float, elsewhere: float) -> Network:
    """Bright voxels are the object: logits as far apart as told, there and elsewhere."""
    return lambda inputs: decide(torch.where(inputs[:, :1] > 0, image, -elsewhere))


@pytest.mark.parametrize(
    ("network", "zoom"),
    [
        pytest.param(sure(5, 5), 2, id="sure"),
        pytest.param(sure(0.1, 5), 1, id="not sure that it belongs to it"),
        pytest.param(sure(5, 0.5), 1, id="not sure that the rest does not"),
    ],
)
def test_full_resolution_is_left_only_for_what_the_network_is_sure_of(network, zoom: int) -> None:
    image = sphere((64, 64, 64), (32, 32, 32), 14).astype(np.float32)
    session = make_session(image, network, PATCH, config=WORKING)
    session.add(nni.Point((32, 32, 32)))
    assert session.export().state.resolution == WorkingResolution((zoom,) * 3)


@pytest.mark.parametrize(("network", "zoom"), [(sure(5, 5), 1), (sure(0.1, 5), 2)])
def test_thick_slices_are_no_reason_to_leave_what_is_well_seen(network, zoom: int) -> None:
    image = sphere((32, 64, 64), (16, 32, 32), 6).astype(np.float32)
    session = make_session(image, network, PATCH, config=WORKING, spacing=(4, 1, 1))
    out = session.add(nni.Point((16, 32, 32)))
    assert session.export().state.resolution == WorkingResolution((1, zoom, zoom))
    # One look more than today, where it stays.
    assert out.forwards == (2 if zoom == 1 else 3)


def test_nothing_is_looked_at_from_further_away_than_the_whole_image() -> None:
    image = np.ones((8, 60, 60), np.float32)
    image[0, 0, 0] = 0
    session = make_session(image, everything, PATCH, config=WORKING)
    out = session.add(nni.Point((4, 30, 30)))
    # 60 voxels are seen at once through 24 from 3 on; what goes on to the border of each view before is no object.
    assert {p.zoom for p in out.passes if p.stage == "look"} >= {1.0, 2.0, 3.0}
    assert all(max(p.view.zoom) <= WORKING.max_zoom for p in out.passes)


@pytest.mark.parametrize(
    "change",
    [
        {"max_working_zoom": 0},
        {"working_anisotropy": 0.5},
        {"working_fill": 0},
        {"working_border": 2},
        {"working_growth": -1},
        {"working_reach": -1},
        {"working_certainty": 2},
        {"working_sure_fill": 0},
    ],
)
def test_thresholds_are_checked(change: dict[str, float]) -> None:
    with pytest.raises(nni.SessionError, match=next(iter(change))):
        nni.EngineConfig(**change)
