"""A folder of images and labels: found by their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.read import IMAGE_ENDINGS

__all__ = ["find_pairs", "joined_objects"]

_LAYOUT = (
    "expected images/NAME.tif with labels/NAME.tif, or NAME/image.tif with NAME/labels.tif; endings: "
    f"{', '.join(IMAGE_ENDINGS)}"
)
_PART = 0.1
"""Share of the largest part of a mask that another one must have to be taken for an object: less is a speck."""


def find_pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """Return name, image and labels of each pair in a folder, by their names alone.

    Raises
    ------
    ImageError
        If there are none, or a file has no partner or two.
    """
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}; {_LAYOUT}.")
    if (folder / "images").is_dir():
        if not (folder / "labels").is_dir():
            raise ImageError(f"{folder} holds a folder images but no folder labels; {_LAYOUT}.")
        images = _by_name(folder / "images")
        labels = _by_name(folder / "labels")
    else:
        images, labels = _by_folder(folder)
    if not images and not labels:
        raise ImageError(f"{folder} holds no pairs of image and labels; {_LAYOUT}.")
    lonely = sorted(set(images) ^ set(labels))
    if lonely:
        name = lonely[0]
        file, missing = (images[name], "labels") if name in images else (labels[name], "image")
        more = f" ({len(lonely) - 1} more files stand alone too)" if len(lonely) > 1 else ""
        raise ImageError(f"{file} has no {missing}{more}; {_LAYOUT}.")
    return [(name, images[name], labels[name]) for name in sorted(images)]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names without ending, and paths, of what may be an image in a folder."""
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        ending = next((e for e in IMAGE_ENDINGS if name.endswith(e)), None)
        if ending is not None and not name.startswith("."):
            yield path.name[: -len(ending)], path


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, path in _files(folder):
        if name in found:
            raise ImageError(f"{found[name]} and {path} have one name: keep one of them.")
        found[name] = path
    return found


def _by_folder(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        for name, path in _files(place):
            kind = {"image": images, "labels": labels, "label": labels}.get(name.lower())
            if kind is None:
                continue
            if place.name in kind:
                raise ImageError(f"{kind[place.name]} and {path} mean the same: keep one of them.")
            kind[place.name] = path
    return images, labels


def joined_objects(name: str, values: NDArray[Any]) -> str:
    """Return what to say where all labels have one value though their voxels lie in separate parts, else "".

    Parameters
    ----------
    name : str
        Of the label file.
    values : ndarray
        Labels (z, y, x), 0 and above.

    Returns
    -------
    str
        A sentence for the user.
    """
    value = values.max()
    if not value or not np.isin(values, (0, value)).all():
        return ""
    parts, _ = ndi.label(values != 0, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    large = int(np.count_nonzero(sizes >= _PART * sizes.max()))
    if large < 2:
        return ""
    return (
        f"{name} has one value ({int(value)}) in {large} separate parts, which count as one object. If they are "
        "several, give each a number of its own, for example with skimage.measure.label in Python."
    )
