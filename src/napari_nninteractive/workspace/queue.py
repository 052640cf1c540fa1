"""Commands on their way to the workspace: run in order on a worker, pending until they have run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.workspace.labels.label_map import Key, LabelMap
from napari_nninteractive.workspace.values.commands import Command, Paint
from napari_nninteractive.workspace.values.outcome import CommandOutcome
from napari_nninteractive.workspace.values.placed import ImageSource, ModelChoice
from napari_nninteractive.workspace.workspace import Workspace

__all__ = ["CommandQueue", "Job", "LabelTarget", "WorkerLike"]


class WorkerLike(Protocol):
    """What runs jobs, one after the other, on another thread or at once."""

    def submit(
        self,
        run: Callable[[Any], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        progress: Callable[[Any], None] = ...,
    ) -> None:
        """Queue a job."""

    def cancel(self) -> None:
        """Stop the running job."""

    def discard(self) -> None:
        """Drop all jobs."""

    def close(self) -> None:
        """End."""


class LabelTarget(Protocol):
    """What shows a label map; a Labels layer, in the window."""

    @property
    def labels(self) -> LabelMap:
        """The label map."""

    def redraw(self, parts: Sequence[Key]) -> None:
        """Show what was written into parts of it."""

    def renumber(self) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        """Show the map's numbers: what to compute on another thread, and what then to do with it here."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A command on its way, with all it needs.

    Attributes
    ----------
    source : ImageSource
        Image and time point that it is for.
    target : LabelTarget
        Where its objects are shown.
    choice : ModelChoice
        The model.
    label : int
        The object to begin with, where the time point has none.
    command : Command or None
        What to do; None only opens the image.
    overwrite, probability : bool
        Whether objects may cover others; whether the network's probability is asked for.
    """

    source: ImageSource
    target: LabelTarget
    choice: ModelChoice
    label: int
    command: Command | None
    overwrite: bool = False
    probability: bool = False


class CommandQueue:
    """Hands jobs to a worker, and knows which have not run yet.

    Parameters
    ----------
    worker : WorkerLike
        Runs them.
    workspace : Workspace
        What they run on.
    saver : WorkerLike, optional
        Runs what must not wait for them; the same by default.
    """

    def __init__(
        self, worker: WorkerLike, workspace: Workspace, saver: WorkerLike | None = None
    ) -> None:
        self._worker, self._workspace = worker, workspace
        self._saver = saver or worker
        self._pending: list[Job] = []
        self._running: set[object] = set()

    @property
    def pending(self) -> tuple[Job, ...]:
        """Jobs that have not ended, in order."""
        return tuple(self._pending)

    @property
    def commands(self) -> tuple[Command, ...]:
        """Commands of these jobs; one that only opens an image has none."""
        return tuple(job.command for job in self._pending if job.command is not None)

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return bool(self._running)

    def submit(
        self,
        job: Job,
        done: Callable[[Job, CommandOutcome], None],
        failed: Callable[[Job, BaseException], None],
        progress: Callable[[Any], None],
    ) -> None:
        """Queue a job; `done` or `failed` gets it when it is no longer pending."""
        self._pending.append(job)

        def ended(act: Callable[[Job, Any], None], value: Any) -> None:
            if job in self._pending:
                self._pending.remove(job)
            act(job, value)

        self._start(
            lambda call: self._run(job, call),
            partial(ended, done),
            partial(ended, failed),
            progress,
        )

    def work(
        self,
        make: Callable[[], Any],
        then: Callable[[Any], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        """Make something on the worker's thread, in order with the jobs, then go on with it here."""
        self._start(lambda _: make(), then, failed, lambda _: None)

    def work_beside(
        self,
        make: Callable[[], Any],
        then: Callable[[Any], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        """Make something without waiting for the jobs, then go on with it here."""
        self._start(lambda _: make(), then, failed, lambda _: None, self._saver)

    def forget(self) -> None:
        """Regard no job as pending any more; those that are on their way still run."""
        self._pending.clear()

    def cancel(self) -> None:
        """Stop the running job, if it can be stopped."""
        self._worker.cancel()

    def discard(self) -> None:
        """Drop all jobs."""
        self._worker.discard()
        self._pending.clear()
        self._running.clear()

    def close(self) -> None:
        """Drop all jobs, and end the worker."""
        self._worker.close()
        self._saver.close()
        self._pending.clear()
        self._running.clear()

    def _start(
        self,
        run: Callable[[Any], Any],
        done: Callable[[Any], object],
        failed: Callable[[BaseException], object],
        progress: Callable[[Any], None],
        worker: WorkerLike | None = None,
    ) -> None:
        token = object()
        self._running.add(token)

        def ended(act: Callable[[Any], object], value: Any) -> None:
            self._running.discard(token)
            act(value)

        (worker or self._worker).submit(
            run, lambda value: ended(done, value), lambda error: ended(failed, error), progress
        )

    def _run(self, job: Job, call: Any) -> CommandOutcome:
        """Run a job, on the worker's thread."""
        self._workspace.open(job.choice, job.source, job.label)
        if job.command is None:
            return self._workspace.look()
        return self._workspace.do(
            job.command,
            call.cancel,
            call.progress,
            probability=job.probability,
            masks=lambda frame, label: self._mask_before(job, frame, label),
        )

    def _mask_before(self, job: Job, frame: Frame, label: int) -> NDArray[np.bool_]:
        """What the label map held of an object before what was painted since, which waits here with its command."""
        mask = job.target.labels.mask(frame, label)
        waiting = [one for one in self.pending if one.target is job.target]
        for one in reversed(waiting):
            for edit in reversed(one.command.edits if isinstance(one.command, Paint) else ()):
                painted = edit.placed.prompt
                if (edit.frame, edit.label) == (frame, label) and isinstance(painted, MaskEdit):
                    mask[painted.bounds.slices][painted.mask] = not painted.value
        return mask
