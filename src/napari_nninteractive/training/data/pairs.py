"""Labelled volumes: checked as a whole before any training, read when needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.normalize import Normalization, measure
from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import ImageFile, check_same_grid, read_image
from napari_nninteractive.io.pairs import find_pairs, joined_objects

__all__ = [
    "Pair",
    "Target",
    "fingerprint",
    "open_pair",
    "read_pairs",
    "targets_of",
]

SMALLEST = 30
"""Voxels below which an object is left out: nobody could point at it in a patch."""

_MOST_LABELS = 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """An object of a labelled volume.

    Attributes
    ----------
    label
        Its value in the label volume.
    bounds
        Smallest box (z, y, x) that holds it.
    voxels
        Its size.
    """

    label: int
    bounds: Box
    voxels: int


@dataclass(frozen=True, slots=True)
class Pair:
    """An image with the labels of its objects, on disk.

    Attributes
    ----------
    name
        What the files are called.
    image, labels
        The files.
    shape
        Voxels (z, y, x) of both.
    spacing
        Size of a voxel along (z, y, x), as the image's file says.
    normalization
        Statistics of the whole image, those that the engine would use.
    targets
        Its objects.
    """

    name: str
    image: Path
    labels: Path
    shape: Index3
    spacing: tuple[float, float, float]
    normalization: Normalization
    targets: tuple[Target, ...]


def read_pairs(folder: Path, report: Callable[[str], None] | None = None) -> tuple[Pair, ...]:
    """Find, read and check all pairs of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``images/NAME.*`` with ``labels/NAME.*``, or ``NAME/image.*`` with ``NAME/labels.*`` (or ``label``). Each
        value of a label volume but 0 is one object.
    report : callable, optional
        Called with one line for each pair, and one for what may be a mistake in its labels.

    Returns
    -------
    tuple of Pair
        In the order of their names, at least one.

    Raises
    ------
    ImageError
        Naming file and remedy, if the folder holds no pairs, a file has no partner or cannot be read, shapes or grids
        differ, an image is constant, labels are no whole numbers, or there is no object of at least 30 voxels.
    """
    pairs = []
    for name, image, labels in find_pairs(folder):
        pair, remarks = _checked(name, image, labels)
        pairs.append(pair)
        if report is not None:
            size = " × ".join(map(str, pair.shape))
            objects = "1 object" if len(pair.targets) == 1 else f"{len(pair.targets)} objects"
            report(f"{name}: {size} voxels, {objects}")
            for remark in remarks:
                report(f"{name}: {remark}")
    return tuple(pairs)


@lru_cache(maxsize=4)
def open_pair(image: Path, labels: Path) -> tuple[Volume, Volume]:
    """Return image and labels as volumes; the latest four pairs stay open in each process.

    Raises
    ------
    ImageError
        Naming the file, if it is missing, damaged or holds no single stack.
    """
    return _opened(image), _opened(labels)


def _opened(path: Path) -> Volume:
    return _volume(_read(path), path)


def _read(path: Path) -> ImageFile:
    try:
        return read_image(path)
    except ImageError as error:
        raise ImageError(f"{path}: {error.message}", error.advice) from error


def _volume(file: ImageFile, path: Path) -> Volume:
    try:
        return Volume.open(file.data, file.spacing)
    except ImageError as error:
        raise ImageError(f"{path}: {error.message}", error.advice) from error


def _checked(name: str, image: Path, labels: Path) -> tuple[Pair, list[str]]:
    """A pair, and what the user may want to know of its labels."""
    files = _read(image), _read(labels)
    seen, truth = _volume(files[0], image), _volume(files[1], labels)
    if seen.shape != truth.shape:
        raise ImageError(
            f"{image} has {' × '.join(map(str, seen.shape))} voxels, but {labels} has "
            f"{' × '.join(map(str, truth.shape))}: labels must lie on the voxels of their image."
        )
    warning = check_same_grid(*files, image, labels)
    remarks = [warning] if warning else []
    try:
        normalization = measure(seen)
    except ImageError as error:
        raise ImageError(f"{image}: {error.message}", error.advice) from error
    values = truth.read(truth.box)
    targets, small = targets_of(values, labels)
    if small:
        few = "1 object" if small == 1 else f"{small} objects"
        remarks.append(f"{few} of fewer than {SMALLEST} voxels left out")
    joined = joined_objects(labels.name, values)
    if joined:
        remarks.append(joined)
    pair = Pair(name, image, labels, seen.shape, seen.spacing, normalization, targets)
    return pair, remarks


def targets_of(values: NDArray[Any], path: Path | str) -> tuple[tuple[Target, ...], int]:
    """Return the objects of a label volume, and how many are too small.

    Parameters
    ----------
    values : ndarray
        (z, y, x) whole numbers; 0 is no object.
    path : Path or str
        What the volume is called in an error.

    Raises
    ------
    ImageError
        If values are negative or no whole numbers, or there is no object of at least 30 voxels.
    """
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise ImageError(
            f"{path} holds values that are no whole numbers: it looks like an image or a probability, not like labels."
        )
    if values.min() < 0:
        raise ImageError(f"{path} holds negative values: labels are 0 (nothing) and above.")
    values, originals = _counted_up(values)
    sizes = np.bincount(values.ravel())
    found = []
    for number, slices in enumerate(ndi.find_objects(values), start=1):
        if slices is None or sizes[number] < SMALLEST:
            continue
        label = number if originals is None else int(originals[number])
        found.append(Target(label, Box.from_slices(slices), int(sizes[number])))
    small = int(np.count_nonzero(sizes[1:])) - len(found)
    if not found:
        raise ImageError(
            f"{path} holds no object of at least {SMALLEST} voxels"
            + (f", only {small} smaller ones" if small else ": all its voxels are 0")
            + ". Take the pair away, or label an object."
        )
    return tuple(found), small


def _counted_up(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any] | None]:
    """Labels that can be counted: large ones are numbered from 1; and the label of each number, if they are."""
    if values.max() <= _MOST_LABELS:
        return values.astype(np.int64, copy=False), None
    originals, numbers = np.unique(values, return_inverse=True)
    if originals[0] != 0:
        originals, numbers = np.concatenate([[0], originals]), numbers + 1
    return numbers.astype(np.int64, copy=False), originals


def fingerprint(pairs: tuple[Pair, ...]) -> str:
    """Return a hash of names, shapes, statistics and objects: the same data give the same one wherever they lie."""
    digest = hashlib.sha256()
    for pair in pairs:
        values = (pair.name, pair.shape, pair.normalization, pair.targets)
        digest.update(repr(values).encode())
    return digest.hexdigest()[:16]
