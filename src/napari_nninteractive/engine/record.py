"""Saved sessions: prompts, mask, and the identity of model and image in one JSON file, checked when it is read."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

import napari_nninteractive
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import (
    InitialMask,
    MaskEdit,
    Prompt,
    prompt_from_json,
    prompt_to_json,
)
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.device import Precision
from napari_nninteractive.errors import (
    ImageError,
    ModelError,
    NNInteractiveError,
    PromptError,
    SessionError,
)
from napari_nninteractive.files import atomic_write

if TYPE_CHECKING:
    from napari_nninteractive.engine.session import InferenceSession

__all__ = ["Saved", "check_identity", "compare", "describe", "plan_from_json", "read", "write"]

_FORMAT, _VERSION = "napari-nninteractive session", 1
_AGREEMENT = 0.99  # Dice that other hardware is expected to reach

Plan = tuple[tuple[Prompt | None, bool], ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved session as read.

    Attributes
    ----------
    model_id, model_sha256 : str
        Name and hash of the model.
    image_sha256 : str
        Hash of shape, type and voxels of the image.
    spacing : tuple of float
        Physical size of a voxel (z, y, x).
    precision : str
        Of the network.
    autozoom : bool
        Whether AutoZoom was on.
    config : EngineConfig
        Thresholds.
    plan : tuple of (Prompt or None, bool)
        Steps: what was added (None: nothing), and whether the network ran then.
    mask : InitialMask or None
        The mask that came of it; None where it was empty.
    """

    model_id: str
    model_sha256: str
    image_sha256: str
    spacing: tuple[float, float, float]
    precision: str
    autozoom: bool
    config: EngineConfig
    plan: Plan
    mask: InitialMask | None

    def precision_on(self, device: torch.device) -> Precision:
        """Saved precision where the device has it, else its own."""
        known = self.precision in ("fp32", "bf16") or (
            self.precision == "fp16" and device.type == "cuda"
        )
        return cast(Precision, self.precision) if known else "auto"


def describe(
    session: InferenceSession, plan: Sequence[tuple[Prompt | None, bool]]
) -> dict[str, Any]:
    """Content of the file for a session, as JSON types."""
    mask = session.mask
    bounds = mask.bounds
    saved_mask = None
    if bounds is not None:
        saved_mask = prompt_to_json(InitialMask(mask[bounds.slices], bounds.start, mask.shape))
    volume, model = session.volume, session.model
    return {
        "format": _FORMAT,
        "format_version": _VERSION,
        "version": napari_nninteractive.__version__,
        "model": {"id": model.id, "sha256": model.sha256, "licence": model.licence},
        "image": {
            "shape": list(volume.shape),
            "dtype": str(volume.dtype),
            "spacing": list(volume.spacing),
            "sha256": volume.sha256(),
        },
        "run": {
            "device": str(model.device),
            "precision": session.precision,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "autozoom": session.autozoom,
            "config": dataclasses.asdict(session.config),
        },
        "prompts": plan_to_json(plan),
        "mask": saved_mask,
    }


def plan_to_json(plan: Sequence[tuple[Prompt | None, bool]]) -> list[dict[str, Any]]:
    """Steps as a list of prompt records, each saying whether the network ran then."""
    return [
        ({"type": "predict"} if p is None else prompt_to_json(p)) | {"predict": ran}
        for p, ran in plan
    ]


def plan_from_json(records: object) -> Plan:
    """Steps from the list that `plan_to_json` made, or from bare prompt records.

    Parameters
    ----------
    records : list of dict
        Not trusted. A record without "predict" predicts as `InferenceSession.add` does by default.

    Returns
    -------
    tuple of (Prompt or None, bool)
        What to add, and whether to predict then.

    Raises
    ------
    PromptError
        If a record is not one of a prompt.
    SessionError
        If `records` is no list.
    """
    if not isinstance(records, list):
        raise SessionError("The prompts must be a list of records, each with a type.")
    plan: list[tuple[Prompt | None, bool]] = []
    for record in records:
        ran = record.get("predict") if isinstance(record, dict) else None
        if isinstance(record, dict) and record.get("type") == "predict":
            plan.append((None, True))
            continue
        fields = (
            {k: v for k, v in record.items() if k != "predict"}
            if isinstance(record, dict)
            else record
        )
        if not isinstance(ran, bool | None):
            raise PromptError(
                f"The field 'predict' of a prompt must be true or false, not {ran!r}."
            )
        prompt = prompt_from_json(fields)
        plan.append(
            (prompt, not isinstance(prompt, InitialMask | MaskEdit) if ran is None else ran)
        )
    return tuple(plan)


