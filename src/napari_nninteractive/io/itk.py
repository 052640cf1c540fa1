"""NIfTI, NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import SimpleITK as sitk
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.axes import select
from napari_nninteractive.io.image import Geometry, ImageFile
from napari_nninteractive.io.nifti import check_complete

__all__ = ["read_itk", "write_itk"]


def read_itk(path: Path, channel: int | None, timepoint: int | None) -> ImageFile:
    """Read one stack; see `read_image`.

    A fourth axis is taken for time, several values per voxel for channels.
    """
    try:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        _choose_time(reader, timepoint, path.name)
        if path.name.lower().endswith((".nii", ".nii.gz")):
            check_complete(path)
        image = reader.Execute()
    except RuntimeError as error:
        raise ImageError(f"{path.name} cannot be read: {_reason(error, path)}") from error
    array = sitk.GetArrayFromImage(image)
    components = "C" if image.GetNumberOfComponentsPerPixel() > 1 else ""
    axes = "ZYX"[-image.GetDimension() :] + components
    data: NDArray[Any] = array[select(axes, array.shape, channel, None, path.name).index]
    if components:
        data = data.copy()
    geometry = Geometry(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return ImageFile(data, geometry, _unit(image))


def _choose_time(reader: Any, timepoint: int | None, name: str) -> None:
    """Tell the reader to take one time point of a 4D file."""
    size = list(reader.GetSize())
    if len(size) > 4 or len(size) < 2:
        raise ImageError(f"{name} has {len(size)} axes: save one stack (z, y, x) of it.")
    frames = size[3] if len(size) == 4 else 1
    axes = "TZYX" if len(size) == 4 else "ZYX"[-len(size) :]
    chosen = select(axes, size[::-1], None, timepoint, name)
    if len(size) == 4:
        start = [0, 0, 0, int(chosen.index[0])] if frames > 1 else [0, 0, 0, 0]  # type: ignore[arg-type]
        reader.SetExtractSize([*size[:3], 0])
        reader.SetExtractIndex(start)


def _reason(error: RuntimeError, path: Path) -> str:
    """What ITK says, in one line, with advice where the cause is known."""
    text = str(error)
    if "orthonormal" in text:
        return (
            "its axes are not at right angles to each other (the sform of the NIfTI header); save it again with "
            "a tool that resamples it to such axes."
        )
    if "Unable to determine ImageIO" in text:
        return f"it is damaged, or not what its ending {''.join(path.suffixes[-2:])} says."
    last = [line.strip() for line in text.splitlines() if line.strip()][-1]
    return f"{last.split('ERROR: ')[-1]} It may be damaged or cut short."


def _unit(image: Any) -> str:
    """Unit of the spacing: ITK turns that of NIfTI into millimetres, NRRD may name its own, the rest is by custom."""
    key = "NRRD_space units"
    if image.HasMetaDataKey(key):
        words = image.GetMetaData(key).replace('"', " ").split()
        return (
            {"microns": "µm", "micron": "µm", "um": "µm"}.get(words[0], words[0]) if words else "mm"
        )
    return "mm"


def write_itk(path: Path, data: NDArray[Any], geometry: Geometry) -> None:
    """Write an image or a mask.

    Parameters
    ----------
    path : Path
        File to write; compressed where the format can.
    data : ndarray
        (z, y, x) or (y, x), as many axes as `geometry`.
    geometry : Geometry
        Where its voxels lie.

    Raises
    ------
    ImageError
        If it cannot be written.
    """
    image = sitk.GetImageFromArray(data)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    try:
        sitk.WriteImage(image, str(path), useCompression=not path.name.endswith(".nii"))
    except RuntimeError as error:
        last = [line.strip() for line in str(error).splitlines() if line.strip()][-1]
        raise ImageError(f"{path.name} cannot be written: {last}") from error
