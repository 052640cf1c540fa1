"""Which patches refine a change: an even, deterministic tiling, the patch with most change first.

The published planner covers the change greedily, one patch after the other, and ends with boxes from an unseeded random
generator; an even tiling covers it with fewer patches, in milliseconds, and gives the same plan every time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3

__all__ = ["Tile", "opened", "plan_tiles"]

_BLOCK_VOXELS = 1 << 20  # voxels opened at once


@dataclass(frozen=True, slots=True)
class Tile:
    """One patch of a refinement plan.

    Attributes
    ----------
    patch : Box
        What the network sees, in voxels of the image; may reach beyond it.
    core : Box
        The part with enough context on every side; what was refined there is kept.
    """

    patch: Box
    core: Box


def _cube_step(mask: NDArray[np.bool_], side: int, *, erode: bool) -> NDArray[np.bool_]:
    """Erosion or dilation by a cube, one axis after the other. Outside the array counts as set when eroding."""
    half = side // 2
    for axis in range(3):
        n = mask.shape[axis]
        moved = np.moveaxis(mask, axis, 0)
        out = moved.copy(order="K")  # as it lies in memory: steps along an axis stay fast
        for shift in range(1, min(half, n - 1) + 1):
            if erode:
                out[shift:] &= moved[:-shift]
                out[:-shift] &= moved[shift:]
            else:
                out[shift:] |= moved[:-shift]
                out[:-shift] |= moved[shift:]
        mask = np.moveaxis(out, 0, axis)
    return mask


def opened(change: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Change map without parts thinner than a cube.

    Parameters
    ----------
    change : ndarray of bool
        (z, y, x).
    side : int
        Odd side of the cube in voxels. The outside of the array counts as changed, so that a change which is cut off at
        its border, or fills a thin stack, is kept.

    Returns
    -------
    ndarray of bool
        Same shape; a subset of `change`.
    """
    halo = 2 * (side // 2)
    planes = max(1, _BLOCK_VOXELS // max(1, change[:1].size))
    out = np.empty_like(change)
    for z in range(0, len(change), planes):
        low = max(z - halo, 0)
        block = change[low : z + planes + halo]
        kept = _cube_step(_cube_step(block, side, erode=True), side, erode=False)
        out[z : z + planes] = kept[z - low : z - low + planes]
    return out & change


def plan_tiles(
    change: NDArray[np.bool_], origin: Index3, patch: Index3, margin_fraction: float
) -> tuple[Tile, ...]:
    """Cover all changed voxels with the cores of patches.

    The bounding box of the change is cut into equal parts no larger than a core; parts without change are left out.

    Parameters
    ----------
    change : ndarray of bool
        (z, y, x), True where refinement is needed.
    origin : tuple of int
        Voxel of the image at ``change[0, 0, 0]``.
    patch : tuple of int
        Shape of a patch in voxels.
    margin_fraction : float
        Part of the patch on each side that is context only, in [0, 0.5).

    Returns
    -------
    tuple of Tile
        Most change first, then by position. Every changed voxel lies in the core of at least one.
    """
    bounds = Box.of_mask(change)
    if bounds is None:
        return ()
    margin = [int(p * margin_fraction) for p in patch]
    cuts = []
    for a, b, p, m in zip(bounds.start, bounds.stop, patch, margin, strict=True):
        n = math.ceil((b - a) / (p - 2 * m))
        cuts.append([a + (b - a) * i // n for i in range(n + 1)])
    ranked = []
    for index in product(*(range(len(c) - 1) for c in cuts)):
        part = Box(
            [c[i] for c, i in zip(cuts, index, strict=True)],
            [c[i + 1] for c, i in zip(cuts, index, strict=True)],
        )
        count = int(np.count_nonzero(change[part.slices]))
        if count:
            # Rounded down: only then a part as large as a core lies in the core of a patch of odd size.
            centre = [(a + b) // 2 for a, b in zip(part.start, part.stop, strict=True)]
            box = Box.around(centre, patch).shift(origin)
            ranked.append((-count, Tile(box, box.pad([-m for m in margin]))))
    ranked.sort(key=lambda entry: (entry[0], entry[1].patch))
    return tuple(tile for _, tile in ranked)