def write(path: str | Path, content: dict[str, Any]) -> None:
    """Write a session as JSON; a failure leaves the earlier file.

    Raises
    ------
    SessionError
        If it cannot be written.
    """
    try:
        with atomic_write(path) as beside, beside.open("x", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
    except (OSError, ValueError) as error:
        raise SessionError(f"{path} cannot be written: {error}. Choose another folder.") from error


def read(path: str | Path) -> Saved:
    """Saved session from a file that is not trusted.

    Raises
    ------
    SessionError
        If it is missing, damaged, of another kind, or of a newer version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SessionError(f"{path} cannot be read as a saved session: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise SessionError(f"{path} is no saved session: its field 'format' is not {_FORMAT!r}.")
    if content.get("format_version") != _VERSION:
        raise SessionError(
            f"{path} has format version {content.get('format_version')!r}, but this program reads {_VERSION}: "
            "update it."
        )
    try:
        return _saved(content)
    except (ArithmeticError, LookupError, TypeError, ValueError, NNInteractiveError) as error:
        raise SessionError(f"{path} is damaged: {type(error).__name__} {error}.") from error


def _saved(content: dict[str, Any]) -> Saved:
    run, image, model = content["run"], content["image"], content["model"]
    mask = prompt_from_json(content["mask"]) if content["mask"] is not None else None
    if mask is not None and not isinstance(mask, InitialMask):
        raise TypeError("field 'mask'")
    z, y, x = (float(s) for s in image["spacing"])
    return Saved(
        model_id=str(model["id"]),
        model_sha256=str(model["sha256"]),
        image_sha256=str(image["sha256"]),
        spacing=(z, y, x),
        precision=str(run["precision"]),
        autozoom=bool(run["autozoom"]),
        config=EngineConfig(**run["config"]),
        plan=plan_from_json(content["prompts"]),
        mask=mask,
    )


def check_identity(saved: Saved, session: InferenceSession) -> None:
    """Refuse another image or model than the saved one.

    Raises
    ------
    ImageError, ModelError
        If their hashes differ.
    SessionError
        If the saved mask is not of this image.
    """
    if session.volume.sha256() != saved.image_sha256:
        raise ImageError(
            "This is not the image of the saved session: its voxels, type or shape differ."
        )
    if session.model.sha256 != saved.model_sha256:
        raise ModelError(
            f"The model {session.model.id} is not that of the saved session ({saved.model_id}): its files differ."
        )
    if saved.mask is not None and saved.mask.shape != session.volume.shape:
        raise SessionError(
            f"The file is damaged: its mask has shape {saved.mask.shape}, its image {session.volume.shape}."
        )


def compare(saved: Saved, session: InferenceSession) -> None:
    """Warn where a replayed mask differs from the saved one."""
    mask = session.mask
    box = mask.bounds or Box.EMPTY
    if saved.mask is not None:
        box = box.union(saved.mask.bounds)
    new, old = mask[box.slices] != 0, np.zeros(box.shape, bool)
    if saved.mask is not None:
        old[saved.mask.bounds.relative_to(box).slices] = saved.mask.mask
    if np.array_equal(new, old):
        return
    dice = 2 * np.count_nonzero(new & old) / (np.count_nonzero(new) + np.count_nonzero(old))
    note = (
        "as other hardware or another version rounds otherwise"
        if dice >= _AGREEMENT
        else (
            "which is more than other hardware explains: check the mask, or start from it with InitialMask"
        )
    )
    warnings.warn(
        f"The replayed mask has a Dice coefficient of {dice:.4f} with the saved one, {note}.",
        stacklevel=3,
    )
