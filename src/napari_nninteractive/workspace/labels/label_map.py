"""The label map: all objects of an image in one array, and the rules of who wins a voxel.

Each object has a label of its own. A voxel shows one object: who has it keeps it, unless objects may overwrite others.
Objects that want it too lie beneath, and come up where those above withdraw. Painting by hand wins always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.workspace.labels.numbers import count, difference, dtype_for, numbered
from napari_nninteractive.workspace.labels.overlaps import Beneath, Patch, inserted, removed
from napari_nninteractive.workspace.labels.strokes import parts_of
from napari_nninteractive.workspace.values.outcome import Change, Motion
from napari_nninteractive.workspace.values.placed import Stroke

__all__ = ["Key", "LabelMap"]

Key = tuple[int | slice | EllipsisType, ...]
"""A part of an array: its index."""


class LabelMap:
    """Labels of all objects of an image, their sizes, and the numbers that they are shown with.

    Parameters
    ----------
    array : ndarray of unsigned int
        Label of the object at each voxel, 0 for none; along all axes of the image, channels included, which hold the
        same. Changed in place, and replaced by a wider one where a label asks for it.
    numbers : mapping of int to int, optional
        By label: number that the object is shown with, where it is not its label.
    channel_axis : int, optional
        Axis of the channels, where the array has one.

    Attributes
    ----------
    array : ndarray of unsigned int
        The labels.
    numbers : dict
        Given by the user; several objects may share one.
    voxels : Counter
        Voxels of each label.
    """

    def __init__(
        self,
        array: NDArray[Any],
        numbers: Mapping[int, int] | None = None,
        channel_axis: int | None = None,
    ) -> None:
        self.array = array
        self.numbers: dict[int, int] = dict(numbers or {})
        self.voxels: Counter[int] = Counter()
        self.channel_axis = channel_axis
        self._beneath: dict[Frame, Beneath] = {}
        # What each action of the history changed; None for one that this map did not see.
        self._past: list[list[Patch] | None] = []
        self._future: list[list[Patch] | None] = []
        self._painted: list[list[Patch]] = []  # by hand, while the command waits

    def number(self, label: int) -> int:
        """Return what an object is shown with."""
        return self.numbers.get(label, label)

    def reserve(self, label: int) -> None:
        """Widen the array, where its type does not hold a label."""
        if label > np.iinfo(self.array.dtype).max:
            self.array = self.array.astype(dtype_for(label))

    def mask(self, frame: Frame, label: int) -> NDArray[np.bool_]:
        """Voxels (z, y, x) of an object at a time point, where it is shown."""
        whole = Box.of_shape(frame.volume_shape)
        return np.asarray(frame.read(self.array, whole) == label)

    def recount(self) -> Counter[int]:
        """Count the voxels of each label anew; reads all of them."""
        channels = self.channel_axis
        one = self.array if channels is None else self.array[(slice(None),) * channels + (0,)]
        self.voxels = count(one)
        return self.voxels

    def shown(self, key: Key) -> NDArray[Any]:
        """Part of the map with the numbers that its objects are shown with; a copy."""
        return numbered(np.asarray(self.array[key]), self.numbers)

    def write(
        self,
        changes: Sequence[Change],
        motion: Motion = Motion.NONE,
        *,
        overwrite: bool = False,
    ) -> list[Key]:
        """Write what a command changed: voxels are first given up by all objects, then taken.

        Parameters
        ----------
        changes : sequence of Change
            New masks of objects.
        motion : Motion
            How the command moved in the history. What is undone or done again is as it was, to the voxel.
        overwrite : bool
            Whether objects lie over others. Those beneath come back where they withdraw.

        Returns
        -------
        list of tuple
            Parts of the array that may differ now.
        """
        match motion:
            case Motion.UNDONE:
                return self._travel(self._past, self._future, changes, back=True)
            case Motion.REDONE:
                return self._travel(self._future, self._past, changes, back=False)
            case Motion.PAINTED:
                patches = self._painted.pop(0) if self._painted else []
            case _:
                patches = []
        patches += self._written(changes, overwrite=overwrite)
        if motion is Motion.JOINED and self._past and self._past[-1] is not None:
            self._past[-1] += patches
        elif motion is not Motion.NONE:
            self._past.append(patches)
        if motion is not Motion.NONE:
            self._future.clear()
        return [patch.frame.key(patch.box) for patch in patches]

    def painted(self, stroke: Stroke, frame: Frame) -> bool:
        """Note what was painted by hand into the array, where it is already; nothing lies beneath it then.

        Parameters
        ----------
        stroke : Stroke
            In labels of objects, along all axes of the image.
        frame : Frame
            Which axes are space.

        Returns
        -------
        bool
            Whether a voxel changed.
        """
        patches = []
        for at, box, old, new in parts_of(stroke, frame):
            self.voxels.update(difference(old, new))
            beneath = self._beneath.setdefault(at, Beneath())
            before = np.concatenate([old[np.newaxis].astype(np.uint32), beneath.read(box)])
            after = np.where(old != new, 0, before).astype(np.uint32)
            after[0] = new
            beneath.write(box, after[1:])
            patch = Patch.between(at, box, before, after)
            if patch is not None:
                patches.append(patch)
        if patches:
            self._painted.append(patches)
        return bool(patches)

    def covered(self, stroke: Stroke, frame: Frame) -> Iterator[tuple[Frame, int, MaskEdit]]:
        """Give what objects beneath others lose by a stroke that `painted` is not told of yet, as `edits_of` does."""
        for at, box, old, new in parts_of(stroke, frame):
            beneath = self._beneath.get(at)
            if beneath is None:
                continue
            stack = beneath.read(box)
            lost = np.where((old != new) & (stack != new), stack, 0)
            for label in np.unique(lost[lost != 0]).tolist():
                yield at, int(label), MaskEdit((lost == label).any(axis=0), box.start, False)

    def dropped(self) -> None:
        """Forget the oldest stroke that waits for its command, which failed."""
        if self._painted:
            self._painted.pop(0)

    def _travel(
        self,
        source: list[list[Patch] | None],
        target: list[list[Patch] | None],
        changes: Sequence[Change],
        *,
        back: bool,
    ) -> list[Key]:
        """Take an action back, or do it again."""
        patches = source.pop() if source else None
        target.append(patches)
        if patches is None:  # done before this map was there
            return [p.frame.key(p.box) for p in self._written(changes, overwrite=False)]
        for patch in reversed(patches) if back else patches:
            old = self._stack(patch.frame, patch.box)
            self._put(patch.frame, patch.box, old, patch.applied(old, back=back))
        return [patch.frame.key(patch.box) for patch in patches]

    def _written(self, changes: Sequence[Change], *, overwrite: bool) -> list[Patch]:
        """Give up the voxels that objects no longer have, then give them those that they may have."""
        patches = []
        for change in changes:
            old = self._stack(change.frame, change.box)
            new = removed(old, change.label, change.mask == 0)
            patches.append(self._put(change.frame, change.box, old, new))
        for change in changes:
            old = self._stack(change.frame, change.box)
            new = inserted(old, change.label, change.mask != 0, on_top=overwrite)
            patches.append(self._put(change.frame, change.box, old, new))
        return [patch for patch in patches if patch is not None]

    def _stack(self, frame: Frame, box: Box) -> NDArray[np.uint32]:
        """Labels (levels, z, y, x) of a box, the shown ones first."""
        shown = frame.read(self.array, box)[np.newaxis].astype(np.uint32)
        beneath = self._beneath.get(frame)
        return shown if beneath is None else np.concatenate([shown, beneath.read(box)])

    def _put(
        self, frame: Frame, box: Box, old: NDArray[np.uint32], new: NDArray[np.uint32]
    ) -> Patch | None:
        """Set the labels of a box; returns what differs."""
        if new is old:
            return None
        if (old[0] != new[0]).any():
            self.reserve(int(new[0].max()))
            self.voxels.update(difference(old[0], new[0]))
            frame.write(self.array, box, new[0].astype(self.array.dtype))
        if len(old) > 1 or len(new) > 1:
            self._beneath.setdefault(frame, Beneath()).write(box, new[1:])
        return Patch.between(frame, box, old, new)
