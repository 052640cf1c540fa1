"""The engine behind the small interface of the evaluation: a session as users get it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.core.volume import ArrayLike3D
from napari_nninteractive.engine.session import InferenceSession

__all__ = ["SessionSegmenter"]


class SessionSegmenter:
    """An inference session that is measured.

    Parameters
    ----------
    session : InferenceSession
        With any model and settings.
    name : str, optional
        In reports; by default that of the model or the last part of its folder, and whether AutoZoom is off.
    """

    def __init__(self, session: InferenceSession, name: str | None = None) -> None:
        self._session = session
        zoom = "" if session.autozoom else " without AutoZoom"
        self._name = f"{Path(session.model.id).name}{zoom}" if name is None else name

    @property
    def name(self) -> str:
        """Of the method in every report."""
        return self._name

    def start(self, image: ArrayLike3D, spacing: tuple[float, float, float]) -> None:
        """Set the image; errors as in `InferenceSession.set_image`."""
        self._session.set_image(image, spacing[-len(image.shape) :])

    def reset(self, extent: Box) -> None:  # noqa: ARG002  nothing is told to the model
        """Go on to the next object."""
        self._session.reset()

    def add(self, prompt: Prompt) -> NDArray[np.bool_]:
        """Add a prompt and return the mask, bool (z, y, x); errors as in `InferenceSession.add`."""
        self._session.add(prompt)
        return np.asarray(self._session.mask[...], bool)

    def play(self, steps: Plan) -> NDArray[np.bool_]:
        """Take the steps of a person and return the mask, bool (z, y, x); errors as in `InferenceSession.add`."""
        for prompt, predicted in steps:
            if prompt is not None:
                self._session.add(prompt, predict=predicted)
            elif predicted:
                self._session.predict()
        return np.asarray(self._session.mask[...], bool)
