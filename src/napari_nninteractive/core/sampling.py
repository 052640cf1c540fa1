"""Which voxels of an image a smaller array is interpolated from, and how they are read without the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3

__all__ = ["ArrayLike3D", "Resampling", "Taps", "read_taps", "taps_of"]

_READ_BYTES = (
    1 << 25
)  # read at once from an array that is not in memory, where single planes are smaller

_SEEN = 0.5  # weight in the best sample below which a voxel of a thin image counts as missed


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
class Taps:
    """What a resampled axis needs of an image's.

    Attributes
    ----------
    used : ndarray
        int64, voxels of the image along this axis that count, ascending.
    matrix : ndarray
        float32 (n_out, len(used)): weight of each in each output voxel. Rows add up to 1, or to less where the image
        ends.
    """

    used: NDArray[np.int64]
    matrix: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """Voxels of an image, and how they are weighted to become an array of another resolution.

    Attributes
    ----------
    voxels : ndarray
        (z, y, x) in the stored dtype: those that count. Not to be written to.
    matrices : tuple of ndarray
        float32 (n_out, n) along z, y and x.
    """

    voxels: NDArray[Any]
    matrices: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

    def to_array(self) -> NDArray[np.float32]:
        """The resampled array: float32 (z, y, x), 0 beyond the image."""
        return resample.apply(np.asarray(self.voxels, np.float32), self.matrices)


def taps_of(region: Box, shape: Index3, image: Index3, level: Index3) -> tuple[Taps, Taps, Taps]:
    """Taps of a region along (z, y, x), interpolated linearly between voxel centres, without a low-pass filter.

    Parameters
    ----------
    region : Box
        Half-open, in voxels of the image; may reach beyond it.
    shape : tuple of int
        Voxels of the resampled array.
    image, level : tuple of int
        Shapes of the image and of the array that stands for it, which is the image itself or a coarser level.

    Returns
    -------
    tuple of Taps
        Along z, y and x, in voxels of the level.
    """
    z, y, x = (
        _taps(start, n_in, n_out, size) if n == size else _coarse_taps(start, n_in, n_out, size, n)
        for start, n_in, n_out, size, n in zip(
            region.start, region.shape, shape, image, level, strict=True
        )
    )
    return z, y, x


def _taps(start: int, n_in: int, n_out: int, size: int) -> Taps:
    """Taps of one axis in the image itself: both neighbours of each sample, of which the region holds both."""
    low, high = max(start, 0), max(min(start + n_in, size), max(start, 0))
    if n_in == n_out:
        matrix = np.eye(n_in, dtype=np.float32)[:, low - start : high - start]
        return Taps(np.arange(low, high), matrix)
    matrix = resample.linear_matrix(n_in, n_out)[:, low - start : high - start]
    if low < high:
        matrix = _seen(matrix, low - start, n_in / n_out)
    columns = np.flatnonzero(matrix.any(axis=0))
    return Taps(columns + low, matrix[:, columns])


def _seen(matrix: NDArray[np.float32], start: int, step: float) -> NDArray[np.float32]:
    """The matrix (samples, visible voxels), or another where the samples miss voxels of a thin image.

    Then samples in the image and next to it take its nearest voxel as it is, so that what is there comes back whole.
    """
    n_out, n = matrix.shape
    if n >= 2 * step or matrix.max(axis=0).min() >= _SEEN:
        return matrix
    position = (np.arange(n_out) + 0.5) * step - 0.5 - start
    near = np.flatnonzero((position > -step) & (position < n - 1 + step))
    seen = np.zeros_like(matrix)
    seen[near, np.clip(np.rint(position[near]).astype(np.int64), 0, n - 1)] = 1
    return seen


def _coarse_taps(start: int, n_in: int, n_out: int, size: int, level: int) -> Taps:
    """Taps of one axis in a coarser level, whose voxels each stand for ``size / level`` of the image."""
    position = start + (np.arange(n_out) + 0.5) * (n_in / n_out)
    inside = (position >= 0) & (position <= size)
    position = np.clip(position * (level / size) - 0.5, 0, level - 1)
    first = np.minimum(position.astype(np.int64), max(level - 2, 0))
    weight = position - first
    matrix = np.zeros((n_out, level), np.float32)
    rows = np.arange(n_out)
    matrix[rows, first] = inside * (1 - weight)
    matrix[rows, np.minimum(first + 1, level - 1)] += inside * weight
    used = np.flatnonzero(matrix.any(axis=0))
    return Taps(used, matrix[:, used])


def read_taps(data: ArrayLike3D, taps: tuple[Taps, Taps, Taps]) -> NDArray[Any]:
    """Read the voxels that count.

    Parameters
    ----------
    data : array
        (z, y, x), or (y, x) for one slice. An array that is not in memory is read by whole planes, only those that
        count (or lie in a chunk with one that does), some at a time.
    taps : tuple of Taps
        Along z, y and x.

    Returns
    -------
    ndarray
        (z, y, x) of the lengths of `taps`, in the stored dtype.
    """
    along_z, along_y, along_x = (t.used for t in taps)
    flat = len(data.shape) == 2
    if isinstance(data, np.ndarray):
        volume = data[np.newaxis] if flat else data
        return np.asarray(volume[np.ix_(along_z, along_y, along_x)])
    out = np.empty((len(along_z), len(along_y), len(along_x)), np.dtype(data.dtype))
    if not out.size:
        return out
    rows, columns = (slice(int(u[0]), int(u[-1]) + 1) for u in (along_y, along_x))
    inside = np.ix_(along_y - rows.start, along_x - columns.start)
    plane_bytes = out.itemsize * (rows.stop - rows.start) * (columns.stop - columns.start)
    for part in _runs(along_z, _chunk_along_z(data), max(1, _READ_BYTES // plane_bytes)):
        first, last = int(along_z[part.start]), int(along_z[part.stop - 1])
        if flat:
            out[part] = np.asarray(data[rows, columns])[inside]
            continue
        planes = np.asarray(data[first : last + 1, rows, columns])
        out[part] = planes[(along_z[part] - first)[:, None, None], *inside]
    return out


def _runs(used: NDArray[np.int64], chunk: int, most: int) -> Iterator[slice]:
    """Parts of the used planes to be read at once: neighbours, or in one chunk, and no more than `most` planes."""
    start = 0
    for i in range(1, len(used) + 1):
        if i < len(used):
            together = used[i] == used[i - 1] + 1 or used[i] // chunk == used[i - 1] // chunk
            if together and used[i] - used[start] < max(most, chunk):
                continue
        yield slice(start, i)
        start = i


def _chunk_along_z(data: ArrayLike3D) -> int:
    """Planes that an array stores together, as zarr, h5py and dask say it; 1 where it does not say."""
    chunks: object = getattr(data, "chunks", None)
    if not isinstance(chunks, Sequence) or len(chunks) != len(data.shape) or len(data.shape) < 3:
        return 1
    along_z = chunks[0]
    planes = max(along_z, default=1) if isinstance(along_z, Sequence) else along_z
    return planes if isinstance(planes, int) and planes > 0 else 1
