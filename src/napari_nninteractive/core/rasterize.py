"""Prompts to the channel values that the network sees in one patch; the same code in training and inference.

Semantics of the published model: a point is a ball drawn as a Euclidean distance transform scaled to 1, boxes and lassos
are filled, scribbles are the painted voxels; each prompt counts `decay` times less for every later one; overlapping
prompts of a channel combine by maximum. Seen from further away (zoom above 1) point and scribble channels are first
dilated, then every channel is averaged by area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import BoxPrompt, InitialMask, Kind, MaskEdit, Point, Prompt

__all__ = ["Painted", "PromptEncoding", "dilation_side", "paint", "rasterize", "to_array", "weights"]

_CANVAS_VOXELS = 1 << 23  # full-resolution voxels held at once while a large prompt is averaged: 32 MiB of float32


@dataclass(frozen=True, slots=True)
class PromptEncoding:
    """How a model expects its prompts.

    Parameters
    ----------
    point_radius : int
        Radius of a point in voxels.
    decay : float
        Factor on every earlier prompt for each later one, in (0, 1].
    channels : mapping of str to (int, int)
        For each prompt kind its (positive, negative) interaction channel, counted from 0 = previous segmentation.
    n_channels : int
        Interaction channels, previous segmentation included: the network sees the image and these.
    """

    point_radius: int = 4
    decay: float = 0.98
    channels: MappingProxyType[str, tuple[int, int]] = field(
        default_factory=lambda: MappingProxyType(
            {"bbox2d": (1, 2), "bbox3d": (1, 2), "lasso": (1, 2), "point": (3, 4), "scribble": (5, 6)}
        )
    )
    n_channels: int = 7

    def channel(self, prompt: Prompt) -> int | None:
        """Interaction channel of a prompt; None for masks and edits, which have none of their own."""
        pair = self.channels.get(prompt.kind)
        return None if pair is None else pair[0 if prompt.positive else 1]

    def is_dilated(self, channel: int) -> bool:
        """Whether a channel holds points or scribbles, which are thickened before they are seen from far away."""
        return any(channel in self.channels.get(kind, ()) for kind in ("point", "scribble"))


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """Values of one channel in a part of a patch; 0 elsewhere.

    Attributes
    ----------
    channel : int
        Interaction channel.
    box : Box
        Where in the patch, counted from its first voxel.
    values : ndarray
        float32 (z, y, x) of the box's shape, in 0 to 1.
    """

    channel: int
    box: Box
    values: NDArray[np.float32]


def weights(prompts: Sequence[Prompt], decay: float) -> tuple[float, ...]:
    """Weight of each prompt, oldest first: 1 for the newest, `decay` times less for each later one.

    Edits by hand have no channel; they neither decay nor make others decay.
    """
    age, out = 0, []
    for prompt in reversed(prompts):
        out.append(decay**age)
        age += not isinstance(prompt, MaskEdit)
    return tuple(reversed(out))


def dilation_side(zoom: float) -> int:
    """Side of the cube by which points and scribbles grow at a zoom: the odd number nearest to ``2 zoom - 1``."""
    return 2 * math.floor(zoom - 0.5) + 1


@lru_cache(maxsize=8)
def _ball(radius: int) -> NDArray[np.float32]:
    """Ball as a distance transform scaled to maximum 1, in a cube of side ``2 radius + 1``."""
    axes = np.ogrid[-radius : radius + 1, -radius : radius + 1, -radius : radius + 1]
    inside = sum(a**2 for a in axes) <= radius**2
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1, 1:-1]
    ball: NDArray[np.float32] = (distance / distance.max()).astype(np.float32)
    ball.flags.writeable = False
    return ball


def support(prompt: Prompt, point_radius: int) -> Box:
    """Box outside which a prompt leaves nothing in its channel."""
    return prompt.bounds.pad(point_radius) if isinstance(prompt, Point) else prompt.bounds


def paint(prompt: Prompt, box: Box, point_radius: int) -> NDArray[np.float32]:
    """Values of a prompt in a box inside its support.

    Parameters
    ----------
    prompt : Prompt
        A point, box, scribble or lasso.
    box : Box
        Voxels of the image, inside ``support(prompt, point_radius)``.
    point_radius : int
        Radius of a point in voxels.

    Returns
    -------
    ndarray
        float32 (z, y, x) of the box's shape, in 0 to 1.
    """
    inside = box.relative_to(support(prompt, point_radius)).slices
    match prompt:
        case Point():
            return _ball(point_radius)[inside]
        case BoxPrompt():
            return np.ones(box.shape, np.float32)
        case InitialMask() | MaskEdit():
            raise TypeError(f"A {prompt.kind} has no channel of its own.")
        case _:
            return prompt.mask[inside].astype(np.float32)
    assert_never(prompt)


@dataclass(frozen=True, slots=True)
class _View:
    """A region of the image and the patch it is seen through."""

    region: Box
    patch: Index3
    visible: Box  # region inside the image: prompts are clipped to the image
    halo: int  # voxels by which a channel grows before it is averaged

    @property
    def is_full_resolution(self) -> bool:
        return self.region.shape == self.patch

    def outputs(self, box: Box) -> Box:
        """Voxels of the patch whose average some voxel of `box` enters."""
        grown = box.pad(self.halo).intersect(self.region).relative_to(self.region)
        if grown.is_empty or self.is_full_resolution:
            return grown
        start, stop = [], []
        for a, b, n_in, n_out in zip(grown.start, grown.stop, self.region.shape, self.patch, strict=True):
            first, last = resample.area_bins(n_in, n_out)
            start.append(int(np.searchsorted(last, a, side="right")))
            stop.append(int(np.searchsorted(first, b, side="left")))
        return Box(tuple(start), tuple(stop))  # type: ignore[arg-type]

    def inputs(self, box: Box) -> Box:
        """Voxels of the image that the voxels `box` of the patch average over."""
        if self.is_full_resolution:
            return box.shift(self.region.start)
        start, stop = [], []
        for a, b, n_in, n_out in zip(box.start, box.stop, self.region.shape, self.patch, strict=True):
            first, last = resample.area_bins(n_in, n_out)
            start.append(int(first[a]))
            stop.append(int(last[b - 1]))
        return Box(tuple(start), tuple(stop)).shift(self.region.start)  # type: ignore[arg-type]


def _groups(boxes: list[Box]) -> list[tuple[Box, list[int]]]:
    """Boxes joined while they overlap: disjoint boxes, each with the indices of those in it."""
    groups: list[tuple[Box, list[int]]] = []
    for i, box in enumerate(boxes):
        members, merged = [i], True
        while merged:
            merged = False
            for other in groups:
                if not other[0].intersect(box).is_empty:
                    groups.remove(other)
                    box, members, merged = box.union(other[0]), members + other[1], True
                    break
        groups.append((box, members))
    return groups


def _draw(
    box: Box, view: _View, drawn: Sequence[tuple[Prompt, float]], radius: int
) -> NDArray[np.float32]:
    """Channel values in the part `box` of the patch."""
    inputs = view.inputs(box)
    canvas_box = inputs.pad(view.halo).intersect(view.region)
    canvas = np.zeros(canvas_box.shape, np.float32)
    for prompt, weight in drawn:
        part = support(prompt, radius).intersect(view.visible).intersect(canvas_box)
        if not part.is_empty:
            target = canvas[part.relative_to(canvas_box).slices]
            np.maximum(target, np.float32(weight) * paint(prompt, part, radius), out=target)
    if view.is_full_resolution:
        return canvas
    if view.halo:
        canvas = ndimage.maximum_filter(canvas, 2 * view.halo + 1, mode="constant")
    canvas = canvas[inputs.relative_to(canvas_box).slices]
    matrices = []
    for axis, n_out in enumerate(view.patch):
        a, b = inputs.start[axis] - view.region.start[axis], inputs.stop[axis] - view.region.start[axis]
        full = resample.area_matrix(view.region.shape[axis], n_out)
        matrices.append(full[box.start[axis] : box.stop[axis], a:b])
    return resample.apply(canvas, matrices)


def _slabs(box: Box, view: _View) -> list[Box]:
    """Parts of an output box, along z, whose full-resolution canvas stays small."""
    rows, voxels = box.shape[0], view.inputs(box).size
    n = min(rows, max(1, math.ceil(voxels / _CANVAS_VOXELS)))
    cuts = [box.start[0] + rows * i // n for i in range(n + 1)]
    return [
        Box((a, *box.start[1:]), (b, *box.stop[1:])) for a, b in zip(cuts[:-1], cuts[1:], strict=True)
    ]


def rasterize(
    prompts: Sequence[Prompt],
    region: Box,
    patch: Index3,
    image_shape: Index3,
    encoding: PromptEncoding,
    zoom: float = 1.0,
) -> list[Painted]:
    """Draw prompts into the channels of one patch.

    Parameters
    ----------
    prompts : sequence of Prompt
        All prompts in force, oldest first: their order decides their weights.
    region : Box
        What the patch covers, in voxels of the image; may reach beyond it.
    patch : tuple of int
        Shape (z, y, x) of the patch in voxels; equal to the region's at zoom 1.
    image_shape : tuple of int
        Shape (z, y, x) of the image: prompts are clipped to it.
    encoding : PromptEncoding
        How the model expects its prompts.
    zoom : float
        Zoom factor, at least 1; decides by how much points and scribbles are dilated.

    Returns
    -------
    list of Painted
        Disjoint parts per channel; everything else is 0. Memory grows with the prompts, not with the image.
    """
    image = Box.of_shape(image_shape)
    by_channel: dict[int, list[tuple[Prompt, float]]] = {}
    for prompt, weight in zip(prompts, weights(prompts, encoding.decay), strict=True):
        channel = encoding.channel(prompt)
        seen = support(prompt, encoding.point_radius).intersect(image).intersect(region)
        if channel is not None and not seen.is_empty:
            by_channel.setdefault(channel, []).append((prompt, weight))
    out = []
    for channel, drawn in sorted(by_channel.items()):
        halo = dilation_side(zoom) // 2 if encoding.is_dilated(channel) else 0
        view = _View(region, patch, region.intersect(image), halo)
        outputs = [
            view.outputs(support(p, encoding.point_radius).intersect(view.visible)) for p, _ in drawn
        ]
        for box, members in _groups(outputs):
            chosen = [drawn[i] for i in sorted(members)]
            for slab in _slabs(box, view):
                out.append(Painted(channel, slab, _draw(slab, view, chosen, encoding.point_radius)))
    return out


def to_array(painted: Sequence[Painted], patch: Index3, n_channels: int) -> NDArray[np.float32]:
    """Dense channels of a patch.

    Parameters
    ----------
    painted : sequence of Painted
        From `rasterize`.
    patch : tuple of int
        Shape (z, y, x) in voxels.
    n_channels : int
        Interaction channels; channel 0, the previous segmentation, stays 0.

    Returns
    -------
    ndarray
        float32, (channel, z, y, x).
    """
    out = np.zeros((n_channels, *patch), np.float32)
    for part in painted:
        out[(part.channel, *part.box.slices)] = part.values
    return out
