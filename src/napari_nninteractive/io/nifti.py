"""NIfTI: axes, units and the frame of the voxels, kept exactly from an image to its mask."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.axes import select
from napari_nninteractive.io.complete import check_nifti
from napari_nninteractive.io.image import Geometry, ImageFile
from napari_nninteractive.io.regular import check_memory
from napari_nninteractive.io.units import factor

__all__ = ["read_nifti", "write_nifti"]

_AXES = "XYZTCQI"  # the fifth axis holds the values of a voxel
_UNITS = {"meter": "m", "mm": "mm", "micron": "µm"}
_CODES = {symbol: name for name, symbol in _UNITS.items()}
_SMALL_SHEAR = 1e-3  # cosine between two axes: a voxel in a thousand
_LONGEST = 2**15 - 1  # axis of NIfTI-1
_FRAME = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
_LPS = np.diag(
    [-1.0, -1.0, 1.0]
)  # NIfTI counts to the right and to the front, ITK to the left and to the back


def read_nifti(path: Path, channel: int | None, timepoint: int | None) -> ImageFile:
    """Read one stack; see `read_image`.

    A fourth axis is taken for time, a fifth for channels. Axes that are off right angles by a cosine below 0.001, as
    registration tools write them, count as the nearest axes at right angles; a mask in NIfTI keeps them as they are.
    """
    check_nifti(path)
    try:
        with nib.imageglobals.LoggingOutputSuppressor():
            file: Any = nib.load(path)
    except Exception as error:
        raise ImageError(
            f"{path.name} cannot be read: it is damaged, or not what its ending {''.join(path.suffixes[-2:])} says."
        ) from error
    if not isinstance(file, nib.Nifti1Image):
        raise ImageError(f"{path.name} cannot be read: it is {type(file).__name__}, not NIfTI.")
    proxy: Any = file.dataobj
    header: Any = file.header
    if path.name.lower().endswith(".gz") or (proxy.slope, proxy.inter) != (1.0, 0.0):
        check_memory(path.name, math.prod(file.shape) * header.get_data_dtype().itemsize)
    try:
        raw = proxy.get_unscaled()
    except Exception as error:
        raise ImageError(f"{path.name} cannot be read: {error}. It may be damaged.") from error
    axes = _AXES[: raw.ndim]
    if raw.dtype.names:  # colours
        raw, axes = np.stack([raw[colour] for colour in raw.dtype.names], axis=-1), f"{axes}S"
    chosen = select(axes, raw.shape, channel, timepoint, path.name)
    data = _scaled(raw[chosen.index], proxy.slope, proxy.inter)
    geometry = _geometry(file, len(chosen.kept), path.name)
    try:
        unit = _UNITS.get(header.get_xyzt_units()[0], "")
    except KeyError:  # a code that is not one
        unit = ""
    return ImageFile(np.transpose(data, chosen.order), geometry, unit, header.copy())


def _scaled(raw: NDArray[Any], slope: float, inter: float) -> NDArray[Any]:
    """Values that the header's factor and offset give; in half the memory where that loses nothing."""
    if (slope, inter) == (1.0, 0.0):
        return raw
    kind = np.result_type(raw.dtype, np.float32).type
    scaled: NDArray[Any] = raw * kind(slope) + kind(inter)
    return scaled


def _geometry(file: Any, ndim: int, name: str) -> Geometry:
    header = file.header
    if not int(header["sform_code"]) and not int(header["qform_code"]):  # only sizes are known
        sizes = [float(abs(v)) or 1.0 for v in header["pixdim"][1 : ndim + 1]]
        return Geometry.from_zyx(sizes[::-1])
    affine = np.asarray(file.affine, np.float64)
    matrix = _LPS @ affine[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    if not np.isfinite(affine).all() or not spacing.all():
        raise ImageError(
            f"{name} cannot be read: its axes have no length (the sform or qform of the NIfTI header). Set its voxel "
            "size, for example in 3D Slicer or ITK-SNAP, and save it again."
        )
    direction = matrix / spacing
    shear = np.abs(direction.T @ direction - np.eye(3)).max()
    if shear > _SMALL_SHEAR:
        raise ImageError(
            f"{name} cannot be read: its axes are not at right angles to each other (the sform of the NIfTI header). "
            "Resample it to such axes, for example with nibabel.processing.resample_to_output in Python or with "
            "the module Resample Image of 3D Slicer."
        )
    left, _, right = np.linalg.svd(direction)
    exact = shear < 1e-6  # float32 of the header
    square = direction if exact else left @ right
    return Geometry(
        tuple(spacing[:ndim].tolist()),
        tuple((_LPS @ affine[:3, 3])[:ndim].tolist()),
        tuple(square[:ndim, :ndim].ravel().tolist()),
    )


def write_nifti(
    path: Path, data: NDArray[Any], geometry: Geometry, unit: str, header: Any = None
) -> None:
    """Write an image or a mask.

    Parameters
    ----------
    path : Path
        File to write.
    data : ndarray
        (z, y, x) or (y, x).
    geometry : Geometry
        Where its voxels lie.
    unit : str
        Of the geometry; what NIfTI has no name for is written in micrometres.
    header : nibabel header, optional
        Of a NIfTI file with the same voxels, whose frame and units are taken as they are, in place of `geometry`.
    """
    voxels = np.transpose(data)
    newer = max(voxels.shape) > _LONGEST or isinstance(header, nib.Nifti2Header)
    kind: Any = nib.Nifti2Image if newer else nib.Nifti1Image
    fresh = kind.header_class()
    fresh.set_data_dtype(data.dtype)
    fresh.set_data_shape(voxels.shape)
    if header is not None:
        for name in _FRAME:
            fresh[name] = header[name]
        fresh["pixdim"][:4] = header["pixdim"][:4]
        fresh.set_xyzt_units(xyz=header.get_xyzt_units()[0])
    else:
        target = unit if unit in _CODES else "µm"
        by = factor(unit, target)
        fresh.set_xyzt_units(xyz=_CODES[target] if by is not None else "unknown")
        affine = _affine(geometry, 1.0 if by is None else by)
        fresh.set_qform(affine, code=1)
        fresh.set_sform(affine, code=1)
    nib.save(kind(voxels, None, fresh), path)


def _affine(geometry: Geometry, by: float) -> NDArray[np.float64]:
    n = geometry.ndim
    matrix = np.eye(3)
    matrix[:n, :n] = np.reshape(geometry.direction, (n, n)) * (np.array(geometry.spacing) * by)
    origin = np.zeros(3)
    origin[:n] = np.array(geometry.origin) * by
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = _LPS @ matrix, _LPS @ origin
    return affine
