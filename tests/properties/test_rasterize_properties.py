"""Sparse, grouped and slabbed rasterisation equals drawing everything densely, at any zoom."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from types import MappingProxyType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.strategies import prompts
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_nninteractive.core import view as view_module
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Prompt,
    Scribble,
)
from napari_nninteractive.core.rasterize import PromptEncoding, rasterize, to_array
from napari_nninteractive.core.view import View

CHANNELS = {BoxPrompt: (1, 2), Lasso: (1, 2), Point: (3, 4), Scribble: (5, 6)}
OTHER = PromptEncoding(
    point_radius=2,
    decay=0.5,
    channels=MappingProxyType({"point": (2, 1), "bbox2d": (2, 1), "scribble": (4, 3)}),
    n_channels=5,
)


@lru_cache
def ball(radius: int) -> NDArray[np.float64]:
    """Distance of each voxel of a ball to the nearest voxel outside, over the largest."""
    near = list(product(range(-radius - 1, radius + 2), repeat=3))
    outside = np.array([p for p in near if sum(c * c for c in p) > radius**2])
    side = range(-radius, radius + 1)
    values = np.zeros([len(side)] * 3)
    for cell in product(side, repeat=3):
        if sum(c * c for c in cell) <= radius**2:
            away = ((outside - cell) ** 2).sum(axis=1).min()
            values[tuple(np.add(cell, radius))] = math.sqrt(away)
    return values / values.max()


def drawn_densely(prompt: Prompt, shape: Index3, radius: int) -> NDArray[np.float64]:
    """Values of one prompt in the whole image, which it is clipped to."""
    match prompt:
        case Point():
            corner, values = np.subtract(prompt.position, radius), ball(radius)
        case BoxPrompt():
            corner, values = np.array(prompt.start), np.ones(prompt.bounds.shape)
        case _:
            corner, values = np.array(prompt.origin), prompt.mask.astype(float)
    image = np.zeros(shape)
    for cell in np.argwhere(values):
        position = corner + cell
        if (position >= 0).all() and (position < shape).all():
            image[tuple(position)] = values[tuple(cell)]
    return image


def reference(
    drawn: list[Prompt],
    region: Box,
    patch: Index3,
    shape: Index3,
    zoom: float,
    encoding: PromptEncoding,
) -> NDArray[np.float64]:
    """Channels as the published engine makes them: painted and decayed in the image, cropped, dilated, averaged."""
    channels = np.zeros((encoding.n_channels, *shape))
    for prompt in drawn:
        if isinstance(prompt, MaskEdit):
            continue
        channels *= encoding.decay
        pair = encoding.channels.get(prompt.kind)
        if pair is not None and not isinstance(prompt, InitialMask):
            into = channels[pair[0] if prompt.positive else pair[1]]
            np.maximum(into, drawn_densely(prompt, shape, encoding.point_radius), out=into)
    cropped = torch.zeros((encoding.n_channels, *region.shape), dtype=torch.float64)
    inside = region.clip(shape)
    if not inside.is_empty:
        seen = torch.from_numpy(channels[(slice(None), *inside.slices)])
        cropped[(slice(None), *inside.relative_to(region).slices)] = seen
    target = 2 * zoom - 1
    side = min(range(1, 12, 2), key=lambda odd: (abs(odd - target), -odd))
    for kind in ("point", "scribble"):
        for channel in set(encoding.channels.get(kind, ())):
            for axis in range(3):  # a cube is the product of three lines
                kernel = [side if a == axis else 1 for a in range(3)]
                padding = [n // 2 for n in kernel]
                cropped[channel] = F.max_pool3d(cropped[channel][None], kernel, 1, padding)[0]
    return F.interpolate(cropped[None], size=patch, mode="area")[0].numpy()


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Prompt], Box, Index3, Index3, float]:
    """Prompts, region, patch, image and zoom: the region often reaches beyond the image."""
    shape = draw(st.tuples(*[st.integers(1, 24)] * 3))
    patch = draw(st.tuples(*[st.integers(3, 11)] * 3))
    zoom = draw(st.sampled_from([1.0, 1.2, 1.5, 2.0, 2.25, 2.5, 3.375, 4.0]))
    centre = draw(st.tuples(*[st.integers(-2, 24)] * 3))
    region = Box.around(centre, [round(n * zoom) for n in patch])
    return draw(st.lists(prompts(), max_size=7)), region, patch, shape, zoom


CROWD = [Point((z, y, x), (z + x) % 2 == 0) for z, y, x in product((2, 8), (3, 9, 20), (1, 5, 19))]
STAIRS = [Scribble(np.ones((1, 4, 4)), (k, 3 * k, 3 * k)) for k in range(6)]


@pytest.mark.parametrize("voxels", [1 << 23, 300, 1], ids=["whole", "slabs", "single rows"])
@pytest.mark.parametrize("encoding", [PromptEncoding(), OTHER], ids=["published", "other"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@example(scene=(CROWD, Box.of_shape((22, 22, 22)), (11, 11, 11), (22, 22, 22), 2.0))
@example(scene=(STAIRS, Box((-3, -3, -3), (24, 24, 24)), (8, 8, 8), (20, 20, 20), 3.375))
@given(scene=scenes())
def test_equals_a_dense_drawing(
    monkeypatch: pytest.MonkeyPatch,
    voxels: int,
    encoding: PromptEncoding,
    scene: tuple[list[Prompt], Box, Index3, Index3, float],
) -> None:
    monkeypatch.setattr(view_module, "_SLAB_VOXELS", voxels)
    drawn, region, patch, shape, zoom = scene
    painted = rasterize(drawn, View.of(region, patch).zoomed((zoom,) * 3), shape, encoding)
    expected = reference(drawn, region, patch, shape, zoom, encoding)
    np.testing.assert_allclose(
        to_array(painted, patch, encoding.n_channels), expected, rtol=2e-6, atol=2e-6
    )

    times = np.zeros((encoding.n_channels, *patch), int)
    for part in painted:
        assert part.values.shape == part.box.shape
        assert part.values.dtype == np.float32
        assert Box.of_shape(patch).contains(part.box)
        times[(part.channel, *part.box.slices)] += 1
    assert times.max() <= 1
    assert not times[0].any()


@given(scenes(), st.integers(0, 3))
def test_views_know_which_voxels_meet(
    scene: tuple[list[Prompt], Box, Index3, Index3, float], halo: int
) -> None:
    drawn, region, patch, _, _ = scene
    view = View.of(region, patch)
    # Along each axis on its own: input voxel i of the region enters output voxel o.
    enters = [
        F.adaptive_avg_pool1d(torch.eye(n_in)[None], n_out)[0].numpy() > 0
        for n_in, n_out in zip(region.shape, patch, strict=True)
    ]
    for box in [prompt.bounds for prompt in drawn] + [region]:
        grown = box.pad(halo).intersect(region).relative_to(region)
        outputs = view.outputs(box, halo)
        if grown.is_empty:
            assert outputs.is_empty
            continue
        inputs = view.inputs(outputs).relative_to(region)
        for axis, pairs in enumerate(enters):
            reached = np.flatnonzero(pairs[grown.slices[axis]].any(axis=0)).tolist()
            assert reached == list(range(*outputs.slices[axis].indices(patch[axis])))
            used = np.flatnonzero(pairs[:, outputs.slices[axis]].any(axis=1)).tolist()
            assert used == list(range(inputs.start[axis], inputs.stop[axis]))
