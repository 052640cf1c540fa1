"""Write masks and images in the format that the ending of their name says."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from napari_nninteractive.core.volume import ArrayLike3D
from napari_nninteractive.errors import ImageError, Remedy
from napari_nninteractive.files import atomic_write
from napari_nninteractive.io.image import Geometry, ImageFile
from napari_nninteractive.io.ome_zarr import is_zarr, make_room, needs_zarr, write_zarr
from napari_nninteractive.io.units import long_name

__all__ = ["MASK_ENDINGS", "check_output", "write_image", "write_mask"]

MASK_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".tif", ".tiff", ".zarr")


def check_output(
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    endings: tuple[str, ...] = MASK_ENDINGS,
    inputs: tuple[Path, ...] = (),
) -> Path:
    """Find out before computing whether a file can be written.

    Parameters
    ----------
    path : path
        File to write.
    overwrite : bool
        Whether it may be there already.
    endings : tuple of str
        What its name may end in.
    inputs : tuple of Path
        Files that are read and must not be replaced, whatever `overwrite` says.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    ImageError
        If the ending is not known, the folder is missing or locked, or the file is there already.
    """
    file = Path(path)
    if not file.name.lower().endswith(endings):
        raise ImageError(
            f"{file.name} cannot be written: let its name end in {', '.join(endings)}."
        )
    folder = file.parent
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder} to write {file.name} into: make it first.")
    if file.name.lower().endswith(".zarr"):
        _check_zarr(file, inputs)
    elif file.is_dir():
        raise ImageError(f"{file} is a folder: name a file to write.")
    probe = folder / f".{uuid4().hex}"
    try:
        probe.touch()  # what the system says of permissions is not all: /proc, full disks
        probe.unlink()
    except OSError as error:
        raise ImageError(
            f"The folder {folder} cannot be written to ({error.strerror or error}): choose another place for "
            f"{file.name}."
        ) from error
    if file.exists():
        if any(other.exists() and file.samefile(other) for other in inputs):
            raise ImageError(
                f"{file} is read here and not replaced: choose another name for the output."
            )
        if not overwrite:
            raise ImageError(f"{file} is there already.", Remedy.OVERWRITE)
    return file


def _check_zarr(folder: Path, inputs: tuple[Path, ...]) -> None:
    """Refuse to replace a folder that is no OME-Zarr, or that holds what is read."""
    needs_zarr()
    if folder.exists() and not is_zarr(folder):
        raise ImageError(
            f"{folder} is there already and no OME-Zarr, so it is not replaced: choose another name."
        )
    if any(folder.resolve() in other.resolve().parents for other in inputs):
        raise ImageError(f"An input lies in {folder}: choose another name for the output.")


def write_mask(
    path: str | PathLike[str], mask: ArrayLike3D, like: ImageFile, *, overwrite: bool = False
) -> Path:
    """Write a mask as uint8, 0 and 1, with the geometry of its image.

    Parameters
    ----------
    path : path
        File to write; its ending chooses the format. TIFF keeps the spacing but has no place for origin and direction,
        OME-Zarr no place for the direction.
    mask : array
        (z, y, x) of the shape of the image, where a 2D image is one slice; non-zero inside the object.
    like : ImageFile
        The image.
    overwrite : bool
        Whether a file of that name may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImageError
        If it cannot be written, or the mask does not fit the image.
    """
    file = check_output(path, overwrite=overwrite)
    if tuple(mask.shape) != like.shape:
        raise ImageError(f"The mask has shape {tuple(mask.shape)}, but its image has {like.shape}.")
    voxels: np.ndarray[Any, np.dtype[np.uint8]] = (np.asarray(mask[...]) != 0).astype(np.uint8)
    voxels = voxels.reshape(tuple(like.data.shape))
    place = make_room if file.name.lower().endswith(".zarr") else atomic_write
    try:
        with place(file) as beside:
            write_image(beside, voxels, like.geometry, like.unit, like.header)
    except OSError as error:
        raise ImageError(
            f"{file} cannot be written ({error.strerror or error}): choose another place."
        ) from error
    return file


def write_image(
    path: Path, data: np.ndarray[Any, Any], geometry: Geometry, unit: str = "", header: Any = None
) -> None:
    """Write an array with its geometry, in the format that the ending of the name says, as it is.

    Parameters
    ----------
    path : Path
        File to write; one that is there is replaced. OME-Zarr is a folder, which must not be there.
    data : ndarray
        (z, y, x) or (y, x), as many axes as `geometry`.
    geometry : Geometry
        Where its voxels lie.
    unit : str
        Of the geometry, "" where it is not known.
    header : nibabel header, optional
        As in `ImageFile`.

    Raises
    ------
    OSError
        If it cannot be written as a whole, as on a full disk.
    ImageError
        If OME-Zarr cannot be written.
    """
    name = path.name.lower()
    if name.endswith((".tif", ".tiff")):
        from napari_nninteractive.io.tiff import write_tiff

        write_tiff(path, data, geometry, unit)
    elif name.endswith((".nii", ".nii.gz")):
        from napari_nninteractive.io.nifti import write_nifti

        write_nifti(path, data, geometry, unit, header)
    elif name.endswith(".zarr"):
        axes = "zyx"[-data.ndim :]
        units = [long_name(unit)] * data.ndim
        write_zarr(path, data, axes, geometry.spacing[::-1], geometry.origin[::-1], units=units)
    else:
        from napari_nninteractive.io.itk import write_itk

        write_itk(path, data, geometry, unit)
