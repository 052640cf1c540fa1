"""One history for each image, over its objects and its time points: moments that undo walks through.

A moment holds the engine's steps of every object, which are toggled into masks without the network. Undone moments that
are left behind by a new action are freed with what they alone hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.workspace.object_steps import NOTHING, ObjectKey, ObjectSteps

__all__ = ["History", "Moment"]


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


@dataclass(slots=True, eq=False)
class History:
    """A moment with its past and future.

    Attributes
    ----------
    now : Moment
        What is there.
    past, future : list of (Moment, Frame)
        What undo and redo lead to, the next one last, and the time point of the action between.
    found : dict
        Objects that were in the label map before anything was done to them here: their masks, as a first step.
    """

    now: Moment = field(default_factory=Moment)
    past: list[tuple[Moment, Frame]] = field(default_factory=list)
    future: list[tuple[Moment, Frame]] = field(default_factory=list)
    found: dict[ObjectKey, ObjectSteps] = field(default_factory=dict)

    def steps_of(self, key: ObjectKey, moment: Moment | None = None) -> ObjectSteps:
        """What was done to an object, now or at another moment."""
        objects = (self.now if moment is None else moment).objects
        return objects[key] if key in objects else self.found.get(key, NOTHING)

    def did(self, moment: Moment, frame: Frame, *, joined: bool = False) -> None:
        """Note an action at a time point; `joined`: it is undone together with the action before."""
        if not (joined and self.past):
            self.past.append((self.now, frame))
        self.future.clear()
        self.now = moment

    def back(self) -> tuple[Moment, Frame] | None:
        """Take the last action back: the moment that is left and the action's time point; None where there is none."""
        return self._travel(self.past, self.future)

    def forward(self) -> tuple[Moment, Frame] | None:
        """Do the undone action again; as `back`."""
        return self._travel(self.future, self.past)

    def _travel(
        self, source: list[tuple[Moment, Frame]], target: list[tuple[Moment, Frame]]
    ) -> tuple[Moment, Frame] | None:
        if not source:
            return None
        old, (new, frame) = self.now, source.pop()
        target.append((old, frame))
        # Time points that were opened since keep their current object.
        self.now = new.with_current({f: n for f, n in old.current.items() if f not in new.current})
        return old, frame

    def is_untouched(self, frame: Frame) -> bool:
        """Whether nothing was ever done at a time point."""
        moments = (self.now, *(m for m, _ in (*self.past, *self.future)))
        acted = any(f == frame for _, f in (*self.past, *self.future))
        return not acted and not any(f == frame for m in moments for f, _ in m.objects)
