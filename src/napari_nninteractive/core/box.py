"""Axis-aligned boxes of voxels: half-open, in (z, y, x) order."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Index3"]

Index3 = tuple[int, int, int]


def _triple(values: Sequence[int]) -> Index3:
    z, y, x = values
    return operator.index(z), operator.index(y), operator.index(x)


@dataclass(frozen=True, slots=True, order=True, init=False)
class Box:
    """A half-open box of voxels.

    Parameters
    ----------
    start, stop : sequence of int
        First voxel inside and first voxel outside along (z, y, x), of any integer type; kept as tuples of int. May be
        negative: a patch reaches beyond the image. Where ``stop <= start`` on some axis the box is empty.

    Attributes
    ----------
    EMPTY : Box
        Box without voxels, at the origin.

    Raises
    ------
    TypeError
        If a coordinate is no integer.
    ValueError
        If there are not three of them.
    """

    EMPTY: ClassVar[Box]

    start: Index3
    stop: Index3

    def __init__(self, start: Sequence[int], stop: Sequence[int]) -> None:
        object.__setattr__(self, "start", _triple(start))
        object.__setattr__(self, "stop", _triple(stop))

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> Box:
        """Box from the origin with the given (z, y, x) extent in voxels."""
        return cls((0, 0, 0), shape)

    @classmethod
    def around(cls, centre: Sequence[int], shape: Sequence[int]) -> Box:
        """Box of `shape` voxels that covers ``[c - n // 2, c + n // 2 + n % 2)`` on every axis."""
        start = [c - n // 2 for c, n in zip(centre, shape, strict=True)]
        return cls(start, [a + n for a, n in zip(start, shape, strict=True)])

    @classmethod
    def from_slices(cls, slices: Sequence[slice]) -> Box:
        """Box of three slices with explicit start and stop."""
        return cls([s.start for s in slices], [s.stop for s in slices])

    @classmethod
    def of_mask(cls, mask: NDArray[np.bool_]) -> Box | None:
        """Smallest box that holds all set voxels of a mask.

        Parameters
        ----------
        mask : ndarray
            (z, y, x), bool or numbers, in any memory layout; non-zero where set.

        Returns
        -------
        Box or None
            Counted from the first voxel of the array; None where nothing is set.
        """
        start, stop = [0, 0, 0], list(mask.shape)
        for axis in range(3):
            # Each pass reads only what the ones before it left.
            part = mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
            used = np.flatnonzero(part.any(axis=tuple(a for a in range(3) if a != axis)))
            if not used.size:
                return None
            start[axis], stop[axis] = int(used[0]), int(used[-1]) + 1
        return cls(start, stop)

    @property
    def shape(self) -> Index3:
        """Extent in voxels along (z, y, x), 0 where empty."""
        return _triple([max(b - a, 0) for a, b in zip(self.start, self.stop, strict=True)])

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    @property
    def is_empty(self) -> bool:
        """Whether the box holds no voxel."""
        return any(b <= a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Slices into an array whose first voxel is the origin.

        Raises
        ------
        ValueError
            If the box starts below 0: such slices would silently count from the end.
        """
        if min(self.start) < 0:
            raise ValueError(f"{self} starts below 0 and has no slices; clip it first.")
        z, y, x = (slice(a, max(a, b)) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    @property
    def centre(self) -> Index3:
        """Middle voxel: ``(start + stop) / 2`` on every axis, rounded half to even."""
        return _triple([round((a + b) / 2) for a, b in zip(self.start, self.stop, strict=True)])

    def intersect(self, other: Box) -> Box:
        """Voxels that lie in both boxes (perhaps none)."""
        return Box(
            [max(a, b) for a, b in zip(self.start, other.start, strict=True)],
            [min(a, b) for a, b in zip(self.stop, other.stop, strict=True)],
        )

    def clip(self, shape: Sequence[int]) -> Box:
        """Part of the box inside an image of `shape` voxels."""
        return self.intersect(Box.of_shape(shape))

    def union(self, other: Box) -> Box:
        """Smallest box that holds both; an empty box adds nothing."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        return Box(
            [min(a, b) for a, b in zip(self.start, other.start, strict=True)],
            [max(a, b) for a, b in zip(self.stop, other.stop, strict=True)],
        )

    def shift(self, offset: Sequence[int]) -> Box:
        """Box moved by `offset` voxels."""
        return Box(
            [a + d for a, d in zip(self.start, offset, strict=True)],
            [b + d for b, d in zip(self.stop, offset, strict=True)],
        )

    def relative_to(self, other: Box) -> Box:
        """Same voxels, counted from the start of `other`."""
        return self.shift([-a for a in other.start])

    def pad(self, margin: int | Sequence[int]) -> Box:
        """Box grown by `margin` voxels on both sides of every axis (shrunk if negative); an empty box stays empty."""
        if self.is_empty:
            return self
        by = [margin] * 3 if isinstance(margin, int) else list(margin)
        return Box(
            [a - m for a, m in zip(self.start, by, strict=True)],
            [b + m for b, m in zip(self.stop, by, strict=True)],
        )

    def contains(self, other: Box) -> bool:
        """Whether every voxel of `other` lies in this box."""
        return other.is_empty or self.intersect(other) == other

    def __contains__(self, point: Sequence[int]) -> bool:
        """Whether the voxel at (z, y, x) lies in the box."""
        return all(a <= p < b for a, p, b in zip(self.start, point, self.stop, strict=True))

    def tiles(self, step: int) -> Iterator[tuple[Index3, Box]]:
        """Parts of the box in a grid of cubes of `step` voxels anchored at 0, in order, with their grid index."""
        if self.is_empty:
            return
        ranges = [
            range(a // step, -(-b // step)) for a, b in zip(self.start, self.stop, strict=True)
        ]
        for z, y, x in product(*ranges):
            corner = [i * step for i in (z, y, x)]
            yield (z, y, x), self.intersect(Box(corner, [c + step for c in corner]))


Box.EMPTY = Box((0, 0, 0), (0, 0, 0))
