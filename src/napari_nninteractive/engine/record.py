"""Saved sessions: prompts, mask, and the identity of model and image in one JSON file, checked when it is read."""

from __future__ import annotations

import dataclasses
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

import napari_nninteractive
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.metrics import dice
from napari_nninteractive.core.plan import Plan, plan_from_json, plan_to_json
from napari_nninteractive.core.prompts import InitialMask, prompt_from_json, prompt_to_json
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.device import Precision
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.store import MaskView
from napari_nninteractive.errors import (
    ImageError,
    ModelError,
    NNInteractiveError,
    SessionError,
)
from napari_nninteractive.files import atomic_write

__all__ = [
    "Identity",
    "ImageIdentity",
    "ModelIdentity",
    "RunSettings",
    "Saved",
    "check_identity",
    "compare",
    "describe",
    "precision_on",
    "read",
    "write",
]

_FORMAT, _VERSION = "napari-nninteractive session", 1
_AGREEMENT = 0.99  # Dice that other hardware is expected to reach


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model.

    Attributes
    ----------
    id : str
        What it was loaded as.
    sha256 : str
        Hash of its files.
    licence : str or None
        As it states it.
    """

    id: str
    sha256: str
    licence: str | None


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """Which image.

    Attributes
    ----------
    shape : tuple of int
        (z, y, x) in voxels.
    dtype : str
        As numpy names it.
    spacing : tuple of float
        Physical size of a voxel (z, y, x).
    sha256 : str
        Hash of shape, type and voxels.
    """

    shape: Index3
    dtype: str
    spacing: tuple[float, float, float]
    sha256: str


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How the network ran.

    Attributes
    ----------
    device : str
        As torch names it.
    precision : str
        Of the network: "fp32", "bf16" or "fp16".
    threads : int
        That torch used.
    torch : str
        Its version.
    autozoom : bool
        Whether AutoZoom was on.
    config : EngineConfig
        Thresholds.
    """

    device: str
    precision: str
    threads: int
    torch: str
    autozoom: bool
    config: EngineConfig


@dataclass(frozen=True, slots=True)
class Identity:
    """All that a mask depends on beside the prompts.

    Attributes
    ----------
    model : ModelIdentity
        Which model.
    image : ImageIdentity
        Which image.
    run : RunSettings
        How the network ran.
    """

    model: ModelIdentity
    image: ImageIdentity
    run: RunSettings

    @classmethod
    def of(cls, engine: Engine, volume: Volume) -> Identity:
        """Identity of an image that an engine is opened on; the image is passed over once."""
        model = engine.model
        return cls(
            ModelIdentity(model.id, model.sha256, model.licence),
            ImageIdentity(volume.shape, str(volume.dtype), volume.spacing, volume.sha256()),
            RunSettings(
                str(engine.device),
                engine.precision,
                torch.get_num_threads(),
                torch.__version__,
                engine.autozoom,
                engine.config,
            ),
        )


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved session as read.

    Attributes
    ----------
    identity : Identity
        Model, image, and how the network ran.
    plan : Plan
        Steps: what was added (None: nothing), and whether the network ran then.
    mask : InitialMask or None
        The mask that came of it; None where it was empty.
    """

    identity: Identity
    plan: Plan
    mask: InitialMask | None


def precision_on(device: torch.device, run: RunSettings) -> Precision:
    """Saved precision where a device has it, else "auto"."""
    known = run.precision in ("fp32", "bf16") or (run.precision == "fp16" and device.type == "cuda")
    return cast(Precision, run.precision) if known else "auto"


def describe(identity: Identity, plan: Plan, mask: MaskView) -> dict[str, Any]:
    """Content of the file for an object.

    Parameters
    ----------
    identity : Identity
        What the mask depends on beside the plan.
    plan : Plan
        What was done.
    mask : MaskView
        What came of it, of the shape of the image.

    Returns
    -------
    dict
        JSON types only, for `write`.
    """
    bounds = mask.bounds
    saved = None if bounds is None else InitialMask(mask[bounds.slices], bounds.start, mask.shape)
    return {
        "format": _FORMAT,
        "format_version": _VERSION,
        "version": napari_nninteractive.__version__,
        **dataclasses.asdict(identity),
        "prompts": plan_to_json(plan),
        "mask": None if saved is None else prompt_to_json(saved),
    }


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
    depth, height, width = (int(n) for n in image["shape"])
    return Saved(
        Identity(
            ModelIdentity(str(model["id"]), str(model["sha256"]), _text_or_none(model["licence"])),
            ImageIdentity(
                (depth, height, width), str(image["dtype"]), (z, y, x), str(image["sha256"])
            ),
            RunSettings(
                str(run["device"]),
                str(run["precision"]),
                int(run["threads"]),
                str(run["torch"]),
                bool(run["autozoom"]),
                EngineConfig(**run["config"]),
            ),
        ),
        plan_from_json(content["prompts"]),
        mask,
    )


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def check_identity(saved: Saved, found: Identity) -> None:
    """Refuse another image or model than the saved one.

    Parameters
    ----------
    saved : Saved
        What was saved.
    found : Identity
        What there is now.

    Raises
    ------
    ImageError, ModelError
        If their hashes differ.
    SessionError
        If the saved mask is not of this image.
    """
    if found.image.sha256 != saved.identity.image.sha256:
        raise ImageError(
            "This is not the image of the saved session: its voxels, type or shape differ."
        )
    if found.model.sha256 != saved.identity.model.sha256:
        raise ModelError(
            f"The model {found.model.id} is not that of the saved session ({saved.identity.model.id}): its files "
            "differ."
        )
    if saved.mask is not None and saved.mask.shape != found.image.shape:
        raise SessionError(
            f"The file is damaged: its mask has shape {saved.mask.shape}, its image {found.image.shape}."
        )


def compare(saved: InitialMask | None, mask: MaskView) -> None:
    """Warn where a replayed mask differs from the saved one.

    Parameters
    ----------
    saved : InitialMask or None
        The saved mask; None where it was empty.
    mask : MaskView
        The replayed one, of the same shape.
    """
    box = mask.bounds or Box.EMPTY
    if saved is not None:
        box = box.union(saved.bounds)
    new, old = mask[box.slices] != 0, np.zeros(box.shape, bool)
    if saved is not None:
        old[saved.bounds.relative_to(box).slices] = saved.mask
    if np.array_equal(new, old):
        return
    agreement = dice(new, old)
    note = (
        "as other hardware or another version rounds otherwise"
        if agreement >= _AGREEMENT
        else (
            "which is more than other hardware explains: check the mask, or start from it with InitialMask"
        )
    )
    warnings.warn(
        f"The replayed mask has a Dice coefficient of {agreement:.4f} with the saved one, {note}.",
        stacklevel=3,
    )
