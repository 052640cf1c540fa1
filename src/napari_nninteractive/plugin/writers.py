"""Labels layers into files with the geometry of their image, for napari's menu File ▸ Save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError
from napari_nninteractive.files import atomic_write
from napari_nninteractive.io import Geometry
from napari_nninteractive.io.ome_zarr import write_zarr
from napari_nninteractive.io.units import factor
from napari_nninteractive.io.write import MASK_ENDINGS, write_image
from napari_nninteractive.plugin.view.messages import short_unit

__all__ = ["geometry_of", "write_labels", "write_labels_zarr"]

_PLAIN = ("pixel", "px", "")


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as NIfTI, NRRD, MetaImage or TIFF.

    Parameters
    ----------
    path : str
        File to write; its ending chooses the format.
    data : array
        (z, y, x) or (y, x).
    attributes : dict
        Of the layer.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    ImageError
        If it cannot be written.
    """
    file = Path(path)
    if not file.name.lower().endswith(MASK_ENDINGS):
        raise ImageError(
            f"{file.name} cannot hold labels in 3D: let its name end in {', '.join(MASK_ENDINGS)}."
        )
    labels = _finest(data, attributes)
    if labels.ndim not in (2, 3):
        raise ImageError(
            f"These labels have {labels.ndim} axes, but the file holds two or three: save as .zarr, or save one time "
            "point."
        )
    if not file.parent.is_dir():
        raise ImageError(f"There is no folder {file.parent}: choose another folder.")
    geometry = geometry_of(_in_one_unit(attributes, labels.ndim), labels.ndim)
    try:
        with atomic_write(file) as beside:
            write_image(beside, labels, geometry, _unit(attributes))
    except OSError as error:
        raise ImageError(
            f"{file} cannot be written ({error.strerror or error}): choose another folder."
        ) from error
    return [str(file)]


def write_labels_zarr(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer of up to five axes as OME-Zarr 0.4.

    Parameters
    ----------
    path : str
        Folder to write; it must not be there yet.
    data : array
        With any axes; the last two or three are space, unless their names say otherwise.
    attributes : dict
        Of the layer. OME-Zarr 0.4 has no place for a rotation.

    Returns
    -------
    list of str
        The folder.

    Raises
    ------
    ImageError
        If it cannot be written.
    """
    labels = _finest(data, attributes)
    geometry_of(attributes, labels.ndim, turned=False)
    axes, units = _axes(attributes, labels.ndim)
    write_zarr(
        Path(path),
        labels,
        axes,
        attributes.get("scale", (1.0,) * labels.ndim),
        attributes.get("translate", (0.0,) * labels.ndim),
        units=units,
        name=str(attributes.get("name", "labels")),
    )
    return [str(Path(path))]


def geometry_of(attributes: dict[str, Any], ndim: int, *, turned: bool = True) -> Geometry:
    """Where a layer's voxels lie, from its attributes.

    Parameters
    ----------
    attributes : dict
        Of the layer: scale, translate, rotate, shear, affine.
    ndim : int
        Number of axes.
    turned : bool
        Whether the format knows rotations.

    Returns
    -------
    Geometry
        Axes in the order x, y(, z).

    Raises
    ------
    ImageError
        If the layer is sheared, or rotated where that has no place.
    """
    own = Affine(
        attributes.get("scale", (1.0,) * ndim),
        attributes.get("translate", (0.0,) * ndim),
        rotate=attributes.get("rotate"),
        shear=attributes.get("shear"),
        ndim=ndim,
    ).affine_matrix
    outer = attributes.get("affine")
    matrix = own if outer is None else np.asarray(outer, np.float64) @ own
    columns, origin = matrix[:ndim, :ndim], matrix[:ndim, ndim]
    spacing = np.linalg.norm(columns, axis=0)
    direction = columns / spacing
    if not np.allclose(direction.T @ direction, np.eye(ndim), atol=1e-4):
        raise ImageError("The layer is sheared, which the file has no place for: save as .zarr.")
    if not turned and not np.allclose(direction, np.eye(ndim), atol=1e-4):
        raise ImageError(
            "The layer is rotated, which OME-Zarr has no place for: save as .nii.gz, .nrrd or .mha."
        )
    flipped = direction[::-1, ::-1]
    return Geometry(
        tuple(float(v) for v in spacing[::-1]),
        tuple(float(v) for v in origin[::-1]),
        tuple(float(v) for v in flipped.ravel()),
    )


def _finest(data: Any, attributes: dict[str, Any]) -> NDArray[Any]:
    labels = np.asarray(data[0] if attributes.get("multiscale") else data)
    if labels.dtype.kind == "i" and labels.min(initial=0) >= 0:
        if labels.max(initial=0) >= 2**32:
            raise ImageError(
                "Labels of 2³² and more have no place in these files: relabel the layer first."
            )
        labels = labels.astype(f"uint{8 * min(labels.itemsize, 4)}")
    return labels


def _in_one_unit(attributes: dict[str, Any], ndim: int) -> dict[str, Any]:
    """Attributes of a layer with all lengths in the unit of its last axis, the only one that a file has."""
    names = [str(u) for u in attributes.get("units") or ()]
    if len(set(names)) < 2:
        return attributes
    factors = [factor(short_unit(n), short_unit(names[-1])) for n in names]
    if len(factors) != ndim or None in factors:
        raise ImageError(
            f"The axes of the layer are in {', '.join(names)}, which have no unit in common: set the layer's units."
        )
    matrix = np.diag([*(f for f in factors if f is not None), 1.0])
    outer = attributes.get("affine")
    return {**attributes, "affine": matrix if outer is None else matrix @ np.asarray(outer)}


def _unit(attributes: dict[str, Any]) -> str:
    names = [str(u) for u in attributes.get("units") or ()]
    return "" if not names or names[-1] in _PLAIN else short_unit(names[-1])


def _axes(attributes: dict[str, Any], ndim: int) -> tuple[str, list[str]]:
    """Axes as OME-Zarr names them, and their units: those of the layer, where all are known, else the usual ones."""
    names = [str(n).lower() for n in attributes.get("axis_labels") or ()]
    if not set(names) <= set("tczyx") or len(set(names)) != ndim:
        names = list("tczyx"[5 - ndim :] if ndim != 4 else "tzyx")
    units = [str(u) for u in attributes.get("units") or ("pixel",) * ndim]
    known = [n in "zyx" and u not in _PLAIN for n, u in zip(names, units, strict=True)]
    return "".join(names), [u if k else "" for u, k in zip(units, known, strict=True)]
