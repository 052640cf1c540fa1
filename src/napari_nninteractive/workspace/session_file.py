"""A session in a file: the objects of an image, their prompts and masks, and the model; JSON, written whole or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit, prompt_from_json, prompt_to_json
from napari_nninteractive.errors import NNInteractiveError, SessionError
from napari_nninteractive.workspace.commands import ModelChoice, PlacedPrompt

__all__ = [
    "SavedFrame",
    "SavedObject",
    "SavedSession",
    "frames_like",
    "holds_any",
    "pieces",
    "read",
    "write",
]

_FORMAT, _VERSION = "napari-nninteractive panel", 1
_SLAB = 1 << 22  # voxels looked at in one go, so that the window is never held up for long


@dataclass(frozen=True, slots=True, eq=False)
class SavedObject:
    """An object with all that it was made from.

    Attributes
    ----------
    placed : tuple of (PlacedPrompt, bool)
        Its prompts, and whether a prediction followed each.
    mask : MaskEdit or None
        Its mask, as the engine has it.
    """

    placed: tuple[tuple[PlacedPrompt, bool], ...]
    mask: MaskEdit | None


@dataclass(frozen=True, slots=True, eq=False)
class SavedFrame:
    """The objects of one time point.

    Attributes
    ----------
    index : tuple of int
        `Frame.index`.
    channel : int or None
        `Frame.channel`.
    label : int
        The current object.
    objects : mapping of int to SavedObject
        By label.
    result : mapping of int to MaskEdit
        What each label has in the result layer.
    """

    index: tuple[int, ...]
    channel: int | None
    label: int
    objects: Mapping[int, SavedObject]
    result: Mapping[int, MaskEdit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SavedSession:
    """All that the panel holds for an image; `numbers` are of objects that are not shown with their label."""

    image: str
    shape: tuple[int, ...]
    choice: ModelChoice
    names: Mapping[int, str]
    frames: tuple[SavedFrame, ...]
    numbers: Mapping[int, int] = field(default_factory=dict)


def pieces(labels: Any, frame: Frame) -> dict[int, MaskEdit]:
    """Each label of a frame of the result, cropped."""
    boxes: dict[int, Box] = {}
    for start, block in _slabs(labels, frame):
        for label, found in enumerate(ndimage.find_objects(block), start=1):
            if found is not None:
                box = Box.from_slices(found).shift((start, 0, 0))
                boxes[label] = boxes.get(label, box).union(box)
    return {
        label: MaskEdit(frame.read(labels, box) == label, box.start) for label, box in boxes.items()
    }


def frames_like(frame: Frame) -> Iterator[Frame]:
    """All time points of a frame's image, with its channel."""
    still = (*frame.spatial, *(() if frame.channels is None else (frame.channels,)))
    sizes = [1 if a in still else n for a, n in enumerate(frame.shape)]
    for index in np.ndindex(*sizes):
        yield replace(frame, index=tuple(int(i) for i in index))


def holds_any(labels: Any, frame: Frame) -> bool:
    """Whether there is anything in a frame of the result."""
    return any(True for _ in _slabs(labels, frame))


def _slabs(labels: Any, frame: Frame) -> Iterator[tuple[int, NDArray[np.int64]]]:
    depth, height, width = frame.volume_shape
    step = max(1, _SLAB // (height * width))
    for z in range(0, depth, step):
        box = Box((z, 0, 0), (min(z + step, depth), height, width))
        block = frame.read(labels, box)
        if block.any():
            yield z, block.astype(np.int64)


def write(session: SavedSession, path: str | Path) -> None:
    """Write a session; an earlier file is replaced only by a whole one.

    Raises
    ------
    SessionError
        If the file cannot be written.
    """
    file = Path(path)
    record = {
        "format": _FORMAT,
        "version": _VERSION,
        "image": {"name": session.image, "shape": list(session.shape)},
        "model": {
            "name": session.choice.name,
            "device": session.choice.device,
            "precision": session.choice.precision,
        },
        "names": {str(label): name for label, name in session.names.items()},
        "numbers": {str(label): number for label, number in session.numbers.items()},
        "frames": [_frame_to_json(frame) for frame in session.frames],
    }
    beside = file.with_name(f".{uuid4().hex}.json")
    try:
        beside.write_text(json.dumps(record), encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise SessionError(
            f"{file} cannot be written ({error.strerror}): choose another folder."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def read(path: str | Path) -> SavedSession:
    """Read what `write` wrote; the file is not trusted.

    Raises
    ------
    SessionError
        If it is no such file.
    """
    file = Path(path)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SessionError(f"{file} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise SessionError(f"{file.name} is no saved session: choose another file.") from error
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise SessionError(f"{file.name} is no session saved by this panel: choose another file.")
    if record.get("version") != _VERSION:
        raise SessionError(
            f"{file.name} was saved by a newer version of this plugin: update it to open the file."
        )
    try:
        return SavedSession(
            str(record["image"]["name"]),
            tuple(int(n) for n in record["image"]["shape"]),
            ModelChoice(**{str(k): str(v) for k, v in record["model"].items()}),
            {int(k): str(v) for k, v in record["names"].items()},
            tuple(_frame_from_json(frame) for frame in record["frames"]),
            {int(k): int(v) for k, v in record.get("numbers", {}).items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError, NNInteractiveError) as error:
        raise SessionError(f"{file.name} is damaged ({error}).") from error


def _frame_to_json(frame: SavedFrame) -> dict[str, Any]:
    return {
        "index": list(frame.index),
        "channel": frame.channel,
        "label": frame.label,
        "objects": {
            str(label): {
                "marks": [_placed_to_json(placed, ran) for placed, ran in saved.placed],
                "mask": None if saved.mask is None else prompt_to_json(saved.mask),
            }
            for label, saved in frame.objects.items()
        },
        "result": {str(label): prompt_to_json(piece) for label, piece in frame.result.items()},
    }


def _frame_from_json(record: dict[str, Any]) -> SavedFrame:
    return SavedFrame(
        tuple(int(n) for n in record["index"]),
        None if record["channel"] is None else int(record["channel"]),
        int(record["label"]),
        {
            int(label): SavedObject(
                tuple(_placed_from_json(one) for one in saved["marks"]),
                None if saved["mask"] is None else _mask(saved["mask"]),
            )
            for label, saved in record["objects"].items()
        },
        {int(label): _mask(piece) for label, piece in record["result"].items()},
    )


def _placed_to_json(placed: PlacedPrompt, ran: bool) -> dict[str, Any]:
    outline = None if placed.outline is None else np.asarray(placed.outline).tolist()
    return {"prompt": prompt_to_json(placed.prompt), "outline": outline, "predicted": ran}


def _placed_from_json(record: dict[str, Any]) -> tuple[PlacedPrompt, bool]:
    outline = record["outline"]
    vertices = None if outline is None else np.asarray(outline, np.float64)
    if vertices is not None and (vertices.ndim != 2 or not np.isfinite(vertices).all()):
        raise ValueError("an outline is not a list of points")
    return PlacedPrompt(0, prompt_from_json(record["prompt"]), vertices), bool(record["predicted"])


def _mask(record: Any) -> MaskEdit:
    prompt = prompt_from_json(record)
    if not isinstance(prompt, MaskEdit):
        raise ValueError("a mask is missing")
    return prompt
