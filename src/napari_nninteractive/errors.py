"""Errors that say what to do.

Every error that a user can cause derives from `NNInteractiveError` and is raised before anything has changed.
"""

__all__ = [
    "Cancelled",
    "DeviceMemoryError",
    "ImageError",
    "ModelError",
    "NNInteractiveError",
    "PromptError",
    "SessionError",
]


class NNInteractiveError(Exception):
    """Base of all errors of this package."""


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
