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
from napari_nninteractive.errors import ImageError

__all__ = ["Normalization", "measure"]

_OFFSET = 1e3  # mean over deviation up to which float32 keeps z-scores to 1e-4
_ROUNDING = 1e-15  # deviation over mean that rounding in float64 can leave on a constant image


@dataclass(frozen=True, slots=True)
class Normalization:
    """Mean and standard deviation that map intensities to z-scores.

    Attributes
    ----------
    mean, std : float
        In units of the image; `std` is positive.
    n_ignored : int
        NaN and infinite voxels, which become 0; with 0 the image is trusted to have none.

    Raises
    ------
    ImageError
        If `mean` or `std` is not finite, or `std` not positive.
    """

    mean: float
    std: float
    n_ignored: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ImageError(
                f"Intensities cannot be normalised with mean {self.mean} and standard deviation {self.std}: both must "
                "be finite, and the second positive."
            )

    def __call__(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """Z-scores of a block as float32; 0 where the image is not finite."""
        # float32 holds integers of up to 24 bits exactly; wider types, and those whose mean it cannot tell from its
        # neighbours, are centred before they are rounded.
        narrow = block.dtype.itemsize <= (4 if block.dtype.kind == "f" else 2)
        narrow = narrow and abs(self.mean) < _OFFSET * self.std
        dtype = np.float32 if narrow else np.float64
        centred = np.subtract(block, self.mean, dtype=dtype)
        out: NDArray[np.float32] = np.divide(centred, self.std, out=centred).astype(
            np.float32, copy=False
        )
        if self.n_ignored:
            np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return out


def _finite(block: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where a block is finite, or None if everywhere."""
    if block.dtype.kind != "f":
        return None
    finite: NDArray[np.bool_] = np.isfinite(block)
    return None if finite.all() else finite


def _used(block: NDArray[Any]) -> NDArray[np.bool_]:
    used: NDArray[np.bool_] = block != 0
    finite = _finite(block)
    return used if finite is None else used & finite


def _nonzero_box(volume: Volume) -> Box:
    """Bounding box of the finite non-zero voxels, empty if there are none."""
    bounds = volume.box
    if all(_used(volume.read(face)).any() for face in _faces(volume.box)):
        return bounds  # the usual case, without a pass over the image
    bounds = Box.EMPTY
    for box, block in volume.slabs():
        part = Box.of_mask(_used(block))
        if part is not None:
            bounds = bounds.union(part.shift(box.start))
    return bounds


def _faces(box: Box) -> list[Box]:
    """The six outermost planes of a box."""
    faces = []
    for axis in range(3):
        for at in (box.start[axis], box.stop[axis] - 1):
            start, stop = list(box.start), list(box.stop)
            start[axis], stop[axis] = at, at + 1
            faces.append(Box(start, stop))
    return faces


def _moments(volume: Volume, inside: Box) -> tuple[float, float, int]:
    """Mean and deviation of the finite voxels in a box, merged slab by slab (Chan et al. 1979); voxels not finite."""
    # Counted from some voxel of the image: that costs no precision far from 0, and a constant image none at all.
    offset: float | None = None
    count, mean, squares, n_ignored = 0, 0.0, 0.0, 0
    for box, block in volume.slabs():
        finite = _finite(block)
        if finite is not None:
            n_ignored += finite.size - int(np.count_nonzero(finite))
        part = box.intersect(inside)
        if part.is_empty:
            continue
        at = part.relative_to(box).slices
        values = (block[at] if finite is None else block[at][finite[at]]).astype(np.float64).ravel()
        if not values.size:
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # `measure` says so where it happens
            offset = float(values[0]) if offset is None else offset
            values -= offset
            n, m = values.size, float(values.mean())
            values -= m
            delta, total = m - mean, count + n
            mean += delta * n / total
            squares += float(np.dot(values, values)) + delta * delta * count * n / total
        count = total
    return mean + (offset or 0.0), math.sqrt(squares / max(count, 1)), n_ignored


def measure(volume: Volume) -> Normalization:
    """Statistics of an image.

    Parameters
    ----------
    volume : Volume
        The image; read once, slab by slab, or twice where its border is zero.

    Returns
    -------
    Normalization
        Over the bounding box of the non-zero voxels, or over the whole image where that box is constant.

    Raises
    ------
    ImageError
        If no voxel is finite, or all are equal.
    """
    for inside in dict.fromkeys((_nonzero_box(volume), volume.box)):
        mean, std, n_ignored = _moments(volume, inside)
        if n_ignored == volume.box.size:
            raise ImageError(
                "The image holds nothing but NaN and infinite voxels; check how it was read."
            )
        if not math.isfinite(std):
            raise ImageError(
                "The range of the image is too large to be normalised; scale its intensities down, or replace values "
                "that only mark missing voxels."
            )
        # Rounding alone leaves a tiny spread on a constant image.
        if std > _ROUNDING * abs(mean):
            return Normalization(mean, std, n_ignored)
    raise ImageError(
        "The image is constant: there is nothing to see in it. Check the channel, the time point and how it was read."
    )
