"""Where to look first, and whether to look from further away: pure functions, as published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.prompts import Point, Prompt
from napari_nninteractive.core.view import View
from napari_nninteractive.engine.config import EngineConfig

__all__ = ["border_changed", "start_view", "wider_view", "zooms_from"]


def start_view(prompt: Prompt, image_shape: Index3, patch: Index3, config: EngineConfig) -> View:
    """First look at a prompt.

    A point is looked at from close by. Anything larger is centred, and seen from far enough away that it fits with a
    third of the patch as context.
    """
    if isinstance(prompt, Point):
        return View.at(prompt.position, 1.0, patch)
    box = prompt.bounds.clip(image_shape)
    need = [
        (extent + int(p * config.context_fraction)) / p
        for extent, p in zip(box.shape, patch, strict=True)
    ]
    return View.at(box.centre, float(min(max(1.0, *need), config.max_zoom)), patch)


def wider_view(view: View, config: EngineConfig) -> View | None:
    """Next wider view of the same place, or None at the widest."""
    z, y, x = (_wider(zoom, config) for zoom in view.zoom)
    return None if (z, y, x) == view.zoom else view.zoomed((z, y, x))


def _wider(zoom: float, config: EngineConfig) -> float:
    return min(zoom * config.zoom_growth, config.max_zoom) if zoom < config.max_zoom else zoom


def zooms_from(zoom: float, config: EngineConfig) -> tuple[float, ...]:
    """Zooms that AutoZoom goes through from one on, the first and the widest included."""
    out = [zoom]
    while (wider := _wider(out[-1], config)) != out[-1]:
        out.append(wider)
    return tuple(out)


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
