"""Headers of NRRD files, checked before ITK reads them: ITK ends the process where some of them make no sense."""

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
    **dict.fromkeys(
        ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1
    ),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int"), 2),
    **dict.fromkeys(("int16", "int16_t", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "uint", "unsigned int", "float"), 4),
    **dict.fromkeys(("int32", "int32_t", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long"), 8),
    **dict.fromkeys(("signed long long int", "ulonglong", "unsigned long long"), 8),
    **dict.fromkeys(("unsigned long long int", "int64", "int64_t", "uint64", "uint64_t"), 8),
    "double": 8,
}
_TEXT, _GZIP, _BZIP2 = ("txt", "text", "ascii", "hex"), ("gz", "gzip"), ("bz2", "bzip2")
_FEWEST, _MOST = 1, 5  # axes; ITK crashes at 16
_SERIES = re.compile(r"([^%]*)%(0?\d{0,2})d([^%]*?)\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})(\s+\d+)?")


def read_header(path: Path) -> Header:
    """Read and check the header of a file.

    Parameters
    ----------
    path : Path
        A ``.nrrd`` or ``.nhdr`` file.

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
    if not lines[0].startswith(b"NRRD"):
        raise damaged(path, "it does not begin as NRRD does")
    fields, at, end = _fields(path, lines)
    need, voxels = _size(path, fields)
    least = _least(path, fields, need, voxels)
    packed = fields["encoding"].lower() in _GZIP + _BZIP2
    skip = _whole(path, fields, "byteskip", -1)
    _whole(path, fields, "lineskip", 0)
    if at is None:
        if end == len(lines):
            raise damaged(path, "its header has no end")
        start = sum(len(line) + 1 for line in lines[: end + 1])
        return Header(path, need, least + (max(skip, 0) if least == need else 0), start, packed)
    files, word, used = _named(path, fields["datafile"], lines, at, end)
    kept = (*lines[:at], *lines[used:end])
    return Header(path, need, least, 0, packed, files, kept, b"data file: " + word, bool(word))


def _fields(path: Path, lines: Sequence[bytes]) -> tuple[dict[str, str], int | None, int]:
    """Fields by their name without spaces, the line that names the file of the voxels, and that of the end."""
    fields: dict[str, str] = {}
    at: int | None = None
    for n, raw in enumerate(lines):
        line = raw.removesuffix(b"\r")
        if b"\r" in line or b"\0" in line:
            raise damaged(path, "its header holds other bytes than text")
        if not line:
            return fields, at, n
        key, colon, value = os.fsdecode(line).partition(": ")
        name = "".join(key.lower().split())
        if not colon or line.startswith(b"#") or (at is not None and _is_list(fields["datafile"])):
            continue
        if name in fields:
            raise damaged(path, f"its header has two fields {key[:40]!r}")
        fields[name] = value.strip()
        if name == "datafile":
            at = n
    return fields, at, len(lines)


def _is_list(value: str) -> bool:
    return value.upper().split()[:1] == ["LIST"]


def _least(path: Path, fields: dict[str, str], need: int, voxels: int) -> int:
    """Bytes that the voxels take in their files at least."""
    encoding = fields.get("encoding", "").lower()
    least = {
        "raw": need,
        **dict.fromkeys(_TEXT, voxels),
        **dict.fromkeys(_GZIP, need // DEFLATE),
        **dict.fromkeys(_BZIP2, 1),
    }
    if encoding not in least:
        raise damaged(path, f"its encoding is {encoding[:40]!r}")
    return least[encoding]


def _size(path: Path, fields: dict[str, str]) -> tuple[int, int]:
    """Bytes of all voxels, and how many they are."""
    ndim = _whole(path, fields, "dimension", _FEWEST, needed=True)
    if ndim > _MOST:
        raise damaged(path, f"it has {ndim} axes, where {_MOST} are the most that can be read")
    words = fields.get("sizes", "").split()
    if len(words) != ndim or not all(re.fullmatch(r"\d{1,18}", w) and int(w) for w in words):
        raise damaged(path, f"its sizes are not {ndim} positive whole numbers")
    kind = " ".join(fields.get("type", "").lower().split())
    if kind not in _BYTES:
        raise damaged(path, f"its voxels are of the type {kind[:40]!r}")
    voxels = math.prod(int(w) for w in words)
    return voxels * _BYTES[kind], voxels


def _whole(path: Path, fields: dict[str, str], name: str, low: int, *, needed: bool = False) -> int:
    text = fields.get(name, "" if needed else "0")
    if not re.fullmatch(r"-?\d{1,18}", text) or int(text) < low:
        raise damaged(path, f"its field {name!r} is {text[:40]!r}")
    return int(text)


def _named(
    path: Path, value: str, lines: Sequence[bytes], at: int, end: int
) -> tuple[tuple[Path, ...], bytes, int]:
    """Files of the voxels, the word for their list, and the first line behind their names."""
    series = _SERIES.fullmatch(value)
    if series:
        first, digits, last, low, high, step, depth = series.groups()
        if not int(step) or (int(high) - int(low)) // int(step) >= MOST_FILES:
            raise damaged(path, "it names files without end")
        numbers = range(int(low), int(high) + 1, int(step))
        names = [f"{first}{n:{digits}d}{last}" for n in numbers]
        return _found(path, names), f"LIST{depth or ''}".encode(), at + 1
    if not _is_list(value):
        return _found(path, [value]), b"", at + 1
    words = value.split()
    if len(words) > 2 or not all(re.fullmatch(r"\d", w) for w in words[1:]):
        raise damaged(path, "it names its files in a way that is not known")
    names = [os.fsdecode(line.strip()) for line in lines[at + 1 : end]]
    return _found(path, names), " ".join(words).upper().encode(), end


def _found(path: Path, names: Sequence[str]) -> tuple[Path, ...]:
    if not names or len(names) > MOST_FILES:
        raise damaged(path, f"it names {len(names)} files")
    return tuple(find_beside(path, name) for name in names)
