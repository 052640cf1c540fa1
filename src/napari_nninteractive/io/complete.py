"""Whether a NIfTI file is complete, from its header and its length."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

from napari_nninteractive.errors import ImageError

__all__ = ["check_nifti"]

_HEADER_BYTES = 540  # of NIfTI-2, the longer one
_CHUNK = 1 << 24


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
