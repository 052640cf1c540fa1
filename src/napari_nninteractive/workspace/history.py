"""One history for each image, over its objects and its time points: moments that undo walks through.

A moment holds the engine's steps of every object, which are toggled into masks without the network. Undone moments that
are left behind by a new action are freed with what they alone hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import InitialMask, Prompt
from napari_nninteractive.engine.history import State, Step, in_force
from napari_nninteractive.workspace.values.commands import RestoredObject
from napari_nninteractive.workspace.values.outcome import Change
from napari_nninteractive.workspace.values.placed import PlacedPrompt

__all__ = [
    "NOTHING",
    "History",
    "Moment",
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


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """All objects of one image at one moment.

    Attributes
    ----------
    objects : mapping of (Frame, int) to ObjectSteps
        What was done to each object; empty steps for one that was deleted.
    current : mapping of Frame to int
        Label of the current object of each time point that was open.
    """

    objects: Mapping[ObjectKey, ObjectSteps] = field(default_factory=lambda: MappingProxyType({}))
    current: Mapping[Frame, int] = field(default_factory=lambda: MappingProxyType({}))

    def with_objects(self, objects: Mapping[ObjectKey, ObjectSteps]) -> Moment:
        """Moment in which some objects have other steps."""
        return Moment(MappingProxyType({**self.objects, **objects}), self.current)

    def with_current(self, current: Mapping[Frame, int]) -> Moment:
        """Moment in which other objects are the current ones."""
        return Moment(self.objects, MappingProxyType({**self.current, **current}))


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A moment with its past and future.

    Attributes
    ----------
    now : Moment
        What is there.
    past, future : tuple of (Moment, Frame)
        What undo and redo lead to, the next one last, and the time point of the action between.
    found : mapping of (Frame, int) to ObjectSteps
        Objects that were in the label map before anything was done to them here: their masks, as a first step.
    """

    now: Moment = field(default_factory=Moment)
    past: tuple[tuple[Moment, Frame], ...] = ()
    future: tuple[tuple[Moment, Frame], ...] = ()
    found: Mapping[ObjectKey, ObjectSteps] = field(default_factory=lambda: MappingProxyType({}))

    def steps_of(self, key: ObjectKey, moment: Moment | None = None) -> ObjectSteps:
        """What was done to an object, now or at another moment."""
        objects = (self.now if moment is None else moment).objects
        return objects[key] if key in objects else self.found.get(key, NOTHING)

    def did(self, moment: Moment, frame: Frame, *, joined: bool = False) -> History:
        """History after an action at a time point; `joined`: it is undone together with the action before."""
        past = self.past if joined and self.past else (*self.past, (self.now, frame))
        return replace(self, now=moment, past=past, future=())

    def undone(self) -> tuple[History, Frame] | None:
        """History before the last action, and the action's time point; None where there is none."""
        if not self.past:
            return None
        *past, (moment, frame) = self.past
        now, future = self._arrived(moment), (*self.future, (self.now, frame))
        return replace(self, now=now, past=tuple(past), future=future), frame

    def redone(self) -> tuple[History, Frame] | None:
        """History after the last undone action, and its time point; None where there is none."""
        if not self.future:
            return None
        *future, (moment, frame) = self.future
        now, past = self._arrived(moment), (*self.past, (self.now, frame))
        return replace(self, now=now, past=past, future=tuple(future)), frame

    def _arrived(self, moment: Moment) -> Moment:
        """Return another moment; time points that were opened since keep their current object."""
        since = {f: n for f, n in self.now.current.items() if f not in moment.current}
        return moment.with_current(since)

    def entered(self, frame: Frame, label: int) -> History:
        """History in which a time point has a current object, if it has none yet; that is no action."""
        if frame in self.now.current:
            return self
        return replace(self, now=self.now.with_current({frame: label}))

    def left(self, frame: Frame) -> History:
        """History after a time point was left: where nothing was ever done there, its label is free again."""
        moments = (self.now, *(m for m, _ in (*self.past, *self.future)))
        acted = any(f == frame for _, f in (*self.past, *self.future))
        if acted or any(f == frame for m in moments for f, _ in m.objects):
            return self
        current = MappingProxyType({f: n for f, n in self.now.current.items() if f != frame})
        return replace(self, now=Moment(self.now.objects, current))


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
