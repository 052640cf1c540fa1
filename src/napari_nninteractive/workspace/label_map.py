"""The label map: all objects of an image in one array, and the rules of who wins a voxel.

Each object has a label of its own. A voxel belongs to one object: who has it keeps it, unless objects may overwrite
others; what they cover comes back where they withdraw. Painting by hand wins always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.workspace.commands import Change, Stroke

__all__ = ["Key", "LabelMap", "count", "difference", "dtype_for", "edits_of", "numbered"]

_CHUNK = 64
_COUNTED = 1 << 20  # voxels counted in one go

Key = tuple[int | slice | EllipsisType, ...]
"""A part of an array: its index."""


class LabelMap:
    """Labels of all objects of an image, their sizes, and the numbers that they are shown with.

    Parameters
    ----------
    array : ndarray of unsigned int
        Label of the object at each voxel, 0 for none; along all axes of the image, channels included, which hold the
        same. Changed in place, and replaced by a wider one where a label asks for it.
    numbers : mapping of int to int, optional
        By label: number that the object is shown with, where it is not its label.
    channel_axis : int, optional
        Axis of the channels, where the array has one.

    Attributes
    ----------
    array : ndarray of unsigned int
        The labels.
    numbers : dict
        Given by the user; several objects may share one.
    voxels : Counter
        Voxels of each label.
    """

    def __init__(
        self,
        array: NDArray[Any],
        numbers: Mapping[int, int] | None = None,
        channel_axis: int | None = None,
    ) -> None:
        self.array = array
        self.numbers: dict[int, int] = dict(numbers or {})
        self.voxels: Counter[int] = Counter()
        self.channel_axis = channel_axis
        self._covered: dict[tuple[Frame, int], _CoveredLabels] = {}

    def number(self, label: int) -> int:
        """Return what an object is shown with."""
        return self.numbers.get(label, label)

    def reserve(self, label: int) -> None:
        """Widen the array, where its type does not hold a label."""
        if label > np.iinfo(self.array.dtype).max:
            self.array = self.array.astype(dtype_for(label))

    def mask(self, frame: Frame, label: int) -> NDArray[np.bool_]:
        """Voxels (z, y, x) of an object at a time point."""
        whole = Box.of_shape(frame.volume_shape)
        return np.asarray(frame.read(self.array, whole) == label)

    def recount(self) -> Counter[int]:
        """Count the voxels of each label anew; reads all of them."""
        self.voxels = count(self._one_channel(self.array))
        return self.voxels

    def shown(self, key: Key) -> NDArray[Any]:
        """Part of the map with the numbers that its objects are shown with; a copy."""
        return numbered(np.asarray(self.array[key]), self.numbers)

    def write(self, changes: Sequence[Change], *, overwrite: bool = False) -> list[Key]:
        """Write new masks of objects, as one action: voxels are first given up by all, then taken.

        Parameters
        ----------
        changes : sequence of Change
            What is new.
        overwrite : bool
            Whether objects may cover others, which come back where they withdraw.

        Returns
        -------
        list of tuple
            Parts of the array that may differ now.
        """
        if changes:
            self.reserve(max(change.label for change in changes))
        for change in changes:
            self._withdraw(change)
        for change in changes:
            self._take(change, overwrite=overwrite)
        return [change.frame.key(change.box) for change in changes]

    def painted(self, stroke: Stroke) -> None:
        """Count what was painted by hand into the array, where it is already."""
        old, new = (self._one_channel(values) for values in (stroke.old, stroke.new))
        self.voxels.update(difference(old, new))

    def _one_channel(self, values: NDArray[Any]) -> NDArray[Any]:
        """Channels hold the same: the first one counts."""
        if self.channel_axis is None:
            return values
        return np.asarray(values[(slice(None),) * self.channel_axis + (0,)])

    def _withdraw(self, change: Change) -> None:
        """Give up the voxels that an object no longer has; what lies under them comes back."""
        now = change.frame.read(self.array, change.box)
        left = (now == change.label) & (change.mask == 0)
        if left.any():
            new = now.copy()
            new[left] = self._under(change).take(change.box, left)[left]
            self._put(change, now, new)

    def _take(self, change: Change, *, overwrite: bool) -> None:
        """Give an object the voxels that it may have."""
        now = change.frame.read(self.array, change.box)
        taken = (change.mask != 0) & (now != change.label) & (overwrite | (now == 0))
        if taken.any():
            self._under(change).put(change.box, now, taken & (now != 0))
            new = now.copy()
            new[taken] = change.label
            self._put(change, now, new)

    def _under(self, change: Change) -> _CoveredLabels:
        return self._covered.setdefault((change.frame, change.label), _CoveredLabels())

    def _put(self, change: Change, old: NDArray[Any], new: NDArray[Any]) -> None:
        self.voxels.update(difference(old, new))
        change.frame.write(self.array, change.box, new)


def edits_of(stroke: Stroke, frame: Frame) -> Iterator[tuple[Frame, int, MaskEdit]]:
    """Give what a stroke by hand does to each object that it touches.

    Parameters
    ----------
    stroke : Stroke
        In labels of objects, along all axes of the image.
    frame : Frame
        Which axes are space; the others stand where the stroke was made.

    Yields
    ------
    Frame, int, MaskEdit
        Time point, label, and the voxels that the object loses or wins; losses come first.
    """
    space = frame.spatial
    others = [a for a in range(frame.ndim) if a not in space]
    # Channels hold the same, so that one is enough.
    sizes = [1 if a == frame.channels else stroke.touched.shape[a] for a in others]
    pad = 3 - len(space)
    z, y, x = (0,) * pad + tuple(stroke.start[a] for a in space)
    for offset in np.ndindex(*sizes):
        key: list[Any] = [slice(None)] * frame.ndim
        for axis, at in zip(others, offset, strict=True):
            key[axis] = int(at)
        position = [
            s if isinstance(k, slice) else s + k for s, k in zip(stroke.start, key, strict=True)
        ]
        touched, old, new = (
            values[tuple(key)] for values in (stroke.touched, stroke.old, stroke.new)
        )
        for values, won in ((old, False), (new, True)):
            for label in np.unique(values[touched]).tolist():
                if label:
                    mask = (touched & (values == label)).reshape((1,) * pad + touched.shape)
                    yield frame.at(position), int(label), MaskEdit(mask, (z, y, x), won)


class _CoveredLabels:
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
