"""What the user drew and asked for, as values: prompts as placed, commands, and what came of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    "ImageSource",
    "ModelChoice",
    "Paint",
    "PlacedPrompt",
    "Redo",
    "Remove",
    "Replace",
    "Reset",
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
    key : object
        The same for the same image and frame.
    data : array_like
        All of the layer's data; the finest level of a pyramid.
    frame : Frame
        Which part.
    spacing : tuple of float
        Physical size of a voxel along (z, y, x).
    version : int
        Goes up when the data are replaced, so that they are read again.
    """

    key: object
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
    """Write all objects again, into a result that is empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """Painted by hand into other objects than the current one; it is there already."""

    stroke: Stroke


Command = Show | Add | Replace | Remove | Run | Undo | Redo | SwitchTo | Reset | Delete | Paint


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """New values (z, y, x) of one object's mask in a box."""

    label: int
    box: Box
    mask: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class CommandOutcome:
    """What a command changed, and what is then.

    Attributes
    ----------
    label : int
        The current object.
    placed : tuple of PlacedPrompt
        Its prompts, oldest first.
    changes : tuple of Change
        To be written into the result, in order.
    strokes : tuple of (Stroke, bool)
        Strokes by hand to be taken back (True) or made again (False), in order.
    prompts : mapping of int to int
        Number of prompts of each object.
    can_undo, can_redo : bool
        Whether there is something to take back or do again.
    waiting : bool
        Whether there are prompts that no prediction has seen.
    stopped : NNInteractiveError or None
        Why there is no prediction with the new placed, which are kept: the user stopped it, or memory ran out.
    prediction : Prediction or None
        What the engine said.
    device : str
        Where it ran.
    """

    label: int
    placed: tuple[PlacedPrompt, ...]
    changes: tuple[Change, ...] = ()
    strokes: tuple[tuple[Stroke, bool], ...] = ()
    prompts: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    can_undo: bool = False
    can_redo: bool = False
    waiting: bool = False
    stopped: NNInteractiveError | None = None
    prediction: Prediction | None = None
    device: str = ""


def fold(
    placed: tuple[PlacedPrompt, ...], commands: Iterable[Command]
) -> tuple[PlacedPrompt, ...] | None:
    """Prompts after commands that have not run yet; None where only running them will tell."""
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
            case Run() | Show() | Paint():
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
