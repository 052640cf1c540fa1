"""The image behind one reader: any real array, any memory layout, held by reference and never copied as a whole.

2D becomes 3D here and nowhere else: an image (y, x) is one slice (1, y, x).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.sampling import ArrayLike3D, Resampling, read_taps, taps_of
from napari_nninteractive.errors import ImageError

__all__ = ["ArrayLike3D", "Volume"]

_SLAB_BYTES = 1 << 22  # bytes read at once where the whole image is passed over


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A 3D image to read boxes from.

    Build one with `Volume.open`.

    Attributes
    ----------
    levels : tuple of array
        The caller's array, (z, y, x) or (y, x), and coarser levels of it where it is a pyramid, finest first; never
        written to.
    shape : tuple of int
        (z, y, x) in voxels; z is 1 for a 2D image.
    dtype : numpy.dtype
        Of the voxels as stored.
    spacing : tuple of float
        Physical size of a voxel along (z, y, x). Kept with the image; inference is in voxels, as published.
    """

    levels: tuple[ArrayLike3D, ...]
    shape: Index3
    dtype: np.dtype[Any]
    spacing: tuple[float, float, float]
    # The hash, once somebody asked for it: it takes a pass over the image, whose voxels do not change.
    _sha256: str | None = field(default=None, init=False, repr=False)

    @classmethod
    def open(cls, data: object, spacing: Sequence[float] | None = None) -> Volume:
        """Wrap an image.

        Parameters
        ----------
        data : array_like
            (z, y, x) or (y, x), real, at least one voxel: a numpy array, also read-only or memory-mapped, or anything
            with a shape, a dtype and slicing. Held by reference. A list of arrays is a pyramid, finest level first,
            whose levels all cover the whole image.
        spacing : sequence of float, optional
            Physical size of a voxel along the axes of `data`; 1 by default.

        Returns
        -------
        Volume
            Reader of `data`.

        Raises
        ------
        ImageError
            If `data` has the wrong number of axes, no voxels or no real numbers, a level is no coarser one of the level
            before it, or `spacing` does not fit it.
        """
        levels = cast(Sequence[object], data) if _is_pyramid(data) else [data]
        array, *coarser = (a if isinstance(a, ArrayLike3D) else _as_array(a) for a in levels)
        shape, dtype = _shape_and_dtype(array)
        if len(shape) not in (2, 3):
            raise ImageError(_axes_message(shape))
        if min(shape) < 1:
            raise ImageError(f"The image has no voxels: its shape is {shape}.")
        if dtype.kind not in "biuf":
            raise ImageError(f"The image must hold real numbers, not {dtype}; convert it first.")
        _check_levels(shape, coarser)
        z, y, x = shape if len(shape) == 3 else (1, *shape)
        spacing = _check_spacing(spacing, len(shape))
        return cls((array, *coarser), (z, y, x), dtype, spacing)

    @property
    def data(self) -> ArrayLike3D:
        """The image at full resolution, (z, y, x) or (y, x)."""
        return self.levels[0]

    @property
    def box(self) -> Box:
        """Box of all voxels."""
        return Box.of_shape(self.shape)

    def read(self, box: Box) -> NDArray[Any]:
        """Voxels of a box inside the image.

        Parameters
        ----------
        box : Box
            Half-open (z, y, x), inside the image.

        Returns
        -------
        ndarray
            (z, y, x) in the stored dtype; a view where the image is a numpy array. Not to be written to.
        """
        key = box.slices
        if len(self.data.shape) == 2:
            return np.asarray(self.data[key[1:]])[np.newaxis]
        return np.asarray(self.data[key])

    def resampling(self, region: Box, shape: Index3, finest_bytes: int = 0) -> Resampling:
        """Voxels that a region needs to be seen as an array of another shape, and their weights.

        Interpolation is linear, without corner alignment and without a low-pass filter, as published. No voxel is read
        that has no weight; of arrays that are not in memory whole planes are.

        Parameters
        ----------
        region : Box
            Half-open (z, y, x) in voxels of the image, at least one voxel; may reach beyond it.
        shape : tuple of int
            Voxels (z, y, x) to see it as.
        finest_bytes : int
            Up to so many bytes of the region at full resolution, the finest level is read whatever there is. Otherwise
            the coarsest that has at least as many voxels in the region as `shape`, along every axis.

        Returns
        -------
        Resampling
            In the dtype of the level; without any weight beyond the image.
        """
        level = self._level(region, shape, finest_bytes)
        z, y, x = (1,) * (3 - len(level.shape)) + tuple(int(n) for n in level.shape)
        taps = taps_of(region, shape, self.shape, (z, y, x))
        along_z, along_y, along_x = (t.matrix for t in taps)
        return Resampling(read_taps(level, taps), (along_z, along_y, along_x))

    def sample(self, region: Box, shape: Index3, finest_bytes: int = 0) -> NDArray[np.float32]:
        """A region seen as an array of another shape, float32 (z, y, x), 0 beyond the image; see `resampling`."""
        return self.resampling(region, shape, finest_bytes).to_array()

    def _level(self, region: Box, shape: Index3, finest_bytes: int) -> ArrayLike3D:
        """Array to read a region from."""
        if region.clip(self.shape).size * self.dtype.itemsize > finest_bytes:
            axes = range(-len(self.data.shape), 0)
            for level in reversed(self.levels):
                # Voxels of the level in the region, in whole numbers: n_in * level / size >= n_out.
                if all(
                    region.shape[a] * int(level.shape[a]) >= shape[a] * self.shape[a] for a in axes
                ):
                    return level
        return self.data

    def slabs(self) -> Iterator[tuple[Box, NDArray[Any]]]:
        """All voxels once, in pieces of about 4 MiB along z (and y, where one slice is larger)."""
        _, height, width = self.shape
        row = width * self.dtype.itemsize
        rows = max(1, min(height, _SLAB_BYTES // row))
        planes = max(1, _SLAB_BYTES // (row * height))
        for z in range(0, self.shape[0], planes):
            for y in range(0, height, rows):
                box = Box((z, y, 0), (z + planes, y + rows, width)).clip(self.shape)
                yield box, self.read(box)

    def sha256(self) -> str:
        """Hash of shape, dtype and voxels, the same for every memory layout and byte order; computed once."""
        if self._sha256 is not None:
            return self._sha256
        little = self.dtype.newbyteorder("<")
        digest = hashlib.sha256(f"{self.shape} {little.str}".encode())
        for _, block in self.slabs():  # in C order, however large the slabs are
            digest.update(np.ascontiguousarray(block, dtype=little).reshape(-1).view(np.uint8).data)
        # A frozen value all the same: nobody sees a difference but in the time that it takes.
        object.__setattr__(self, "_sha256", digest.hexdigest())
        return digest.hexdigest()


def _is_pyramid(data: object) -> bool:
    """Whether data is a list of arrays that shrink; arrays of one shape are the slices of a stack."""
    if (
        not isinstance(data, list | tuple)
        or not data
        or not all(isinstance(level, ArrayLike3D) for level in data)
    ):
        return False
    shapes = [tuple(level.shape) for level in data]
    return min(map(len, shapes)) > 1 and all(a != b for a, b in pairwise(shapes))


def _check_levels(shape: tuple[int, ...], coarser: Sequence[ArrayLike3D]) -> None:
    for number, level in enumerate(coarser, start=1):
        found, dtype = _shape_and_dtype(level)
        fits = len(found) == len(shape) and all(
            1 <= n <= m for n, m in zip(found, shape, strict=True)
        )
        if not fits or dtype.kind not in "biuf":
            raise ImageError(
                f"Level {number} of the image, of shape {found} and dtype {dtype}, is no coarser level of the one "
                f"before it, of shape {shape}: give the levels of one image, finest first, or the image alone."
            )
        shape = found


def _as_array(data: object) -> ArrayLike3D:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ImageError(f"The image is not an array: {error}.") from error
    return cast(ArrayLike3D, array)


def _shape_and_dtype(array: ArrayLike3D) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        return tuple(int(n) for n in array.shape), np.dtype(array.dtype)
    except (TypeError, ValueError) as error:  # a dask array of unknown shape, a torch tensor
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise ImageError(
            f"The image, a {kind} of shape {array.shape} and dtype {array.dtype}, is not an array that numpy "
            f"understands ({error}); convert it first, for example with numpy.asarray."
        ) from error


def _axes_message(shape: tuple[int, ...]) -> str:
    if len(shape) > 3:
        return (
            f"The image must be one 3D stack (z, y, x), but its shape is {shape}; choose a channel or time point "
            "first, for example image[0]."
        )
    return f"The image must have axes (z, y, x) or (y, x), but its shape is {shape}."


def _check_spacing(spacing: Sequence[float] | None, ndim: int) -> tuple[float, float, float]:
    if spacing is None:
        return 1.0, 1.0, 1.0
    try:
        values = [float(s) for s in spacing]
    except (OverflowError, TypeError, ValueError) as error:
        raise ImageError(f"The spacing must be numbers, not {spacing!r}.") from error
    if len(values) == 2 and ndim == 2:
        values = [1.0, *values]
    if len(values) != 3 or not all(math.isfinite(v) and v > 0 for v in values):
        raise ImageError(
            f"The spacing must be three positive numbers (z, y, x), not {tuple(values)}."
        )
    z, y, x = values
    return z, y, x
