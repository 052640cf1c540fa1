"""What is known of the objects of one image, beside their voxels: names, prompts, which labels are taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.session_file.values import LARGEST_LABEL
from napari_nninteractive.workspace.labels.label_map import LabelMap

__all__ = ["ObjectRow", "ObjectTable"]


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object, for a table.

    Attributes
    ----------
    label : int
        Its own label.
    number : int
        What its voxels are shown with; its label, or a number that it shares with others.
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


def _after(label: int, taken: Collection[int]) -> int:
    """Label after one; the first that is free where there is none any more."""
    following = range(label + 1, LARGEST_LABEL + 1) or range(1, LARGEST_LABEL)
    return next(n for n in following if n not in taken)


@dataclass(slots=True, eq=False)
class ObjectTable:
    """The objects of one label map.

    Attributes
    ----------
    labels : LabelMap
        Their voxels, sizes and numbers.
    names : dict
        By label, where the user gave one.
    made : mapping
        By frame: number of prompts of each object that was made in it.
    drawn : set of int
        Labels that something was drawn for.
    highest : int
        Largest label that was given out.
    """

    labels: LabelMap
    names: dict[int, str] = field(default_factory=dict)
    made: Mapping[Frame, Mapping[int, int]] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)
    highest: int = 0

    @property
    def prompts(self) -> dict[int, int]:
        """Number of prompts of each object that was made here."""
        return {label: n for objects in self.made.values() for label, n in objects.items()}

    def frame_of(self, label: int, frame: Frame) -> Frame | None:
        """Frame in which an object was made, `frame` if in several; None if in none."""
        made = [f for f, objects in self.made.items() if label in objects]
        return frame if frame in made else made[-1] if made else None

    def moved_to(self, labels: LabelMap, shape: tuple[int, ...]) -> ObjectTable:
        """Return the table of the same objects in a new label map of a shape, where none has voxels yet."""
        made = {f: dict(objects) for f, objects in self.made.items() if f.shape == shape}
        if not made:  # the image is another one now
            return ObjectTable(labels)
        labels.numbers = dict(self.labels.numbers)
        return ObjectTable(labels, dict(self.names), made, set(self.drawn), self.highest)

    def next_label(self, current: int) -> int:
        """Label for another object: after all that is used, as label or number, and after the current one."""
        return _after(max(taken := {current, *self.used(), *self.labels.numbers.values()}), taken)

    def used(self) -> set[int]:
        """Labels of which there is something."""
        counts = (*self.labels.voxels.items(), *self.prompts.items())
        return {n for n, count in counts if count > 0}

    def free_label(self) -> int:
        """Label for a first object; the highest, if nothing was made of it."""
        if self.highest in self.used() | self.drawn:
            return _after(self.highest, self.used() | self.drawn)
        return max(self.highest, 1)

    def owner(self, number: int, current: int) -> int:
        """Object that voxels painted with a number go to: the current one, if it has it; 0 stays 0."""
        label = 0 if number == 0 else self._known_owner(number, current)
        return self._new_owner(number) if label is None else label

    def _known_owner(self, number: int, current: int) -> int | None:
        labels = (current, *sorted(self.used()), number)
        return next((n for n in labels if self.labels.number(n) == number), None)

    def _new_owner(self, number: int) -> int:
        """Give out a label for a number whose own label is taken."""
        label = _after(max([self.highest, *self.used()]), self.used() | self.drawn)
        self.highest = max(self.highest, label)
        self.labels.numbers[label] = number
        return label

    def set_numbers(self, numbers: Mapping[int, int]) -> bool:
        """Show objects with these numbers, the others with theirs. Returns whether voxels look different then."""
        labels = self.labels
        had = bool(labels.numbers)
        labels.numbers.update(numbers)
        for label in [n for n, number in labels.numbers.items() if n == number]:
            del labels.numbers[label]
        # Where others have numbers already, the map is shown as an array of them, which a new object fits in.
        return not had or any(labels.voxels[label] > 0 for label in numbers)

    def rows(self, voxel: float, current: int) -> list[ObjectRow]:
        """All objects by label, for voxels of a volume."""
        prompts, voxels = self.prompts, self.labels.voxels
        return [
            ObjectRow(
                label,
                self.labels.number(label),
                self.names.get(label, f"Object {label}"),
                voxels[label],
                voxels[label] * voxel,
                prompts.get(label, 0),
                label == current,
            )
            for label in sorted(self.used())
        ]
