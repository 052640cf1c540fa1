"""NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

import contextlib
import errno
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import metaimage, nrrd
from napari_nninteractive.io.axes import select
from napari_nninteractive.io.header import Header, damaged
from napari_nninteractive.io.image import Geometry, ImageFile
from napari_nninteractive.io.units import factor, unit_named

__all__ = ["read_itk", "write_itk"]

_NRRD = (".nrrd", ".nhdr")
_HEADER_BYTES = 1 << 20
_CHUNK = 1 << 22
_EITHER = 47  # of zlib: gzip as NRRD has it, or zlib as MetaImage has it


def read_itk(path: Path, channel: int | None, timepoint: int | None) -> ImageFile:
    """Read one stack; see `read_image`.

    A fourth axis is taken for time, several values per voxel for channels.
    """
    header = _header(path)
    header.check_length()
    header.check_memory()
    if header.packed and not _is_nrrd(path) and not _unpacks(header):
        # ITK says so on the terminal only, and takes what is in memory for voxels.
        raise damaged(path, "its compressed voxels cannot be unpacked")
    try:
        with _as_itk_reads(path, header) as name:
            reader = sitk.ImageFileReader()
            # The format that was checked: by itself, ITK tries all that it knows.
            reader.SetImageIO("NrrdImageIO" if _is_nrrd(path) else "MetaImageIO")
            reader.SetFileName(name)
            reader.ReadImageInformation()
            _choose_time(reader, timepoint, path.name)
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
    if not np.isfinite((*geometry.spacing, *geometry.origin, *geometry.direction)).all():
        raise damaged(path, "its spacing, origin or direction is not finite")
    return ImageFile(data, geometry, _unit(path))


def _is_nrrd(path: Path) -> bool:
    return path.name.lower().endswith(_NRRD)


def _header(path: Path) -> Header:
    return nrrd.read_header(path) if _is_nrrd(path) else metaimage.read_header(path)


@contextlib.contextmanager
def _as_itk_reads(path: Path, header: Header) -> Iterator[str]:
    """Name under which ITK finds a file, and no other than those that were checked.

    ITK ends the process where a name is no UTF-8, and looks for names with a folder in them where the program runs. So
    it is given links with plain names.
    """
    if not header.files and _is_plain(path):
        yield str(path)
        return
    with TemporaryDirectory() as folder:
        ending = ".nrrd" if _is_nrrd(path) else ".mha"
        link = Path(folder) / f"image{ending}"
        if header.files:
            names = [f"{n}.raw" for n in range(len(header.files))]
            for name, file in zip(names, header.files, strict=True):
                Path(folder, name).symlink_to(file)
            link = link.with_suffix(".nhdr" if _is_nrrd(path) else ".mhd")
            link.write_bytes(header.naming_others(names))
        else:
            link.symlink_to(path.absolute())
        yield str(link)


def _is_plain(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


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
    if "Unable to determine ImageIO" in text:
        return f"it is damaged, or not what its ending {''.join(path.suffixes[-2:])} says."
    return f"{_cause(text)} It may be damaged or cut short."


def _cause(text: str) -> str:
    """Line of ITK's message that names the cause, without addresses in memory and without what the system said last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if "ERROR: " in line] or lines
    return re.sub(r"\w+\(0x[0-9a-f]+\): ", "", named[-1].split("ERROR: ")[-1]).rstrip(".") + "."


def _unit(path: Path) -> str:
    """Unit of the spacing: NRRD may name it, which ITK does not read; else it is millimetres, by custom."""
    if _is_nrrd(path):
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES).split(b"\n\n")[0].decode("utf-8", "replace")
        found = re.search(r'^space units:\s*"([^"]*)"', header, re.MULTILINE)
        if found:
            return unit_named(found[1]) or found[1]
    return "mm"


def write_itk(path: Path, data: NDArray[Any], geometry: Geometry, unit: str = "") -> None:
    """Write an image or a mask.

    Parameters
    ----------
    path : Path
        File to write; compressed where the format can.
    data : ndarray
        (z, y, x) or (y, x), as many axes as `geometry`.
    geometry : Geometry
        Where its voxels lie.
    unit : str
        Of the geometry. NRRD names it; MetaImage is in millimetres, and what has a known unit is converted.

    Raises
    ------
    OSError
        If it cannot be written as a whole; ITK does not say why.
    """
    named = _is_nrrd(path)
    by = (None if named else factor(unit, "mm")) or 1.0
    image = sitk.GetImageFromArray(data)
    image.SetSpacing([v * by for v in geometry.spacing])
    image.SetOrigin([v * by for v in geometry.origin])
    image.SetDirection(geometry.direction)
    try:
        with _as_itk_writes(path) as name:
            sitk.WriteImage(image, name, useCompression=True)
    except RuntimeError as error:
        cause = _cause(str(error)).replace(f": {path}", "")
        raise OSError(errno.EIO, f"{cause} The disk may be full") from error
    if not _is_whole(path, data.nbytes):
        raise OSError(errno.EIO, "it came out cut short: the disk may be full")
    if named and unit:
        _name_unit(path, unit, geometry.ndim)


@contextlib.contextmanager
def _as_itk_writes(path: Path) -> Iterator[str]:
    """Name under which ITK can write a file: it ends the process where one is no UTF-8."""
    if _is_plain(path):
        yield str(path)
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"image{path.suffix}"
        link.symlink_to(path.absolute())
        yield str(link)


def _is_whole(path: Path, nbytes: int) -> bool:
    """Whether a file can be read and unpacked to so many bytes: ITK overlooks errors of the disk."""
    try:
        header = _header(path)
        header.check_length()
    except (ImageError, OSError):
        return False
    return header.need == nbytes and (not header.packed or _unpacks(header))


def _unpacks(header: Header) -> bool:
    """Whether the compressed voxels of a file, in gzip or zlib, are whole."""
    file = header.files[0] if header.files else header.path
    unpack, have = zlib.decompressobj(wbits=_EITHER), 0
    try:
        with file.open("rb") as packed:
            packed.seek(header.start)
            while have <= header.need and not unpack.eof and (block := packed.read(_CHUNK)):
                while block:
                    have += len(unpack.decompress(block, _CHUNK))
                    block = unpack.unconsumed_tail
            return (
                have <= header.need
                and have + len(unpack.flush(_CHUNK)) == header.need
                and unpack.eof
            )
    except (OSError, zlib.error):
        return False


def _name_unit(path: Path, unit: str, ndim: int) -> None:
    """Add the unit to the header of a NRRD file, which ITK leaves out."""
    header, voxels = path.read_bytes().split(b"\n\n", 1)
    words = " ".join([f'"{"um" if unit == "µm" else unit}"'] * ndim)
    path.write_bytes(header + f"\nspace units: {words}\n\n".encode() + voxels)
