"""A saved session as values: images, objects, prompts and masks, independent of how the file spells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.prompts import MaskEdit, Prompt

__all__ = [
    "FARTHEST",
    "LARGEST_LABEL",
    "MOST_POINTS",
    "SavedFrame",
    "SavedImage",
    "SavedModel",
    "SavedObject",
    "SavedRun",
    "SavedSession",
    "SavedStep",
]

LARGEST_LABEL = 2**31 - 1
"""Of an object, and of the number that it is shown with: what napari's box for a label takes."""
FARTHEST = 2**31
"""Of a coordinate from 0; no image is that long."""
MOST_POINTS = 10_000
"""Of an outline."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedStep:
    """One thing that was done to an object.

    Attributes
    ----------
    prompt : Prompt or None
        What was added; None where only a prediction was asked for.
    predicted : bool
        Whether the network ran then.
    outline : ndarray or None
        float64 (n, axes of the image layer): what was drawn in napari, where the prompt alone does not tell.
    """

    prompt: Prompt | None
    predicted: bool
    outline: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SavedObject:
    """One object at one time point.

    Attributes
    ----------
    steps : tuple of SavedStep
        What it was made from, oldest first; empty where only its voxels are known.
    mask : MaskEdit or None
        Its mask, cropped, as the session has it; None where it is empty.
    shown : MaskEdit or None
        Its voxels in the label map, cropped; None where it has none there. They are fewer than those of `mask` where
        other objects lie over it.
    """

    steps: tuple[SavedStep, ...] = ()
    mask: MaskEdit | None = None
    shown: MaskEdit | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SavedFrame:
    """The objects of one time point (and channel) of the image.

    Attributes
    ----------
    index : tuple of int
        Where each axis of the image stands, as `Frame.index`; 0 along those of space and along the channels.
    channel : int or None
        As `Frame.channel`: None for the mean of all channels, or where there are none.
    label : int
        The current object.
    objects : mapping of int to SavedObject
        By label.
    sha256 : str or None
        `Volume.sha256` of the segmented volume; None where it was not open since.
    """

    index: tuple[int, ...]
    channel: int | None
    label: int
    objects: Mapping[int, SavedObject]
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class SavedImage:
    """What is known of the image.

    Attributes
    ----------
    shape : tuple of int
        Voxels along all its axes, without the colours of an RGB image.
    spacing : tuple of float
        Physical size of a voxel (z, y, x).
    name : str
        As the user knows it; "" where it has none.
    dtype : str
        Of its voxels; "" where it is not known.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    name: str = ""
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class SavedModel:
    """The model, and how it was chosen.

    Attributes
    ----------
    name : str
        Registered name or folder, as the user chose it.
    sha256 : str or None
        Hash of its files; None in files of earlier versions.
    licence : str
        Of the weights; "" where it is not known.
    device, precision : str
        As chosen: "auto", "cpu", "cuda", …; "auto", "fp32", ….
    """

    name: str = "builtin"
    sha256: str | None = None
    licence: str = ""
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, slots=True)
class SavedRun:
    """How predictions were computed, for a replay to the bit.

    Attributes
    ----------
    device, precision : str
        That were used.
    threads : int
        Of torch.
    torch : str
        Its version.
    autozoom : bool
        Whether AutoZoom was on.
    config : mapping of str to float or int
        Fields of `EngineConfig`.
    """

    device: str
    precision: str
    threads: int
    torch: str
    autozoom: bool = True
    config: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class SavedSession:
    """All that is held of one image.

    Attributes
    ----------
    image : SavedImage
        The image.
    model : SavedModel
        The model.
    frames : tuple of SavedFrame
        Time points with objects.
    run : SavedRun or None
        How predictions were computed; None in files of earlier versions of the panel.
    names : mapping of int to str
        Names of objects by label, where the user gave one.
    numbers : mapping of int to int
        By label: number that the object is shown with, where it is not its label.
    version : str
        Of the program that wrote it.
    """

    image: SavedImage
    model: SavedModel
    frames: tuple[SavedFrame, ...]
    run: SavedRun | None = None
    names: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    numbers: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    version: str = ""
