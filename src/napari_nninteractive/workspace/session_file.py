"""A session in a file: the objects of an image, their prompts and masks, and the model; JSON, written whole or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from napari_nninteractive.core.prompts import MaskEdit, prompt_from_json, prompt_to_json
from napari_nninteractive.errors import NNInteractiveError, SessionError
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedSession,
    SavedStep,
)

__all__ = ["read", "write"]

_FORMAT, _VERSION = "napari-nninteractive panel", 1


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
        "image": {"name": session.image.name, "shape": list(session.image.shape)},
        "model": {
            "name": session.model.name,
            "device": session.model.device,
            "precision": session.model.precision,
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
            SavedImage(
                tuple(int(n) for n in record["image"]["shape"]), name=str(record["image"]["name"])
            ),
            SavedModel(**{str(k): str(v) for k, v in record["model"].items()}),
            tuple(_frame_from_json(frame) for frame in record["frames"]),
            names={int(k): str(v) for k, v in record["names"].items()},
            numbers={int(k): int(v) for k, v in record.get("numbers", {}).items()},
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
                "marks": [_step_to_json(step) for step in saved.steps if step.prompt is not None],
                "mask": None if saved.mask is None else prompt_to_json(saved.mask),
            }
            for label, saved in frame.objects.items()
            if saved.steps
        },
        "result": {
            str(label): prompt_to_json(saved.shown)
            for label, saved in frame.objects.items()
            if saved.shown is not None
        },
    }


def _frame_from_json(record: dict[str, Any]) -> SavedFrame:
    made = {int(label): saved for label, saved in record["objects"].items()}
    shown = {int(label): _mask(piece) for label, piece in record["result"].items()}
    objects = {}
    for label in sorted(made.keys() | shown.keys()):
        saved = made.get(label, {"marks": [], "mask": None})
        objects[label] = SavedObject(
            tuple(_step_from_json(step) for step in saved["marks"]),
            None if saved["mask"] is None else _mask(saved["mask"]),
            shown.get(label),
        )
    return SavedFrame(
        tuple(int(n) for n in record["index"]),
        None if record["channel"] is None else int(record["channel"]),
        int(record["label"]),
        objects,
    )


def _step_to_json(step: SavedStep) -> dict[str, Any]:
    outline = None if step.outline is None else np.asarray(step.outline).tolist()
    prompt = None if step.prompt is None else prompt_to_json(step.prompt)
    return {"prompt": prompt, "outline": outline, "predicted": step.predicted}


def _step_from_json(record: dict[str, Any]) -> SavedStep:
    outline = record["outline"]
    vertices = None if outline is None else np.asarray(outline, np.float64)
    if vertices is not None and (vertices.ndim != 2 or not np.isfinite(vertices).all()):
        raise ValueError("an outline is not a list of points")
    return SavedStep(prompt_from_json(record["prompt"]), bool(record["predicted"]), vertices)


def _mask(record: Any) -> MaskEdit:
    prompt = prompt_from_json(record)
    if not isinstance(prompt, MaskEdit):
        raise ValueError("a mask is missing")
    return prompt
