"""Working resolution: the voxels in which an object is looked at, as a coarser microscope would have taken them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Prompt,
    Scribble,
)
from napari_nninteractive.core.volume import Volume

__all__ = ["WorkingResolution"]


@dataclass(frozen=True, slots=True)
class WorkingResolution:
    """How many voxels of the image are one working voxel.

    Working voxels are blocks counted from the first voxel of the image; the last along an axis may be cut off.

    Parameters
    ----------
    zoom : tuple of int
        Voxels of the image per working voxel along (z, y, x), at least 1.
    """

    zoom: Index3 = (1, 1, 1)

    @property
    def is_full(self) -> bool:
        """Whether a working voxel is a voxel of the image."""
        return self.zoom == (1, 1, 1)

    def shape(self, image_shape: Index3) -> Index3:
        """Working voxels (z, y, x) of an image."""
        z, y, x = (-(-n // k) for n, k in zip(image_shape, self.zoom, strict=True))
        return z, y, x

    def box(self, box: Box) -> Box:
        """Working voxels that hold some voxel of an image's box."""
        return Box(
            [a // k for a, k in zip(box.start, self.zoom, strict=True)],
            [-(-b // k) for b, k in zip(box.stop, self.zoom, strict=True)],
        )

    def voxels(self, box: Box, image_shape: Index3) -> Box:
        """Voxels of the image in a box of working voxels."""
        return Box(
            [a * k for a, k in zip(box.start, self.zoom, strict=True)],
            [b * k for b, k in zip(box.stop, self.zoom, strict=True)],
        ).clip(image_shape)

    def averaged(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """Means of the blocks of an array (z, y, x) that begins at one; the last ones may be cut off."""
        out: NDArray[np.float32] = np.asarray(block, np.float32)
        for axis, k in enumerate(self.zoom):
            if k > 1:
                starts = np.arange(0, out.shape[axis], k)
                counts = np.diff(np.append(starts, out.shape[axis])).astype(np.float32)
                total = np.add.reduceat(out, starts, axis=axis, dtype=np.float32)
                out = np.asarray(total / np.expand_dims(counts, [a for a in range(3) if a != axis]))
        return out

    def volume(self, volume: Volume) -> Volume:
        """The image in working voxels, averaged where it is read."""
        spacing = [s * k for s, k in zip(volume.spacing, self.zoom, strict=True)]
        return Volume.open(_Averaged(volume, self), spacing)

    def enlarged(self, values: NDArray[np.float32], box: Box, target: Box) -> NDArray[np.float32]:
        """Values of working voxels at the voxels of an image, linear between the middles of the blocks.

        Parameters
        ----------
        values : ndarray
            float32 (z, y, x) of `box`.
        box : Box
            In working voxels.
        target : Box
            In voxels of the image; beyond `box` the nearest value counts.

        Returns
        -------
        ndarray
            float32 of the target's shape.
        """
        matrices = []
        for n, low, a, b, k in zip(
            values.shape, box.start, target.start, target.stop, self.zoom, strict=True
        ):
            position = np.clip((np.arange(a, b) + 0.5) / k - 0.5 - low, 0, n - 1)
            first = np.minimum(position.astype(np.int64), max(n - 2, 0))
            weight = (position - first).astype(np.float32)
            matrix = np.zeros((b - a, n), np.float32)
            rows = np.arange(b - a)
            matrix[rows, first] = 1 - weight
            matrix[rows, np.minimum(first + 1, n - 1)] += weight
            matrices.append(matrix)
        return resample.apply(values, matrices)

    def repeated(self, values: NDArray[Any], box: Box, target: Box) -> NDArray[Any]:
        """Values of working voxels at the voxels `target` of an image, each as it is."""
        index = [
            np.arange(a, b) // k - low
            for low, a, b, k in zip(box.start, target.start, target.stop, self.zoom, strict=True)
        ]
        return values[np.ix_(*index)]

    def prompt(self, prompt: Prompt) -> Prompt:
        """A prompt in working voxels; flat ones stay flat, and nothing that was drawn is lost."""
        if self.is_full:
            return prompt
        box = self.box(prompt.bounds)
        match prompt:
            case Point():
                return Point(box.start, prompt.positive)
            case BoxPrompt():
                return BoxPrompt(box.start, box.stop, prompt.positive)
            case Scribble():
                return Scribble(
                    self._shares(prompt.mask, prompt.bounds) > 0, box.start, prompt.positive
                )
            case Lasso():
                return Lasso(self._mostly(prompt.mask, prompt.bounds), box.start, prompt.positive)
            case MaskEdit():
                return MaskEdit(self._mostly(prompt.mask, prompt.bounds), box.start, prompt.value)
            case InitialMask():
                shape = self.shape(prompt.shape or prompt.bounds.stop)
                return InitialMask(self._mostly(prompt.mask, prompt.bounds), box.start, shape)

    def _mostly(self, mask: NDArray[np.bool_], bounds: Box) -> NDArray[np.bool_]:
        """Working voxels of which half is set, or, where there are none, those of which most is."""
        shares = self._shares(mask, bounds)
        return np.asarray(shares >= min(0.5, float(shares.max())))

    def _shares(self, mask: NDArray[np.bool_], bounds: Box) -> NDArray[np.float32]:
        """Share of each working voxel that is set, counted along axes along which the mask is not flat."""
        before = [a % k for a, k in zip(bounds.start, self.zoom, strict=True)]
        after = [-b % k for b, k in zip(bounds.stop, self.zoom, strict=True)]
        padded = np.pad(mask, list(zip(before, after, strict=True)))
        shares = self.averaged(padded)
        thin = math.prod(k for k, n in zip(self.zoom, bounds.shape, strict=True) if n == 1)
        return np.asarray(np.minimum(shares * thin, 1), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Averaged:
    """An image (z, y, x) in working voxels, float32, read and averaged where it is sliced."""

    volume: Volume
    resolution: WorkingResolution

    @property
    def shape(self) -> Index3:
        """Working voxels."""
        return self.resolution.shape(self.volume.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Of the means."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Sequence[slice]) -> NDArray[np.float32]:
        box = Box.from_slices(
            [slice(*s.indices(n)[:2]) for s, n in zip(key, self.shape, strict=True)]
        )
        return self.resolution.averaged(
            self.volume.read(self.resolution.voxels(box, self.volume.shape))
        )
