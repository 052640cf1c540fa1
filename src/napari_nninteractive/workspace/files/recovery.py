"""Recovery files: what a program that ended too early leaves of the user's work."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import platformdirs
from filelock import FileLock, Timeout

from napari_nninteractive.errors import SessionError

__all__ = ["RecoveryFiles", "recovery_folder"]

_STALE = 3600  # seconds; no file takes so long to be written
_PATIENCE = 10  # seconds that the end waits for a file that is being written


def recovery_folder() -> Path:
    """Where recovery files are."""
    return platformdirs.user_state_path("napari-nninteractive", appauthor=False)


class RecoveryFiles:
    """The recovery files of this program, and those that others left. May be used by several threads.

    Parameters
    ----------
    folder : Path, optional
        Where they are.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or recovery_folder()
        # For each image its file, and a lock that is held as long as the program runs: how others know that the file
        # is not theirs to recover.
        self._own: dict[str, tuple[Path, FileLock]] = {}
        self._claimed: dict[Path, FileLock | None] = {}
        self._kept: set[str] = set()
        self._writing = threading.Lock()
        self._closed = False

    # Of this program

    def write(self, image: str, write: Callable[[Path], object]) -> None:
        """Write the file of an image.

        Raises
        ------
        SessionError
            If the folder takes no files. Errors of `write` are passed on.
        """
        with self._writing:
            if not self._closed:
                try:
                    path = self._place(image)
                except (OSError, Timeout, NotImplementedError) as error:
                    raise SessionError(
                        f"Your work is not kept for after a crash: {self._folder} takes no files "
                        f"({_why(error)}). Save it from time to time."
                    ) from error
                write(path)
        if self._closed:  # meanwhile
            self.close()

    def keep(self, image: str) -> None:
        """Let the file of an image outlive the program, as what is in it was recovered and is nowhere else."""
        self._kept.add(image)

    def saved(self, image: str) -> None:
        """Note that what is in the file of an image was saved elsewhere."""
        self._kept.discard(image)

    def close(self) -> None:
        """Delete those of this program, but for those that are to be kept."""
        self._closed = True
        if not self._writing.acquire(timeout=_PATIENCE):
            return  # who writes it deletes it
        try:
            for image, (path, lock) in self._own.items():
                if image not in self._kept:
                    _delete(path)
                _release(path, lock)
            self._own.clear()
            for path in list(self._claimed):
                self.release(path)
        finally:
            self._writing.release()

    # Of others

    def lost(self) -> list[Path]:
        """Files of programs that did not end properly, the newest first.

        Raises
        ------
        SessionError
            If the folder cannot be looked into.
        """
        try:
            files = self._files()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise SessionError(
                f"What a crash may have left cannot be looked for: {self._folder} cannot be read ({_why(error)})."
            ) from error
        _delete_stale(files)
        named = {p: t for p, t in files.items() if p.suffix == ".json" and p.name[0] != "."}
        free = [path for path in named if path not in self._claimed and _is_free(_lock_of(path))]
        return sorted(free, key=lambda path: -named[path])

    def claim(self, path: Path) -> bool:
        """Take one of others, so that nobody else does; returns whether it was still there to be taken."""
        try:
            self._claimed[path] = _locked(_lock_of(path))
        except Timeout:
            return False
        except (OSError, NotImplementedError):  # where nothing can be locked, nobody else can
            self._claimed[path] = None
        return path.is_file()

    def release(self, path: Path) -> None:
        """Leave one that was claimed to others."""
        _release(path, self._claimed.pop(path, None))

    def discard(self, path: Path) -> None:
        """Delete one that is not wanted.

        Raises
        ------
        SessionError
            If that cannot be.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SessionError(f"{path} cannot be deleted ({_why(error)}).") from error
        finally:
            _release(path, self._claimed.pop(path, None))
        _delete(_lock_of(path))

    # Inside

    def _place(self, image: str) -> Path:
        """File of an image, with its lock, which someone may have deleted with the folder."""
        known = self._own.get(image)
        if known is not None and _lock_of(known[0]).is_file():
            return known[0]
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{uuid4().hex}.json" if known is None else known[0]
        self._own[image] = path, _locked(_lock_of(path))
        return path

    def _files(self) -> dict[Path, float]:
        """Regular files of the folder, and when they were written; what else may be there is none of ours."""
        files = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # gone since
                    if entry.is_file(follow_symlinks=False):
                        files[Path(entry.path)] = entry.stat(follow_symlinks=False).st_mtime
        return files


def _delete_stale(files: dict[Path, float]) -> None:
    """Delete what writers that were killed left behind."""
    for path, written in files.items():
        if path.name[0] == "." and path.suffix == ".json" and time.time() - written > _STALE:
            _delete(path)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _locked(lock: Path) -> FileLock:
    """Hold a lock, which may be released by another thread."""
    held = FileLock(lock, timeout=0, thread_local=False)
    held.acquire()
    return held


def _release(path: Path, lock: FileLock | None) -> None:
    """Hold the lock of a file no longer; it goes with its file."""
    if lock is not None:
        lock.release()
        if not path.exists():
            _delete(_lock_of(path))


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):  # it is there once more the next time
        path.unlink(missing_ok=True)


def _is_free(lock: Path) -> bool:
    """Whether nobody holds a lock; where it cannot be held, as in a folder that takes no files, nobody does."""
    try:
        _locked(lock).release()
    except Timeout:
        return False
    except (OSError, NotImplementedError):
        return not lock.is_file()
    return True


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
