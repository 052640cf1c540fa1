"""A region of the image seen through a patch of fixed shape: which voxels enter which average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3

__all__ = ["View"]

_SLAB_VOXELS = 1 << 23  # full-resolution voxels averaged at once: 32 MiB of float32


@dataclass(frozen=True, slots=True)
class View:
    """A region and the patch it is averaged into.

    Attributes
    ----------
    region : Box
        Voxels of the image that are covered; may reach beyond it.
    patch : tuple of int
        Shape (z, y, x) of the patch in voxels; the region's at zoom 1.
    """

    region: Box
    patch: Index3

    @property
    def is_full_resolution(self) -> bool:
        """Whether a voxel of the patch is a voxel of the image."""
        return self.region.shape == self.patch

    def outputs(self, box: Box, halo: int = 0) -> Box:
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
