"""Labels and numbers of objects in arrays: how many voxels each has, and which dtype holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["count", "difference", "dtype_for", "numbered"]

_COUNTED = 1 << 20  # voxels counted in one go


def count(labels: NDArray[Any]) -> Counter[int]:
    """Voxels of each label but 0, in any number of axes."""
    found: Counter[int] = Counter()
    flat = np.ravel(labels)
    for start in range(0, flat.size, _COUNTED):
        part = flat[start : start + _COUNTED]
        if part.dtype.itemsize <= 2:
            numbers = np.bincount(part)
            values = np.flatnonzero(numbers)
            numbers = numbers[values]
        else:
            values, numbers = np.unique(part, return_counts=True)
        found.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
    del found[0]
    return found


def difference(old: NDArray[Any], new: NDArray[Any]) -> Counter[int]:
    """How many voxels each label but 0 won or lost."""
    counts: Counter[int] = Counter()
    changed = old != new
    for values, sign in ((new, 1), (old, -1)):
        found, numbers = np.unique(values[changed], return_counts=True)
        for label, number in zip(found.tolist(), numbers.tolist(), strict=True):
            counts[label] += sign * number
    del counts[0]
    return counts


def numbered(labels: NDArray[Any], numbers: Mapping[int, int]) -> NDArray[Any]:
    """Labels with other numbers in their place.

    Parameters
    ----------
    labels : ndarray of unsigned int
        Any shape.
    numbers : mapping of int to int
        Number by label; the other labels stay as they are.

    Returns
    -------
    ndarray
        A copy, of a dtype that holds all numbers.
    """
    dtype = np.promote_types(labels.dtype, dtype_for(max([1, *numbers.values()])))
    out = labels.astype(dtype)
    if labels.dtype.itemsize < 4:
        table = np.arange(np.iinfo(labels.dtype).max + 1, dtype=dtype)
        for label, number in numbers.items():
            if label < len(table):
                table[label] = number
        np.take(table, labels, out=out)
    else:
        for label, number in numbers.items():
            out[labels == label] = number
    return out


def dtype_for(label: int) -> np.dtype[Any]:
    """Smallest dtype of the result that holds a label."""
    return np.dtype(np.uint8 if label < 256 else np.uint16 if label < 65536 else np.uint32)
