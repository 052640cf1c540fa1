"""Whether a saved session fits the image that is open, to the last prompt: checked before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import Kind
from napari_nninteractive.errors import PromptError, SessionError
from napari_nninteractive.session_file.values import SavedFrame, SavedObject, SavedSession

__all__ = ["check_session", "frame_in", "is_of_image"]

_ALL_KINDS = frozenset(get_args(Kind))


def frame_in(image: Frame, saved: SavedFrame) -> Frame:
    """Frame of an image that a saved one stands for."""
    return replace(image, index=saved.index, channel=saved.channel)


def check_session(session: SavedSession, image: Frame) -> None:
    """Refuse a session with something in it that no session of this image can have.

    Parameters
    ----------
    session : SavedSession
        As read from a file; not trusted.
    image : Frame
        Any frame of the image.

    Raises
    ------
    SessionError
        That names the field.
    """
    for at, saved in enumerate(session.frames):
        where = f"frames[{at}]"
        _check_place(saved, image, where)
        for label, one in saved.objects.items():
            _check_object(one, image, f"{where}.objects[{label}]")


def is_of_image(
    session: SavedSession, image: Frame, name: str, sha256: Callable[[Frame], str]
) -> bool:
    """Whether a session is of an image, not only of its shape.

    Parameters
    ----------
    session : SavedSession
        That passed `check_session`.
    image : Frame
        Any frame of the image.
    name : str
        Of the image: it decides where the session holds no hash.
    sha256 : callable
        Gives `Volume.sha256` of a frame; called for one at most.
    """
    if session.image.shape != image.shape:
        return False
    known = next((saved for saved in session.frames if saved.sha256 is not None), None)
    if known is None:
        return session.image.name == name
    return sha256(frame_in(image, known)) == known.sha256


def _check_place(saved: SavedFrame, image: Frame, where: str) -> None:
    still = {*image.spatial, image.channel_axis}
    if any(saved.index[a] for a in range(image.ndim) if a in still):
        raise SessionError(
            f"{where}.index: must be 0 along space and channels, not {list(saved.index)}"
        )
    count = _channel_count(image)
    if saved.channel is not None and not 0 <= saved.channel < count:
        raise SessionError(f"{where}.channel: the image has {count}, so none is {saved.channel}")


def _channel_count(image: Frame) -> int:
    if image.channels is None:
        return 0
    return 3 if image.channels == image.ndim else image.shape[image.channels]


def _check_object(one: SavedObject, image: Frame, where: str) -> None:
    # Late: it loads torch.
    from napari_nninteractive.engine.steps import check_prompt

    shape = image.volume_shape
    if one.mask is not None and not Box.of_shape(shape).contains(one.mask.bounds):
        raise SessionError(f"{where}.mask: reaches outside the image of shape {shape} (z, y, x)")
    for at, step in enumerate(one.steps):
        if step.prompt is not None:
            try:
                check_prompt(step.prompt, shape, _ALL_KINDS)
            except PromptError as error:
                raise SessionError(f"{where}.prompts[{at}]: {error.message}") from error
