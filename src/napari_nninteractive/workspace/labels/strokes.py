"""What a stroke by hand does to the objects of a label map, time point by time point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.workspace.values.placed import Stroke

__all__ = ["edits_of", "parts_of"]


def parts_of(
    stroke: Stroke, frame: Frame
) -> Iterator[tuple[Frame, Box, NDArray[Any], NDArray[Any]]]:
    """Time points that a stroke lies in, each with its box and the labels (z, y, x) before and after."""
    space = frame.spatial
    others = [a for a in range(frame.ndim) if a not in space]
    # Channels hold the same, so that one is enough.
    sizes = [1 if a == frame.channels else stroke.touched.shape[a] for a in others]
    pad = 3 - len(space)
    start = (0,) * pad + tuple(stroke.start[a] for a in space)
    for offset in np.ndindex(*sizes):
        key: list[Any] = [slice(None)] * frame.ndim
        for axis, at in zip(others, offset, strict=True):
            key[axis] = int(at)
        position = [
            s if isinstance(k, slice) else s + k for s, k in zip(stroke.start, key, strict=True)
        ]
        touched, old, new = (v[tuple(key)] for v in (stroke.touched, stroke.old, stroke.new))
        new = np.where(touched, new, old)
        shape = (1,) * pad + new.shape
        box = Box(start, [a + n for a, n in zip(start, shape, strict=True)])
        yield frame.at(position), box, old.reshape(shape), new.reshape(shape)


def edits_of(stroke: Stroke, frame: Frame) -> Iterator[tuple[Frame, int, MaskEdit]]:
    """Give what a stroke by hand does to each object that it touches.

    Parameters
    ----------
    stroke : Stroke
        In labels of objects, along all axes of the image.
    frame : Frame
        Which axes are space; the others stand where the stroke was made.

    Yields
    ------
    Frame, int, MaskEdit
        Time point, label, and the voxels that the object loses or wins; losses come first.
    """
    for at, box, old, new in parts_of(stroke, frame):
        for values, won in ((old, False), (new, True)):
            for label in np.unique(values[old != new]).tolist():
                if label:
                    yield at, int(label), MaskEdit((old != new) & (values == label), box.start, won)
