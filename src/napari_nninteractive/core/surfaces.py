"""How much of the surfaces of two masks agrees, up to a distance.

Masks are bool (z, y, x). Two empty masks agree, an empty and another one do not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.metrics import Bool, check_same_shape
from napari_nninteractive.errors import ImageError

__all__ = ["TOLERANCE_VOXELS", "default_tolerance", "surface_dice"]

TOLERANCE_VOXELS = 1.0
"""Distance, in edges of a cube as large as a voxel, up to which surfaces count as the same.

Two people who outline one object by hand differ by about a voxel, so what is closer than that is no error.
"""


def default_tolerance(spacing: Sequence[float]) -> float:
    """Distance up to which two surfaces count as the same, where none is given.

    Parameters
    ----------
    spacing : sequence of float
        Physical size of a voxel along (z, y, x).

    Returns
    -------
    float
        :data:`TOLERANCE_VOXELS` edges of a cube as large as a voxel, in the unit of the spacing. In isotropic images
        this is a voxel; where slices are thick it is more than a voxel in them, and less than from one to the next.
    """
    return TOLERANCE_VOXELS * math.prod(float(s) for s in spacing) ** (1 / len(spacing))


def surface_dice(
    a: Bool,
    b: Bool,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    tolerance: float | None = None,
) -> float:
    """Share of both surfaces that lies within a distance of the other one.

    The surface of a mask is that of its voxels: faces between inside and outside, the border of the image included.
    The area of each face is shared out among its four corners, and the distance between corners is what counts. Only
    the surfaces are looked at, so that a small object costs the same in an image of any size.

    Parameters
    ----------
    a, b : ndarray
        bool (z, y, x), of one shape.
    spacing : sequence of float
        Physical size of a voxel along (z, y, x), positive.
    tolerance : float, optional
        Distance in the unit of the spacing, not negative; that of :func:`default_tolerance` by default.

    Returns
    -------
    float
        0 to 1, weighted by area; 1 if both are empty, 0 if one is.

    Raises
    ------
    ImageError
        If the shapes differ or are not 3D, or spacing or tolerance make no sense.
    """
    check_same_shape(a, b)
    if np.ndim(a) != 3:
        raise ImageError(f"Surfaces are measured in 3D (z, y, x), not in masks of shape {a.shape}.")
    if len(spacing) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing):
        raise ImageError(
            f"The spacing must be three positive numbers (z, y, x), not {tuple(spacing)}."
        )
    reach = default_tolerance(spacing) if tolerance is None else float(tolerance)
    if not math.isfinite(reach) or reach < 0:
        raise ImageError(f"The tolerance must be a distance of 0 or more, not {tolerance}.")
    box = (Box.of_mask(a) or Box.EMPTY).union(Box.of_mask(b) or Box.EMPTY)
    first, second = (_surface(np.asarray(m[box.slices], bool), spacing) for m in (a, b))
    if not len(first[0]) or not len(second[0]):
        return 1.0 if len(first[0]) == len(second[0]) else 0.0
    reach = reach * (1 + 1e-6) + 1e-9 * min(spacing)  # distances are rounded
    near = _area_near(first, second, reach) + _area_near(second, first, reach)
    return min(float(near / (first[1].sum() + second[1].sum())), 1.0)


def _surface(
    mask: Bool, spacing: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the exposed faces, (n, 3) in physical units, and the area that each stands for, (n,)."""
    padded = np.pad(mask, 1)
    area = np.zeros([n + 1 for n in mask.shape])
    for axis in range(3):
        faces = np.diff(padded, axis=axis)  # the faces across this axis, with a rim on the others
        share = math.prod(s for i, s in enumerate(spacing) if i != axis) / 4
        i, j = (k for k in range(3) if k != axis)
        for low in (0, 1):
            for high in (0, 1):
                part = [slice(None)] * 3
                part[i] = slice(low, faces.shape[i] - 1 + low)
                part[j] = slice(high, faces.shape[j] - 1 + high)
                area += share * faces[tuple(part)]
    corners = np.argwhere(area > 0)
    return corners * np.asarray(spacing, float), area[tuple(corners.T)]


def _area_near(
    surface: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
    reach: float,
) -> float:
    # Imported when used: most callers want Dice alone.
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(other[0]).query(surface[0], distance_upper_bound=reach)
    return float(surface[1][np.isfinite(distance)].sum())
