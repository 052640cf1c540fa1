"""What is learned from: images with the objects in them that are finished, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.volume import ArrayLike3D, Volume
from napari_nninteractive.engine.normalize import measure
from napari_nninteractive.errors import ImageError
from napari_nninteractive.training.data.pairs import Pair, Target, targets_of

__all__ = ["Example", "Stack", "held_back", "stacks_of", "without"]


@dataclass(frozen=True, eq=False)
class Example:
    """An image and its finished objects.

    Parameters
    ----------
    image : array
        (z, y, x) or (y, x), real; held by reference.
    labels : ndarray
        Of the same shape, whole numbers: each value but 0 is one finished object. What is 0 is not said to be
        background.
    spacing : tuple of float, optional
        Physical size of a voxel along the axes of the image; by default 1 along each.
    """

    image: ArrayLike3D
    labels: NDArray[np.integer[Any]]
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Stack:
    """A checked example.

    Attributes
    ----------
    pair
        What training knows of it; its files are names only.
    image, labels
        The voxels (z, y, x).
    """

    pair: Pair
    image: Volume
    labels: Volume


def stacks_of(examples: Sequence[Example]) -> tuple[Stack, ...]:
    """Check examples.

    Raises
    ------
    ImageError
        Naming the example, if there is none, shapes differ, an image cannot be used, labels are negative or no whole
        numbers, or one holds no object of at least 30 voxels.
    """
    if not examples:
        raise ImageError(
            "There is nothing to learn from: give at least one image with a finished object."
        )
    return tuple(_checked(example, number) for number, example in enumerate(examples, start=1))


def _checked(example: Example, number: int) -> Stack:
    name = f"example {number}"
    labels = np.asarray(example.labels)
    if labels.dtype.kind not in "iu":
        raise ImageError(f"{name}: labels must be whole numbers, not {labels.dtype}.")
    if tuple(labels.shape) != tuple(example.image.shape):
        raise ImageError(
            f"{name}: the image has {_times(example.image.shape)} voxels, but its labels have {_times(labels.shape)}."
        )
    try:
        image, truth = (Volume.open(a, example.spacing) for a in (example.image, labels))
        normalization = measure(image)
    except ImageError as error:
        raise ImageError(f"{name}: {error.message}", error.advice) from error
    targets, _ = targets_of(truth.read(truth.box), name)
    pair = Pair(name, Path(name), Path(name), image.shape, image.spacing, normalization, targets)
    return Stack(pair, image, truth)


def _times(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def held_back(stacks: Sequence[Stack], seed: int) -> tuple[tuple[int, Target], ...]:
    """Choose the third of all objects that nothing is learned from; none where there are fewer than three.

    Returns
    -------
    tuple of (int, Target)
        Number of the stack, from 0, and the object.
    """
    everything = [(i, target) for i, stack in enumerate(stacks) for target in stack.pair.targets]
    if len(everything) < 3:
        return ()
    order = np.random.default_rng([seed, 6]).permutation(len(everything))
    return tuple(everything[int(i)] for i in sorted(order[: len(everything) // 3]))


def without(stacks: Sequence[Stack], held: Sequence[tuple[int, Target]]) -> tuple[Pair, ...]:
    """Return what is trained on: all objects but those held back."""
    pairs = []
    for i, stack in enumerate(stacks):
        left = tuple(t for t in stack.pair.targets if (i, t) not in held)
        if left:
            pairs.append(replace(stack.pair, targets=left))
    return tuple(pairs)
