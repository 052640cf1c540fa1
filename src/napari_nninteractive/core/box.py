"""Axis-aligned boxes of voxels: half-open, in (z, y, x) order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

__all__ = ["Box", "Index3"]

Index3 = tuple[int, int, int]


def _triple(values: Sequence[int]) -> Index3:
    z, y, x = (int(v) for v in values)
    return z, y, x


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open box of voxels.

    Parameters
    ----------
    start, stop : tuple of int
        First voxel inside and first voxel outside along (z, y, x). May be negative: a patch reaches beyond the image.
        Where ``stop <= start`` on some axis the box is empty.
    """

    start: Index3
    stop: Index3

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> Box:
        """Box from the origin with the given (z, y, x) extent in voxels."""
        return cls((0, 0, 0), _triple(shape))

    @classmethod
    def around(cls, centre: Sequence[int], shape: Sequence[int]) -> Box:
        """Box of `shape` voxels that covers ``[c - n // 2, c + n // 2 + n % 2)`` on every axis."""
        start = _triple([c - n // 2 for c, n in zip(centre, shape, strict=True)])
        return cls(start, _triple([a + n for a, n in zip(start, shape, strict=True)]))

    @classmethod
    def from_slices(cls, slices: Sequence[slice]) -> Box:
        """Box of three slices with explicit start and stop."""
        return cls(_triple([s.start for s in slices]), _triple([s.stop for s in slices]))

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
            _triple([max(a, b) for a, b in zip(self.start, other.start, strict=True)]),
            _triple([min(a, b) for a, b in zip(self.stop, other.stop, strict=True)]),
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
            _triple([min(a, b) for a, b in zip(self.start, other.start, strict=True)]),
            _triple([max(a, b) for a, b in zip(self.stop, other.stop, strict=True)]),
        )

    def shift(self, offset: Sequence[int]) -> Box:
        """Box moved by `offset` voxels."""
        return Box(
            _triple([a + d for a, d in zip(self.start, offset, strict=True)]),
            _triple([b + d for b, d in zip(self.stop, offset, strict=True)]),
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
            _triple([a - m for a, m in zip(self.start, by, strict=True)]),
            _triple([b + m for b, m in zip(self.stop, by, strict=True)]),
        )

    def scale(self, factor: float | Sequence[float]) -> Box:
        """Smallest box of voxels that covers this box after multiplying coordinates by `factor` > 0."""
        if self.is_empty:
            return self
        by = [float(factor)] * 3 if isinstance(factor, int | float) else [float(f) for f in factor]
        return Box(
            _triple([math.floor(a * f) for a, f in zip(self.start, by, strict=True)]),
            _triple([math.ceil(b * f) for b, f in zip(self.stop, by, strict=True)]),
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
        for index in product(*ranges):
            corner = _triple([i * step for i in index])
            yield _triple(index), self.intersect(Box(corner, _triple([c + step for c in corner])))
