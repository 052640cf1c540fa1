"""Prompts to the channel values that the network sees in one patch; the same code in training and inference.

Semantics of the published model: a point is a ball drawn as a Euclidean distance transform scaled to 1, boxes and
lassos are filled, scribbles are the painted voxels; each prompt counts `decay` times less for every later one;
overlapping prompts of a channel combine by maximum. Seen from further away (zoom above 1) point and scribble channels
are first dilated, then every channel is averaged by area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import BoxPrompt, InitialMask, MaskEdit, Point, Prompt
from napari_nninteractive.core.view import View

__all__ = [
    "Painted",
    "PromptEncoding",
    "dilation_side",
    "paint",
    "rasterize",
    "support",
    "to_array",
    "weights",
]


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
            {
                "bbox2d": (1, 2),
                "bbox3d": (1, 2),
                "lasso": (1, 2),
                "point": (3, 4),
                "scribble": (5, 6),
            }
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


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A prompt as one patch sees it: its weight, and the part of its support that is visible."""

    prompt: Prompt
    weight: float
    visible: Box


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
    """Voxels along an axis by which points and scribbles grow at a zoom: the odd number nearest to ``2 zoom - 1``."""
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


def _groups(boxes: list[Box]) -> list[tuple[Box, list[int]]]:
    """Boxes joined while they overlap: disjoint boxes, each with the indices of those in it."""
    start, stop = np.array([b.start for b in boxes]), np.array([b.stop for b in boxes])
    groups: dict[int, tuple[Box, list[int]]] = {}
    for i, box in enumerate(boxes):
        members = [i]
        while True:
            overlap = (start[:i] < box.stop) & (stop[:i] > box.start)
            hits = np.flatnonzero(overlap.all(axis=1)).tolist()
            if not hits:
                break
            stop[hits] = np.iinfo(stop.dtype).min  # joined: overlaps nothing any more
            for other, theirs in map(groups.pop, hits):
                box, members = box.union(other), members + theirs
        start[i], stop[i] = box.start, box.stop
        groups[i] = box, members
    return list(groups.values())


def _draw(
    box: Box, view: View, halo: Sequence[int], drawn: Sequence[_Drawn], radius: int
) -> NDArray[np.float32]:
    """Channel values in the part `box` of the patch."""
    inputs = view.inputs(box)
    canvas_box = inputs.pad(halo).intersect(view.region)
    canvas = np.zeros(canvas_box.shape, np.float32)
    for entry in drawn:
        part = entry.visible.intersect(canvas_box)
        if not part.is_empty:
            target = canvas[part.relative_to(canvas_box).slices]
            values = np.float32(entry.weight) * paint(entry.prompt, part, radius)
            np.maximum(target, values, out=target)
    if any(halo):
        canvas = ndimage.maximum_filter(canvas, [2 * n + 1 for n in halo], mode="constant")
    canvas = canvas[inputs.relative_to(canvas_box).slices]
    if view.is_full_resolution:
        return canvas
    return resample.apply(canvas, view.area_matrices(box))


def rasterize(
    prompts: Sequence[Prompt],
    view: View,
    image_shape: Index3,
    encoding: PromptEncoding,
) -> list[Painted]:
    """Draw prompts into the channels of one patch.

    Parameters
    ----------
    prompts : sequence of Prompt
        All prompts in force, oldest first: their order decides their weights.
    view : View
        What the patch covers; its zoom, at least 1, decides by how much points and scribbles are dilated.
    image_shape : tuple of int
        Shape (z, y, x) of the image: prompts are clipped to it.
    encoding : PromptEncoding
        How the model expects its prompts.

    Returns
    -------
    list of Painted
        Disjoint parts per channel; everything else is 0. Memory grows with the prompts, not with the image.
    """
    visible = view.region.clip(image_shape)
    thickened = [dilation_side(zoom) // 2 for zoom in view.zoom]
    by_channel: dict[int, list[_Drawn]] = {}
    for prompt, weight in zip(prompts, weights(prompts, encoding.decay), strict=True):
        channel = encoding.channel(prompt)
        if channel is not None:
            seen = support(prompt, encoding.point_radius).intersect(visible)
            if not seen.is_empty:
                by_channel.setdefault(channel, []).append(_Drawn(prompt, weight, seen))
    out = []
    for channel, drawn in sorted(by_channel.items()):
        halo = thickened if encoding.is_dilated(channel) else (0, 0, 0)
        for box, members in _groups([view.outputs(entry.visible, halo) for entry in drawn]):
            chosen = [drawn[i] for i in members]
            for slab in view.slabs(box):
                values = _draw(slab, view, halo, chosen, encoding.point_radius)
                out.append(Painted(channel, slab, values))
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
