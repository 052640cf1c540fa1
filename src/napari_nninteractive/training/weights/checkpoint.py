"""Checkpoints and snapshots of runs: written whole or not at all, read without running anything, averaged."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from napari_nninteractive.errors import Advice, ModelError, Remedy
from napari_nninteractive.files import atomic_write
from napari_nninteractive.training.config import TrainConfig
from napari_nninteractive.training.data.dataset import EpisodeConfig
from napari_nninteractive.training.network import NetworkConfig

__all__ = [
    "CHECKPOINT",
    "SNAPSHOTS",
    "check_same_run",
    "config_of",
    "mean_weights",
    "read_checkpoint",
    "write_checkpoint",
    "write_snapshot",
]

CHECKPOINT = "checkpoint.pt"
"""File in the output folder that a run continues from."""

SNAPSHOTS = "snapshots"
"""Folder in the output folder that holds the averaged weights of earlier steps."""

_MAY_DIFFER = {
    "minutes",
    "max_steps",
    "rate",
    "warm_up",
    "cool_from",
    "workers",
    "save_every",
    "snapshots",
    "data",  # the source has a fingerprint of it
}

_PARTS = {
    "network",
    "averaged",
    "optimizer",
    "step",
    "spent",
    "samples",
    "next_scene",
    "active",
    "waiting",
}
"""What a checkpoint must hold, beside its configuration, to be gone on from."""

Weights = dict[str, torch.Tensor]


def write_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint; an earlier one is replaced only once it is complete.

    Raises
    ------
    ModelError
        If it cannot be written; nothing is left of it, and the earlier one stays.
    """
    try:
        with atomic_write(path) as beside, beside.open("wb") as file:
            torch.save(dict(state), file)
    except (OSError, RuntimeError) as error:  # torch has the second for a full disk
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{path} could not be written ({reason}).", Remedy.MAKE_ROOM_AND_RESUME
        ) from error


def write_snapshot(config: TrainConfig, weights: Weights, step: int, folder: Path) -> Path:
    """Write averaged weights beside those of earlier steps, of which the latest are kept.

    Parameters
    ----------
    config
        The run; says how many are kept.
    weights
        Averaged weights by name.
    step
        Steps done.
    folder
        Output folder of the run.

    Returns
    -------
    Path
        The file.
    """
    place = folder / SNAPSHOTS
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"step_{step:08d}.pt"
    write_checkpoint({"config": asdict(config), "averaged": weights, "step": step}, path)
    for old in sorted(place.glob("step_*.pt"))[: -config.snapshots]:
        old.unlink()
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint or snapshot, on the CPU.

    Raises
    ------
    ModelError
        If the file is missing, damaged, holds more than tensors and plain values, or is no checkpoint of a run.
    """
    if not path.is_file():
        raise ModelError(f"There is no checkpoint {path}: check its name and folder.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is damaged or holds more than weights, and was refused, for such a file can run any program "
            "when it is opened.",
            Remedy.BEGIN_ELSEWHERE,
        ) from error
    except Exception as error:  # damaged bytes can fail anywhere in the unpickler
        raise ModelError(
            f"{path} is damaged, cut short or no checkpoint.", Remedy.BEGIN_ELSEWHERE
        ) from error
    if not isinstance(state, dict) or not {"config", "averaged", "step"} <= set(state):
        raise ModelError(
            f"{path} is no checkpoint of a run: name a {CHECKPOINT} or a file of its folder {SNAPSHOTS}."
        )
    return state


def config_of(state: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration in a checkpoint; what it does not name, since it is older, has its default."""
    saved = _completed(state["config"])
    network = NetworkConfig(**_known(NetworkConfig, saved["network"]))
    episodes = EpisodeConfig(**_known(EpisodeConfig, saved["episodes"]))
    rest = _known(TrainConfig, saved) | {"network": network, "episodes": episodes}
    return TrainConfig(**rest)


def _known(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {k: v for k, v in values.items() if k in names}


def _completed(saved: Mapping[str, Any]) -> dict[str, Any]:
    default = asdict(TrainConfig())
    out = default | dict(saved)
    for part in ("network", "episodes"):
        out[part] = default[part] | dict(saved.get(part, {}))
    return out


def check_same_run(state: Mapping[str, Any], config: TrainConfig, source: str, path: Path) -> None:
    """Check that a checkpoint is one of this run; budget, schedule and speed may differ.

    Raises
    ------
    ModelError
        Naming what differs, or if a part of it is missing, as in a snapshot.
    """
    missing = sorted(_PARTS - set(state))
    if missing:
        raise ModelError(
            f"{path} cannot be gone on from, for it lacks {', '.join(missing)}.",
            Remedy.BEGIN_ELSEWHERE,
        )
    saved, now = asdict(config_of(state)), asdict(config)
    free = _MAY_DIFFER | ({"network"} if config.origin is not None else set())  # plans say it then
    differs = [k for k, v in saved.items() if k not in free and now.get(k) != v]
    if state.get("source", "scenes") != source:
        differs.append("source of data")
    if differs:
        raise ModelError(
            f"{path} belongs to a run with another {', '.join(differs)}.",
            Advice(Remedy.BEGIN_FROM, name=str(path)),
        )


def mean_weights(paths: Sequence[Path]) -> tuple[TrainConfig, Weights]:
    """Return the mean of the averaged weights of checkpoints or snapshots of one architecture.

    Parameters
    ----------
    paths : sequence of Path
        At least one.

    Returns
    -------
    tuple
        Configuration of the first, and weights by name, float32.

    Raises
    ------
    ModelError
        If a file is no checkpoint, or one has other weights than the first.
    """
    if not paths:
        raise ModelError("There is nothing to average: name at least one checkpoint.")
    first = read_checkpoint(paths[0])
    total = {k: v.double() for k, v in first["averaged"].items()}
    for path in paths[1:]:
        weights = read_checkpoint(path)["averaged"]
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in total.items()}:
            raise ModelError(
                f"{path} has other weights than {paths[0]}: only runs of one architecture can be averaged."
            )
        for name, value in weights.items():
            total[name] += value
    return config_of(first), {k: (v / len(paths)).float() for k, v in total.items()}
