"""TIFF, with the axes and voxel sizes that ImageJ and OME write into it."""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # tifffile has parsed the same text before

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError, NNInteractiveError
from napari_nninteractive.io.axes import Selection, select
from napari_nninteractive.io.image import Geometry, ImageFile
from napari_nninteractive.io.regular import check_memory
from napari_nninteractive.io.units import factor, unit_named

__all__ = ["read_tiff", "write_tiff"]

_LOG = logging.getLogger(__name__)
# What tifffile logs and goes on with, where a file was cut short or overwritten in part.
_DAMAGE = re.compile("invalid page offset|invalid value offset|corrupted|failed to reshape")
_IMAGEJ_LIMIT = 2**32 - 2**25  # ImageJ's hyperstacks know no offsets beyond


def read_tiff(path: Path, channel: int | None, timepoint: int | None) -> ImageFile:
    """Read the first image of a TIFF file; see `read_image`.

    One axis without a name is taken for z. Spacing is 1 where neither ImageJ nor OME wrote it: resolutions of other
    files are meant for printers.
    """
    try:
        with _listening(path.name), tifffile.TiffFile(path) as tif:
            len(tif.pages)  # all are looked for, so that one that is missing is noticed
            if not tif.series:
                raise ImageError(f"{path.name} holds no image.")
            series = tif.series[0]
            _check_parts(tif, path)
            if len(tif.series) > 1:
                _LOG.warning("%s holds %d images; the first is read.", path.name, len(tif.series))
            chosen = select(series.axes, series.shape, channel, timepoint, path.name)
            data = _voxels(tif, path, chosen)
            spacing, unit = _spacing(tif)
    except NNInteractiveError:
        raise
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:
        raise ImageError(f"{path.name} is damaged or no TIFF file: {error}") from error
    data.flags.writeable = False
    return ImageFile(data, Geometry.from_zyx(spacing[-data.ndim :]), unit)


def _check_parts(tif: tifffile.TiffFile, path: Path) -> None:
    """Refuse an OME-TIFF some of whose planes are in no file: tifffile would make them black, or leave them out."""
    series = tif.series[0]
    if not tif.is_ome or not tif.ome_metadata:
        return
    root = ElementTree.fromstring(tif.ome_metadata)  # noqa: S314  # expat refuses entity bombs since 2.4.1
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None:
        return
    promised = math.prod(int(pixels.get(f"Size{a}", "1")) for a in "XYZCT")
    if all(page is not None for page in series.pages) and math.prod(series.shape) >= promised:
        return
    names = {n.get("FileName", "") for n in pixels.iter() if n.tag.endswith("}UUID")}
    absent = sorted(n for n in names if n and not (path.parent / n).exists())
    what = f"{', '.join(absent[:3])} is missing" if absent else "planes are missing"
    raise ImageError(
        f"{path.name} is one part of an image, and {what}: copy all of its files into one folder."
    )


@contextmanager
def _listening(name: str) -> Iterator[None]:
    """Keep what tifffile logs, and refuse the file if that says that it is damaged."""
    heard: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread == thread:
            heard.append(record.getMessage())
        return record.thread != thread

    log = logging.getLogger("tifffile")
    log.addFilter(keep)
    try:
        yield
    finally:
        log.removeFilter(keep)
    for text in heard:
        if _DAMAGE.search(text):
            raise ImageError(
                f"{name} is damaged or cut short: pages or metadata are missing. Copy it again."
            )
        _LOG.warning("%s: %s", name, text)


