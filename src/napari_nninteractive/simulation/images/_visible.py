"""How far an object stands out from what lies round it: only what a person could see is offered as a target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.simulation.images._fields import Float, Labels

__all__ = ["CONTRAST_FLOOR", "measure_contrast", "object_contrast"]

CONTRAST_FLOOR = 0.2
"""Smallest contrast of a target, as a fraction of the intensity range of the noise-free scene."""


def measure_contrast(clean: Float, labels: Labels, min_voxels: int) -> dict[int, float]:
    """Return for each object of at least ``min_voxels`` how far its inside stands out.

    The contrast is the difference between the median inside and the surroundings or, if that is larger, its border
    line: the 25th percentile over border voxels, so that three quarters of the border must show it.

    Parameters
    ----------
    clean
        Noise-free image (z, y, x) scaled to a range of one.
    labels
        (z, y, x) int16, 0 = background.
    min_voxels
        Smaller objects are left out.
    """
    sizes = np.bincount(labels.ravel())
    found: dict[int, float] = {}
    for value, box in enumerate(ndi.find_objects(labels), start=1):
        if box is None or sizes[value] < min_voxels:
            continue
        wide = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in box)
        found[value] = object_contrast(clean[wide], labels[wide] == value)
    return found


def object_contrast(clean: Float, mask: Labels | NDArray[np.bool_]) -> float:
    """Return how far one object stands out from what lies just outside it (see :func:`measure_contrast`)."""
    inside = np.asarray(mask, bool)
    core = ndi.binary_erosion(inside)
    core = core if core.sum() > 20 else inside
    near = ndi.binary_dilation(inside)
    line = near & ~core
    shell = ndi.binary_dilation(near, iterations=2) & ~near
    middle = float(np.median(clean[core]))
    edges = np.abs(clean[shell] - middle) if shell.any() else np.zeros(1)
    seam = np.abs(clean[line] - middle) if line.any() else np.zeros(1)
    return float(max(np.percentile(edges, 25), np.percentile(seam, 25)))
