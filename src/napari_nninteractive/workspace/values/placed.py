"""What the user chose and drew, as values: image and model, prompts as placed, strokes by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import Prompt

__all__ = ["HandEdit", "ImageSource", "ModelChoice", "PlacedPrompt", "Stroke"]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPrompt:
    """A prompt as drawn.

    Attributes
    ----------
    uid : int
        Stays the same when it is moved or flipped.
    prompt : Prompt
        What the engine gets.
    outline : ndarray or None
        (n, axes) in the layer: what was drawn, where the prompt alone does not tell.
    """

    uid: int
    prompt: Prompt
    outline: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Model by name or folder, and where it runs."""

    name: str = "builtin"
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class ImageSource:
    """An image to segment.

    Attributes
    ----------
    image : str
        Which image: the same for the same image at all its time points.
    data : array_like
        All of the layer's data; the finest level of a pyramid.
    frame : Frame
        Which part.
    spacing : tuple of float
        Physical size of a voxel along (z, y, x).
    version : int
        Goes up when the data are replaced, so that they are read again.
    """

    image: str
    data: Any
    frame: Frame
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    version: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """Part of a Labels layer that a stroke changed.

    Attributes
    ----------
    start : tuple of int
        First voxel of the part in the layer.
    touched : ndarray of bool
        Voxels that were changed.
    old, new : ndarray
        Labels before and after.
    """

    start: tuple[int, ...]
    touched: NDArray[np.bool_]
    old: NDArray[Any]
    new: NDArray[Any]

    @property
    def key(self) -> tuple[slice, ...]:
        """Index of the part in the layer."""
        return tuple(slice(s, s + n) for s, n in zip(self.start, self.new.shape, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class HandEdit:
    """What a stroke by hand did to one object.

    Attributes
    ----------
    frame : Frame
        Time point.
    label : int
        The object.
    placed : PlacedPrompt
        A `MaskEdit`: the voxels that it won or lost.
    """

    frame: Frame
    label: int
    placed: PlacedPrompt