def _voxels(tif: tifffile.TiffFile, path: Path, chosen: Selection) -> NDArray[Any]:
    """Voxels of the selection: mapped, or read page by page, or read as a whole."""
    series = tif.series[0]
    if series.dataoffset is not None and series.keyframe.is_memmappable:
        mapped = tifffile.memmap(path, series=0, mode="r")
        return np.transpose(mapped[chosen.index], chosen.order)
    # A part is unpacked as a whole, however little of it is in the image.
    part = math.prod(series.keyframe.chunks) * series.dtype.itemsize
    leading = series.shape[:-2]
    picks = any(isinstance(i, int) for i in chosen.index)
    if picks and series.axes.endswith("YX") and len(series.pages) == math.prod(leading):
        check_memory(
            path.name,
            part + math.prod(series.shape[a] for a in chosen.kept) * series.dtype.itemsize,
        )
        pages = np.arange(math.prod(leading)).reshape(leading)[chosen.index[:-2]]
        data = tif.asarray(key=pages.ravel().tolist(), series=0)
        data = data.reshape((*pages.shape, *series.shape[-2:]))
    else:
        check_memory(path.name, part + math.prod(series.shape) * series.dtype.itemsize)
        data = series.asarray()[chosen.index]
    return np.transpose(data, chosen.order)


def _spacing(tif: tifffile.TiffFile) -> tuple[tuple[float, float, float], str]:
    """Voxel size (z, y, x) and its unit, 1 and "" where unknown."""
    if tif.is_ome and tif.ome_metadata:
        return _ome_spacing(tif.ome_metadata)
    metadata = tif.imagej_metadata
    if not metadata:
        return (1.0, 1.0, 1.0), ""
    tags = tif.pages[0].tags  # type: ignore[union-attr]
    y, x = (_pixel_size(tags.get(name)) for name in ("YResolution", "XResolution"))
    z = abs(_number(metadata.get("spacing"), 1.0)) or 1.0  # ImageJ writes negative ones at times
    return (z, y, x), unit_named(str(metadata.get("unit", "")))


def _pixel_size(tag: Any) -> float:
    """Voxel size from a tag (pixels, units): 1 where absent or absurd."""
    try:
        pixels, units = tag.value
    except (AttributeError, TypeError, ValueError):
        return 1.0
    return units / pixels if pixels > 0 and units > 0 else 1.0


def _number(value: object, default: float) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default


def _ome_spacing(text: str) -> tuple[tuple[float, float, float], str]:
    """Voxel size in micrometres from OME-XML; 1 and "" where it gives none."""
    root = ElementTree.fromstring(text)  # noqa: S314  # expat refuses entity bombs since 2.4.1
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return (1.0, 1.0, 1.0), ""
    sizes = {}
    for axis in "ZYX":
        by = factor(unit_named(pixels.get(f"PhysicalSize{axis}Unit", "µm")), "µm")
        value = _number(pixels.get(f"PhysicalSize{axis}"), math.nan)
        sizes[axis] = value * by if by is not None else math.nan
    x = sizes["X"] if sizes["X"] > 0 else 1.0
    y = sizes["Y"] if sizes["Y"] > 0 else x
    z = sizes["Z"] if sizes["Z"] > 0 else 1.0
    return (z, y, x), "µm" if sizes["X"] > 0 else ""


def write_tiff(path: Path, mask: NDArray[np.uint8], geometry: Geometry, unit: str) -> None:
    """Write a mask with axes and voxel size, as OME-TIFF where the name says so, else as ImageJ does.

    Parameters
    ----------
    path : Path
        File to write. Above 4 GB it is OME-TIFF under any name.
    mask : ndarray
        (z, y, x) or (y, x) uint8.
    geometry : Geometry
        Of the image; origin and direction have no place in a TIFF file.
    unit : str
        Of the spacing.
    """
    axes = "ZYX"[-mask.ndim :]
    x, y, *rest = geometry.spacing
    z = rest[0] if rest else 1.0
    if path.name.lower().endswith((".ome.tif", ".ome.tiff")) or mask.nbytes > _IMAGEJ_LIMIT:
        size = {f"PhysicalSize{a}": s for a, s in zip("XYZ", (x, y, z), strict=True)}
        units = {f"PhysicalSize{a}Unit": unit or "µm" for a in "XYZ"}
        tifffile.imwrite(
            path, mask, ome=True, compression="zlib", metadata={"axes": axes, **size, **units}
        )
        return
    metadata = {"axes": axes, "spacing": z, "unit": {"µm": "micron"}.get(unit, unit or "pixel")}
    tifffile.imwrite(
        path, mask, imagej=True, resolution=(1 / x, 1 / y), compression="zlib", metadata=metadata
    )
