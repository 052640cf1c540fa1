"""Whether an image and its labels lie on one grid: voxels are paired by their numbers, so their places must agree."""

from __future__ import annotations

from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.image import ImageFile
from napari_nninteractive.io.units import factor

__all__ = ["check_same_grid"]

_ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
_SAME_DIRECTION = 1e-3  # of a unit vector: what rounding in headers does
_SAME_ORIGIN = 0.01  # of a voxel
_SAME_SPACING = 0.01  # relative


def check_same_grid(
    image: ImageFile,
    labels: ImageFile,
    image_name: str | PathLike[str],
    labels_name: str | PathLike[str],
) -> str:
    """Compare where the voxels of two files lie; nothing is compared unless both files say so.

    NIfTI with a qform or sform, NRRD and MetaImage say it. TIFF and OME-Zarr know no directions and do not count.

    Parameters
    ----------
    image, labels : ImageFile
        As read, of the same shape.
    image_name, labels_name : path
        Of the files, as messages name them; the endings tell the formats.

    Returns
    -------
    str
        A warning, where the sizes of the voxels differ by more than 1 %; else "".

    Raises
    ------
    ImageError
        If direction or origin differ: the labels would be those of other voxels.
    """
    if not (_is_placed(image, image_name) and _is_placed(labels, labels_name)):
        return ""
    n = min(image.geometry.ndim, labels.geometry.ndim)  # a single slice has two axes or three
    by = factor(labels.unit, image.unit) or 1.0
    first, second = _parts(image, n), _parts(labels, n, by)
    if not np.abs(first[2] - second[2]).max() <= _SAME_DIRECTION:
        raise _differ("direction", image_name, labels_name, first[2], second[2])
    if not (np.abs(first[1] - second[1]) <= _SAME_ORIGIN * first[0]).all():
        raise _differ("origin", image_name, labels_name, first[1], second[1])
    if (np.abs(first[0] - second[0]) <= _SAME_SPACING * first[0]).all():
        return ""
    return (
        f"{fspath(image_name)} and {fspath(labels_name)} have voxels of different sizes (x, y, z): "
        f"{_numbers(first[0])} and {_numbers(second[0])}; that of the image counts. Correct the one that is wrong."
    )


def _is_placed(file: ImageFile, name: str | PathLike[str]) -> bool:
    if file.header is not None:  # NIfTI; without both forms only sizes are known
        return bool(int(file.header["qform_code"]) or int(file.header["sform_code"]))
    return fspath(name).lower().endswith(_ITK)


def _parts(
    file: ImageFile, n: int, by: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Spacing, origin and direction along the first axes, lengths multiplied."""
    g = file.geometry
    direction = np.reshape(g.direction, (g.ndim, g.ndim))[:n, :n]
    return np.array(g.spacing[:n]) * by, np.array(g.origin[:n]) * by, direction


def _differ(
    what: str,
    image_name: str | PathLike[str],
    labels_name: str | PathLike[str],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
) -> ImageError:
    return ImageError(
        f"{fspath(labels_name)} does not lie on the voxels of {fspath(image_name)}: the {what} (x, y, z) of the labels "
        f"is {_numbers(second)}, that of the image {_numbers(first)}. Save both on the same grid: resample the labels "
        "onto the image by nearest neighbour, for example in 3D Slicer; if only the header is wrong, copy that of the "
        "image."
    )


def _numbers(values: NDArray[np.float64]) -> str:
    rows = (" ".join(f"{round(v, 4) + 0.0:g}" for v in row) for row in np.atleast_2d(values))
    return "[" + "; ".join(rows) + "]"
