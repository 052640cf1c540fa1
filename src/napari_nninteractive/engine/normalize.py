"""Intensity statistics: exact, in one pass over slabs, without a second copy of the image.

The published model expects z-scores over the bounding box of the non-zero voxels of the whole image. What that leaves
open is decided here: NaN and infinite voxels count as outside the image; a constant image is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.tiling import changed_bounds
from napari_nninteractive.errors import ImageError

__all__ = ["Normalization", "measure"]


@dataclass(frozen=True, slots=True)
class Normalization:
    """Mean and standard deviation that map intensities to z-scores.

    Attributes
    ----------
    mean, std : float
        In units of the image; `std` is positive.
    n_ignored : int
        NaN and infinite voxels, which become 0.
    """

    mean: float
    std: float
    n_ignored: int = 0

    def __call__(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """Z-scores of a block as float32; 0 where the image is not finite."""
        # float32 holds integers of up to 24 bits exactly; wider types are centred before they are rounded.
        exact = block.dtype.kind == "f" and block.dtype.itemsize <= 4 or block.dtype.itemsize <= 2
        out = block.astype(np.float32 if exact else np.float64)
        out -= out.dtype.type(self.mean)
        out /= out.dtype.type(self.std)
        if self.n_ignored:
            np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return out.astype(np.float32, copy=False)


def _finite(block: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where a block is finite, or None if everywhere."""
    if block.dtype.kind != "f":
        return None
    finite: NDArray[np.bool_] = np.isfinite(block)
    return None if finite.all() else finite


def _nonzero_box(volume: Volume) -> tuple[Box | None, int]:
    """Bounding box of the finite non-zero voxels (None if there are none) and the number of voxels not finite."""
    bounds, n_ignored = Box((0, 0, 0), (0, 0, 0)), 0
    for box, block in volume.slabs():
        used = block != 0
        finite = _finite(block)
        if finite is not None:
            n_ignored += finite.size - int(np.count_nonzero(finite))
            used &= finite
        part = changed_bounds(used)
        if part is not None:
            bounds = bounds.union(part.shift(box.start))
    return (None if bounds.is_empty else bounds), n_ignored


def _moments(volume: Volume, inside: Box) -> tuple[float, float]:
    """Mean and standard deviation of the finite voxels in a box, merged slab by slab (Chan et al. 1979)."""
    count, mean, squares = 0, 0.0, 0.0
    for box, block in volume.slabs():
        part = box.intersect(inside)
        if part.is_empty:
            continue
        values = block[part.relative_to(box).slices]
        finite = _finite(values)
        values = (
            values.astype(np.float64).ravel()
            if finite is None
            else values[finite].astype(np.float64)
        )
        if not values.size:
            continue
        n, m = values.size, float(values.mean())
        values -= m
        s = float(np.dot(values, values))
        delta, total = m - mean, count + n
        mean += delta * n / total
        squares += s + delta * delta * count * n / total
        count = total
    return mean, math.sqrt(squares / max(count, 1))


def measure(volume: Volume) -> Normalization:
    """Statistics of an image.

    Parameters
    ----------
    volume : Volume
        The image; read twice, slab by slab.

    Returns
    -------
    Normalization
        Over the bounding box of the non-zero voxels, or over the whole image where that box is constant.

    Raises
    ------
    ImageError
        If no voxel is finite, or all are equal.
    """
    box, n_ignored = _nonzero_box(volume)
    if n_ignored == volume.box.size:
        raise ImageError(
            "The image holds nothing but NaN and infinite voxels; check how it was read."
        )
    for inside in ([box] if box is not None else []) + [volume.box]:
        mean, std = _moments(volume, inside)
        # Rounding alone can leave a tiny spread on a constant image.
        if std > 1e-12 * max(1.0, abs(mean)) or (0 < std and mean == 0):
            return Normalization(mean, std, n_ignored)
    raise ImageError(
        "The image is constant: there is nothing to see in it. Check the channel, the time point and how it was read."
    )
