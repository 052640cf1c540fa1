"""What is known of the objects in one result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.workspace.label_map import CoveredLabels

__all__ = ["ObjectRow", "ObjectTable"]


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object, for the table.

    Attributes
    ----------
    label : int
        Its own label.
    number : int
        What its voxels hold in the layer; its label, or a number that it shares with others.
    name : str
        As the user named it.
    voxels : int
        Its size.
    volume : float
        Its size in the image's unit, cubed.
    prompts : int
        How many it was made from.
    current : bool
        Whether it is being worked on.
    """

    label: int
    number: int
    name: str
    voxels: int
    volume: float
    prompts: int
    current: bool


@dataclass(slots=True, eq=False)
class ObjectTable:
    """Sizes, names and numbers of prompts by label.

    Attributes
    ----------
    voxels : Counter
        Voxels of each label.
    names : dict
        Given by the user.
    numbers : dict
        Given by the user or to a new object, where it is not the label.
    made : dict
        By frame: number of prompts of each object that was made in it.
    covered : dict
        What lies under each object.
    drawn : set of int
        Labels that something was drawn for.
    by_hand : set of int
        Labels that were painted by hand while another object was the current one.
    highest : int
        Largest label that was given out.
    """

    voxels: Counter[int] = field(default_factory=Counter)
    names: dict[int, str] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    made: dict[Frame, dict[int, int]] = field(default_factory=dict)
    covered: dict[int, CoveredLabels] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)
    by_hand: set[int] = field(default_factory=set)
    highest: int = 0

    @property
    def prompts(self) -> dict[int, int]:
        """Number of prompts of each object that was made here."""
        return {label: n for objects in self.made.values() for label, n in objects.items()}

    def frame_of(self, label: int, frame: Frame) -> Frame | None:
        """Frame in which an object was made, `frame` if in several; None if in none."""
        made = [f for f, objects in self.made.items() if label in objects]
        return frame if frame in made else made[-1] if made else None

    def emptied(self, shape: tuple[int, ...]) -> ObjectTable:
        """What is known of the same objects where none has voxels yet: for a new layer of a shape."""
        made = {f: dict(objects) for f, objects in self.made.items() if f.shape == shape}
        if not made:  # the image is another one now
            return ObjectTable()
        return ObjectTable(
            names=dict(self.names),
            numbers=dict(self.numbers),
            made=made,
            drawn=set(self.drawn),
            highest=self.highest,
        )

    def next_label(self, current: int) -> int:
        """Label for another object: after all that is used, as label or number, and after the current one."""
        return 1 + max([current, *self.used(), *self.numbers.values()])

    def used(self) -> set[int]:
        """Labels of which there is something."""
        return {n for n, count in self.voxels.items() if count > 0} | {
            n for n, count in self.prompts.items() if count > 0
        }

    def free_label(self) -> int:
        """Label for a first object; the highest, if nothing was made of it."""
        if self.highest in self.used() | self.drawn:
            return self.highest + 1
        return max(self.highest, 1)

    def number(self, label: int) -> int:
        """What an object's voxels hold in the layer."""
        return self.numbers.get(label, label)

    def owner(self, number: int, current: int) -> int:
        """Object that voxels painted with a number go to: the current one, if it has it; 0 stays 0."""
        if number == 0 or self.number(current) == number:
            return current if number else 0
        for label in sorted(self.used()):
            if self.number(label) == number:
                return label
        if self.number(number) == number:
            return number
        self.highest = max([self.highest, *self.used()]) + 1  # its label is taken
        self.numbers[self.highest] = number
        return self.highest

    def rows(self, voxel: float, current: int) -> list[ObjectRow]:
        """All objects by label, for voxels of a volume."""
        prompts = self.prompts
        return [
            ObjectRow(
                label,
                self.number(label),
                self.names.get(label, f"Object {label}"),
                self.voxels[label],
                self.voxels[label] * voxel,
                prompts.get(label, 0),
                label == current,
            )
            for label in sorted(self.used())
        ]
