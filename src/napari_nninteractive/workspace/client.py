"""Between the panel, the layers and the engine: what the user does becomes commands. Qt-free, and never waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Prompt, flipped
from napari_nninteractive.errors import PromptError
from napari_nninteractive.workspace.commands import (
    Add,
    Delete,
    ImageSource,
    ModelChoice,
    Paint,
    PlacedPrompt,
    Redo,
    Remove,
    Replace,
    Reset,
    Run,
    Show,
    Stroke,
    SwitchTo,
    Undo,
)
from napari_nninteractive.workspace.jobs import LabelTarget
from napari_nninteractive.workspace.label_map import painted_edits
from napari_nninteractive.workspace.queue import CommandQueue

__all__ = ["WorkspaceClient"]

_LARGEST = 2**31 - 1  # what napari's box for a label takes


class WorkspaceClient(CommandQueue):
    """Reacts to what the user does; parameters, attributes and signals are those of `CommandQueue`."""

    # Image and model

    def open(
        self,
        source: ImageSource,
        target: LabelTarget,
        existing: Callable[[], Counter[int]] | None = None,
    ) -> None:
        """Go to an image; finished objects stay where they are, and those made here come back.

        Parameters
        ----------
        source : ImageSource
            The image.
        target : LabelTarget
            Where its objects are written.
        existing : callable, optional
            Counts the voxels of each label that the target holds already; called where the target is new here.
        """
        fresh = target not in self._tables
        image = source.key[0] if isinstance(source.key, tuple) else source.key
        earlier = self._targets.get(image)
        self._targets[image] = target
        if fresh and earlier in self._tables:
            self._tables[target] = self._tables[earlier].emptied(source.frame.shape)
        self._source, self._target = source, target
        table = self.table
        found = existing() if fresh and existing is not None else Counter()
        if found:
            table.voxels.update(found)
            table.numbers.update(target.numbers)
            table.highest = max(found)
        self._pending, self._committed, self._last = [], (), None
        self._label = table.free_label()
        table.highest = max(table.highest, self._label)
        if not (fresh and not found):
            self._submit(None)
            return
        for frame in [f for f, objects in table.made.items() if objects and f != source.frame]:
            self._submit(Show(), replace(source, frame=frame, key=(image, frame)))
        self._submit(Show())
        self.set_numbers(dict(table.numbers))

    def refresh(self) -> None:
        """Ask the engine again what is there."""
        self._submit(None)

    def close_image(self) -> None:
        """The image is gone: drop what runs for it."""
        self._worker.discard()
        self._jobs = 0
        if self._source is not None:
            key = self._source.key
            self.work(lambda: self._workspace.forget(key), lambda _: self.changed.emit())
        self._tables.pop(self._target, None)
        self._targets = {i: t for i, t in self._targets.items() if t is not self._target}
        self._pending, self._committed, self._last = [], (), None
        self._source = self._target = None
        self.prompts_changed.emit(())
        self.changed.emit()

    def choose_model(self, choice: ModelChoice) -> None:
        """Another model or device: prompts and objects stay, and the next prediction uses it."""
        self._choice = choice
        if self._source is not None:
            self._submit(None)

    # Prompts

    def add(
        self,
        prompt: Prompt,
        outline: NDArray[np.float64] | None = None,
        *,
        joined: bool = False,
    ) -> int:
        """Add what was drawn; `joined`: one action with the last. Returns its uid."""
        placed = PlacedPrompt(self.new_uid(), prompt, outline)
        self._submit(Add((placed,), self.auto_run, joined))
        return placed.uid

    def move(self, uid: int, prompt: Prompt, outline: NDArray[np.float64] | None = None) -> None:
        """Change a prompt, as if it had been drawn so."""
        self._submit(Replace(PlacedPrompt(uid, prompt, outline)))

    def remove(self, uid: int) -> None:
        """Take a prompt away, as if it had never been drawn."""
        self._submit(Remove(uid))

    def remove_and_show(self, uid: int) -> None:
        """Take a prompt away that its layer still shows."""
        self.remove(uid)
        self._show()

    def flip(self, uids: Iterable[int]) -> None:
        """Give prompts the other sign."""
        by_uid = {m.uid: m for m in self.placed or ()}
        for placed in [by_uid[uid] for uid in uids if uid in by_uid]:
            try:
                prompt = flipped(placed.prompt)
            except PromptError as error:
                self.failed.emit(error)
            else:
                self._submit(Replace(PlacedPrompt(placed.uid, prompt, placed.outline)))
        self._show()

    def paint(self, stroke: Stroke) -> None:
        """Note what was painted by hand into other objects than the current one, so that it can be undone."""
        self._submit(Paint(stroke))

    def edit(
        self, mask: NDArray[np.bool_], origin: Any, *, value: bool, joined: bool = False
    ) -> None:
        """Keep what was painted or erased by hand in the current object; `joined`: one action with the last."""
        self.add(MaskEdit(mask, origin, value), joined=joined)

    def start_from(self, read: Callable[[], NDArray[Any]]) -> None:
        """Start the current object from an existing mask (z, y, x), read on the worker's thread."""
        self.work(lambda: InitialMask(_not_empty(read())), self.add)

    def new_uid(self) -> int:
        """A uid that no prompt has."""
        return next(self._uids)

    # Actions

    def run(self) -> None:
        """Predict now."""
        self._submit(Run())

    def undo(self) -> None:
        """Take the last action back."""
        if self.can_undo:
            self._submit(Undo())

    def redo(self) -> None:
        """Do the undone action again."""
        self._submit(Redo())

    def next_object(self) -> None:
        """Finish the current object and begin a new one; does nothing where it is still empty."""
        if self._source is None or self._is_empty():
            return
        table = self.table
        label = table.next_label(self.label)
        table.highest = max(table.highest, label)
        if self.same_number:
            self.set_number(label, table.number(self.label))
        self._submit(SwitchTo(label))
        self._show()

    def select_object(self, label: int) -> None:
        """Go on with an object: its prompts come back, if it was made here; else it starts from its mask."""
        if self._source is None or self._target is None:
            return
        self._go_to_frame_of(label)
        if label == self.label:
            return
        self._submit(SwitchTo(label))
        if self._is_foreign(label):
            self.start_from(self._reader(label))
        elif label in self.table.by_hand:
            self._keep_painted(label)
        self.table.by_hand.discard(label)

    def reset(self) -> None:
        """Start the current object again."""
        if not self._is_empty():
            self._submit(Reset())
            self._show()

    def delete_object(self, label: int) -> None:
        """Take an object away."""
        if not self._is_foreign(label):
            self._go_to_frame_of(label)
            self._submit(Delete(label))
            return

        def delete(mask: InitialMask) -> None:
            self._submit(SwitchTo(label))
            self.add(mask)
            self._submit(Delete(label))

        read = self._reader(label)
        self.work(lambda: InitialMask(read()), delete)

    def rename(self, label: int, name: str) -> None:
        """Name an object."""
        self.table.names[label] = name
        self.changed.emit()

    def set_number(self, label: int, number: int) -> None:
        """Show an object with a number of the user's; objects with the same one are a class.

        Raises
        ------
        PromptError
            If the number is not at least 1, or too large for a layer.
        """
        if not 0 < number <= _LARGEST:
            raise PromptError(
                f"{number} is no number for an object: take one from 1 to {_LARGEST}."
            )
        if self.table.number(label) != number:
            self.set_numbers({label: number})

    def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """Show objects with these numbers; those that are not named keep theirs."""
        target, table = self._target, self.table
        if target is None or not numbers:
            return
        table.numbers.update(numbers)
        for label in [n for n, number in table.numbers.items() if n == number]:
            del table.numbers[label]
        if target.numbers and not any(table.voxels[label] > 0 for label in numbers):
            target.announce(table.numbers)
        else:
            compute, show = target.renumber(table.numbers)

            def done(shown: Any) -> None:
                show(shown)
                self.changed.emit()

            self.work(compute, done)
        self.changed.emit()

    def owner(self, number: int) -> int:
        """Label of the object that voxels painted with a number go to."""
        return self.table.owner(number, self.label)

    def painted(self, counts: Counter[int]) -> None:
        """Voxels were won and lost by hand."""
        table = self.table
        table.voxels.update(counts)
        table.highest = max([table.highest, *counts])
        table.by_hand |= set(counts) - {self.label}
        self.changed.emit()

    def counted(self, counts: Counter[int]) -> None:
        """All voxels of the result were counted anew."""
        self.table.voxels = Counter(counts)
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the running prediction; its prompt stays and waits."""
        self._worker.cancel()

    def close(self) -> None:
        """Stop everything."""
        self._worker.close()
        self._source = self._target = None
        self._pending.clear()
        self._tables.clear()
        self._targets.clear()
        self._jobs = 0

    # Inside

    def _is_empty(self) -> bool:
        table = self.table
        return self.placed == () and table.voxels[self.label] <= 0

    def _go_to_frame_of(self, label: int) -> None:
        """Ask for the time point and channel that an object was made in, where they are others."""
        if self._source is not None:
            frame = self.table.frame_of(label, self._source.frame)
            if frame is not None and frame != self._source.frame:
                self.frame_wanted.emit(frame)

    def _is_foreign(self, label: int) -> bool:
        """Whether an object was not made here, so that only its mask is known."""
        return label not in self.table.prompts and self.table.voxels[label] > 0

    def _keep_painted(self, label: int) -> None:
        """Make edits of what was painted into an object while it was not the current one."""
        read = self._reader(label)
        labels = self._target.labels(label) if self._target is not None else None
        source, workspace = self._source, self._workspace

        def compare() -> list[tuple[NDArray[np.bool_], bool]]:
            if source is None or workspace.session is None:
                return []
            whole = Box.of_shape(source.frame.volume_shape)
            mask, free = (
                np.asarray(workspace.session.mask) != 0,
                source.frame.read(labels, whole) == 0,
            )
            return painted_edits(mask, read(), free)

        def edit(found: list[tuple[NDArray[np.bool_], bool]]) -> None:
            for mask, value in found:
                if self.label == label and mask.any():
                    self.edit(mask, (0, 0, 0), value=value)

        self.work(compare, edit)

    def _reader(self, label: int) -> Callable[[], NDArray[np.bool_]]:
        """Reads the mask of an object from the result."""
        if self._source is None or self._target is None:
            raise PromptError("There is no image to segment: open one, then choose it at the top.")
        labels, frame = self._target.labels(label), self._source.frame
        return lambda: np.asarray(frame.read(labels, Box.of_shape(frame.volume_shape)) == label)


def _not_empty(mask: NDArray[Any]) -> NDArray[Any]:
    if not np.any(mask):
        raise PromptError("The selected label has no voxels here: select another one in its layer.")
    return mask
