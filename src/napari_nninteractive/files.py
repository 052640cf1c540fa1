"""Files that are there as a whole or not at all: written beside their final place, then moved into it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

__all__ = ["atomic_folder", "atomic_write"]

_ENDING = 16  # characters of a name that hold every ending by which a writer knows a format


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path beside a file to write to, and move what was written there in its place at the end.

    If the block raises or is interrupted, what it wrote is removed; a file that was there before stays until then.

    Parameters
    ----------
    path : path
        File to write; one that is there is replaced. Where it is a symbolic link, the file that it points to is
        replaced, and the link stays.

    Yields
    ------
    Path
        File to make and to close, in the same folder and with the same ending; hidden, and another one every time.

    Raises
    ------
    OSError
        If what was written cannot be kept on the disk, or cannot be moved to its place, as where that is a folder.
        Errors of the block are passed on.
    """
    target = _pointed_to(path)
    beside = target.with_name(f".{uuid4().hex}{target.name[-_ENDING:]}")
    try:
        yield beside
        # A full disk or a network may be noticed only here; and after a power cut the name must lead to all of it.
        _keep(beside)
        beside.replace(target)
        with contextlib.suppress(OSError):  # folders that cannot be opened
            _keep(target.parent)
    finally:
        with contextlib.suppress(OSError, ValueError):  # what went wrong before counts
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder to write files to, and move them to their place together at the end.

    If the block raises or is interrupted, what it wrote is removed, and the folder is as it was before.

    Parameters
    ----------
    path : path
        Folder to write; made with its parents if absent. Where it is there, files of the same names are replaced, and
        all others stay.

    Yields
    ------
    Path
        Folder on the same disk; hidden, and another one every time.

    Raises
    ------
    OSError
        If the files cannot be moved to their place. Errors of the block are passed on.
    """
    target = _pointed_to(path)
    is_new = not target.exists()
    place = target.parent if is_new else target
    place.mkdir(parents=True, exist_ok=True)
    beside = place / f".{uuid4().hex}"
    try:
        made = beside / "new"
        made.mkdir(parents=True)
        yield made
        if is_new:
            made.rename(target)
        else:
            _move_in(made, target, beside / "old")
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _keep(path: Path) -> None:
    """Have the system write what it still holds in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pointed_to(path: str | os.PathLike[str]) -> Path:
    """The file itself where a path is a symbolic link."""
    link = Path(path)
    if not link.is_symlink():
        return link
    target = Path(os.path.realpath(link))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(link))
    return target


def _move_in(made: Path, folder: Path, old: Path) -> None:
    """Move files into a folder that is there; where one cannot be moved, all are put back.

    What is to be replaced leaves first, the deepest file, which is the last to come: should the process be killed in
    between, files are missing, but those of two versions are never mixed.
    """
    inside = [p.relative_to(made) for p in made.rglob("*")]
    inside.sort(key=lambda name: (len(name.parts), name))
    names = [name for name in inside if not (made / name).is_dir()]
    folders = [folder / name for name in inside if (made / name).is_dir()]
    new_folders = [path for path in folders if not path.exists()]
    moves = [(folder / n, old / n) for n in reversed(names) if (folder / n).is_file()]
    moves += [(made / n, folder / n) for n in names]
    done: list[tuple[Path, Path]] = []
    try:
        for path in new_folders:
            path.mkdir()
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            done.append((source, target))
            source.rename(target)
    except BaseException:
        for source, target in reversed(done):
            # An interrupt may have come before the last move.
            if not source.exists():
                target.rename(source)
        for path in reversed(new_folders):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
