"""What the panel says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.plugin.view.remedies import IN_THE_PANEL
from napari_nninteractive.workspace.commands import ImageSource

if TYPE_CHECKING:
    from napari_nninteractive.engine.estimate import Estimate

__all__ = [
    "channel_count",
    "channel_names",
    "cost",
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


def volume_unit(unit: str, space: int = 3) -> str:
    """Unit of volumes, or of areas in two axes of space; "px" is no length, so voxels are counted."""
    if unit == "px":
        return "Volume" if space == 3 else "Area"
    return f"{unit}³" if space == 3 else f"{unit}²"


def channel_names(image: Any, count: int) -> list[str]:
    """Names of channels."""
    return ["Red", "Green", "Blue"] if image.rgb else [str(n) for n in range(count)]


def channel_count(image: Any, frame: Frame) -> int:
    """Channels of an image layer; 0 where it has none."""
    if frame.channels is None:
        return 0
    return 3 if image.rgb else frame.shape[frame.channels]


def image_fact(source: ImageSource, unit: str, names: Sequence[str] = ()) -> str:
    """Size of an image in words, and where its other axes stand, by their names if they have some."""
    frame = source.frame
    space = len(frame.spatial)
    voxels = " × ".join(str(n) for n in frame.volume_shape[3 - space :])
    sizes = " × ".join(f"{s:.3g}" for s in source.spacing[3 - space :])
    text = f"{voxels} {'voxels' if space == 3 else 'pixels'} of {sizes} {unit}"
    others = [a for a in range(frame.ndim) if a not in frame.spatial and a != frame.channels]
    if others:
        for axis in others:
            name = names[axis] if len(names) == frame.ndim else ""
            known = name and not name.lstrip("-").isdigit() and name != "t"
            text += f", {name if known else 'time'} {frame.index[axis]}"
    return text


def cost(found: Estimate) -> str:
    """What a prediction is expected to take."""
    memory = f"{found.bytes / 2**30:.1f} GB" if found.bytes >= 2**30 else f"{found.bytes >> 20} MB"
    return f"About {found.seconds:.1g} s and {memory} for a prompt, more for large objects ({found.device})."


def prediction(done: Prediction, device: str) -> str:
    """What a prediction took."""
    passes = "1 pass" if done.forwards == 1 else f"{done.forwards} passes"
    return f"{done.seconds:.1f} s, {passes}" + (f" ({device})" if device else "")


def error(problem: BaseException) -> str:
    """What went wrong, and what to do, in plain words."""
    if isinstance(problem, MemoryError):
        return "There is not enough memory: close other images, or choose a smaller one."
    text = str(problem)
    if isinstance(problem, NNInteractiveError):
        text = problem.worded(IN_THE_PANEL)
    return text.strip() or type(problem).__name__
