"""What the user asked for, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.workspace.values.placed import HandEdit, PlacedPrompt

__all__ = [
    "Add",
    "Command",
    "Delete",
    "Paint",
    "Redo",
    "Remove",
    "Replace",
    "Reset",
    "Restore",
    "RestoredObject",
    "Run",
    "Show",
    "SwitchTo",
    "Undo",
]


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
