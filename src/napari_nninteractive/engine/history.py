"""The steps of an object as a chain of deltas: any earlier or undone state is reached by toggling them.

A state is what the user did so far (`steps`) and what came of it. States are immutable, so that undo, failure and
cancel need no clean-up: a new state takes the place of the old one, or it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Prompt
from napari_nninteractive.core.working import WorkingResolution
from napari_nninteractive.engine.store import ChunkStore, Delta

__all__ = ["Action", "History", "ObjectState", "State", "Step", "edits", "in_force"]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing the user did.

    Attributes
    ----------
    prompt : Prompt or None
        What was added; None where only a prediction was asked for.
    predicted : bool
        Whether the network ran.
    mask, previous : Delta
        What that changed in the mask and in the previous segmentation.
    resolution : WorkingResolution or None
        Working resolution at which the network ran; None where it did not run, or has no such.
    """

    prompt: Prompt | None
    predicted: bool
    mask: Delta = field(default_factory=Delta)
    previous: Delta = field(default_factory=Delta)
    resolution: WorkingResolution | None = None


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """An object at one moment.

    Attributes
    ----------
    steps : tuple of Step
        All that led here, oldest first.
    mask, previous : ChunkStore
        The mask, and the previous segmentation as the network will see it.
    """

    steps: tuple[Step, ...]
    mask: ChunkStore
    previous: ChunkStore

    @classmethod
    def empty(cls, shape: Index3) -> State:
        """Nothing done yet on an image of `shape` voxels."""
        return cls((), ChunkStore(shape), ChunkStore(shape))

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts in force, oldest first."""
        return in_force([s.prompt for s in self.steps])

    @property
    def resolution(self) -> WorkingResolution | None:
        """Working resolution of the object: that of the last prediction since it began; None before the first."""
        for step in reversed(self.steps):
            if step.resolution is not None:
                return step.resolution
            if isinstance(step.prompt, InitialMask):
                return None
        return None

    def moved_to(self, steps: tuple[Step, ...]) -> State:
        """State after other steps, reached by toggling those that the two do not share."""
        shared = 0
        for a, b in zip(self.steps, steps, strict=False):
            if a is not b:
                break
            shared += 1
        mask, previous = self.mask, self.previous
        for step in (*reversed(self.steps[shared:]), *steps[shared:]):
            mask, previous = mask.toggled(step.mask), previous.toggled(step.previous)
        return State(steps, mask, previous)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectState:
    """One object as exported: to come back to it later in a session on the same image.

    Attributes
    ----------
    state : State
        Prompts, edits, mask, and all that undo needs.
    """

    state: State

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts in force, oldest first."""
        return self.state.prompts

    @property
    def shape(self) -> Index3:
        """(z, y, x) of the image in voxels."""
        return self.state.mask.shape


def in_force(prompts: Sequence[Prompt | None]) -> tuple[Prompt, ...]:
    """Prompts that count: those since the last initial mask, and that mask."""
    placed = [p for p in prompts if p is not None]
    start = max((i for i, p in enumerate(placed) if isinstance(p, InitialMask)), default=0)
    return tuple(placed[start:])


def edits(prompts: Sequence[Prompt]) -> tuple[MaskEdit, ...]:
    """Edits by hand among prompts, oldest first."""
    return tuple(p for p in prompts if isinstance(p, MaskEdit))


@dataclass(frozen=True, slots=True)
class Action:
    """Something that undo takes back.

    Attributes
    ----------
    before, after : tuple of Step
        Steps on either side of it.
    queued : bool
        Whether it only placed a prompt for a later prediction.
    """

    before: tuple[Step, ...]
    after: tuple[Step, ...]
    queued: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """Where undo and redo lead.

    Attributes
    ----------
    past, future : tuple of Action
        What was done, oldest first, and what was undone, the next to redo last.
    """

    past: tuple[Action, ...] = ()
    future: tuple[Action, ...] = ()

    def did(self, action: Action, *, predicted: bool) -> History:
        """History after an action; a prediction takes the prompts queued for it into its own step."""
        past = self.past
        if predicted:
            while past and past[-1].queued:
                action, past = replace(action, before=past[-1].before, queued=False), past[:-1]
        return History((*past, action))

    def undone(self) -> History:
        """History after undoing the last action."""
        return History(self.past[:-1], (*self.future, self.past[-1]))

    def redone(self) -> History:
        """History after redoing the last undone action."""
        return History((*self.past, self.future[-1]), self.future[:-1])
