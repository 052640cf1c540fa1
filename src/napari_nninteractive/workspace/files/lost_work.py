"""What of the work that programs left behind is of the image that is open. One file that is odd hides no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.errors import ImageError, NNInteractiveError
from napari_nninteractive.session_file.files import read_json, session_of
from napari_nninteractive.session_file.values import SavedSession
from napari_nninteractive.workspace.files.fitting import check_session, is_of_image

__all__ = ["LostWork", "sort_lost_work"]


@dataclass(frozen=True, slots=True, eq=False)
class LostWork:
    """Recovery files of programs that did not end properly, as far as one image is concerned.

    Attributes
    ----------
    fitting : tuple of (Path, SavedSession)
        Of the image, the newest first.
    others : tuple of str
        Which images the others are of.
    unreadable : mapping of Path to str
        Why the rest cannot be read.
    """

    fitting: tuple[tuple[Path, SavedSession], ...]
    others: tuple[str, ...]
    unreadable: dict[Path, str]

    @property
    def why_nothing(self) -> str:
        """Why nothing of it can be recovered into the image."""
        parts = []
        if self.others:
            parts.append(f"What was kept is of {', '.join(self.others)}: open that first.")
        if self.unreadable:
            parts.append(" ".join(self.unreadable.values()))
        return " ".join(parts) or "There is nothing to recover any more."


def sort_lost_work(
    paths: Sequence[Path], image: Frame, name: str, sha256: Callable[[Frame], str]
) -> LostWork:
    """Read recovery files, and tell which are of an image.

    Parameters
    ----------
    paths : sequence of Path
        The newest first.
    image : Frame
        Any frame of the image.
    name : str
        Of the image.
    sha256 : callable
        Gives `Volume.sha256` of a frame of the image.
    """
    fitting, others, unreadable = [], [], {}
    for path in paths:
        try:
            found = _read(path, image)
            if isinstance(found, str):
                others.append(found)
            elif is_of_image(found, image, name, sha256):
                fitting.append((path, found))
            else:
                shape = found.image.shape
                others.append(
                    f"another image {found.image.name} {shape} (to use it here all the same, open {path} as a session)"
                )
        except NNInteractiveError as error:
            unreadable[path] = str(error)
    return LostWork(tuple(fitting), tuple(others), unreadable)


def _read(path: Path, image: Frame) -> SavedSession | str:
    """Session of an image of this shape, checked, or which image it is of."""
    content = read_json(path)
    try:
        session = session_of(content, path.name, image.volume_shape)
    except ImageError:
        # It has passed all checks but this one, so these fields are there.
        described = content["image"] if isinstance(content, dict) else {}
        return f"{described.get('name', '')} {tuple(described['shape'])}".strip()
    if session.image.shape != image.shape:
        return f"{session.image.name} {session.image.shape}"
    check_session(session, image)
    return session
