"""What the user does becomes commands, and what comes back is written into the label map. Qt-free, and never waiting.

Each action becomes a command that the worker runs in order. Until it has run it is pending: the prompts that are shown
are those that the workspace has, and the pending ones after them, so nothing that was clicked is lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_nninteractive.core.prompts import InitialMask, Prompt, flipped
from napari_nninteractive.errors import Cancelled, NNInteractiveError, PromptError
from napari_nninteractive.session_file.values import LARGEST_LABEL
from napari_nninteractive.workspace.labels.label_map import LabelMap
from napari_nninteractive.workspace.labels.strokes import edits_of
from napari_nninteractive.workspace.objects import ObjectRow, ObjectTable
from napari_nninteractive.workspace.pending import current_label, current_prompts
from napari_nninteractive.workspace.queue import CommandQueue, Job, LabelTarget, WorkerLike
from napari_nninteractive.workspace.tables import ObjectTables
from napari_nninteractive.workspace.values.commands import (
    Add,
    Command,
    Delete,
    Paint,
    Redo,
    Remove,
    Replace,
    Reset,
    Restore,
    Run,
    Show,
    SwitchTo,
    Undo,
)
from napari_nninteractive.workspace.values.outcome import CommandOutcome
from napari_nninteractive.workspace.values.placed import (
    HandEdit,
    ImageSource,
    ModelChoice,
    PlacedPrompt,
    Stroke,
)
from napari_nninteractive.workspace.workspace import Workspace

__all__ = ["WorkspaceClient"]

_NO_IMAGE = "There is no image to segment: open one, then choose it at the top."


class WorkspaceClient:
    """Reacts to what the user does.

    Parameters
    ----------
    worker : WorkerLike
        Runs the commands.
    workspace : Workspace, optional
        Where they are run; with the real models by default.
    saver : WorkerLike, optional
        Runs what must not wait for them; the same by default.

    Attributes
    ----------
    auto_run, overwrite, probability : bool
        Predict after each prompt; let objects cover others; ask for the network's probability.
    same_number : bool
        Whether new objects are shown with the number of the one before.
    """

    prompts_changed = Signal(object)  # tuple of PlacedPrompt to show
    changed = Signal()  # anything that the panel shows
    progressed = Signal(object)  # engine Progress, or None
    predicted = Signal(object, object)  # ImageSource, Prediction
    failed = Signal(object)  # the exception
    changed_without_prediction = Signal()  # the object changed without the network
    frame_wanted = Signal(object)  # Frame to go to
    choice_refused = Signal(object)  # ModelChoice that goes on in its place

    def __init__(
        self,
        worker: WorkerLike,
        workspace: Workspace | None = None,
        saver: WorkerLike | None = None,
    ) -> None:
        self._workspace = workspace or Workspace()
        self._queue = CommandQueue(worker, self._workspace, saver)
        self._choice = ModelChoice()
        self._source: ImageSource | None = None
        self._target: LabelTarget | None = None
        self._tables = ObjectTables()
        self._committed: tuple[PlacedPrompt, ...] = ()
        self._last: CommandOutcome | None = None
        self._label = 1
        self.auto_run, self.overwrite, self.probability = True, False, False
        self.same_number = False

    # What there is

    @property
    def source(self) -> ImageSource | None:
        """The image."""
        return self._source

    @property
    def target(self) -> LabelTarget | None:
        """Where its objects are shown."""
        return self._target

    @property
    def table(self) -> ObjectTable:
        """What is known of its objects; empty where there is no image."""
        if self._target is None:
            return ObjectTable(LabelMap(np.zeros((1, 1, 1), np.uint8)))
        return self._tables.of(self._target)

    @property
    def workspace(self) -> Workspace:
        """Where commands run; to be used on the worker's thread only."""
        return self._workspace

    @property
    def choice(self) -> ModelChoice:
        """The model."""
        return self._choice

    @property
    def label(self) -> int:
        """Label of the current object."""
        return current_label(self._queue.commands, self._label)

    @property
    def placed(self) -> tuple[PlacedPrompt, ...] | None:
        """Prompts of the current object, pending ones included; None where an undo must run first."""
        if self._source is None:
            return self._committed
        return current_prompts(
            self._committed,
            self._queue.commands,
            self._source.frame,
            self.label,
            self.table.prompts,
        )

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return self._queue.busy

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._queue.commands) or (self._last is not None and self._last.can_undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to do again."""
        return self._last is not None and self._last.can_redo

    @property
    def device(self) -> str:
        """Where the last command ran; "" before the first."""
        return "" if self._last is None else self._last.device

    def objects(self) -> list[ObjectRow]:
        """All objects of the label map, by label."""
        spacing = self._source.spacing if self._source is not None else (1.0, 1.0, 1.0)
        return self.table.rows(math.prod(spacing), self.label)

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
            Where its objects are shown.
        existing : callable, optional
            Counts the voxels of each label that the target holds already; called where the target is new here.
        """
        fresh = self._tables.open(source.image, target, source.frame.shape)
        self._source, self._target = source, target
        table = self.table
        found = existing() if fresh and existing is not None else Counter()
        if found:
            table.highest = max(found)
        self._queue.forget()
        self._committed, self._last = (), None
        self._label = table.free_label()
        table.highest = max(table.highest, self._label)
        if fresh and not found:
            self._submit(Show())
            self._renumber()
        else:
            self._submit(None)

    def refresh(self) -> None:
        """Ask the workspace again what is there."""
        self._submit(None)

    def close_image(self) -> None:
        """The image is gone: drop what runs for it."""
        self._queue.discard()
        if self._source is not None:
            image = self._source.image
            self.work(lambda: self._workspace.forget(image), lambda _: self.changed.emit())
        if self._target is not None:
            self._tables.close(self._target)
        self._committed, self._last = (), None
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
        self, prompt: Prompt, outline: NDArray[np.float64] | None = None, *, joined: bool = False
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
                self._submit(Replace(replace(placed, prompt=prompt)))
        self._show()

    def painted(self, stroke: Stroke) -> None:
        """Voxels were painted by hand into the label map, which holds them: an edit of each object touched."""
        if self._source is None:
            return
        table = self.table
        beneath = tuple(table.labels.covered(stroke, self._source.frame))
        if not table.labels.painted(stroke, self._source.frame):
            return
        edits = tuple(
            HandEdit(frame, label, PlacedPrompt(self.new_uid(), edit))
            for frame, label, edit in (*beneath, *edits_of(stroke, self._source.frame))
        )
        table.highest = max([table.highest, *(edit.label for edit in edits)])
        self._submit(Paint(edits))

    def start_from(self, read: Callable[[], NDArray[Any]]) -> None:
        """Start the current object from an existing mask (z, y, x), read on the worker's thread."""
        self.work(lambda: InitialMask(_not_empty(read())), self.add)

    def new_uid(self) -> int:
        """Return a uid that no prompt has."""
        return self._workspace.new_uid()

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
            self.set_number(label, table.labels.number(self.label))
        self._submit(SwitchTo(label))
        self._show()

    def select_object(self, label: int) -> None:
        """Go on with an object: its prompts come back, if it was made here; else it starts from its mask."""
        if self._source is None or self._target is None:
            return
        self._go_to_frame_of(label)
        if label != self.label:
            self._submit(SwitchTo(label))

    def reset(self) -> None:
        """Start the current object again."""
        if not self._is_empty():
            self._submit(Reset())
            self._show()

    def delete_object(self, label: int) -> None:
        """Take an object away."""
        self._go_to_frame_of(label)
        self._submit(Delete(label))

    def restore(
        self,
        objects: Restore,
        names: Mapping[int, str],
        numbers: Mapping[int, int],
        then: Callable[[], object] = lambda: None,
    ) -> None:
        """Bring objects of a saved session back, as one action; existing ones keep their voxels. Tells `then`."""
        table = self.table
        table.names.update(names)
        labels = [label for _, label in objects.objects]
        table.highest = max([table.highest, *labels, *objects.current.values()])
        self._submit(objects, then)
        self.set_numbers(numbers)

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
        if not 0 < number <= LARGEST_LABEL:
            raise PromptError(
                f"{number} is no number for an object: take one from 1 to {LARGEST_LABEL}."
            )
        if self.table.labels.number(label) != number:
            self.set_numbers({label: number})

    def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """Show objects with these numbers; those that are not named keep theirs."""
        if self._target is not None and numbers:
            if self.table.set_numbers(numbers):
                self._renumber()
            self.changed.emit()

    def owner(self, number: int) -> int:
        """Label of the object that voxels painted with a number go to."""
        return self.table.owner(number, self.label)

    def recount(self) -> None:
        """Count all voxels of the label map anew."""
        self.table.labels.recount()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the running prediction; its prompt stays and waits."""
        self._queue.cancel()

    def close(self) -> None:
        """Stop everything."""
        self._queue.close()
        self._source = self._target = None
        self._tables.clear()

    def work(self, make: Callable[[], Any], then: Callable[[Any], Any]) -> None:
        """Make something on the worker's thread, then go on with it here."""

        def done(value: Any) -> None:
            then(value)
            self.progressed.emit(None)

        def failed(error: BaseException) -> None:
            self.failed.emit(error)
            self.changed.emit()

        self._queue.work(make, done, failed)

    def work_beside(
        self,
        make: Callable[[], Any],
        then: Callable[[Any], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        """Make something on another thread at once, whatever the worker does, then go on with it here."""
        self._queue.work_beside(make, then, failed)

    # Commands and what comes of them

    def _submit(self, command: Command | None, then: Callable[[], object] = lambda: None) -> None:
        """Queue a command for what is open; `then` is told if it succeeded."""
        if self._source is None or self._target is None:
            self.failed.emit(PromptError(_NO_IMAGE))
            return
        if isinstance(command, Add):
            self.table.drawn.add(self.label)
        job = Job(
            self._source,
            self._target,
            self._choice,
            self._label,
            command,
            self.overwrite,
            self.probability,
        )

        def done(job: Job, outcome: CommandOutcome) -> None:
            self._done(job, outcome)
            then()

        self._queue.submit(job, done, self._failed, self.progressed.emit)
        self.changed.emit()

    def _done(self, job: Job, outcome: CommandOutcome) -> None:
        """Write what came of a job into its label map, and show it."""
        self.progressed.emit(None)
        table = self._tables.of(job.target)
        table.made = outcome.prompts
        table.highest = max(table.highest, outcome.label)
        parts = table.labels.write(outcome.changes, outcome.motion, overwrite=job.overwrite)
        if parts:
            job.target.redraw(parts)
        if job.source is self._source:
            self._committed, self._label, self._last = outcome.placed, outcome.label, outcome
            self._show()
        if outcome.prediction is not None and outcome.prediction.forwards:
            self.predicted.emit(job.source, outcome.prediction)
        elif outcome.changes:
            self.changed_without_prediction.emit()
        if isinstance(outcome.stopped, Cancelled):
            self.failed.emit(Cancelled("Stopped. The prompt is kept; Run predicts with it."))
        elif outcome.stopped is not None:
            self.failed.emit(outcome.stopped)
        if job.source is self._source and outcome.went_to not in (None, job.source.frame):
            self.frame_wanted.emit(outcome.went_to)
        self.changed.emit()

    def _failed(self, job: Job, error: BaseException) -> None:
        self.progressed.emit(None)
        current = job.source is self._source
        loaded = self._workspace.choice
        if loaded is not None and job.choice != loaded:  # the one that was asked for cannot be had
            self._go_on_with(loaded, job, current=current)
        elif isinstance(job.command, Paint):
            self._tables.of(job.target).labels.dropped()
        if current:
            self._show()
        self.failed.emit(error)
        self.changed.emit()
        if not isinstance(error, NNInteractiveError | MemoryError | OSError):
            raise error  # ours to mend: napari shows it with its traceback

    def _go_on_with(self, loaded: ModelChoice, job: Job, *, current: bool) -> None:
        """Take the model that there is; a command that failed with another is run with it, so that nothing is lost."""
        if job.choice == self._choice:
            self._choice = loaded
            self.choice_refused.emit(loaded)
        if current and job.command is not None and job.choice != self._choice:
            self._submit(job.command)

    def _show(self) -> None:
        placed = self.placed
        if placed is not None:
            self.prompts_changed.emit(placed)

    def _renumber(self) -> None:
        """Show objects with the numbers of the label map."""
        if self._target is None:
            return
        compute, show = self._target.renumber()

        def done(shown: Any) -> None:
            show(shown)
            self.changed.emit()

        self.work(compute, done)

    def _is_empty(self) -> bool:
        return self.placed == () and self.table.labels.voxels[self.label] <= 0

    def _go_to_frame_of(self, label: int) -> None:
        """Ask for the time point and channel that an object was made in, where they are others."""
        if self._source is not None:
            frame = self.table.frame_of(label, self._source.frame)
            if frame is not None and frame != self._source.frame:
                self.frame_wanted.emit(frame)


def _not_empty(mask: NDArray[Any]) -> NDArray[Any]:
    if not np.any(mask):
        raise PromptError("The selected label has no voxels here: select another one in its layer.")
    return mask
