"""Prompts that a person drew, from a saved session: which object of the truth each was meant for, and their turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import BoxPrompt, Point, Prompt
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import SessionError
from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.session_file.choose import choose_frame
from napari_nninteractive.session_file.files import read_session

__all__ = ["DrawnObject", "DrawnSession", "Turn", "match_object", "read_drawn", "turns_of"]

Turn = tuple[Prompt, Plan]
"""A prompt, and the steps that belong to it: it is added, and predicted from as often as the person asked for it."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnObject:
    """An object that a person prompted.

    Attributes
    ----------
    label : int
        Of the object in the truth.
    drawn : int
        Label of the object in the session.
    turns : tuple of Turn
        What the person did, prompt by prompt; at least one.
    """

    label: int
    drawn: int
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnSession:
    """What a person did on a volume whose truth is known.

    Attributes
    ----------
    name : str
        Of the file.
    objects : tuple of DrawnObject
        At least one.
    notes : tuple of str
        Sentences about what is left out or not sure.
    """

    name: str
    objects: tuple[DrawnObject, ...]
    notes: tuple[str, ...] = ()

    @property
    def prompts(self) -> int:
        """Most prompts of an object."""
        return max(len(one.turns) for one in self.objects)

    @property
    def labels(self) -> tuple[int, ...]:
        """Objects of the truth that were prompted, each once."""
        return tuple(dict.fromkeys(one.label for one in self.objects))


def read_drawn(path: Path, volume: LabelledVolume) -> DrawnSession:
    """Read a saved session, and find the object of the truth that each of its objects is.

    Parameters
    ----------
    path : Path
        File of a session, of any version.
    volume : LabelledVolume
        The same image, with its truth.

    Returns
    -------
    DrawnSession
        Its objects with prompts that touch an object of the truth; the others are in the notes.

    Raises
    ------
    SessionError
        If the file is no session, does not tell which time point the volume is, or no object is left.
    ImageError
        If it is of an image of another shape.
    """
    image = Volume.open(volume.image)
    frame = choose_frame(read_session(path, image.shape), image)
    objects, notes = [], []
    if frame.sha256 not in (None, image.sha256()):
        notes.append(f"{path.name}: its image has other voxels, or the same in another type")
    for number, one in frame.objects.items():
        turns = turns_of([(step.prompt, step.predicted) for step in one.steps])
        label = match_object([prompt for prompt, _ in turns], volume.labels)
        if label is None:
            why = "touch no object of the labels" if turns else "are not in the file"
            notes.append(f"{path.name}: object {number} is left out: its prompts {why}")
        else:
            objects.append(DrawnObject(label, number, turns))
    if not objects:
        raise SessionError(
            f"{path.name} has no object whose prompts touch one of the labels: give the labels of its image."
        )
    return DrawnSession(path.name, tuple(objects), tuple(notes))


def turns_of(plan: Plan) -> tuple[Turn, ...]:
    """Steps by the prompts that they belong to: what was only predicted belongs to the prompt before."""
    turns: list[tuple[Prompt, list[tuple[Prompt | None, bool]]]] = []
    for prompt, predicted in plan:
        if prompt is not None:
            turns.append((prompt, []))
        if turns:
            turns[-1][1].append((prompt, predicted))
    return tuple((prompt, tuple(steps)) for prompt, steps in turns)


def match_object(prompts: Sequence[Prompt], labels: NDArray[np.integer[Any]]) -> int | None:
    """Object of the truth that a person meant.

    Parameters
    ----------
    prompts : sequence of Prompt
        In order.
    labels : ndarray
        (z, y, x) integers; 0 is no object.

    Returns
    -------
    int or None
        The label that the positive prompts before the first negative one touch with the most voxels; if they touch
        none, the one that all positive prompts do; None where these touch none either. Of two labels that are touched
        alike, the one touched first, by a prompt.
    """
    first = list(takewhile(lambda prompt: prompt.positive, prompts))
    for some in (first, [prompt for prompt in prompts if prompt.positive]):
        touched: Counter[int] = Counter()
        for prompt in some:
            touched.update(dict(_touched(prompt, labels)))
        if touched:
            return touched.most_common(1)[0][0]
    return None


def _touched(prompt: Prompt, labels: NDArray[np.integer[Any]]) -> Iterator[tuple[int, int]]:
    """Objects that a prompt touches, and with how many voxels."""
    box = prompt.bounds.clip(labels.shape)
    if box.is_empty:
        return
    voxels = labels[box.slices]
    if not isinstance(prompt, Point | BoxPrompt):
        voxels = voxels[prompt.mask[box.relative_to(prompt.bounds).slices]]
    values, counts = np.unique(voxels, return_counts=True)
    for value, count in zip(values, counts, strict=True):
        if value:
            yield int(value), int(count)
