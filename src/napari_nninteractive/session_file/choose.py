"""Which object of a session is meant, by its label and by the volume that is there."""

from __future__ import annotations

from collections.abc import Sequence

from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError, SessionError
from napari_nninteractive.session_file.values import SavedFrame, SavedObject, SavedSession

__all__ = ["choose_frame", "choose_object"]


def choose_frame(session: SavedSession, volume: Volume) -> SavedFrame:
    """Time point and channel that a volume is.

    Parameters
    ----------
    session : SavedSession
        Of the image that the volume is from.
    volume : Volume
        Passed over once for its hash, where the session has several frames.

    Returns
    -------
    SavedFrame
        The only one, or the one whose hash is that of the volume.

    Raises
    ------
    SessionError
        If the session holds nothing, or several frames may be meant.
    ImageError
        If it has several frames, and all are known to be of other volumes.
    """
    frames = [frame for frame in session.frames if frame.objects]
    if not frames:
        raise SessionError("The session holds no object.")
    if len(frames) == 1:
        return frames[0]
    same = [frame for frame in frames if frame.sha256 == volume.sha256()]
    fitting = same or [frame for frame in frames if frame.sha256 is None]
    if not fitting:
        raise ImageError(
            f"This is not the image of the saved session, which has objects in {_list(frames)}: none of these is the "
            "volume here."
        )
    if len(fitting) > 1:
        raise SessionError(
            f"The session has objects in {_list(fitting)}: which of these is the volume here cannot be told, as their "
            "hashes do not differ or are not in the file."
        )
    return fitting[0]


def choose_object(
    session: SavedSession, volume: Volume, label: int | None = None
) -> tuple[SavedFrame, SavedObject]:
    """Object of a session to run again on a volume.

    Parameters
    ----------
    session : SavedSession
        Of the image that the volume is from.
    volume : Volume
        The volume.
    label : int, optional
        Of the object; by default the current one, or the only one with prompts.

    Returns
    -------
    SavedFrame, SavedObject
        Where it is, and what it was made from.

    Raises
    ------
    SessionError
        If there is no such object, or no prompts of it, or several may be meant.
    ImageError
        As in `choose_frame`.
    """
    frame = choose_frame(session, volume)
    prompted = [n for n, one in frame.objects.items() if one.steps]
    if label is None:
        known = prompted or list(frame.objects)
        label = frame.label if frame.label in known else known[0]
        if len(known) > 1 and label != frame.label:
            raise SessionError(
                f"The session has objects {_labels(session, known)}: choose one by its label."
            )
    if label not in frame.objects:
        there = _labels(session, list(frame.objects))
        raise SessionError(
            f"The session has no object {label}, but {there}: choose one by its label."
        )
    one = frame.objects[label]
    if not one.steps and (one.mask is not None or one.shown is not None):
        raise SessionError(
            f"The session has no prompts of object {label}, only its voxels; it has those of "
            f"{_labels(session, prompted) or 'none'}."
        )
    return frame, one


def _list(frames: Sequence[SavedFrame]) -> str:
    """Places of frames in the image."""
    return ", ".join(
        f"{frame.index}" + (f" of channel {frame.channel}" if frame.channel is not None else "")
        for frame in frames
    )


def _labels(session: SavedSession, labels: Sequence[int]) -> str:
    return ", ".join(
        f"{label} ({session.names[label]})" if label in session.names else f"{label}"
        for label in labels
    )
