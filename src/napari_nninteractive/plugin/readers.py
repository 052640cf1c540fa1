"""Image files as layers where they say that they lie, for napari's menu File ▸ Open.

TIFF and zarr are left to napari and its own readers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import Geometry, read_image
from napari_nninteractive.plugin.view import messages

__all__ = ["ENDINGS", "affine_of", "get_reader", "read_layers"]

LayerData = tuple[Any, dict[str, Any], str]
Paths = str | Sequence[str]

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""What the reader opens, as the manifest says; lower case."""


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Reader of some files.

    Parameters
    ----------
    path : str or sequence of str
        Name of the file, or of several.

    Returns
    -------
    callable or None
        `read_layers`; None unless all of them end in one of `ENDINGS`.
    """
    return read_layers if all(p.lower().endswith(ENDINGS) for p in _listed(path)) else None


def read_layers(path: Paths) -> list[LayerData]:
    """Each file as one image layer.

    Parameters
    ----------
    path : str or sequence of str
        Name of the file, or of several.

    Returns
    -------
    list of tuple
        Voxels (z, y, x) or (y, x) as stored, options of the layer with its place and unit, and "image".

    Raises
    ------
    ImageError
        If a file is damaged, or holds no single stack of real numbers.
    """
    return [_layer(Path(p)) for p in _listed(path)]


def _listed(path: Paths) -> list[str]:
    return [path] if isinstance(path, str) else [str(p) for p in path]


def _layer(path: Path) -> LayerData:
    try:
        image = read_image(path)
    except ImageError as error:  # napari shows it as it is
        raise ImageError(messages.error(error)) from error
    ending = next(e for e in ENDINGS if path.name.lower().endswith(e))
    ndim = image.geometry.ndim
    options: dict[str, Any] = {
        "name": path.name[: -len(ending)],
        "affine": affine_of(image.geometry),
        "axis_labels": ("z", "y", "x")[-ndim:],
    }
    if image.unit:
        options["units"] = (image.unit,) * ndim
    return np.asarray(image.data), options, "image"


def affine_of(geometry: Geometry) -> NDArray[np.float64]:
    """From voxels to space, as napari has it.

    Parameters
    ----------
    geometry : Geometry
        Axes in the order x, y(, z).

    Returns
    -------
    ndarray
        Homogeneous matrix (ndim + 1, ndim + 1), float64, axes in the order (z,) y, x.
    """
    ndim = geometry.ndim
    direction = np.array(geometry.direction, np.float64).reshape(ndim, ndim)
    matrix = np.eye(ndim + 1)
    matrix[:ndim, :ndim] = (direction * np.array(geometry.spacing))[::-1, ::-1]
    matrix[:ndim, ndim] = geometry.origin[::-1]
    return matrix
