"""Read an image: the format is known by the ending of the name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.image import ImageFile
from napari_nninteractive.limits import what_is_there

__all__ = ["IMAGE_ENDINGS", "read_image"]

_NIFTI = (".nii.gz", ".nii")
_ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
_TIFF = (".tif", ".tiff")
IMAGE_ENDINGS = (*_NIFTI, *_ITK, *_TIFF, ".zarr")


def read_image(
    path: str | PathLike[str], channel: int | None = None, timepoint: int | None = None
) -> ImageFile:
    """Read one 3D stack or 2D image.

    NIfTI, NRRD and MetaImage keep spacing, origin and direction. TIFF takes axes and spacing from ImageJ or OME
    metadata, and is mapped into memory where it is stored in one piece. OME-Zarr is read lazily, at its finest level.

    Parameters
    ----------
    path : path
        Name of the file, or of the folder of an OME-Zarr image.
    channel, timepoint : int, optional
        Which one to take, counted from 0; needed where there are several.

    Returns
    -------
    ImageFile
        Voxels (z, y, x) or (y, x), real numbers.

    Raises
    ------
    ImageError
        If the file is missing, of a format not known here, damaged, or holds no single stack of real numbers.
    """
    file = Path(path)
    name = file.name.lower()
    if not _is_there(file):
        raise ImageError(f"There is no file {file}: check its name and folder.")
    if _is_zarr(file):
        from napari_nninteractive.io.ome_zarr import read_zarr

        image = read_zarr(file, channel, timepoint)
    elif file.is_dir():
        raise ImageError(f"{file} is a folder: name one image file in it.")
    elif not name.endswith(IMAGE_ENDINGS):
        raise ImageError(
            f"{file.name} has an ending that is not known here; these are: {', '.join(IMAGE_ENDINGS)}."
        )
    elif what_is_there(file):
        raise ImageError(f"{file} is {what_is_there(file)}, not a file: name an image file.")
    elif name.endswith(_TIFF):
        from napari_nninteractive.io.tiff import read_tiff

        image = read_tiff(file, channel, timepoint)
    elif name.endswith(_NIFTI):
        from napari_nninteractive.io.nifti import read_nifti

        image = read_nifti(file, channel, timepoint)
    else:
        from napari_nninteractive.io.itk import read_itk

        image = read_itk(file, channel, timepoint)
    return _checked(image, file.name)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (
        OSError,
        ValueError,
    ):  # a name too long, with a null character, in a folder that is locked
        return False


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and any(
        (path / mark).exists() for mark in (".zattrs", ".zgroup", ".zarray", "zarr.json")
    )


def _checked(image: ImageFile, name: str) -> ImageFile:
    kind = np.dtype(image.data.dtype).kind
    if kind == "c":
        raise ImageError(f"{name} holds complex numbers; save their magnitude first.")
    if kind not in "biuf":
        raise ImageError(f"{name} holds {image.data.dtype}, not real numbers.")
    if 0 in image.data.shape:
        raise ImageError(f"{name} has no voxels: its shape is {tuple(image.data.shape)}.")
    return image
