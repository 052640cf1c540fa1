"""Before a library opens a file: that it is one, that what its header names lies beside it, that memory is enough."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from napari_nninteractive import limits
from napari_nninteractive.errors import ImageError

__all__ = ["check_length", "check_memory", "check_regular", "find_beside"]


def check_regular(path: Path) -> None:
    """Refuse a named pipe, a device or a folder, without opening it.

    Raises
    ------
    ImageError
        If it is no regular file, or there is none.
    """
    try:
        kind = limits.what_is_there(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    if kind:
        raise ImageError(f"{path} is {kind}, not a file: name an image file.")


def find_beside(header: Path, name: str) -> Path:
    """File that a header names: a regular one in the header's own folder or below.

    Parameters
    ----------
    header : Path
        The file that names it.
    name : str
        As written there.

    Returns
    -------
    Path
        The file itself, where a link leads to it.

    Raises
    ------
    ImageError
        If it lies elsewhere, also through links, is missing or no regular file, or is the header.
    """
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    lies = f"{header.name} says that its voxels are in {shown!r}"
    parts = (PurePosixPath(name), PureWindowsPath(name))
    outside = any(p.is_absolute() or ".." in p.parts for p in parts)
    if not name.strip() or "\0" in name or "://" in name or name.startswith("~") or outside:
        raise ImageError(f"{lies}: only files in its own folder or below are read.")
    folder = header.parent.resolve()
    try:
        file = (folder / name).resolve(strict=True)
        kind = limits.what_is_there(file)
    except (OSError, RuntimeError, ValueError) as error:
        raise ImageError(
            f"There is no file {header.parent / shown}, in which {header.name} says its voxels are."
        ) from error
    if not file.is_relative_to(folder):
        raise ImageError(f"{lies}, a link out of its folder: only files in it or below are read.")
    if kind:
        raise ImageError(f"{lies}, which is {kind}, not a file.")
    if file.samefile(header):
        raise ImageError(f"{lies}, which is that file itself.")
    return file


def check_length(name: str, have: int, need: int) -> None:
    """Refuse a file that is shorter than its header promises.

    Parameters
    ----------
    name : str
        Of the file.
    have, need : int
        Bytes.

    Raises
    ------
    ImageError
        If voxels are missing.
    """
    if have < need:
        raise ImageError(
            f"{name} is cut short: {have} bytes where {need} are needed. Copy it again."
        )


def check_memory(name: str, need: int) -> None:
    """Refuse what does not fit in memory.

    Parameters
    ----------
    name : str
        Of the file.
    need : int
        Bytes that reading it takes.

    Raises
    ------
    ImageError
        If there is less memory.
    """
    have = limits.available_memory()
    if have is not None and need > have:
        raise ImageError(
            f"{name} needs {_gigabytes(need)} of memory, and {_gigabytes(have)} are free: close other programs, or "
            "save a smaller part of the image."
        )


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.3g} GB"
