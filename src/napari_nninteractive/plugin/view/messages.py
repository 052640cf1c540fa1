"""What the panel says, and how long a message stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Scribble,
)
from napari_nninteractive.engine.results import Prediction
from napari_nninteractive.errors import NNInteractiveError, Remedy
from napari_nninteractive.plugin.view.state import Kind, Message
from napari_nninteractive.workspace.values.placed import ImageSource, PlacedPrompt

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_nninteractive.engine.estimate import Estimate

__all__ = [
    "IN_THE_PANEL",
    "Occasion",
    "channel_count",
    "channel_names",
    "cost",
    "describe",
    "error",
    "image_fact",
    "prediction",
    "settled",
    "short_unit",
    "table_unit",
    "unit_of",
    "volume_unit",
]

IN_THE_PANEL: Mapping[Remedy, str] = MappingProxyType(
    {
        Remedy.USE_CPU: "choose CPU under “Compute on”",
        Remedy.USE_CPU_OR_INSTALL_CUDA: (
            "choose CPU under “Compute on”, or see what `napari-nninteractive info` says to install"
        ),
        Remedy.FREE_DEVICE_MEMORY: (
            "your prompt is kept. Close other programs that use the device, choose CPU under “Compute on”, or choose a "
            "smaller model under “Model”: the built-in one is the smallest"
        ),
        Remedy.USE_FP32: "choose the precision fp32 in napari's preferences, under this plugin",
        Remedy.CHOOSE_MODEL: "choose another one under “Model”",
        Remedy.DOWNLOAD_MODEL: "choose it under “Model” to download it",
        Remedy.ACCEPT_LICENCE: "choose {name} under “Model” to read and accept it",
        Remedy.CHOOSE_CHANNEL: "save one as a file of its own",
        Remedy.CHOOSE_TIMEPOINT: "save one as a file of its own",
        Remedy.CHOOSE_TIMEPOINT_OR_MARK_Z: (
            "save one as a file of its own. If they are slices, mark the axis as z first (in Fiji: Image > Properties)"
        ),
        Remedy.LEAVE_OUT_CHANNEL: "open it without choosing a channel",
        Remedy.LEAVE_OUT_TIMEPOINT: "open it without choosing a time point",
        Remedy.OVERWRITE: "choose another name",
        Remedy.INSTALL: "pip install {name} into the environment of napari, and start it again",
        Remedy.INSTALL_TENSORBOARD: "pip install tensorboard into the environment of napari",
        Remedy.MAKE_ROOM_AND_RESUME: "make room there, then go on with the run",
        Remedy.RESUME_WITH_FEWER_WORKERS: "go on with the run, with fewer processes",
        Remedy.BEGIN_ELSEWHERE: "copy it again, or begin in another folder",
        Remedy.BEGIN_FROM: "go on with the same values, or begin in another folder",
        Remedy.START_FEWER_PROCESSES: "start at most {number}",
        Remedy.MEASURE_SMALLER: "measure smaller objects too, or look at the labels",
    }
)
"""What a user of the panel is told, by remedy; as `remedies.IN_PYTHON`. The panel trains and measures nothing yet."""

_KINDS = {
    Point: "Point",
    BoxPrompt: "Box",
    Scribble: "Scribble",
    Lasso: "Lasso",
    InitialMask: "Mask to start from",
    MaskEdit: "Painted by hand",
}

_SHORT = {
    "micrometer": "µm",
    "micron": "µm",
    "nanometer": "nm",
    "millimeter": "mm",
    "pixel": "px",
    "meter": "m",
}


class Occasion(Enum):
    """What may settle a message."""

    CHOSEN = auto()
    """An image or a tool was chosen."""
    MODEL_CHOSEN = auto()
    """A model or device was chosen."""
    STARTED = auto()
    """The user asked for a file, a download, or what the message itself offers."""
    PREDICTED = auto()
    """A prediction came."""
    FLATTENED = auto()
    """The viewer shows slices again."""


_OUTLIVES = {
    Kind.PROBLEM: {Occasion.FLATTENED},
    Kind.MODEL_REFUSED: {Occasion.FLATTENED, Occasion.PREDICTED},
    Kind.LICENCE: {Occasion.FLATTENED, Occasion.PREDICTED},
    Kind.FLAT_ONLY: set[Occasion](),
}


def settled(message: Message | None, occasion: Occasion) -> Message | None:
    """What is left of a message after an occasion: itself, or nothing."""
    stays = message is not None and occasion in _OUTLIVES[message.kind]
    return message if stays else None


def unit_of(image: Image) -> str:
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


def channel_names(image: Image, count: int) -> list[str]:
    """Names of channels."""
    return ["Red", "Green", "Blue"] if image.rgb else [str(n) for n in range(count)]


def channel_count(image: Image, frame: Frame) -> int:
    """Channels of an image layer; 0 where it has none."""
    if image.rgb:
        return 3
    return 0 if frame.channel_axis is None else frame.shape[frame.channel_axis]


def image_fact(source: ImageSource, unit: str, names: Sequence[str] = ()) -> str:
    """Size of an image in words, and where its other axes stand, by their names if they have some."""
    frame = source.frame
    space = len(frame.spatial)
    voxels = " × ".join(str(n) for n in frame.volume_shape[3 - space :])
    sizes = " × ".join(f"{s:.3g}" for s in source.spacing[3 - space :])
    text = f"{voxels} {'voxels' if space == 3 else 'pixels'} of {sizes} {unit}"
    others = [a for a in range(frame.ndim) if a not in (*frame.spatial, frame.channel_axis)]
    for axis in others:
        name = names[axis] if len(names) == frame.ndim else ""
        known = name and not name.lstrip("-").isdigit() and name != "t"
        text += f", {name if known else 'time'} {frame.index[axis]}"
    return text


def describe(placed: PlacedPrompt, *, flat_image: bool = False) -> str:
    """Kind, sign and slice of a prompt, for the list; a 2D image has no slices."""
    prompt = placed.prompt
    kind = _KINDS[type(prompt)]
    if isinstance(prompt, InitialMask):
        return kind
    sign = "+" if prompt.positive else "−"
    if flat_image:
        return f"{sign} {kind}"
    box = prompt.bounds
    flat = [a for a in range(3) if box.shape[a] == 1]
    where = (
        f"{'zyx'[flat[0]]} {box.start[flat[0]]}" if flat else f"z {box.start[0]}–{box.stop[0] - 1}"
    )
    return f"{sign} {kind}, {where}"


def cost(found: Estimate) -> str:
    """What a prediction is expected to take."""
    memory = f"{found.bytes / 2**30:.1f} GB" if found.bytes >= 2**30 else f"{found.bytes >> 20} MB"
    return f"About {found.seconds:.1g} s and {memory} for a prompt, more for large objects ({found.device})."


def table_unit(unit: str, space: int) -> str:
    """Unit of volumes or areas in a table that says nothing else of it."""
    shown = volume_unit(unit, space)
    return {"Volume": "voxels", "Area": "pixels"}.get(shown, shown)


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
