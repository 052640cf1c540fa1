"""What a session gives back, and how a caller follows and stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.view import View
from napari_nninteractive.errors import Cancelled

__all__ = [
    "CancelLike",
    "CancelToken",
    "Monitor",
    "Pass",
    "Prediction",
    "Progress",
    "ProgressCallback",
    "Stage",
]

Stage = Literal["look", "refine"]


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of the network.

    Attributes
    ----------
    stage : {"look", "refine"}
        Finding the whole object, or refining part of it at full resolution.
    view : View
        What the patch covered, and from how far away.
    """

    stage: Stage
    view: View

    @property
    def region(self) -> Box:
        """What the patch covered, in voxels; may reach beyond the image."""
        return self.view.region

    @property
    def zoom(self) -> float:
        """Voxels of the image per voxel of the patch, along the axis where they are most."""
        return max(self.view.zoom)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a prediction is.

    Attributes
    ----------
    stage : {"look", "refine"}
        What was just done.
    done : int
        Passes done in this stage.
    total : int or None
        Passes that this stage takes; None while looking, where the object decides.
    """

    stage: Stage
    done: int
    total: int | None


class CancelLike(Protocol):
    """Anything that says whether to stop, for example a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...


class CancelToken(threading.Event):
    """A flag that stops a prediction between two passes when set from any thread."""

    def cancel(self) -> None:
        """Stop: the running call raises `Cancelled` and leaves the session as it was."""
        self.set()


ProgressCallback = Callable[[Progress], object]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What one call changed.

    Attributes
    ----------
    changed : Box or None
        Smallest box of all voxels of the mask that changed, or None.
    mask : ndarray
        uint8 (z, y, x) of zeros and ones: the new values in `changed`; of shape (0, 0, 0) where nothing changed.
    zoom : float
        Widest view that was needed, in patches; 1 where the network did not run.
    forwards : int
        Passes of the network.
    seconds : float
        Wall time of the call.
    passes : tuple of Pass
        The passes in order.
    probability : ndarray or None
        float32 (z, y, x) of `changed`: the network's probability of the object; the mask itself where it did not look.
        Only when asked for.
    """

    changed: Box | None
    mask: NDArray[np.uint8]
    zoom: float
    forwards: int
    seconds: float
    passes: tuple[Pass, ...] = ()
    probability: NDArray[np.float32] | None = None


@dataclass(slots=True)
class Monitor:
    """Counts passes, reports progress and notices a cancel; shared by all predictions of one call."""

    progress: ProgressCallback | None = None
    cancel: CancelLike | None = None

    def check(self) -> None:
        """Stop here if asked to.

        Raises
        ------
        Cancelled
            If the token is set.
        """
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("The prediction was cancelled; nothing has changed.")

    def report(self, stage: Stage, done: int, total: int | None) -> None:
        """Tell the caller about a pass that was done."""
        if self.progress is not None:
            self.progress(Progress(stage, done, total))
