"""Whether a NIfTI file is complete and fits in memory, from its header and its length."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.header import DEFLATE
from napari_nninteractive.io.regular import check_length, check_memory

__all__ = ["check_nifti"]

_HEADER_BYTES = 544  # of NIfTI-2, the longer one, with the mark of its extensions
_MOST_OFFSET = 1 << 26  # bytes before the voxels: extensions hold text
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 24


@dataclass(frozen=True, slots=True)
class _Promise:
    """What a header promises: where the voxels begin, their bytes, and where its extensions begin, if any."""

    offset: int
    voxels: int
    extensions: int | None
    order: str


def check_nifti(path: Path) -> None:
    """Compare the length of a file with what its header promises, before anything else is read.

    Parameters
    ----------
    path : Path
        A ``.nii`` or ``.nii.gz`` file.

    Raises
    ------
    ImageError
        If voxels are missing, do not fit in memory, or the header's extensions make no sense.
    """
    packed = path.name.lower().endswith(".gz")
    try:
        with path.open("rb") as raw:
            if packed and raw.read(2) != _GZIP:
                return  # which the reader then says
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
            promise = _promised(start)
            if promise is None:
                return
            if promise.extensions is not None:
                rest = min(promise.offset, _MOST_OFFSET) - len(start)
                _check_extensions(path, promise, start + file.read(max(0, rest)))
        size = path.stat().st_size
        need = promise.offset + promise.voxels
        if packed:
            check_length(path.name, DEFLATE * size, need)
            check_memory(path.name, promise.voxels)
        have = _unpacked_size(path, need) if packed else size
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise ImageError(f"{path.name} is damaged or cut short: {error}. Copy it again.") from error
    check_length(path.name, have, need)


def _promised(header: bytes) -> _Promise | None:
    """What a header promises; None if it is no NIfTI header of one file, which the reader then says."""
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
            marked = length + 4 <= len(header) and header[length] != 0
            n = voxels * max(int(bits), 0) // 8
            return _Promise(int(offset), n, length + 4 if marked else None, order)
    return None


def _check_extensions(path: Path, promise: _Promise, start: bytes) -> None:
    """Refuse extensions whose lengths lead elsewhere: the reader would take all that follows."""
    at, end = promise.extensions or 0, promise.offset
    fits = at <= end <= _MOST_OFFSET and len(start) >= end
    while fits and end - at >= 16:
        (length,) = struct.unpack_from(f"{promise.order}i", start, at)
        fits = 8 <= length <= end - at
        at += length
    if not fits:
        raise ImageError(
            f"{path.name} is damaged: the extensions of its header have no end. Save it again without them."
        )


def _unpacked_size(path: Path, need: int) -> int:
    """Length after unpacking: from the last four bytes, or, where they do not fit, by unpacking what is needed."""
    with path.open("rb") as raw:
        raw.seek(-4, 2)
        (last,) = struct.unpack("<I", raw.read(4))
    return need if last == need % 2**32 else sum(_pieces(path, need))


def _pieces(path: Path, need: int) -> Iterator[int]:
    """Lengths of the pieces of a file unpacked, up to what is needed."""
    with gzip.open(path) as file:
        while need > 0 and (block := file.read(min(_CHUNK, need))):
            need -= len(block)
            yield len(block)
