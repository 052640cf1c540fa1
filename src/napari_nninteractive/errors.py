"""Errors that say what to do.

Every error that a user can cause derives from `NNInteractiveError` and is raised before anything has changed. What can
be done about it is data, a `Remedy`, which each reader words in another way.
"""

from __future__ import annotations

from collections.abc import Mapping

from napari_nninteractive.remedies import IN_PYTHON, Advice, Remedy

__all__ = [
    "Advice",
    "Cancelled",
    "DeviceMemoryError",
    "ImageError",
    "ModelError",
    "NNInteractiveError",
    "PromptError",
    "Remedy",
    "SessionError",
]


class NNInteractiveError(Exception):
    """Base of all errors of this package; as text, it speaks to a caller of the library.

    Parameters
    ----------
    message : str
        What is wrong: whole sentences that no reader has to have translated.
    remedy : Remedy or Advice, optional
        What can be done, where each reader does it in another way.

    Attributes
    ----------
    message : str
        The same.
    advice : Advice or None
        The remedy, and what it is about.
    """

    def __init__(self, message: str = "", remedy: Remedy | Advice | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = Advice(remedy) if isinstance(remedy, Remedy) else remedy

    @property
    def remedy(self) -> Remedy | None:
        """What can be done, if that differs between readers."""
        return None if self.advice is None else self.advice.remedy

    def worded(self, words: Mapping[Remedy, str]) -> str:
        """Say what is wrong and what to do, in the words of one reader.

        Parameters
        ----------
        words : mapping of Remedy to str
            As in `Advice.worded`.

        Returns
        -------
        str
            The message, and the remedy after a colon.
        """
        if self.advice is None:
            return self.message
        return f"{self.message.removesuffix('.')}: {self.advice.worded(words)}."

    def __str__(self) -> str:
        return self.worded(IN_PYTHON)


class ImageError(NNInteractiveError, ValueError):
    """The image cannot be segmented as it is: wrong axes, constant, empty, not numeric."""


class PromptError(NNInteractiveError, ValueError):
    """A prompt is malformed, lies outside the image or is not understood by the model."""


class ModelError(NNInteractiveError):
    """A model folder is incomplete, unsafe, or does not fit this engine."""


class SessionError(NNInteractiveError, RuntimeError):
    """A call that makes no sense now, for example a prompt before an image."""


class DeviceMemoryError(SessionError):
    """The device has not enough memory for a pass of the network; the session is as it was before."""


class Cancelled(NNInteractiveError):
    """A prediction was cancelled on request; the session is as it was before."""
