"""What was done to one object, and what that changed: pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import InitialMask, Prompt
from napari_nninteractive.engine.history import State, Step, in_force
from napari_nninteractive.workspace.commands import Change, PlacedPrompt, RestoredObject

__all__ = [
    "NOTHING",
    "ObjectKey",
    "ObjectSteps",
    "difference_of",
    "says_object",
    "steps_of_saved",
]

ObjectKey = tuple[Frame, int]
"""An object at a time point: frame and label."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectSteps:
    """What was done to one object.

    Attributes
    ----------
    steps : tuple of Step
        As the engine took them, oldest first.
    placed : tuple of (PlacedPrompt or None)
        For each step the prompt as it was drawn; None where only a prediction was asked for.
    count : int
        Number of prompts in force.
    """

    steps: tuple[Step, ...] = ()
    placed: tuple[PlacedPrompt | None, ...] = ()
    count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", len(in_force([step.prompt for step in self.steps])))

    @property
    def in_force(self) -> tuple[PlacedPrompt, ...]:
        """Prompts that count, oldest first."""
        placed = [one for one in self.placed if one is not None]
        return tuple(placed[len(placed) - self.count :])

    def step_of(self, uid: int) -> int | None:
        """Index of the step that placed a prompt in force; None where there is no such."""
        if all(one.uid != uid for one in self.in_force):
            return None
        return next(i for i, one in enumerate(self.placed) if one is not None and one.uid == uid)


NOTHING = ObjectSteps()
"""Of an object that was emptied or deleted."""


def says_object(prompt: Prompt) -> bool:
    """Whether a prompt says where the object is."""
    return isinstance(prompt, InitialMask) or prompt.positive


def difference_of(key: ObjectKey, before: State, after: State) -> tuple[Change, ...]:
    """What differs between two states of an object: nothing, or a change of one box."""
    box = before.mask.difference(after.mask).bounds
    return () if box is None else (Change(*key, box, after.mask.read(box)),)


def steps_of_saved(shape: Index3, saved: RestoredObject) -> ObjectSteps:
    """Steps that lead to the saved mask without the network: the last one makes all of it."""
    if not saved.steps and saved.mask is None:
        return NOTHING
    empty = State.empty(shape)
    draft = empty.mask.draft()
    if saved.mask is not None:
        draft.write(saved.mask.bounds, saved.mask.mask)
    delta = empty.mask.difference(draft.finish())
    *first, (last, ran) = saved.steps or ((None, True),)
    steps = [Step(None if one is None else one.prompt, predicted) for one, predicted in first]
    steps.append(Step(None if last is None else last.prompt, ran, delta, delta))
    return ObjectSteps(tuple(steps), (*(one for one, _ in first), last))
