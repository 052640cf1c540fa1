"""Saved sessions of the engine: what is written of an object, and what must be the same when it is run again."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from typing import cast

import numpy as np
import torch

import napari_nninteractive
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.metrics import dice
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.device import Precision
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.model import Model
from napari_nninteractive.engine.store import MaskView
from napari_nninteractive.errors import ImageError, ModelError, SessionError
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedRun,
    SavedSession,
    SavedStep,
)

__all__ = ["check_same", "compare", "describe", "saved_model", "saved_run", "settings_of"]

_AGREEMENT = 0.99  # Dice that other hardware is expected to reach


def saved_model(model: Model) -> SavedModel:
    """Identity of a model; where it is to run is left to whoever opens the file."""
    return SavedModel(model.id, model.sha256, model.licence or "")


def saved_run(engine: Engine) -> SavedRun:
    """How an engine computes."""
    return SavedRun(
        str(engine.device),
        engine.precision,
        torch.get_num_threads(),
        torch.__version__,
        engine.autozoom,
        asdict(engine.config),
    )


def describe(
    engine: Engine, volume: Volume, plan: Plan, mask: MaskView, name: str = ""
) -> SavedSession:
    """One object of one volume, as it is saved.

    Parameters
    ----------
    engine : Engine
        The model and how it ran.
    volume : Volume
        The image; passed over once for its hash.
    plan : Plan
        What was done.
    mask : MaskView
        What came of it, of the shape of the image.
    name : str
        Of the image.

    Returns
    -------
    SavedSession
        With one frame, and in it the object with label 1.
    """
    bounds = mask.bounds
    kept = None if bounds is None else MaskEdit(mask[bounds.slices], bounds.start)
    steps = tuple(SavedStep(prompt, predicted) for prompt, predicted in plan)
    shape = tuple(int(n) for n in volume.data.shape)
    return SavedSession(
        SavedImage(shape, volume.spacing, name, str(volume.dtype)),
        saved_model(engine.model),
        (
            SavedFrame(
                (0,) * len(shape),
                None,
                1,
                {1: SavedObject(steps, kept, kept)},
                volume.sha256(),
            ),
        ),
        saved_run(engine),
        version=napari_nninteractive.__version__,
    )


def settings_of(saved: SavedSession, device: torch.device) -> tuple[Precision, bool, EngineConfig]:
    """How to compute as it was computed.

    Parameters
    ----------
    saved : SavedSession
        What was saved.
    device : torch.device
        That there is now.

    Returns
    -------
    precision : str
        The saved one where the device has it, else "auto".
    autozoom : bool
        Whether AutoZoom is on; it is where the file does not say.
    config : EngineConfig
        Thresholds; the published ones where the file does not say, for those were in force then.

    Raises
    ------
    SessionError
        If the saved thresholds are none that the engine knows.
    """
    run = saved.run
    wanted = saved.model.precision if run is None else run.precision
    known = wanted in ("fp32", "bf16") or (wanted == "fp16" and device.type == "cuda")
    precision = cast(Precision, wanted if known else "auto")
    if run is None:
        return precision, True, EngineConfig()
    try:
        return precision, run.autozoom, EngineConfig(**run.config)
    except (SessionError, TypeError) as error:
        raise SessionError(f"The file is damaged: run.config: {error}") from error


def check_same(saved: SavedSession, frame: SavedFrame, model: Model, volume: Volume) -> None:
    """Refuse another image or model than the saved one, and warn of what cannot be checked.

    Parameters
    ----------
    saved : SavedSession
        What was saved.
    frame : SavedFrame
        The frame of it that is run again.
    model : Model
        The model that is there.
    volume : Volume
        The image that is there.

    Raises
    ------
    ImageError, ModelError
        If their hashes differ.
    """
    if frame.sha256 not in (None, volume.sha256()):
        raise ImageError(
            "This is not the image of the saved session: its voxels, type or shape differ."
        )
    if saved.model.sha256 not in (None, model.sha256):
        raise ModelError(
            f"The model {model.id} is not that of the saved session ({saved.model.name}): its files differ."
        )
    unknown = {
        "whether this is its image, beyond the shape": frame.sha256,
        "whether this is its model": saved.model.sha256,
        "with which precision and thresholds it was computed": saved.run,
    }
    missing = [what for what, value in unknown.items() if value is None]
    if missing:
        warnings.warn(f"The file does not say {', nor '.join(missing)}.", stacklevel=3)


def compare(saved: MaskEdit | None, mask: MaskView) -> None:
    """Warn where a replayed mask differs from the saved one.

    Parameters
    ----------
    saved : MaskEdit or None
        The saved mask; None where it was empty.
    mask : MaskView
        The replayed one, of the shape of the image.

    Raises
    ------
    SessionError
        If the saved mask reaches beyond the image.
    """
    box = mask.bounds or Box.EMPTY
    if saved is not None:
        if not Box.of_shape(mask.shape).contains(saved.bounds):
            raise SessionError(
                f"The file is damaged: its mask reaches beyond the image of shape {mask.shape}."
            )
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
