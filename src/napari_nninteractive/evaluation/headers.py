"""What the headers of image and labels tell before any volume is read: a late volume that does not fit costs hours."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from napari_nninteractive.evaluation.cases import Case
from napari_nninteractive.io import read_image

__all__ = ["fits_by_header"]

_log = logging.getLogger(__name__)


def fits_by_header(case: Case) -> bool:
    """Whether image and labels have the same numbers of voxels, as far as their headers tell.

    Parameters
    ----------
    case : Case
        Where the files lie.

    Returns
    -------
    bool
        False also where a header cannot be read: :func:`~.cases.read_case` then knows what is wrong, and for sure.
    """
    try:
        return _sizes(case.image) == _sizes(case.labels)
    except Exception:  # noqa: BLE001  whatever it is, reading the volume says it in words
        _log.debug("no header: %s, %s", case.image, case.labels, exc_info=True)
        return False


def _sizes(path: Path) -> list[int]:
    """Voxels along the axes that have more than one, in ascending order: formats differ in the order of axes."""
    name = path.name.lower()
    shape: Any
    if name.endswith((".nii", ".nii.gz")):
        import nibabel as nib

        file: Any = nib.load(path)
        shape = file.shape
    elif name.endswith((".tif", ".tiff")) and path.is_file():
        import tifffile

        with tifffile.TiffFile(path) as tif:
            shape = tif.series[0].shape
    elif name.endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        import SimpleITK as sitk

        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        shape = (*reader.GetSize(), reader.GetNumberOfComponents())
    else:  # OME-Zarr is read lazily
        shape = read_image(path).shape
    return sorted(int(n) for n in shape if n > 1)
