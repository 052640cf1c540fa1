"""What the client gives to the worker, and what it needs of worker and result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from napari_nninteractive.workspace.commands import (
    Command,
    CommandOutcome,
    ImageSource,
    ModelChoice,
)
from napari_nninteractive.workspace.label_map import CoveredLabels, apply_stroke, write
from napari_nninteractive.workspace.objects import ObjectTable
from napari_nninteractive.workspace.workspace import Workspace

__all__ = ["Job", "Key", "LabelTarget", "WorkerLike", "record", "run_job"]


Key = tuple[int | slice, ...]
"""A part of an array: its index."""


class WorkerLike(Protocol):
    """What runs jobs; see `worker.Worker`."""

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
    """Where objects are written; a Labels layer, in the window."""

    @property
    def numbers(self) -> Mapping[int, int]:
        """What objects are shown as, where it is not their label."""

    def labels(self, largest: int) -> Any:
        """Array of all labels, of a dtype that holds the largest."""

    def redraw(self, parts: Sequence[Key]) -> None:
        """Show what was written into parts of the array."""

    def announce(self, numbers: Mapping[int, int]) -> None:
        """Numbers of objects that have no voxels yet, where others have numbers already."""

    def renumber(
        self, numbers: Mapping[int, int]
    ) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        """Show other numbers: what to compute on another thread, and what then to do with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A command on its way, with all it needs."""

    source: ImageSource
    target: LabelTarget
    choice: ModelChoice
    label: int
    command: Command | None  # None: only open the image
    overwrite: bool
    probability: bool


def run_job(workspace: Workspace, job: Job, call: Any) -> CommandOutcome:
    """Run a job, on the worker's thread."""
    workspace.ready(job.choice, job.source, job.label)
    if job.command is None:
        return workspace.outcome()
    return workspace.do(job.command, call.cancel, call.progress, probability=job.probability)


def record(table: ObjectTable, job: Job, outcome: CommandOutcome) -> None:
    """Write what came of a job into its target, and note sizes and prompts."""
    frame, parts = job.source.frame, []
    table.made[frame] = dict(outcome.prompts)
    table.highest = max(table.highest, outcome.label)
    for change in outcome.changes:
        labels = job.target.labels(change.label)
        covered = table.covered.setdefault(change.label, CoveredLabels())
        table.voxels.update(write(labels, frame, change, covered, overwrite=job.overwrite))
        parts.append(frame.key(change.box))
    in_layer = frame.channels is not None and frame.channels < frame.ndim
    copies = frame.shape[frame.channels] if in_layer and frame.channels is not None else 1
    for stroke, back in outcome.strokes:
        gained = apply_stroke(job.target.labels(1), stroke, back=back)
        table.voxels.update({label: n // copies for label, n in gained.items()})
        parts.append(stroke.key)
    if parts:
        job.target.redraw(parts)
