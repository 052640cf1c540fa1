"""The real stack that the scripts play on: eight nuclei of a mouse embryo with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

__all__ = ["Nuclei", "deepest", "load_nuclei"]

Voxel = tuple[int, int, int]


def deepest(region: NDArray[np.bool_]) -> Voxel:
    """Voxel (z, y, x) farthest from the border of a region; the outside of the array is border."""
    depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1, 1:-1]
    z, y, x = (int(i) for i in np.unravel_index(int(depth.argmax()), depth.shape))
    return z, y, x


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """A stack and its objects.

    Attributes
    ----------
    image : ndarray
        (z, y, x).
    labels : ndarray
        (z, y, x), 0 where there is no object.
    spacing : tuple of float
        Physical size of a voxel (z, y, x).
    """

    image: NDArray[Any]
    labels: NDArray[Any]
    spacing: tuple[float, ...]

    @property
    def ids(self) -> list[int]:
        """Labels of the objects."""
        return [int(i) for i in np.unique(self.labels) if i]

    def middles(self) -> list[Voxel]:
        """Deepest voxel of each object."""
        return [deepest(self.labels == i) for i in self.ids]


def load_nuclei(shared: Path) -> Nuclei | None:
    """Read the stack, or None where it is missing."""
    folder = shared / "data" / "qcanet_mouse_8cell"
    if not folder.is_dir():
        return None
    spacing = (folder / "spacing_zyx.txt").read_text(encoding="utf-8").replace(",", " ").split()
    return Nuclei(
        tifffile.imread(folder / "image.tif"),
        tifffile.imread(folder / "label.tif"),
        tuple(float(s) for s in spacing),
    )
