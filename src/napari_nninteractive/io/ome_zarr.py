"""OME-Zarr: versions 0.4 and 0.5 read lazily at their finest level, 0.4 written."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from napari_nninteractive.core.volume import ArrayLike3D
from napari_nninteractive.errors import Advice, ImageError, Remedy
from napari_nninteractive.files import atomic_folder
from napari_nninteractive.io.axes import Selection, select
from napari_nninteractive.io.image import Geometry, ImageFile
from napari_nninteractive.io.regular import check_memory
from napari_nninteractive.io.units import unit_named
from napari_nninteractive.limits import what_is_there

__all__ = ["is_zarr", "make_room", "needs_zarr", "read_zarr", "write_zarr"]

_MOST_VOXELS = 1 << 44
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One stack (z, y, x) or image (y, x) of a zarr array, read when it is sliced."""

    array: Any
    chosen: Selection
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the axes that are left."""
        return tuple(int(self.array.shape[axis]) for axis in self.chosen.kept)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the voxels."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def ndim(self) -> int:
        """Number of axes that are left."""
        return len(self.chosen.kept)

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = (*keys[:at], *[slice(None)] * (self.ndim - len(keys) + 1), *keys[at + 1 :])
        index = list(self.chosen.index)
        for axis, part in zip(self.chosen.kept, keys, strict=False):
            index[axis] = part
        try:
            return np.asarray(self.array[tuple(index)])
        except IndexError:
            raise
        except Exception as error:  # a damaged chunk can fail anywhere in the codecs
            raise ImageError(
                f"Voxels of {self.name} cannot be read: {error}. A chunk of it may be damaged."
            ) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self[...], dtype=dtype)


def read_zarr(path: Path, channel: int | None, timepoint: int | None) -> ImageFile:
    """Read an OME-Zarr image, or a plain zarr array; see `read_image`."""
    zarr = needs_zarr()
    try:
        node = zarr.open(_store(path), mode="r")
        array, axes, scale, start, unit = _finest(node, path.name)
        _check_array(path.name, array, axes)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{path.name} cannot be read as OME-Zarr: {error}") from error
    chosen = _selected(node, path, axes, array.shape, channel, timepoint)
    if chosen.order != tuple(sorted(chosen.order)):
        raise ImageError(
            f"{path.name} has its axes in the order {axes}; OME-Zarr wants z before y before x."
        )
    geometry = Geometry.from_zyx([scale[a] for a in chosen.kept], [start[a] for a in chosen.kept])
    data: ArrayLike3D = _Part(array, chosen, path.name)
    return ImageFile(data, geometry, unit)


def _store(folder: Path) -> Any:
    """Store of a folder that reads regular files in it or below; links to elsewhere are refused."""
    local: Any = importlib.import_module("zarr.storage").LocalStore
    root = folder.resolve()

    class Beside(local):  # type: ignore[misc]
        """Reads nothing outside of its folder."""

        async def get(self, key: str, *args: Any, **options: Any) -> Any:
            """Return the content of one file."""
            file = (root / key).resolve()
            if not file.is_relative_to(root):
                raise ImageError(f"{folder.name} leads to {key!r} outside of its folder.")
            if file.exists() and not file.is_dir() and what_is_there(file):
                raise ImageError(f"In {folder.name}, {key!r} is {what_is_there(file)}, not a file.")
            return await super().get(key, *args, **options)

    return Beside(root, read_only=True)


def _check_array(name: str, array: Any, axes: str) -> None:
    """Refuse metadata that fit no image: they are believed only when voxels are read."""
    shape, chunks = tuple(array.shape), tuple(getattr(array, "shards", None) or array.chunks)
    if len(axes) != len(shape):
        raise ImageError(f"{name} names {len(axes)} axes, but its voxels have {len(shape)}.")
    if min(shape, default=0) < 1 or min(chunks, default=0) < 1 or math.prod(shape) > _MOST_VOXELS:
        raise ImageError(f"{name} has the shape {shape} in chunks of {chunks}, which no image has.")
    check_memory(f"A chunk of {name}", math.prod(chunks) * np.dtype(array.dtype).itemsize)


def needs_zarr() -> Any:
    """Return the package zarr, which an extra brings.

    Raises
    ------
    ImageError
        If it is not installed.
    """
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise ImageError(
            "OME-Zarr needs one more package.", Advice(Remedy.INSTALL, name="zarr")
        ) from error


def is_zarr(folder: Path) -> bool:
    """Whether a folder holds a zarr group or array, of version 2 or 3."""
    return any((folder / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def write_zarr(
    folder: Path,
    labels: np.ndarray[Any, Any],
    axes: str,
    scale: Sequence[float],
    translation: Sequence[float],
    *,
    units: Sequence[str] = (),
    name: str = "labels",
) -> None:
    """Write labels as OME-Zarr 0.4 with one level: as a whole or not at all.

    Parameters
    ----------
    folder : Path
        Folder to write; it must not be there yet.
    labels : ndarray
        Whole numbers with any axes.
    axes : str
        A letter of "tczyx" for each axis.
    scale, translation : sequence of float
        For each axis: distance of neighbouring voxels, and position of the first.
    units : sequence of str
        For each axis, as OME-Zarr names it ("micrometer"); "" where it is not known. None are known by default.
    name : str
        What the labels are called.

    Raises
    ------
    ImageError
        If the package zarr is missing, or the folder is there already or cannot be written.
    """
    zarr = needs_zarr()
    if folder.exists():
        raise ImageError(f"{folder} is there already: choose another name.")
    image = _description(axes, scale, translation, units, name)
    chunks = tuple(min(n, 64 if labels.ndim - a <= 3 else 1) for a, n in enumerate(labels.shape))
    try:
        with atomic_folder(folder) as made:
            _write_metadata(made, labels, chunks, image)
            array = zarr.open_array(made / "0", mode="r+")
            for part in _chunks(labels.shape, chunks):
                # One file at a time: where one fails, zarr goes on to write those that it has begun.
                array[part] = labels[part]
    except OSError as error:
        raise ImageError(
            f"{folder} cannot be written ({error.strerror or error}): choose another place."
        ) from error


def _description(
    axes: str, scale: Sequence[float], translation: Sequence[float], units: Sequence[str], name: str
) -> dict[str, Any]:
    """What OME-Zarr 0.4 says of an image with one level."""
    kinds = {"t": "time", "c": "channel"}
    records = [
        {"name": letter, "type": kinds.get(letter, "space"), **({"unit": unit} if unit else {})}
        for letter, unit in zip(axes, units or ("",) * len(axes), strict=True)
    ]
    steps = [
        {"type": "scale", "scale": [float(v) for v in scale]},
        {"type": "translation", "translation": [float(v) for v in translation]},
    ]
    return {
        "version": "0.4",
        "name": name,
        "axes": records,
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
    }


def _write_metadata(
    folder: Path, labels: np.ndarray[Any, Any], chunks: tuple[int, ...], image: dict[str, Any]
) -> None:
    """Write all files but those of the voxels."""
    files: dict[str, Any] = {}
    store = importlib.import_module("zarr.storage").MemoryStore(files)
    group = needs_zarr().open_group(store, mode="w", zarr_format=2)
    group.create_array("0", shape=labels.shape, dtype=labels.dtype, chunks=chunks)
    group.attrs.update({"multiscales": [image], "image-label": {"version": "0.4"}})
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.to_bytes())


def _chunks(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """The voxels of each chunk."""
    along = [
        [slice(a, min(a + c, n)) for a in range(0, n, c)]
        for n, c in zip(shape, chunks, strict=True)
    ]
    return product(*along)


@contextlib.contextmanager
def make_room(folder: Path) -> Iterator[Path]:
    """Move a folder that is there aside, and remove it once another has taken its place; else it comes back.

    Chunks that hold nothing are not written, so that a new array must not share its folder with an old one.

    Parameters
    ----------
    folder : Path
        To be written; where it is a symbolic link, the folder that it points to is replaced.

    Yields
    ------
    Path
        The same, or what it points to; it is not there.
    """
    target = Path(os.path.realpath(folder)) if folder.is_symlink() else folder
    aside = target.with_name(f".{uuid4().hex}")
    moved = target.exists()
    if moved:
        target.rename(aside)
    try:
        yield target
    finally:
        if moved and not target.exists():
            aside.rename(target)
        elif moved:
            shutil.rmtree(aside, ignore_errors=True)


def _selected(
    node: Any,
    path: Path,
    axes: str,
    shape: Sequence[int],
    channel: int | None,
    timepoint: int | None,
) -> Selection:
    """Selection of one stack; where the array is a level of an OME-Zarr image, say that its image knows more."""
    above = path.absolute().parent
    is_level = hasattr(node, "shape") and any(
        (above / mark).exists() for mark in (".zgroup", "zarr.json")
    )
    try:
        chosen = select(axes, shape, channel, timepoint, path.name)
    except ImageError as error:
        if not is_level:
            raise
        raise ImageError(
            f"{path} is one level of an image, whose axes are named in the folder above: name {path.parent}."
        ) from error
    if is_level:
        _LOG.warning(
            "%s is one level of an image, read without voxel size; the folder above has it: %s",
            path,
            path.parent,
        )
    return chosen


def _finest(node: Any, name: str) -> tuple[Any, str, list[float], list[float], str]:
    """Array of the finest level, one letter per axis, scale and origin per axis, unit."""
    if not hasattr(node, "attrs") or hasattr(node, "shape"):
        axes = "Q" * (node.ndim - 2) + "YX" if node.ndim >= 2 else "X" * node.ndim
        return node, axes, [1.0] * node.ndim, [0.0] * node.ndim, ""
    attributes = dict(node.attrs)
    images = attributes.get("ome", attributes).get("multiscales")
    if not images:
        raise ImageError(
            f"{name} holds no image itself: name the image inside it (the folder whose metadata has 'multiscales')."
        )
    image = images[0]
    level = image["datasets"][0]
    array = node[level["path"]]
    # Version 0.3 names its axes by strings; before, they were always t, c, z, y, x.
    given = image.get("axes", list("tczyx"))
    records = [a if isinstance(a, dict) else {"name": a} for a in given]
    axes = "".join(str(a["name"])[:1].upper() for a in records)
    scale, start = [1.0] * array.ndim, [0.0] * array.ndim
    for step in (
        *level.get("coordinateTransformations", ()),
        *image.get("coordinateTransformations", ()),
    ):
        if step.get("type") == "scale" and "scale" in step:
            by = [float(v) for v in step["scale"]]
            scale = [a * b for a, b in zip(scale, by, strict=True)]
            start = [a * b for a, b in zip(start, by, strict=True)]
        elif step.get("type") == "translation" and "translation" in step:
            start = [a + float(b) for a, b in zip(start, step["translation"], strict=True)]
    scale = [s if math.isfinite(s) and s > 0 else 1.0 for s in scale]
    unit = str(records[-1].get("unit", "")) if records else ""
    return array, axes, scale, start, unit_named(unit) or unit
