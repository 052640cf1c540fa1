"""What the network sees of an image: a region through a patch of fixed shape; which voxels enter which average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3

__all__ = ["View", "Zoom3"]

_SLAB_VOXELS = 1 << 23  # full-resolution voxels averaged at once: 32 MiB of float32


Zoom3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class View:
    """Where the network looks, from how far away, and through which patch.

    Parameters
    ----------
    centre : tuple of int
        Voxel (z, y, x) of the image in the middle of the patch.
    zoom : tuple of float
        Voxels of the image per voxel of the patch along (z, y, x): above 1 from further away.
    patch : tuple of int
        Shape (z, y, x) of the patch in voxels.
    """

    centre: Index3
    zoom: Zoom3
    patch: Index3

    @classmethod
    def at(cls, centre: Index3, zoom: float, patch: Index3) -> View:
        """View with the same zoom along all axes."""
        return cls(centre, (zoom, zoom, zoom), patch)

    @classmethod
    def of(cls, region: Box, patch: Index3) -> View:
        """View of a region (half-open, at least one voxel) through a patch."""
        centre = [a + n // 2 for a, n in zip(region.start, region.shape, strict=True)]
        z, y, x = (n / p for n, p in zip(region.shape, patch, strict=True))
        return cls((centre[0], centre[1], centre[2]), (z, y, x), patch)

    @property
    def region(self) -> Box:
        """Voxels of the image that are covered, half-open (z, y, x); may reach beyond the image."""
        return Box.around(
            self.centre, [round(p * z) for p, z in zip(self.patch, self.zoom, strict=True)]
        )

    @property
    def is_full_resolution(self) -> bool:
        """Whether a voxel of the patch is a voxel of the image."""
        return self.region.shape == self.patch

    def zoomed(self, zoom: Zoom3) -> View:
        """View of the same middle through the same patch, from another distance."""
        return View(self.centre, zoom, self.patch)

    def outputs(self, box: Box, halo: int | Sequence[int] = 0) -> Box:
        """Voxels of the patch whose average some voxel within `halo` of the image box `box` enters."""
        grown = box.pad(halo).intersect(self.region).relative_to(self.region)
        if grown.is_empty or self.is_full_resolution:
            return grown
        start, stop = [], []
        for a, b, n_in, n_out in zip(
            grown.start, grown.stop, self.region.shape, self.patch, strict=True
        ):
            first, last = resample.area_bins(n_in, n_out)
            start.append(int(np.searchsorted(last, a, side="right")))
            stop.append(int(np.searchsorted(first, b, side="left")))
        return Box(start, stop)

    def inputs(self, box: Box) -> Box:
        """Voxels of the image that the voxels `box` of the patch average over."""
        if self.is_full_resolution:
            return box.shift(self.region.start)
        start, stop = [], []
        for a, b, n_in, n_out in zip(
            box.start, box.stop, self.region.shape, self.patch, strict=True
        ):
            first, last = resample.area_bins(n_in, n_out)
            start.append(int(first[a]))
            stop.append(int(last[b - 1]))
        inside = Box(start, stop)
        return inside.shift(self.region.start)

    def area_matrices(self, box: Box) -> list[NDArray[np.float32]]:
        """Matrix per axis that averages ``inputs(box)`` to the voxels `box` of the patch."""
        inside = self.inputs(box).relative_to(self.region)
        return [
            resample.area_matrix(n_in, n_out)[out, used]
            for n_in, n_out, out, used in zip(
                self.region.shape, self.patch, box.slices, inside.slices, strict=True
            )
        ]

    def slabs(self, box: Box) -> list[Box]:
        """Parts of an output box along z whose inputs are few enough to be held at once."""
        rows = box.shape[0]
        n = min(rows, max(1, math.ceil(self.inputs(box).size / _SLAB_VOXELS)))
        cuts = [box.start[0] + rows * i // n for i in range(n + 1)]
        return [Box((a, *box.start[1:]), (b, *box.stop[1:])) for a, b in pairwise(cuts)]
