"""Recovery files: what a program that ended too early leaves of the user's work."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import platformdirs
from filelock import FileLock, Timeout

__all__ = ["RecoveryFiles", "recovery_folder"]


def recovery_folder() -> Path:
    """Where recovery files are."""
    return platformdirs.user_state_path("napari-nninteractive", appauthor=False)


class RecoveryFiles:
    """The recovery files of this program, and those that others left.

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

    def own(self, image: str) -> Path:
        """File of this program for an image; it may have to be written first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if image not in self._own:
            path = self._folder / f"{uuid4().hex}.json"
            lock = FileLock(_lock_of(path))
            lock.acquire(timeout=0)
            self._own[image] = path, lock
        return self._own[image][0]

    def lost(self) -> list[Path]:
        """Files of programs that did not end properly, the newest first."""
        files = [p for p in self._folder.glob("*.json") if not p.name.startswith(".")]
        lost = [p for p in files if _is_free(_lock_of(p))]
        return sorted(lost, key=lambda p: p.stat().st_mtime, reverse=True)

    def close(self) -> None:
        """Delete those of this program."""
        for path, lock in self._own.values():
            path.unlink(missing_ok=True)
            lock.release()
            _lock_of(path).unlink(missing_ok=True)
        self._own.clear()

    def discard(self, path: Path) -> None:
        """Delete one that is not wanted."""
        path.unlink(missing_ok=True)
        _lock_of(path).unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _is_free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
