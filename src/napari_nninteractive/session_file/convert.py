"""From records of a file to values, and back. Masks are unpacked here, and nowhere before their size was checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.plan import plan_to_json
from napari_nninteractive.core.prompts import (
    InitialMask,
    Lasso,
    MaskEdit,
    Prompt,
    Scribble,
    prompt_from_json,
    prompt_to_json,
)
from napari_nninteractive.errors import PromptError, SessionError
from napari_nninteractive.session_file.values import (
    FARTHEST,
    MOST_POINTS,
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedRun,
    SavedSession,
    SavedStep,
)

if TYPE_CHECKING:
    from napari_nninteractive.session_file.document import Document, Record
    from napari_nninteractive.session_file.earlier import EnginePrompts, PanelObjects

__all__ = [
    "check_frames",
    "check_size",
    "from_document",
    "from_engine",
    "from_panel",
    "to_document",
    "voxel_limit",
]

_SMALL = 1 << 22
"""Voxels that any mask may have: strokes on a small image may reach far beyond it."""
_MOST = 1 << 34
"""Voxels that all masks of a file may have together."""

_POINTS: Mapping[str, Sequence[int]] = {
    "Point": (1,),
    "BoxPrompt": (2, 4),
    "Lasso": range(2, MOST_POINTS + 1),
}
"""How many points an outline of a prompt may have; the others have none."""

_DRAWN = Scribble | Lasso | InitialMask | MaskEdit
_Value = TypeVar("_Value")


def voxel_limit(shape: Sequence[int]) -> int:
    """Most voxels that a mask in a file may have.

    Parameters
    ----------
    shape : sequence of int
        Of the image: (z, y, x), or with axes of time and channels; three axes at most are space.
    """
    return max(math.prod(sorted(shape)[-3:]), _SMALL)


class _Unpacker:
    """Turns records of prompts into prompts, and counts the voxels.

    Parameters
    ----------
    limit : int
        Most voxels of a mask.
    axes : int
        Coordinates of a point in the image layer.
    """

    def __init__(self, limit: int, axes: int) -> None:
        self._limit = limit
        self._axes = axes
        self._left = _MOST

    def prompt(self, record: Record, where: str) -> Prompt:
        fields = record.model_dump(exclude={"predict", "outline"})
        if "mask" in fields:
            self._left -= math.prod(fields["mask"]["shape"])
            if self._left < 0:
                raise SessionError(f"{where}: all masks together have more than {_MOST} voxels")
        try:
            return prompt_from_json(fields, self._limit)
        except PromptError as error:
            raise SessionError(f"{where}: {str(error).rstrip('.')}") from error

    def mask(self, record: Record | None, where: str) -> MaskEdit | None:
        if record is None:
            return None
        prompt = self.prompt(record, where)
        if not isinstance(prompt, MaskEdit | InitialMask) or not prompt.positive:
            raise SessionError(f"{where}: must be a mask")
        return MaskEdit(prompt.mask, prompt.origin)

    def steps(self, records: Sequence[Any], where: str) -> tuple[SavedStep, ...]:
        return tuple(self._step(r, f"{where}[{i}]") for i, r in enumerate(records))

    def _step(self, record: Any, where: str) -> SavedStep:
        prompt = None if record.type == "predict" else self.prompt(record, where)
        if record.outline is None:
            return SavedStep(prompt, record.predict)
        if any(len(point) != self._axes for point in record.outline):
            raise SessionError(f"{where}.outline: its points must have {self._axes} coordinates")
        if len(record.outline) not in _POINTS.get(record.type, ()):
            raise SessionError(
                f"{where}.outline: {len(record.outline)} points draw no {record.type}"
            )
        return SavedStep(prompt, record.predict, np.asarray(record.outline, np.float64))


def from_document(record: Document, limit: int) -> SavedSession:
    """Values of a session.

    Parameters
    ----------
    record : Document
        As validated.
    limit : int
        Most voxels of a mask, from `voxel_limit`.

    Returns
    -------
    SavedSession
        Equal by content to what was written.

    Raises
    ------
    SessionError
        That names the field, if parts of the record contradict each other, or a mask is too large or damaged.
    """
    check_frames(record)
    unpack = _Unpacker(limit, len(record.image.shape))
    frames = []
    for at, frame in enumerate(record.frames):
        objects = {}
        for label, one in frame.objects.items():
            where = f"frames[{at}].objects[{label}]"
            mask = unpack.mask(one.mask, f"{where}.mask")
            shown = mask if one.shown == "mask" else unpack.mask(one.shown, f"{where}.shown")
            steps = unpack.steps(one.prompts, f"{where}.prompts")
            objects[int(label)] = SavedObject(steps, mask, shown)
        index = tuple(frame.index)
        frames.append(SavedFrame(index, frame.channel, frame.label, objects, frame.sha256))
    image = record.image
    return SavedSession(
        SavedImage(tuple(image.shape), _three(image.spacing), image.name, image.dtype),
        SavedModel(**record.model.model_dump()),
        tuple(frames),
        None if record.run is None else SavedRun(**record.run.model_dump()),
        _by_label(record.names),
        _by_label(record.numbers),
        record.version,
    )


def from_engine(record: EnginePrompts, limit: int) -> SavedSession:
    """Values of what a session of the engine wrote before; as `from_document`."""
    unpack = _Unpacker(limit, 3)
    mask = unpack.mask(record.mask, "mask")
    made = SavedObject(unpack.steps(record.prompts, "prompts"), mask, mask)
    image, model = record.image, record.model
    return SavedSession(
        SavedImage(tuple(image.shape), _three(image.spacing), dtype=image.dtype),
        SavedModel(model.id, model.sha256, model.licence or ""),
        (SavedFrame((0, 0, 0), None, 1, {1: made}, image.sha256),),
        SavedRun(**record.run.model_dump()),
        version=record.version,
    )


def from_panel(record: PanelObjects, limit: int) -> SavedSession:
    """Values of what the panel wrote before; as `from_document`."""
    check_frames(record)
    unpack = _Unpacker(limit, len(record.image.shape))
    frames = []
    for at, frame in enumerate(record.frames):
        objects = {}
        for label in sorted(frame.objects.keys() | frame.result.keys(), key=int):
            where, made = f"frames[{at}].objects[{label}]", frame.objects.get(label)
            objects[int(label)] = SavedObject(
                () if made is None else unpack.steps(made.marks, f"{where}.marks"),
                None if made is None else unpack.mask(made.mask, f"{where}.mask"),
                unpack.mask(frame.result.get(label), f"frames[{at}].result[{label}]"),
            )
        frames.append(SavedFrame(tuple(frame.index), frame.channel, frame.label, objects))
    return SavedSession(
        SavedImage(tuple(record.image.shape), name=record.image.name),
        SavedModel(**record.model.model_dump()),
        tuple(frames),
        names=_by_label(record.names),
        numbers=_by_label(record.numbers),
    )


def check_frames(record: Document | PanelObjects) -> None:
    """Refuse frames that are not of the image, or come twice.

    Raises
    ------
    SessionError
        That names the field.
    """
    shape = record.image.shape
    places = [(tuple(frame.index), frame.channel) for frame in record.frames]
    seen = set()
    for at, (index, channel) in enumerate(places):
        if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
            raise SessionError(f"frames[{at}].index: lies outside the image of shape {shape}")
        if (index, channel) in seen:
            raise SessionError(f"frames[{at}].index: this frame is there twice")
        seen.add((index, channel))


def to_document(session: SavedSession) -> dict[str, Any]:
    """Content of the file for a session: JSON types only.

    Parameters
    ----------
    session : SavedSession
        Any; whether it can be read again is for `document.validated` to say.
    """
    image = {
        "shape": [int(n) for n in session.image.shape],
        "spacing": [float(n) for n in session.image.spacing],
        "name": _text(session.image.name),
        "dtype": session.image.dtype,
    }
    run = session.run
    return {
        "format": "napari-nninteractive session",
        "format_version": 2,
        "version": session.version,
        "image": image,
        "model": {k: _text(v) for k, v in asdict(session.model).items()},
        "run": None if run is None else _run(run),
        "names": {str(label): _text(name) for label, name in session.names.items()},
        "numbers": {str(label): int(number) for label, number in session.numbers.items()},
        "frames": [_frame(frame) for frame in session.frames],
    }


def check_size(session: SavedSession) -> None:
    """Refuse to write masks so large that they would be refused when they are read.

    Raises
    ------
    SessionError
        That names the object.
    """
    limit, total = voxel_limit(session.image.shape), 0
    for at, frame in enumerate(session.frames):
        for label, one in frame.objects.items():
            held = [*(step.prompt for step in one.steps), one.mask]
            held += [] if one.shown == one.mask else [one.shown]
            sizes = [p.bounds.size for p in held if isinstance(p, _DRAWN)]
            total += sum(sizes)
            if max(sizes, default=0) > limit or total > _MOST:
                raise SessionError(f"frames[{at}].objects[{label}]: its masks are too large")


def _frame(frame: SavedFrame) -> dict[str, Any]:
    return {
        "index": [int(n) for n in frame.index],
        "channel": None if frame.channel is None else int(frame.channel),
        "sha256": frame.sha256,
        "label": int(frame.label),
        "objects": {str(label): _object(one) for label, one in frame.objects.items()},
    }


def _object(one: SavedObject) -> dict[str, Any]:
    same = one.mask is not None and one.mask == one.shown
    return {
        "prompts": [_step(step) for step in one.steps],
        "mask": None if one.mask is None else prompt_to_json(one.mask),
        "shown": "mask" if same else None if one.shown is None else prompt_to_json(one.shown),
    }


def _step(step: SavedStep) -> dict[str, Any]:
    (record,) = plan_to_json([(step.prompt, bool(step.predicted))])
    # What the prompt itself does not need is left out where it could not be read again.
    if step.outline is not None and _can_be_read(step.outline, record["type"]):
        record["outline"] = np.asarray(step.outline, np.float64).tolist()
    return record


def _can_be_read(outline: NDArray[np.float64], kind: str) -> bool:
    near = bool(np.all(np.abs(outline) <= FARTHEST))
    return near and len(outline) in _POINTS.get(kind, ())


def _run(run: SavedRun) -> dict[str, Any]:
    return {
        "device": run.device,
        "precision": run.precision,
        "threads": int(run.threads),
        "torch": run.torch,
        "autozoom": bool(run.autozoom),
        "config": dict(run.config),
    }


def _text(text: str | None) -> str | None:
    """Text that JSON can hold: names of files may have bytes that are no characters."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    z, y, x = values
    return float(z), float(y), float(x)


def _by_label(record: Mapping[str, _Value]) -> dict[int, _Value]:
    return {int(label): value for label, value in record.items()}
