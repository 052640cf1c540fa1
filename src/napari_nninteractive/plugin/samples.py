"""The synthetic stacks of `simulation.images.samples` as layers, for napari's menu File ▸ Open Sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from napari_nninteractive.simulation.images import samples

__all__ = ["nuclei", "packed_cells", "vessels"]

LayerData = tuple[NDArray[Any], dict[str, Any], str]


def nuclei() -> list[LayerData]:
    """Touching and sparse nuclei, and their truth, hidden."""
    return _layers(samples.nuclei)


def packed_cells() -> list[LayerData]:
    """Cells without gaps, stained walls, and their truth, hidden."""
    return _layers(samples.packed_cells)


def vessels() -> list[LayerData]:
    """Winding tubes, and their truth, hidden."""
    return _layers(samples.vessels)


def _layers(make: Callable[[], samples.Sample]) -> list[LayerData]:
    sample = make()
    space = {
        "scale": sample.spacing,
        "units": ("micrometer",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    return [
        (sample.image, {"name": sample.name, **space}, "image"),
        (sample.labels, {"name": f"{sample.name}: truth", "visible": False, **space}, "labels"),
    ]
