"""Volumes with truth: found in folders, read, and the objects in them that are measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.volume import ArrayLike3D
from napari_nninteractive.errors import ImageError
from napari_nninteractive.evaluation.enlarging import enlarged_image, enlarged_labels
from napari_nninteractive.io import IMAGE_ENDINGS, check_same_grid, read_image
from napari_nninteractive.io.pairs import find_pairs, joined_objects

__all__ = [
    "MOST_OBJECTS",
    "SMALLEST_OBJECT",
    "Case",
    "LabelledVolume",
    "choose_objects",
    "find_cases",
    "read_case",
]

SMALLEST_OBJECT = 500
"""Voxels below which an object is not measured: of so few, most lie on the outline."""
MOST_OBJECTS = 20
"""Objects of one volume that are measured, so that no volume with many decides all."""


@dataclass(frozen=True, slots=True)
class Case:
    """Where a volume with truth lies.

    Attributes
    ----------
    name : str
        Of the volume in every report.
    image, labels : Path
        Files of any format that :mod:`..io` reads.
    spacing : Path or None
        Text file with the size of a voxel along z, y and x, which counts more than that of the image file.
    enlarge : int
        Voxels along y and x that take the place of one: see :mod:`~.enlarging`.
    """

    name: str
    image: Path
    labels: Path
    spacing: Path | None = None
    enlarge: int = 1

    def enlarged(self, factor: int) -> Case:
        """The same volume to be enlarged along y and x, with a name that says so."""
        return self if factor == 1 else replace(self, name=f"{self.name} x{factor}", enlarge=factor)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVolume:
    """An image with its truth.

    Attributes
    ----------
    name : str
        Of the volume.
    image : array
        (z, y, x) or (y, x), real.
    labels : ndarray
        (z, y, x) integers; 0 is no object, every object has a number of its own.
    spacing : tuple of float
        Physical size of a voxel along (z, y, x).
    notes : tuple of str
        Sentences about the files that belong beside the figures.
    """

    name: str
    image: ArrayLike3D
    labels: NDArray[np.integer[Any]]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    notes: tuple[str, ...] = ()


def find_cases(folder: Path, names: tuple[str, ...] = ()) -> list[Case]:
    """Volumes below a folder: every folder in it with an ``image`` and a ``label`` file, or files as for training.

    Parameters
    ----------
    folder : Path
        Holds one folder per volume, or is such a folder itself. A file ``spacing_zyx.txt`` may lie beside the two.
        Or it holds ``images/NAME.*`` with ``labels/NAME.*``.
    names : tuple of str
        Only these volumes; all by default.

    Returns
    -------
    list of Case
        By name.

    Raises
    ------
    ImageError
        If there is no such folder, no volume in it, one that was asked for is missing, or one of a pair of files is.
    """
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}: name one that holds volumes with labels.")
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        cases = [Case(*pair) for pair in find_pairs(folder)]
    else:
        places = (folder, *sorted(folder.iterdir()))
        found = (_case_in(p) for p in places if p.is_dir() and p.suffix != ".zarr")
        cases = [case for case in found if case is not None]
    if not cases:
        raise ImageError(
            f"No folder in {folder} holds both an image and a label file (image.tif and label.tif, for example), nor "
            "are there images/NAME.tif with labels/NAME.tif."
        )
    missing = [n for n in names if n not in [c.name for c in cases]]
    if missing:
        raise ImageError(
            f"There is no volume {missing[0]} in {folder}: choose of {', '.join(c.name for c in cases)}."
        )
    return [c for c in cases if not names or c.name in names]


def _case_in(folder: Path) -> Case | None:
    files = [_file_in(folder, stem) for stem in ("image", "label")]
    spacing = folder / "spacing_zyx.txt"
    if files[0] is None or files[1] is None:
        return None
    name = folder.resolve().name
    return Case(name, files[0], files[1], spacing if spacing.is_file() else None)


def _file_in(folder: Path, stem: str) -> Path | None:
    paths = (folder / f"{s}{ending}" for s in (stem, f"{stem}s") for ending in IMAGE_ENDINGS)
    return next((p for p in paths if p.exists()), None)


def read_case(case: Case) -> LabelledVolume:
    """Read a volume with its truth.

    Parameters
    ----------
    case : Case
        From :func:`find_cases`, or made of two files.

    Returns
    -------
    LabelledVolume
        As the files have it, or enlarged where the case says so; the image is lazy where its format allows and it is
        not enlarged.

    Raises
    ------
    ImageError
        If a file cannot be read, the labels are fractions or negative, or the two do not fit each other in shape or
        place.
    """
    image, labels = read_image(case.image), read_image(case.labels)
    if image.shape != labels.shape:
        raise ImageError(
            f"{case.image.name} has {image.shape} voxels (z, y, x), but {case.labels.name} has {labels.shape}: "
            "give the labels of this image."
        )
    unlike = check_same_grid(image, labels, case.image.name, case.labels.name)
    values = np.asarray(labels.data[...]).reshape(labels.shape)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or not (values == np.rint(values)).all():
            raise ImageError(f"{case.labels.name} holds fractions, not the numbers of objects.")
        values = values.astype(np.int64)
    if values.min() < 0:
        raise ImageError(
            f"{case.labels.name} holds negative values: labels are 0 (nothing) and above."
        )
    spacing = image.spacing if case.spacing is None else _read_spacing(case.spacing)
    notes = tuple(text for text in (unlike, joined_objects(case.labels.name, values)) if text)
    truth, n = values.view(_integer(values.dtype)), case.enlarge
    if n == 1:
        return LabelledVolume(case.name, image.data, truth, spacing, notes)
    data = enlarged_image(np.asarray(image.data[...]), n)
    z, y, x = spacing
    return LabelledVolume(case.name, data, enlarged_labels(truth, n), (z, y / n, x / n), notes)


def _integer(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _read_spacing(path: Path) -> tuple[float, float, float]:
    try:
        z, y, x = (float(word) for word in path.read_text().split())
    except ValueError as error:
        raise ImageError(f"{path} must hold three numbers, z y x: {error}.") from error
    if not all(math.isfinite(n) and n > 0 for n in (z, y, x)):
        raise ImageError(f"{path} must hold three numbers above 0, not {z:g} {y:g} {x:g}.")
    return z, y, x


def choose_objects(
    labels: NDArray[np.integer[Any]],
    smallest: int = SMALLEST_OBJECT,
    most: int = MOST_OBJECTS,
    seed: int = 0,
) -> tuple[int, ...]:
    """Draw the objects to measure.

    Parameters
    ----------
    labels : ndarray
        (z, y, x) integers; 0 is no object.
    smallest : int
        Fewest voxels of an object.
    most : int
        Most objects.
    seed : int
        Decides which, where there are more, and their order.

    Returns
    -------
    tuple of int
        Labels in the order in which they are measured.
    """
    values, counts = np.unique(labels, return_counts=True)
    large = [int(v) for v, c in zip(values, counts, strict=True) if v and c >= smallest]
    return tuple(int(v) for v in np.random.default_rng(seed).permutation(large)[:most])
