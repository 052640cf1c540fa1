"""From a finished training run, or from its checkpoints, to a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_nninteractive.training.loss import supervise
from napari_nninteractive.training.weights.checkpoint import mean_weights
from napari_nninteractive.training.weights.export import export_like, export_model
from napari_nninteractive.training.weights.origin import Origin, load_weights, origin_of

if TYPE_CHECKING:
    from napari_nninteractive.training.loop import Trainer

__all__ = ["export_average", "export_run"]


def export_run(trainer: Trainer, folder: Path, *, version: str = "1") -> Path:
    """Write the averaged weights of a run as a model folder.

    Parameters
    ----------
    trainer : Trainer
        The run.
    folder : Path
        Model folder; may be the one that holds the checkpoint.
    version : str
        Version of the weights, for people.

    Returns
    -------
    Path
        The folder.
    """
    return _export(trainer.averaged_network(), trainer.origin, folder, version)


def export_average(
    checkpoints: Sequence[Path],
    folder: Path,
    *,
    name: str = "",
    licence: str = "",
    version: str = "1",
) -> Path:
    """Write the mean of the averaged weights of checkpoints or snapshots as a model folder.

    Parameters
    ----------
    checkpoints : sequence of Path
        At least one, of one architecture; also of different runs.
    folder : Path
        Model folder.
    name, licence : str
        As for :func:`~napari_nninteractive.training.weights.export.export_model`; a model that started from another
        keeps the licence of that.
    version : str
        Version of the weights, for people.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If a file is no checkpoint or does not fit the first, or the model that it started from is not there.
    """
    config, weights = mean_weights(checkpoints)
    origin = origin_of(config)
    load_weights(origin.network, weights, checkpoints[0])
    supervise(origin.network, deep=False)
    return _export(origin.network.eval(), origin, folder, version, name, licence)


def _export(
    network: torch.nn.Module,
    origin: Origin,
    folder: Path,
    version: str,
    name: str = "",
    licence: str = "",
) -> Path:
    if origin.model is not None:
        return export_like(
            network, folder, source=origin.model, patch=origin.patch, version=version
        )
    return export_model(
        network,
        folder,
        config=origin.config,
        encoding=origin.encoding,
        name=name,
        licence=licence,
        version=version,
    )
