"""Separable resampling as small matrices, one per axis: shared by training (numpy) and inference (torch).

A matrix has shape (n_out, n_in) and float32 rows of weights. The rules are those of the published engine, which uses
``torch.nn.functional.interpolate``: without corner alignment and without a low-pass filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["apply", "area_bins", "area_matrix", "linear_matrix", "linear_taps", "nearest_indices"]

Matrix = NDArray[np.float32]


@lru_cache(maxsize=64)
def area_bins(n_in: int, n_out: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one-past-last input voxel that each output voxel averages (int64, n_out each)."""
    i = np.arange(n_out, dtype=np.int64)
    start, stop = i * n_in // n_out, -(-(i + 1) * n_in // n_out)
    start.flags.writeable = stop.flags.writeable = False
    return start, stop


@lru_cache(maxsize=64)
def area_matrix(n_in: int, n_out: int) -> Matrix:
    """Averages over the input voxels that each output voxel covers, wholly or in part (``mode="area"``)."""
    start, stop = area_bins(n_in, n_out)
    column = np.arange(n_in)
    inside = (column >= start[:, None]) & (column < stop[:, None])
    matrix: Matrix = (inside / (stop - start)[:, None]).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def linear_taps(n_in: int, n_out: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Matrix]:
    """The two neighbours of each output voxel and the weight of the second (n_out each; ``mode="linear"``)."""
    position = np.maximum((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5, 0)
    first = np.minimum(position.astype(np.int64), n_in - 1)
    second = np.minimum(first + 1, n_in - 1)
    return first, second, (position - first).astype(np.float32)


@lru_cache(maxsize=64)
def linear_matrix(n_in: int, n_out: int) -> Matrix:
    """Linear interpolation between the two nearest input voxels, clamped at the ends."""
    first, second, weight = linear_taps(n_in, n_out)
    matrix = np.zeros((n_out, n_in), np.float32)
    rows = np.arange(n_out)
    np.add.at(matrix, (rows, first), 1 - weight)
    np.add.at(matrix, (rows, second), weight)
    matrix.flags.writeable = False
    return matrix


def nearest_indices(n_in: int, n_out: int) -> NDArray[np.int64]:
    """Input voxel that each output voxel takes (int64, n_out; ``mode="nearest"``)."""
    # In single precision, as torch does it: from 112 to 192 some voxels differ from the exact quotient.
    position = np.arange(n_out, dtype=np.float32) * (np.float32(n_in) / np.float32(n_out))
    nearest: NDArray[np.int64] = np.minimum(position.astype(np.int64), n_in - 1)
    return nearest


def apply(block: NDArray[np.float32], matrices: Sequence[Matrix]) -> NDArray[np.float32]:
    """Resample a block along all three axes.

    Parameters
    ----------
    block : ndarray
        (z, y, x) float32.
    matrices : sequence of ndarray
        One (n_out, n_in) matrix per axis.

    Returns
    -------
    ndarray
        float32, shape (n_out of z, of y, of x).
    """
    along_z, along_y, along_x = matrices
    out = np.matmul(block, along_x.T)
    out = np.matmul(along_y, out)
    flat = along_z @ out.reshape(out.shape[0], out.shape[1] * out.shape[2])
    resampled: NDArray[np.float32] = flat.reshape(along_z.shape[0], out.shape[1], out.shape[2])
    return resampled
