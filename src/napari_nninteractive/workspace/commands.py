"""What the user drew and asked for, as values: prompts as placed, commands, and what came of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Prompt,
    Scribble,
)
from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.errors import NNInteractiveError

__all__ = [
    "Add",
    "Change",
    "Command",
    "CommandOutcome",
    "Delete",
    "HandEdit",
    "ImageSource",
    "ModelChoice",
    "Motion",
    "Paint",
    "PlacedPrompt",
    "Redo",
    "Remove",
    "Replace",
    "Reset",
    "Restore",
    "RestoredObject",
    "Run",
    "Show",
    "Stroke",
    "SwitchTo",
    "Undo",
    "describe",
    "fold",
]

_KINDS = {
    Point: "Point",
    BoxPrompt: "Box",
    Scribble: "Scribble",
    Lasso: "Lasso",
    InitialMask: "Mask to start from",
    MaskEdit: "Painted by hand",
}


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
class Add:
    """Add prompts; predict after the last, or let them wait. `joined`: undone together with the action before."""

    placed: tuple[PlacedPrompt, ...]
    predict: bool = True
    joined: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Replace:
    """Moved or flipped: as if drawn so from the start."""

    placed: PlacedPrompt


@dataclass(frozen=True, slots=True)
class Remove:
    """As if never drawn."""

    uid: int


@dataclass(frozen=True, slots=True)
class Run:
    """Predict with all prompts."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Take the last command back."""


@dataclass(frozen=True, slots=True)
class Redo:
    """Do the undone command again."""


@dataclass(frozen=True, slots=True)
class SwitchTo:
    """Go on with an object, new or not."""

    label: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Start the current object again."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Take an object away, finished or not."""

    label: int


@dataclass(frozen=True, slots=True)
class Show:
    """Write all objects of the image again, into a label map that is empty."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """Painted by hand: an edit of each object that was touched. The label map holds it already."""

    edits: tuple[HandEdit, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RestoredObject:
    """An object of a saved session.

    Attributes
    ----------
    steps : tuple of (PlacedPrompt or None, bool)
        What was added (None: nothing), and whether the network ran then; empty where only its voxels are known.
    mask : MaskEdit or None
        Its mask.
    shown : MaskEdit or None
        Its voxels in the label map.
    """

    steps: tuple[tuple[PlacedPrompt | None, bool], ...]
    mask: MaskEdit | None
    shown: MaskEdit | None


@dataclass(frozen=True, slots=True, eq=False)
class Restore:
    """Objects of a saved session, as one action.

    Attributes
    ----------
    current : mapping of Frame to int
        Current object of each time point.
    objects : mapping of (Frame, int) to RestoredObject
        By time point and label.
    """

    current: Mapping[Frame, int]
    objects: Mapping[tuple[Frame, int], RestoredObject]


Command = (
    Show | Add | Replace | Remove | Run | Undo | Redo | SwitchTo | Reset | Delete | Paint | Restore
)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """New values (z, y, x) of one object's mask in a box, at one time point."""

    frame: Frame
    label: int
    box: Box
    mask: NDArray[np.uint8]


class Motion(Enum):
    """How a command moves in the history of its image."""

    NONE = "none"
    DONE = "done"
    JOINED = "joined"  # undone together with the action before
    PAINTED = "painted"  # done; the label map holds it already
    UNDONE = "undone"
    REDONE = "redone"


@dataclass(frozen=True, slots=True, eq=False)
class CommandOutcome:
    """What a command changed, and what is then.

    Attributes
    ----------
    label : int
        The current object of the time point that is open.
    placed : tuple of PlacedPrompt
        Its prompts in force, oldest first.
    changes : tuple of Change
        To be written into the label map, as one action.
    motion : Motion
        How the command moved in the history.
    prompts : mapping of Frame to mapping of int to int
        Number of prompts of each object, by time point and label.
    can_undo, can_redo : bool
        Whether there is something to take back or do again in the image.
    went_to : Frame or None
        Time point of what was undone or done again; None for other commands.
    stopped : NNInteractiveError or None
        Why there is no prediction with the new prompts, which are kept: the user stopped it, or memory ran out.
    prediction : Prediction or None
        What the engine said.
    device : str
        Where it ran.
    """

    label: int
    placed: tuple[PlacedPrompt, ...]
    changes: tuple[Change, ...] = ()
    motion: Motion = Motion.NONE
    prompts: Mapping[Frame, Mapping[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    can_undo: bool = False
    can_redo: bool = False
    went_to: Frame | None = None
    stopped: NNInteractiveError | None = None
    prediction: Prediction | None = None
    device: str = ""


def fold(
    placed: tuple[PlacedPrompt, ...], commands: Iterable[Command], frame: Frame, label: int
) -> tuple[PlacedPrompt, ...] | None:
    """Prompts of an object after commands that have not run yet; None where only running them will tell."""
    for command in commands:
        match command:
            case Add():
                placed = (*placed, *command.placed)
            case Replace():
                new = command.placed
                placed = tuple(new if m.uid == new.uid else m for m in placed)
            case Remove():
                placed = tuple(m for m in placed if m.uid != command.uid)
            case Reset():
                placed = ()
            case Paint():
                own = (e.placed for e in command.edits if (e.frame, e.label) == (frame, label))
                placed = (*placed, *own)
            case Run() | Show():
                pass
            case _:
                return None
    return placed


def describe(placed: PlacedPrompt, *, flat_image: bool = False) -> str:
    """Kind, sign and slice of a prompt, for the list; a 2D image has no slices."""
    prompt = placed.prompt
    kind = _KINDS[type(prompt)]
    if isinstance(prompt, InitialMask):
        return kind
    sign = "+" if prompt.positive else "−"
    if flat_image:
        return f"{sign} {kind}"
    box = prompt.bounds
    flat = [a for a in range(3) if box.shape[a] == 1]
    where = (
        f"{'zyx'[flat[0]]} {box.start[flat[0]]}" if flat else f"z {box.start[0]}–{box.stop[0] - 1}"
    )
    return f"{sign} {kind}, {where}"
