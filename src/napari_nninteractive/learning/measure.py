"""How good a model is at some objects: clicks of the simulated user."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from napari_nninteractive.engine.model import Model
from napari_nninteractive.engine.session import InferenceSession
from napari_nninteractive.errors import ModelError
from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.evaluation.methods.segmenters import SessionSegmenter
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import run_object
from napari_nninteractive.learning.examples import Stack
from napari_nninteractive.training.data.pairs import Target

__all__ = ["Quality", "mean_of", "qualities_of"]

_CLICKS = Trial("points", 5)
_ELSEWHERE = Trial("point", 1)
_MORE = 4
"""First clicks beside that in the middle: of few objects, one click each says little."""


class Quality(NamedTuple):
    """Dice of an object, or its mean over some, 0 to 1.

    Attributes
    ----------
    first : float
        After the first click: the mean over clicks at several places.
    fifth : float
        After five clicks.
    """

    first: float
    fifth: float


def mean_of(objects: Sequence[Quality]) -> Quality:
    """Return the mean over objects, at least one."""
    first, fifth = np.mean(objects, axis=0)
    return Quality(float(first), float(fifth))


def qualities_of(
    model: Model,
    stacks: Sequence[Stack],
    objects: Sequence[tuple[int, Target]],
    done: Callable[[], object] = lambda: None,
    until: float = math.inf,
) -> tuple[Quality, ...]:
    """Measure a model on objects.

    Parameters
    ----------
    model : Model
        As loaded.
    stacks : sequence of Stack
        The examples.
    objects : sequence of (int, Target)
        Number of a stack and an object in it, at least one.
    done : callable, optional
        Called after each object; what it raises ends the measuring.
    until : float
        Time of `time.monotonic` after which no further object is begun.

    Returns
    -------
    tuple of Quality
        Of each object in the order of stacks; fewer than asked for where time was short, at least one.

    Raises
    ------
    ModelError
        If the model fails.
    """
    segmenter = SessionSegmenter(InferenceSession(model))
    found: list[Quality] = []
    for i, stack in enumerate(stacks):
        labels = [target.label for j, target in objects if j == i]
        if not labels or (found and time.monotonic() > until):
            continue
        image, truth = (np.asarray(v.read(v.box)) for v in (stack.image, stack.labels))
        volume = LabelledVolume(stack.pair.name, image, truth, stack.pair.spacing)
        segmenter.start(volume.image, volume.spacing)
        for label in labels:
            found.append(_quality(segmenter, volume, label))
            done()
            if time.monotonic() > until:
                break
    return tuple(found)


def _quality(segmenter: SessionSegmenter, volume: LabelledVolume, label: int) -> Quality:
    """Five clicks in the middle of what is wrong, and first clicks elsewhere in the object."""
    trials = [(_CLICKS, 0), *((_ELSEWHERE, seed) for seed in range(_MORE))]
    results = [run_object(segmenter, volume, label, t, seed=seed) for t, seed in trials]
    for result in results:
        if result.error is not None:
            raise ModelError(f"{volume.name}, object {label}: {result.error}")
    first = sum(float(result.dice[0]) for result in results) / len(results)
    return Quality(first, float(results[0].dice[-1]))
