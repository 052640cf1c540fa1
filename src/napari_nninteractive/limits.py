"""Files of others are read within limits: regular files, of a known size, in the memory that there is.

A name can lead to a pipe that never ends or to a device, and a few bytes can ask for all memory. What cannot be right
is refused before it is opened or memory is taken.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

__all__ = ["available_memory", "parse_json", "read_bounded", "what_is_there"]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_UNLIMITED = 1 << 60  # bytes: what control groups write where there is no limit is larger


def what_is_there(path: str | os.PathLike[str]) -> str:
    """What a name stands for, where that is no regular file.

    Parameters
    ----------
    path : path
        Not opened; links are followed.

    Returns
    -------
    str
        "" for a regular file; else "a folder", "a named pipe", "a socket", "a device".

    Raises
    ------
    OSError
        If there is nothing.
    """
    mode = Path(path).stat().st_mode
    if stat.S_ISREG(mode):
        return ""
    return next((name for holds, name in _KINDS if holds(mode)), "no file")


def read_bounded(path: str | os.PathLike[str], most: int) -> bytes:
    """Content of a regular file that must not be long.

    Parameters
    ----------
    path : path
        File to read.
    most : int
        Bytes that it may have.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no regular file, or longer.
    """
    kind = what_is_there(path)
    if kind:
        raise ValueError(f"it is {kind}, not a file")
    with Path(path).open("rb") as file:
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > most:
        raise ValueError(f"it is longer than {most / 1e6:g} MB")
    return content


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Value of a JSON text whose lists and objects are nested no deeper than can be read.

    Parameters
    ----------
    text : str or bytes
        Not trusted.
    finite : bool
        Whether NaN, Infinity and numbers beyond the largest float are refused; else each field must be checked.

    Returns
    -------
    object
        Of JSON types.

    Raises
    ------
    ValueError
        If it is no such text.
    """
    try:
        if not finite:
            return json.loads(text)
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("its lists or objects are nested too deeply") from error


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def available_memory() -> int | None:
    """Bytes of memory that this process can still take without swapping; None where the system does not say."""
    found = [_available_in_machine(), _available_in_group(), _available_in_process()]
    known = [n for n in found if n is not None]
    return max(0, min(known)) if known else None


def _available_in_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _available_in_group() -> int | None:
    """What the control group of a container leaves: its limit, less what is taken and cannot be given back."""
    root = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError, StopIteration):
        most, taken = (int((root / f"memory.{n}").read_text("ascii")) for n in ("max", "current"))
        lines = (root / "memory.stat").read_text("ascii").splitlines()
        cached = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        return most - taken + cached if most < _UNLIMITED else None
    return None


def _available_in_process() -> int | None:
    """What the limit of the address space leaves (ulimit -v)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        return most - pages * resource.getpagesize()
    return None
