"""Volumes as a better microscope would have taken them: more voxels along y and x for the same objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core import resample

__all__ = ["enlarged_image", "enlarged_labels"]


def enlarged_image(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """Enlarge an image along y and x, linearly between the centres of its voxels.

    Parameters
    ----------
    image : ndarray
        (z, y, x) or (y, x), real.
    factor : int
        Voxels along y and x that take the place of one, at least 1.

    Returns
    -------
    ndarray
        In the same dtype, rounded where it is of integers.
    """
    along_y, along_x = (resample.linear_matrix(n, n * factor) for n in image.shape[-2:])
    out = np.empty((*image.shape[:-2], len(along_y), len(along_x)), image.dtype)
    for index in np.ndindex(image.shape[:-2]):
        plane = along_y @ image[index].astype(np.float32) @ along_x.T
        out[index] = plane if image.dtype.kind == "f" else np.rint(plane)
    return out


def enlarged_labels(labels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Enlarge labels (z, y, x) or (y, x) along y and x: every voxel becomes `factor` times `factor` like it."""
    return labels.repeat(factor, axis=-2).repeat(factor, axis=-1)
