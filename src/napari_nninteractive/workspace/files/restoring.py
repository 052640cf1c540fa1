"""What a saved session becomes in the image that is open: objects with free labels, prompts with uids of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.errors import SessionError
from napari_nninteractive.session_file.values import LARGEST_LABEL, SavedObject, SavedSession
from napari_nninteractive.workspace.files.fitting import frame_in
from napari_nninteractive.workspace.values.commands import Restore, RestoredObject
from napari_nninteractive.workspace.values.placed import PlacedPrompt

__all__ = ["Restored", "restored"]


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """Objects of a session, and the names and numbers of those that have some, by label."""

    objects: Restore
    names: Mapping[int, str]
    numbers: Mapping[int, int]


def restored(
    session: SavedSession, image: Frame, used: Collection[int], new_uid: Callable[[], int]
) -> Restored:
    """Objects of a session as they come into an image.

    Parameters
    ----------
    session : SavedSession
        That fits the image.
    image : Frame
        Any frame of the image.
    used : collection of int
        Labels of the objects that are there: they keep them, and those of the session come after them.
    new_uid : callable
        Gives a uid that no prompt has.

    Raises
    ------
    SessionError
        If labels or numbers would become too large.
    """
    there = {n for f in session.frames for n in (f.label, *f.objects)}
    shift = max(used) if there & set(used) else 0
    if (
        max([*there, *session.numbers, *session.numbers.values()], default=0) + shift
        > LARGEST_LABEL
    ):
        raise SessionError(
            "The labels of the session are too large to come after those of the objects here: open it in a viewer "
            "that has none yet."
        )
    current: dict[Frame, int] = {}
    objects: dict[tuple[Frame, int], RestoredObject] = {}
    for one in session.frames:
        frame = frame_in(image, one)
        current[frame] = one.label + shift
        for label, saved in one.objects.items():
            objects[frame, label + shift] = _object(saved, frame, new_uid)
    return Restored(
        Restore(current, objects),
        {label + shift: name for label, name in session.names.items()},
        {label + shift: number + shift for label, number in session.numbers.items()},
    )


def _object(saved: SavedObject, frame: Frame, new_uid: Callable[[], int]) -> RestoredObject:
    """Return an object with prompts that have uids of their own, and voxels that lie in the image."""
    steps = tuple(
        (None if s.prompt is None else PlacedPrompt(new_uid(), s.prompt, s.outline), s.predicted)
        for s in saved.steps
    )
    return RestoredObject(steps, saved.mask, _clipped(saved.shown, frame))


def _clipped(piece: MaskEdit | None, frame: Frame) -> MaskEdit | None:
    """Return the part of a piece that lies in the image."""
    if piece is None:
        return None
    box = piece.bounds.clip(frame.volume_shape)
    mask = piece.mask[box.relative_to(piece.bounds).slices]
    return MaskEdit(mask, box.start) if mask.any() else None
