"""What there is to be saved: of the workspace, and of the label map, which may hold more than was made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.errors import ModelError
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedModel,
    SavedObject,
    SavedRun,
    SavedStep,
)
from napari_nninteractive.workspace.history import ObjectSteps
from napari_nninteractive.workspace.values.placed import ModelChoice
from napari_nninteractive.workspace.workspace import Workspace

__all__ = ["labelled_frames", "saved_engine", "saved_frame"]

_SLAB = 1 << 22  # voxels looked at in one go


def saved_frame(
    workspace: Workspace, image: str, frame: Frame, labels: Any, *, hashed: bool = True
) -> SavedFrame:
    """All objects of a time point: those that were made here, and those that only the label map holds.

    Without `hashed` the volume is not read for its hash, which is given if it is known already.
    """
    made, pieces = workspace.objects(image, frame), _pieces(labels, frame)
    objects = {}
    for label in sorted(made.keys() | pieces.keys()):
        one, mask = made.get(label, (ObjectSteps(), None))
        steps = tuple(
            SavedStep(None, step.predicted)
            if placed is None
            else SavedStep(placed.prompt, step.predicted, placed.outline)
            for step, placed in zip(one.steps, one.placed, strict=True)
        )
        objects[label] = SavedObject(steps, mask, pieces.get(label))
    current = workspace.current(image, frame)
    sha256 = workspace.sha256(image, frame, known=not hashed)
    return SavedFrame(frame.index, frame.channel, current, objects, sha256)


def saved_engine(workspace: Workspace, choice: ModelChoice) -> tuple[SavedModel, SavedRun | None]:
    """Return the model as it was chosen, and how it computes where it was loaded."""
    model = SavedModel(choice.name, device=choice.device, precision=choice.precision)
    engine = workspace.engine
    if engine is None or workspace.choice != choice:
        return model, None
    from napari_nninteractive.engine.record import saved_model, saved_run

    try:
        known = saved_model(engine.model)
    except ModelError:  # its folder is gone since; the work must be saved all the same
        return model, saved_run(engine)
    return replace(model, sha256=known.sha256, licence=known.licence), saved_run(engine)


def labelled_frames(labels: Any, frame: Frame) -> list[Frame]:
    """All time points of a frame's image, with its channel, that hold labels."""
    still = (*frame.spatial, *(() if frame.channels is None else (frame.channels,)))
    sizes = [1 if a in still else n for a, n in enumerate(frame.shape)]
    frames = (replace(frame, index=tuple(int(i) for i in at)) for at in np.ndindex(*sizes))
    return [one for one in frames if any(_slabs(labels, one))]


def _pieces(labels: Any, frame: Frame) -> dict[int, MaskEdit]:
    """Voxels of each label of a time point, cropped."""
    boxes: dict[int, Box] = {}
    for start, block in _slabs(labels, frame):
        for label, found in enumerate(ndimage.find_objects(block), start=1):
            if found is not None:
                box = Box.from_slices(found).shift((start, 0, 0))
                boxes[label] = boxes.get(label, box).union(box)
    masks = {label: (frame.read(labels, box) == label, box) for label, box in boxes.items()}
    # While this is read, the thread of the window may write into it.
    return {label: MaskEdit(mask, box.start) for label, (mask, box) in masks.items() if mask.any()}


def _slabs(labels: Any, frame: Frame) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Parts of a time point that hold labels: their first slice and their voxels."""
    depth, height, width = frame.volume_shape
    step = max(1, _SLAB // (height * width))
    for z in range(0, depth, step):
        box = Box((z, 0, 0), (min(z + step, depth), height, width))
        block = frame.read(labels, box)
        if block.any():
            yield z, block.astype(np.int64)
