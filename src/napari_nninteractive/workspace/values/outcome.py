"""What came of a command, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.workspace.values.placed import PlacedPrompt

__all__ = ["Change", "CommandOutcome", "Motion"]


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
