"""Whether a NIfTI or MetaImage file is complete, from its header and its length."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

from napari_nninteractive.errors import ImageError

__all__ = ["check_metaimage", "check_nifti"]

_HEADER_BYTES = 540  # of NIfTI-2, the longer one
_CHUNK = 1 << 24
_META_LINES = 1000
_META_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}


def check_nifti(path: Path) -> None:
    """Compare the length of a file with what its header promises.

    Parameters
    ----------
    path : Path
        A ``.nii`` or ``.nii.gz`` file.

    Raises
    ------
    ImageError
        If voxels are missing.
    """
    packed = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            need = _promised(file.read(_HEADER_BYTES))
        if need is None:
            return
        have = path.stat().st_size if not packed else _unpacked_size(path, need)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise ImageError(f"{path.name} is damaged or cut short: {error}. Copy it again.") from error
    _compare(path.name, have, need)


def _compare(name: str, have: int, need: int) -> None:
    if have < need:
        raise ImageError(
            f"{name} is cut short: {have} bytes where {need} are needed. Copy it again."
        )


def _promised(header: bytes) -> int | None:
    """Bytes up to the end of the last voxel; None if it is no NIfTI header of one file, which ITK then says."""
    for order in "<>":
        (length,) = struct.unpack_from(f"{order}i", header)
        if length == 348:
            dims = struct.unpack_from(f"{order}8h", header, 40)
            (bits,) = struct.unpack_from(f"{order}h", header, 72)
            (offset,) = struct.unpack_from(f"{order}f", header, 108)
        elif length == 540:
            dims = struct.unpack_from(f"{order}8q", header, 16)
            (bits,) = struct.unpack_from(f"{order}h", header, 14)
            (offset,) = struct.unpack_from(f"{order}q", header, 168)
        else:
            continue
        if 0 < dims[0] < 8 and math.isfinite(offset):
            voxels = math.prod(max(int(d), 1) for d in dims[1 : dims[0] + 1])
            return int(offset) + voxels * int(bits) // 8
    return None


def _unpacked_size(path: Path, need: int) -> int:
    """Length after unpacking: from the last four bytes, or, where they do not fit, by unpacking."""
    with path.open("rb") as raw:
        raw.seek(-4, 2)
        (last,) = struct.unpack("<I", raw.read(4))
    if last == need % 2**32:
        return need
    total = 0
    with gzip.open(path) as file:
        while block := file.read(_CHUNK):
            total += len(block)
    return total


def check_metaimage(path: Path) -> None:
    """Compare the length of a MetaImage file, or of the file of its voxels, with what its header promises.

    Parameters
    ----------
    path : Path
        A ``.mha`` or ``.mhd`` file.

    Raises
    ------
    ImageError
        If voxels are missing.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(_META_LINES):
            key, _, value = file.readline().decode("latin-1").partition("=")
            fields[key.strip().lower()] = value.strip()
            if key.strip().lower() == "elementdatafile":
                break
        start = file.tell()
    where, need = fields.get("elementdatafile"), _meta_bytes(fields)
    if where is None:
        raise ImageError(
            f"{path.name} is damaged or cut short: its header has no end. Copy it again."
        )
    if need is None or where.upper().startswith("LIST") or "%" in where:
        return  # which the reader understands or refuses
    if where.upper() == "LOCAL":
        _compare(path.name, path.stat().st_size, start + need)
        return
    voxels = path.parent / where
    if not voxels.is_file():
        raise ImageError(f"There is no file {voxels}, in which {path.name} says its voxels are.")
    _compare(voxels.name, voxels.stat().st_size, need)


def _meta_bytes(fields: dict[str, str]) -> int | None:
    """Bytes of the voxels; None where the header does not say."""
    try:
        if fields.get("compresseddata", "").lower() == "true":
            return int(fields["compresseddatasize"])
        sizes = [int(n) for n in fields["dimsize"].split()]
        channels = int(fields.get("elementnumberofchannels", "1"))
        return math.prod(sizes) * channels * _META_BYTES[fields["elementtype"].upper()]
    except (KeyError, ValueError):
        return None
