"""What the panel says. Pure."""

from __future__ import annotations

from typing import Any

from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.errors import DeviceMemoryError
from napari_nninteractive.plugin.convert import Frame
from napari_nninteractive.plugin.marks import Source

__all__ = [
    "channel_count",
    "error",
    "image_fact",
    "prediction",
    "short_unit",
    "unit_of",
    "volume_unit",
]

_SHORT = {
    "micrometer": "µm",
    "micron": "µm",
    "nanometer": "nm",
    "millimeter": "mm",
    "pixel": "px",
    "meter": "m",
}


def unit_of(image: Any) -> str:
    """Unit of an image layer's last axis, in short."""
    return short_unit(str(image.units[-1]))


def short_unit(name: str) -> str:
    """Usual sign of a unit."""
    return _SHORT.get(name, name)


def volume_unit(unit: str) -> str:
    """Unit of volumes; "px" is no length, so voxels are counted."""
    return "Volume" if unit == "px" else f"{unit}³"


def channel_count(image: Any, frame: Frame) -> int:
    """Channels of an image layer; 0 where it has none."""
    if frame.channels is None:
        return 0
    return 3 if image.rgb else frame.shape[frame.channels]


def image_fact(source: Source, unit: str) -> str:
    """Size of an image in words."""
    frame = source.frame
    space = len(frame.spatial)
    voxels = " × ".join(str(n) for n in frame.volume_shape[3 - space :])
    sizes = " × ".join(f"{s:.3g}" for s in source.spacing[3 - space :])
    text = f"{voxels} {'voxels' if space == 3 else 'pixels'} of {sizes} {unit}"
    others = [a for a in range(frame.ndim) if a not in frame.spatial and a != frame.channels]
    if others:
        text += ", time " + ", ".join(str(frame.index[a]) for a in others)
    return text


def prediction(done: Prediction, device: str) -> str:
    """What a prediction took."""
    passes = "1 pass" if done.forwards == 1 else f"{done.forwards} passes"
    return f"{done.seconds:.1f} s, {passes} ({device})"


def error(problem: BaseException) -> str:
    """What went wrong, and what to do, in plain words."""
    if isinstance(problem, MemoryError):
        return "There is not enough memory: close other images, or choose a smaller one."
    text = str(problem).strip() or type(problem).__name__
    if isinstance(problem, DeviceMemoryError):
        return (
            "There is not enough memory on the device; your prompt is kept. Close other programs that use it, compute "
            "on the CPU, or choose a smaller model above: the built-in one is the smallest."
        )
    return text
