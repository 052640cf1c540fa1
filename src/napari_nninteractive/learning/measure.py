"""How good a model is at some objects: the protocol of the evaluation, five clicks each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from napari_nninteractive.engine.model import Model
from napari_nninteractive.engine.session import InferenceSession
from napari_nninteractive.errors import ModelError
from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.evaluation.methods.segmenters import SessionSegmenter
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import run_volume
from napari_nninteractive.learning.examples import Stack
from napari_nninteractive.training.data.pairs import Target

__all__ = ["Quality", "quality_of"]

_CLICKS = Trial("points", 5)


class Quality(NamedTuple):
    """Mean Dice over objects, 0 to 1, after the first click and after five."""

    first: float
    fifth: float


def quality_of(
    model: Model,
    stacks: Sequence[Stack],
    objects: Sequence[tuple[int, Target]],
    done: Callable[[], object] = lambda: None,
) -> Quality:
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

    Raises
    ------
    ModelError
        If the model fails.
    """
    segmenter = SessionSegmenter(InferenceSession(model))
    found = []
    for i, stack in enumerate(stacks):
        labels = [target.label for j, target in objects if j == i]
        if not labels:
            continue
        image, truth = (np.asarray(v.read(v.box)) for v in (stack.image, stack.labels))
        volume = LabelledVolume(stack.pair.name, image, truth, stack.pair.spacing)
        for result in run_volume(segmenter, volume, labels, [_CLICKS]):
            if result.error is not None:
                raise ModelError(f"{stack.pair.name}, object {result.label}: {result.error}")
            found.append((result.dice[0], result.dice[-1]))
            done()
    return Quality(*(float(v) for v in np.mean(found, axis=0)))
