"""What prompts tell a method that has no network: the part of the image to look at, and voxels that are in or out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import BoxPrompt, Point, Prompt
from napari_nninteractive.errors import PromptError

__all__ = ["CLICK_RADIUS", "GROWTH", "REACH", "Seeds", "choose_window", "make_seeds"]

REACH = 32
"""Voxels (of the finest axis) that are looked at on every side of a click or scribble."""
GROWTH = 1.5
"""How much wider than a box or lasso the part is that is looked at."""
CLICK_RADIUS = 1.5
"""Voxels around a click that it stands for: 19 of them, as a small brush would paint."""

Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Seeds:
    """What is known about the voxels of a window.

    Attributes
    ----------
    inside, outside : ndarray
        bool (z, y, x): belong to the object, do not; no voxel is both. The later of two prompts decides.
    assumed : ndarray
        bool (z, y, x): nobody said so, but these are taken for outside: the sides of the window.
    """

    inside: Bool
    outside: Bool
    assumed: Bool

    @property
    def background(self) -> Bool:
        """All that is outside, said or assumed; bool (z, y, x)."""
        return self.outside | self.assumed


def choose_window(
    prompts: Sequence[Prompt], shape: Index3, spacing: Sequence[float], extent: Box | None
) -> Box:
    """Part of the image to look at.

    Parameters
    ----------
    prompts : sequence of Prompt
        Given so far.
    shape : tuple of int
        Of the image, (z, y, x).
    spacing : sequence of float
        Physical size of a voxel along (z, y, x).
    extent : Box or None
        Smallest box of the object, where the method is told; the window is then this box, grown like a box prompt.

    Returns
    -------
    Box
        Inside the image. Without such help, around every positive prompt: :data:`REACH` on each side of clicks and
        scribbles; boxes and lassos grown to :data:`GROWTH` times their size, and as far to both sides of their plane.
    """
    if extent is not None:
        return extent.pad(_grown(extent)).clip(shape)
    window = Box.EMPTY
    for prompt in (p for p in prompts if p.positive):
        window = window.union(prompt.bounds.pad(_margin(prompt, spacing)).clip(shape))
    return Box.of_shape(shape) if window.is_empty else window


def _margin(prompt: Prompt, spacing: Sequence[float]) -> list[int]:
    size = [n * s for n, s in zip(prompt.bounds.shape, spacing, strict=True)]
    if prompt.kind in ("point", "scribble"):
        reach = [REACH * min(spacing)] * 3
    else:
        flat = [n == 1 for n in prompt.bounds.shape]
        reach = [
            GROWTH / 2 * max(size) if f else (GROWTH - 1) / 2 * e
            for f, e in zip(flat, size, strict=True)
        ]
    return [max(1, math.ceil(r / s)) for r, s in zip(reach, spacing, strict=True)]


def _grown(box: Box) -> list[int]:
    return [max(1, math.ceil((GROWTH - 1) / 2 * n)) for n in box.shape]


def make_seeds(prompts: Sequence[Prompt], window: Box, shape: Index3) -> Seeds:
    """Translate prompts.

    A click stands for a small ball. A scribble is what it covers. A box or lasso says that the object, or what is
    wrong, lies in it: its deepest part is in (or out), and around a positive one everything else in its plane is out.

    Parameters
    ----------
    prompts : sequence of Prompt
        Given so far, oldest first.
    window : Box
        From :func:`choose_window`.
    shape : tuple of int
        Of the image. A side of the window counts as outside unless the image ends there: the object may go on.

    Returns
    -------
    Seeds
        Of the window.
    """
    known = np.zeros(window.shape, np.int8)
    for prompt in prompts:
        drawn = _drawn(prompt, window)
        if prompt.kind in ("point", "scribble"):
            known[drawn] = 1 if prompt.positive else -1
            continue
        if prompt.positive:
            plane = _plane(prompt, window)
            known[plane & ~drawn & (known == 0)] = -1
        known[_deepest(drawn)] = 1 if prompt.positive else -1
    inside, outside = known == 1, known == -1
    return Seeds(inside, outside, _sides(window, shape) & ~inside & ~outside)


def _drawn(prompt: Prompt, window: Box) -> Bool:
    """Voxels of the window that a prompt covers."""
    out = np.zeros(window.shape, bool)
    part = prompt.bounds.intersect(window)
    if isinstance(prompt, Point):
        centre = [p - s for p, s in zip(prompt.position, window.start, strict=True)]
        grid = np.ogrid[tuple(slice(n) for n in window.shape)]
        near = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= CLICK_RADIUS**2
        out |= near
    elif not part.is_empty:
        target = part.relative_to(window).slices
        if isinstance(prompt, BoxPrompt):
            out[target] = True
        else:
            out[target] = prompt.mask[part.relative_to(prompt.bounds).slices]
    return out


def _plane(prompt: Prompt, window: Box) -> Bool:
    """Voxels of the window in the plane of a flat prompt; of a 3D box, the whole window."""
    out = np.zeros(window.shape, bool)
    bounds = prompt.bounds.relative_to(window)
    slices = [slice(None)] * 3
    if 1 in bounds.shape:
        axis = bounds.shape.index(1)
        slices[axis] = slice(max(bounds.start[axis], 0), max(bounds.stop[axis], 0))
    out[tuple(slices)] = True
    return out


def _deepest(drawn: Bool) -> Bool:
    """Part of an area that is at least half as deep as its deepest voxel, depth counted within its plane."""
    if not drawn.any():
        return drawn
    flat = [a for a in range(3) if np.count_nonzero(drawn.any(tuple({0, 1, 2} - {a}))) == 1]
    padded = np.pad(drawn, [(0, 0) if a in flat[:1] else (1, 1) for a in range(3)])
    squeezed = padded.any(axis=flat[0]) if flat else padded
    depth = np.asarray(ndimage.distance_transform_edt(squeezed))
    if flat:
        depth = np.expand_dims(depth, flat[0])
    core = tuple(slice(None) if a in flat[:1] else slice(1, -1) for a in range(3))
    return np.asarray(drawn & (depth[core] >= depth.max() / 2))


def _sides(window: Box, shape: Index3) -> Bool:
    """Outermost voxels of a window on the sides where the image goes on; on all sides if it does so on none."""
    out = np.zeros(window.shape, bool)
    ends = [
        (axis, at)
        for axis in range(3)
        for at, goes_on in ((0, window.start[axis] > 0), (-1, window.stop[axis] < shape[axis]))
        if goes_on
    ]
    for axis, at in ends or [(a, e) for a in range(3) if shape[a] > 1 for e in (0, -1)]:
        slices: list[slice | int] = [slice(None)] * 3
        slices[axis] = at
        out[tuple(slices)] = True
    return out


def check_kind(prompt: Prompt) -> None:
    """Refuse what no baseline understands.

    Raises
    ------
    PromptError
        If it is an initial mask or an edit by hand.
    """
    if prompt.kind in ("initial_mask", "mask_edit"):
        raise PromptError(
            "A baseline takes points, boxes, scribbles and lassos, no masks to start from."
        )
