"""Writing objects into the array of labels: finished objects keep their voxels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.workspace.commands import Change, Stroke

__all__ = [
    "CoveredLabels",
    "apply_stroke",
    "count",
    "difference",
    "dtype_for",
    "numbered",
    "painted_edits",
    "write",
]

_CHUNK = 64
_COUNTED = 1 << 20  # voxels counted in one go


def dtype_for(label: int) -> np.dtype[Any]:
    """Smallest dtype of the result that holds a label."""
    return np.dtype(np.uint8 if label < 256 else np.uint16 if label < 65536 else np.uint32)


def apply_stroke(labels: Any, stroke: Stroke, *, back: bool) -> Counter[int]:
    """Take a stroke by hand back, or make it again; what was written over it since stays.

    Parameters
    ----------
    labels : array
        All labels of the layer; changed in place.
    stroke : Stroke
        In labels of objects.
    back : bool
        Whether it is taken back.

    Returns
    -------
    Counter
        How many voxels each label won or lost.
    """
    part = labels[stroke.key]
    before = part.copy()
    was, becomes = (stroke.new, stroke.old) if back else (stroke.old, stroke.new)
    where = stroke.touched & ((part == was) | (part == 0))
    part[where] = becomes[where]
    return difference(before, part)


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


class CoveredLabels:
    """Labels that lie under others, in chunks that exist only where there are some."""

    def __init__(self) -> None:
        self._chunks: dict[Index3, NDArray[np.uint32]] = {}

    def put(self, box: Box, values: NDArray[Any], where: NDArray[np.bool_]) -> None:
        """Keep values of a box (z, y, x) where the mask is True."""
        if not where.any():
            return
        for index, part in box.tiles(_CHUNK):
            inside = part.relative_to(box).slices
            if where[inside].any():
                chunk = self._chunks.setdefault(index, np.zeros((_CHUNK,) * 3, np.uint32))
                np.copyto(chunk[_within(index, part)], values[inside], where=where[inside])

    def take(self, box: Box, where: NDArray[np.bool_]) -> NDArray[np.uint32]:
        """Values of a box, 0 where there are none; they are forgotten where the mask is True."""
        out = np.zeros(box.shape, np.uint32)
        for index, part in box.tiles(_CHUNK):
            chunk = self._chunks.get(index)
            if chunk is not None:
                inside, own = part.relative_to(box).slices, _within(index, part)
                out[inside] = chunk[own]
                chunk[own][where[inside]] = 0
        return out


def _within(index: Index3, part: Box) -> tuple[slice, slice, slice]:
    z, y, x = index
    return part.shift((-z * _CHUNK, -y * _CHUNK, -x * _CHUNK)).slices


def write(
    labels: Any, frame: Frame, change: Change, covered: CoveredLabels, *, overwrite: bool = False
) -> Counter[int]:
    """Write the new mask of an object into the labels.

    Parameters
    ----------
    labels : array
        All labels of the layer; changed in place.
    frame : Frame
        Where the volume lies in it.
    change : Change
        What is new.
    covered : CoveredLabels
        What lies under this object.
    overwrite : bool
        Whether it may cover other objects. They come back where it withdraws.

    Returns
    -------
    Counter
        How many voxels each label won or lost.
    """
    now = frame.read(labels, change.box)
    want, own = change.mask != 0, now == change.label
    taken = want & ~own & (overwrite | (now == 0))
    left = own & ~want
    new = now.copy()
    covered.put(change.box, now, taken & (now != 0))
    new[taken] = change.label
    new[left] = covered.take(change.box, left)[left]
    if not (taken.any() or left.any()):
        return Counter()
    counts = difference(now, new)
    frame.write(labels, change.box, new)
    return counts


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


def painted_edits(
    mask: NDArray[np.bool_], shown: NDArray[np.bool_], free: NDArray[np.bool_]
) -> list[tuple[NDArray[np.bool_], bool]]:
    """What was painted into an object (True) and erased from it (False), from its masks in the engine and in the layer.

    Parameters
    ----------
    mask, shown : ndarray of bool
        (z, y, x), in the engine and in the layer.
    free : ndarray of bool
        (z, y, x), where the layer has no object: what another one covers was not erased.
    """
    return [(shown & ~mask, True), (mask & free, False)]
