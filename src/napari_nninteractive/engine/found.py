"""What the network finds at a click at one working resolution, and what that says of it: pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.working import WorkingResolution
from napari_nninteractive.engine.config import EngineConfig

__all__ = ["Found", "measured"]


@dataclass(frozen=True, slots=True)
class Found:
    """What the network finds at a click at one working resolution.

    Attributes
    ----------
    size : float
        Voxels of the image; 0 where it finds nothing.
    extent : float
        Part of the patch that it fills, along the axis along which it fills most.
    cut : float
        Largest part of a face of the patch that it covers where the image goes on.
    certainty : float
        Dice that the network expects of it by its own probabilities.
    """

    size: float = 0.0
    extent: float = 0.0
    cut: float = 0.0
    certainty: float = 0.0

    def fits(self, config: EngineConfig) -> bool:
        """Whether it lies well inside the patch."""
        inside = self.extent < config.working_fill and self.cut <= config.working_border
        return self.size > 0 and inside

    def is_better(self, nearer: Found, config: EngineConfig) -> bool:
        """Whether it is reason enough to leave full resolution, where less than the whole object was found."""
        return self.size >= nearer.size and self.certainty >= config.working_certainty

    def is_sure(self, config: EngineConfig) -> bool:
        """Whether it fits with much around it, and the network is sure of it."""
        small = self.extent <= config.working_sure_fill
        return self.fits(config) and small and self.certainty >= config.working_certainty


def measured(
    values: NDArray[np.float32],
    clicked: Index3,
    seen: Box,
    shapes: tuple[Index3, Index3],
    resolution: WorkingResolution,
) -> Found:
    """Measures of the part of a field of probabilities that was clicked."""
    (patch, shape), mask = shapes, values > 0.5
    parts, _ = ndimage.label(mask)
    if not parts[clicked]:
        return Found()
    object_ = parts == parts[clicked]
    box = Box.of_mask(object_) or Box.EMPTY
    cuts = [
        float(object_.take(side, axis=axis).mean())
        for axis in range(3)
        for side, open_ in ((0, seen.start[axis] > 0), (-1, seen.stop[axis] < shape[axis]))
        if open_
    ]
    count = float(np.count_nonzero(object_))
    # Other objects that the network sees beside it say nothing about how sure it is of this one.
    expected = float(values[object_ | ~mask].sum())
    return Found(
        size=count * float(np.prod(resolution.zoom)),
        extent=max(n / p for n, p in zip(box.shape, patch, strict=True)),
        cut=max(cuts, default=0.0),
        certainty=2 * float(values[object_].sum()) / (count + expected),
    )
