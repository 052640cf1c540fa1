"""The image behind one reader: any real array, any memory layout, held by reference and never copied as a whole.

2D becomes 3D here and nowhere else: an image (y, x) is one slice (1, y, x).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.errors import ImageError

__all__ = ["ArrayLike3D", "Volume"]

_SLAB_BYTES = 1 << 22  # bytes read at once where the whole image is passed over


@runtime_checkable
class ArrayLike3D(Protocol):
    """What an image must offer: a shape, a dtype and slicing that gives something numpy understands."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""

    @property
    def dtype(self) -> Any:
        """What `numpy.dtype` understands."""

    def __getitem__(self, key: Any) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A 3D image to read boxes from.

    Build one with `Volume.open`.

    Attributes
    ----------
    data : array
        The caller's array, (z, y, x) or (y, x); never written to.
    shape : tuple of int
        (z, y, x) in voxels; z is 1 for a 2D image.
    dtype : numpy.dtype
        Of the voxels as stored.
    spacing : tuple of float
        Physical size of a voxel along (z, y, x). Kept with the image; inference is in voxels, as published.
    """

    data: ArrayLike3D
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
            with a shape, a dtype and slicing. Held by reference. A list of arrays is a pyramid; its first, finest level
            is read.
        spacing : sequence of float, optional
            Physical size of a voxel along the axes of `data`; 1 by default.

        Returns
        -------
        Volume
            Reader of `data`.

        Raises
        ------
        ImageError
            If `data` has the wrong number of axes, no voxels or no real numbers, or `spacing` does not fit it.
        """
        if _is_pyramid(data):
            data = cast(Sequence[object], data)[0]
        array = data if isinstance(data, ArrayLike3D) else _as_array(data)
        shape, dtype = _shape_and_dtype(array)
        if len(shape) not in (2, 3):
            raise ImageError(_axes_message(shape))
        if min(shape) < 1:
            raise ImageError(f"The image has no voxels: its shape is {shape}.")
        if dtype.kind not in "biuf":
            raise ImageError(f"The image must hold real numbers, not {dtype}; convert it first.")
        z, y, x = shape if len(shape) == 3 else (1, *shape)
        return cls(array, (z, y, x), dtype, _check_spacing(spacing, len(shape)))

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
