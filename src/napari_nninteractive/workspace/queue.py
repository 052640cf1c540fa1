"""What is open, what is on its way to the engine, and what came back: the queue under the client. Qt-free.

Each action becomes a command that the worker runs in order. Until it has run it is pending: the placed that are shown
are those that the engine has, and the pending ones after them, so nothing that was clicked is lost.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from psygnal import Signal

from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.errors import Cancelled, NNInteractiveError, PromptError
from napari_nninteractive.workspace.commands import (
    Add,
    Command,
    CommandOutcome,
    ImageSource,
    ModelChoice,
    PlacedPrompt,
    SwitchTo,
    fold,
)
from napari_nninteractive.workspace.jobs import Job, LabelTarget, WorkerLike, record, run_job
from napari_nninteractive.workspace.objects import ObjectRow, ObjectTable
from napari_nninteractive.workspace.workspace import Workspace

__all__ = ["CommandQueue"]


class CommandQueue:
    """Commands for what is open, in order, and what is shown meanwhile.

    Parameters
    ----------
    worker : WorkerLike
        Runs the commands.
    workspace : Workspace, optional
        Where they are run; with the real models by default.

    Attributes
    ----------
    auto_run, overwrite, probability : bool
        Predict after each prompt; let objects cover others; ask for the network's probability.
    """

    prompts_changed = Signal(object)  # tuple of placed to show
    changed = Signal()  # anything that the panel shows
    progressed = Signal(object)  # engine Progress, or None
    predicted = Signal(object, object)  # ImageSource, Prediction
    failed = Signal(object)  # the exception
    changed_without_prediction = Signal()  # the object changed without the network
    frame_wanted = Signal(object)  # Frame to go to
    choice_refused = Signal(object)  # ModelChoice that goes on in its place

    def __init__(self, worker: WorkerLike, workspace: Workspace | None = None) -> None:
        self._worker, self._workspace = worker, workspace or Workspace()
        self._choice = ModelChoice()
        self._source: ImageSource | None = None
        self._target: LabelTarget | None = None
        self._tables: dict[LabelTarget | None, ObjectTable] = {}
        self._targets: dict[
            object, LabelTarget
        ] = {}  # by image: where its objects were written last
        self._committed: tuple[PlacedPrompt, ...] = ()
        self._pending: list[Job] = []
        self._uids = itertools.count(1)
        self._last: CommandOutcome | None = None
        self._label = 1
        self._jobs = 0
        self.auto_run, self.overwrite, self.probability = True, False, False
        self.same_number = False
        self.prediction: Prediction | None = None

    # What there is

    @property
    def source(self) -> ImageSource | None:
        """The image."""
        return self._source

    @property
    def target(self) -> LabelTarget | None:
        """Where its objects are written."""
        return self._target

    @property
    def table(self) -> ObjectTable:
        """What is known of its objects."""
        return self._tables.setdefault(self._target, ObjectTable())

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
        switches = [j.command for j in self._pending if isinstance(j.command, SwitchTo)]
        return switches[-1].label if switches else self._label

    @property
    def placed(self) -> tuple[PlacedPrompt, ...] | None:
        """Prompts of the current object, pending ones included; None where an undo must run first."""
        commands = [j.command for j in self._pending if j.command is not None]
        last = max((i for i, c in enumerate(commands) if isinstance(c, SwitchTo)), default=-1)
        if last >= 0 and commands[last].label not in self.table.prompts:  # type: ignore[union-attr]
            return fold((), commands[last + 1 :])
        return fold(self._committed, commands)

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return self._jobs > 0

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return any(j.command is not None for j in self._pending) or (
            self._last is not None and self._last.can_undo
        )

    @property
    def can_redo(self) -> bool:
        """Whether there is something to do again."""
        return self._last is not None and self._last.can_redo

    @property
    def waiting(self) -> bool:
        """Whether there are prompts that no prediction has seen."""
        return self._last is not None and self._last.waiting

    @property
    def device(self) -> str:
        """Where the last command ran; "" before the first."""
        return "" if self._last is None else self._last.device

    def objects(self) -> list[ObjectRow]:
        """All objects of the result, by label."""
        spacing = self._source.spacing if self._source is not None else (1.0, 1.0, 1.0)
        return self.table.rows(math.prod(spacing), self.label)

    # Commands and what comes of them

    def _submit(self, command: Command | None, source: ImageSource | None = None) -> None:
        """Queue a command for what is open, or for another time point of it."""
        if self._source is None or self._target is None:
            self.failed.emit(
                PromptError("There is no image to segment: open one, then choose it at the top.")
            )
            return
        job = Job(
            source or self._source,
            self._target,
            self._choice,
            self._label,
            command,
            self.overwrite,
            self.probability,
        )
        if isinstance(command, Add):
            self.table.drawn.add(self.label)
        self._pending.append(job)
        self._jobs += 1
        workspace = self._workspace
        self._worker.submit(
            lambda call: run_job(workspace, job, call),
            partial(self._done, job),
            partial(self._failed, job),
            self.progressed.emit,
        )
        self.changed.emit()

    def work(self, make: Callable[[], Any], then: Callable[[Any], Any]) -> None:
        """Make something on the worker's thread, then go on with it here."""
        self._jobs += 1

        def done(value: Any) -> None:
            self._jobs -= 1
            then(value)
            self.progressed.emit(None)

        def failed(error: BaseException) -> None:
            self._jobs -= 1
            self.failed.emit(error)
            self.changed.emit()

        self._worker.submit(lambda _: make(), done, failed)

    def _settle(self, job: Job) -> bool:
        """Whether a job that has ended was for what is open now."""
        self._jobs -= 1
        self.progressed.emit(None)
        if job not in self._pending:
            return False
        self._pending.remove(job)
        return job.source is self._source

    def _done(self, job: Job, outcome: CommandOutcome) -> None:
        current = self._settle(job)
        record(self._tables.setdefault(job.target, ObjectTable()), job, outcome)
        if current:
            self._committed, self._label, self._last = outcome.placed, outcome.label, outcome
            self._show()
        if outcome.prediction is not None and outcome.prediction.forwards:
            self.prediction = outcome.prediction
            self.predicted.emit(job.source, outcome.prediction)
        elif outcome.changes:
            self.changed_without_prediction.emit()
        if isinstance(outcome.stopped, Cancelled):
            self.failed.emit(Cancelled("Stopped. The prompt is kept; Run predicts with it."))
        elif outcome.stopped is not None:
            self.failed.emit(outcome.stopped)
        self.changed.emit()

    def _failed(self, job: Job, error: BaseException) -> None:
        current = self._settle(job)
        loaded = self._workspace.choice
        refused = loaded is not None and job.choice != loaded
        if refused and job.choice == self._choice and loaded is not None:
            self._choice = loaded  # the one that was asked for cannot be had
            self.choice_refused.emit(loaded)
        if refused and current and job.command is not None and job.choice != self._choice:
            self._submit(job.command)  # with the model that there is: what was drawn is not lost
        if current:
            self._show()
        self.failed.emit(error)
        self.changed.emit()
        if not isinstance(error, NNInteractiveError | MemoryError | OSError):
            raise error  # ours to mend: napari shows it with its traceback

    def _show(self) -> None:
        placed = self.placed
        if placed is not None:
            self.prompts_changed.emit(placed)
