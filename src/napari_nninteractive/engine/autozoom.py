"""Where to look first, and whether to look from further away: pure functions, as published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import Point, Prompt
from napari_nninteractive.engine.config import EngineConfig

__all__ = ["border_changed", "next_zoom", "start_view", "view_region"]


def start_view(
    prompt: Prompt, image_shape: Index3, patch: Index3, config: EngineConfig
) -> tuple[Index3, float]:
    """Centre (z, y, x) in voxels and zoom of the first look at a prompt.

    A point is looked at from close by. Anything larger is centred, and seen from far enough away that it fits with a
    third of the patch as context.
    """
    if isinstance(prompt, Point):
        return prompt.position, 1.0
    box = prompt.bounds.clip(image_shape)
    need = [
        (extent + int(p * config.context_fraction)) / p
        for extent, p in zip(box.shape, patch, strict=True)
    ]
    return box.centre, float(min(max(1.0, *need), config.max_zoom))


def view_region(centre: Index3, zoom: float, patch: Index3) -> Box:
    """Voxels that a patch covers at a zoom; may reach beyond the image."""
    return Box.around(centre, [round(p * zoom) for p in patch])


def next_zoom(zoom: float, config: EngineConfig) -> float | None:
    """Next wider zoom, or None at the widest."""
    return min(zoom * config.zoom_growth, config.max_zoom) if zoom < config.max_zoom else None


def border_changed(
    prediction: Sequence[NDArray[np.bool_]],
    previous: Sequence[NDArray[np.bool_]],
    config: EngineConfig,
) -> bool:
    """Whether a prediction changes any of the six faces of its patch, so that the object may go on outside.

    Parameters
    ----------
    prediction, previous : sequence of ndarray of bool
        The six faces of the patch (2D, in the same order) in the new mask and in the previous segmentation.
    config : EngineConfig
        Thresholds.

    Returns
    -------
    bool
        True if on some face more than ``border_voxels_many`` voxels differ, or more than ``border_voxels_few`` differ
        and the larger foreground exceeds the smaller by more than ``border_ratio``.
    """
    for new, old in zip(prediction, previous, strict=True):
        changed = int(np.count_nonzero(new != old))
        if changed > config.border_voxels_many:
            return True
        small, large = sorted((int(np.count_nonzero(new)), int(np.count_nonzero(old))))
        if changed > config.border_voxels_few and large > small * (1 + config.border_ratio):
            return True
    return False
