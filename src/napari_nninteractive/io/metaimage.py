"""Headers of MetaImage files, checked before ITK reads them: with some of them ITK never comes back."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from napari_nninteractive.io.header import DEFLATE, MOST_FILES, Header, damaged, read_lines
from napari_nninteractive.io.regular import find_beside

__all__ = ["read_header"]

_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_LONG", "MET_ULONG", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}
_MOST_AXES, _MOST_CHANNELS, _LONGEST_LINE = 5, 1 << 12, 4000
# Fields with as many numbers as there are axes, or as a matrix has: ITK would read on in the lines behind shorter ones.
_VECTORS = {"offset", "position", "origin", "elementspacing", "elementsize", "centerofrotation"}
_MATRICES = {"transformmatrix", "rotation", "orientation"}
_WEIGHTY = {"elementdatafile", "ndims", "dimsize", "elementtype", "elementnumberofchannels"}
_FILE = "ElementDataFile"
_SERIES = re.compile(r"([^%]*)%(0?\d{0,2})d([^%]*?)\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})")


def read_header(path: Path) -> Header:
    """Read and check the header of a file.

    Parameters
    ----------
    path : Path
        A ``.mha`` or ``.mhd`` file.

    Returns
    -------
    Header
        Its files lie beside it.

    Raises
    ------
    ImageError
        If it makes no sense, or names files elsewhere.
    """
    lines = read_lines(path)
    fields, at = _fields(path, lines)
    need, voxels = _size(path, fields)
    _numbers(path, fields)
    least, packed = need, _is_true(fields, "compresseddata")
    stored = int(fields.get("compresseddatasize", "0"))
    if packed:
        least = max(need // DEFLATE, stored)
    elif not _is_true(fields, "binarydata", default=True):  # numbers in digits
        least = voxels
    where = fields[_FILE.lower()]
    if where.upper() == "LOCAL":
        if packed and stored < 1:
            # ITK would unpack from the start of the file, and take what is in memory for voxels.
            raise damaged(path, "its field 'CompressedDataSize' is missing")
        start = sum(len(line) + 1 for line in lines[: at + 1])
        return Header(path, need, least, start, packed)
    files, word = _named(path, where, lines[at + 1 :])
    if packed and len(files) > 1:
        raise damaged(path, "its voxels are compressed in several files")
    naming = f"{_FILE} = ".encode() + word
    return Header(path, need, least, 0, packed, files, tuple(lines[:at]), naming, bool(word))


def _fields(path: Path, lines: Sequence[bytes]) -> tuple[dict[str, str], int]:
    """Fields by their name in lower case, and the line that says where the voxels are: the header's last."""
    fields: dict[str, str] = {}
    empty = ""
    for n, raw in enumerate(lines):
        line = raw.removesuffix(b"\r")
        if b"\r" in line or b"\0" in line or len(line) > _LONGEST_LINE:
            break
        key, sign, value = re.match(r"\s*([^=:]*)([=:]?)\s*(.*)", os.fsdecode(line), re.S).groups()  # type: ignore[union-attr]
        key, value = key.strip(), value.strip()
        if not sign:
            if key:
                break
            continue
        name = key.lower()
        if empty and name in _WEIGHTY:
            # ITK takes this line for the value of the one before.
            raise damaged(path, f"its field {empty[:40]!r} is empty")
        empty = "" if value else key
        if name in fields and name in _WEIGHTY | _VECTORS | _MATRICES:
            raise damaged(path, f"its header has two fields {key[:40]!r}")
        fields[name] = value
        if key == _FILE:
            return fields, n
        if name == _FILE.lower():
            raise damaged(path, f"its field {key!r} is to be written {_FILE!r}")
    raise damaged(path, "its header has no end")


def _is_true(fields: dict[str, str], name: str, *, default: bool = False) -> bool:
    text = fields.get(name, "")
    return text[:1].lower() in ("t", "1") if text else default


def _size(path: Path, fields: dict[str, str]) -> tuple[int, int]:
    """Bytes of all voxels, and how many numbers they are."""
    ndim = fields.get("ndims", "")
    if not re.fullmatch(r"\d", ndim) or not 1 <= int(ndim) <= _MOST_AXES:
        raise damaged(path, f"its field 'NDims' is {ndim[:40]!r}, not a number of axes")
    words = fields.get("dimsize", "").split()
    if len(words) != int(ndim) or not all(re.fullmatch(r"\d{1,9}", w) and int(w) for w in words):
        raise damaged(path, f"its field 'DimSize' is not {ndim} positive whole numbers")
    channels = fields.get("elementnumberofchannels", "1")
    if not re.fullmatch(r"\d{1,9}", channels) or not 1 <= int(channels) <= _MOST_CHANNELS:
        raise damaged(path, f"its field 'ElementNumberOfChannels' is {channels[:40]!r}")
    kind = fields.get("elementtype", "").upper().removesuffix("_ARRAY")
    if kind not in _BYTES:
        raise damaged(path, f"its voxels are of the type {kind[:40]!r}")
    voxels = math.prod(int(w) for w in words) * int(channels)
    return voxels * _BYTES[kind], voxels


def _numbers(path: Path, fields: dict[str, str]) -> None:
    """Check the fields that are lists of numbers, and those that count bytes."""
    ndim = int(fields["ndims"])
    for name, n in (
        *((name, ndim) for name in _VECTORS),
        *((name, ndim * ndim) for name in _MATRICES),
    ):
        words = fields.get(name, "0 " * n).split()
        if len(words) != n or not all(_is_finite(w) for w in words):
            raise damaged(path, f"its field {name!r} is not {n} numbers")
    for name in ("headersize", "compresseddatasize"):
        if not re.fullmatch(r"-1|\d{1,18}", fields.get(name, "0")):
            raise damaged(path, f"its field {name!r} is {fields[name][:40]!r}")


def _is_finite(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _named(path: Path, value: str, behind: Sequence[bytes]) -> tuple[tuple[Path, ...], bytes]:
    """Files of the voxels, and the word for their list, whose lines are behind."""
    series = _SERIES.fullmatch(value)
    if series:
        first, digits, last, low, high, step = series.groups()
        if not int(step) or (int(high) - int(low)) // int(step) >= MOST_FILES:
            raise damaged(path, "it names files without end")
        numbers = range(int(low), int(high) + 1, int(step))
        return _found(path, [f"{first}{n:{digits}d}{last}" for n in numbers]), b"LIST"
    words = value.split()
    if words[:1] != ["LIST"]:
        return _found(path, [value]), b""
    if len(words) > 2 or not all(re.fullmatch(r"\dD?", w) for w in words[1:]):
        raise damaged(path, "it names its files in a way that is not known")
    names = [os.fsdecode(line.strip()) for line in behind]
    return _found(path, [n for n in names if n]), value.encode()


def _found(path: Path, names: Sequence[str]) -> tuple[Path, ...]:
    if not names or len(names) > MOST_FILES:
        raise damaged(path, f"it names {len(names)} files")
    return tuple(find_beside(path, name) for name in names)
