"""Examples from files: an image with its labels, or a saved session with its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError, SessionError
from napari_nninteractive.evaluation.cases import Case, read_case
from napari_nninteractive.io import read_image
from napari_nninteractive.learning.examples import Example
from napari_nninteractive.session_file.choose import choose_frame
from napari_nninteractive.session_file.files import read_session
from napari_nninteractive.session_file.values import SavedFrame

__all__ = ["example_of_labels", "example_of_session"]


def example_of_labels(image: Path, labels: Path) -> Example:
    """Read an image and the labels of its finished objects.

    Raises
    ------
    ImageError
        If a file cannot be read, or the two do not fit each other.
    """
    volume = read_case(Case(image.name, image, labels))
    truth = volume.labels.reshape(volume.image.shape)
    spacing = volume.spacing[-truth.ndim :]
    return Example(volume.image, truth, spacing)


def example_of_session(
    session: Path, image: Path, channel: int | None = None, timepoint: int | None = None
) -> Example:
    """Read a saved session: all its objects count as finished.

    Parameters
    ----------
    session : Path
        File of a session, of any version.
    image : Path
        File of the image that it is of.
    channel, timepoint : int, optional
        Of the image, counted from 0; needed where there are several.

    Raises
    ------
    SessionError
        If the file is no session, or no object has a voxel.
    ImageError
        If the image cannot be read, or is not that of the session.
    """
    file = read_image(image, channel, timepoint)
    volume = Volume.open(file.data, file.spacing[-len(file.data.shape) :])
    frame = choose_frame(read_session(session, volume.shape), volume)
    if frame.sha256 not in (None, volume.sha256()):
        raise ImageError(
            f"{image.name} is not the image of {session.name}: it has other voxels, or the same in another type."
        )
    labels = _labels(frame, volume.shape)
    if not labels.any():
        raise SessionError(
            f"{session.name} has no object with a voxel: finish one, and save it again."
        )
    return Example(
        file.data, labels.reshape(file.data.shape), volume.spacing[-len(file.data.shape) :]
    )


def _labels(frame: SavedFrame, shape: tuple[int, int, int]) -> NDArray[np.uint32]:
    """Label map of a frame: masks where the session shows none, and over them what it shows."""
    labels = np.zeros(shape, np.uint32)
    hidden = [(n, one.mask) for n, one in frame.objects.items() if one.shown is None]
    shown = [(n, one.shown) for n, one in frame.objects.items()]
    for label, found in (*hidden, *shown):
        if found is not None:
            labels[found.bounds.slices][found.mask] = label
    return labels
