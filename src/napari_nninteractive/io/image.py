"""One image of a file, with where its voxels lie in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.volume import ArrayLike3D

__all__ = ["Geometry", "ImageFile"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where voxels lie in space, as ITK writes it: axes in the order x, y(, z), two or three of them.

    Attributes
    ----------
    spacing : tuple of float
        Distance of neighbouring voxels along each axis.
    origin : tuple of float
        Position of the centre of the first voxel.
    direction : tuple of float
        Matrix whose columns are the directions of the axes, row after row.
    """

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def from_zyx(cls, spacing: Sequence[float], origin: Sequence[float] | None = None) -> Geometry:
        """Geometry of an unrotated image.

        Parameters
        ----------
        spacing, origin : sequence of float
            In the order (z,) y, x; the origin is 0 by default.
        """
        n = len(spacing)
        identity = tuple(float(row == column) for row in range(n) for column in range(n))
        start = tuple(float(v) for v in reversed(origin)) if origin is not None else (0.0,) * n
        return cls(tuple(float(v) for v in reversed(spacing)), start, identity)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spacing)

    @property
    def is_placed(self) -> bool:
        """Whether it has an origin or a direction that a format with the spacing alone would lose."""
        plain = Geometry.from_zyx(self.spacing)
        return (self.origin, self.direction) != (plain.origin, plain.direction)

    @property
    def is_turned(self) -> bool:
        """Whether its axes point elsewhere than those of space, which a format without directions would lose."""
        plain = Geometry.from_zyx(self.spacing).direction
        return any(abs(a - b) > 1e-6 for a, b in zip(self.direction, plain, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """An image as read from a file.

    Attributes
    ----------
    data : array
        (z, y, x), or (y, x) for a 2D image; read-only, memory-mapped or lazy where the format allows.
    geometry : Geometry
        Where its voxels lie; as many axes as `data`.
    unit : str
        Of the spacing: "mm", "µm", "nm", or "" where the file does not say.
    header : nibabel header, optional
        Of a NIfTI file: a mask in that format has exactly its frame and units.
    """

    data: ArrayLike3D
    geometry: Geometry
    unit: str = ""
    header: Any = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Physical size of a voxel along (z, y, x); z is 1 for a 2D image."""
        y, x = self.geometry.spacing[1], self.geometry.spacing[0]
        return (self.geometry.spacing[2] if self.geometry.ndim == 3 else 1.0), y, x

    @property
    def shape(self) -> Index3:
        """Voxels along (z, y, x); z is 1 for a 2D image."""
        sizes: tuple[Any, ...] = self.data.shape
        z, y, x = (int(n) for n in (sizes if len(sizes) == 3 else (1, *sizes)))
        return z, y, x
