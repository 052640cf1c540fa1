"""From how far away training looks: as AutoZoom does."""

from __future__ import annotations

from napari_nninteractive.engine.autozoom import zooms_from
from napari_nninteractive.engine.config import EngineConfig

__all__ = ["ZOOMS"]

ZOOMS = tuple(sorted({*zooms_from(1.0, EngineConfig()), *zooms_from(2.0, EngineConfig())} - {1.0}))
"""Distances that AutoZoom looks from, after a click and after a prompt twice as wide as the patch."""
