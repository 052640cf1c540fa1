"""From a finished training run to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_nninteractive.training.dataset import ENCODING
from napari_nninteractive.training.export import export_model

if TYPE_CHECKING:
    from napari_nninteractive.training.loop import Trainer

__all__ = ["export_run"]


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
    return export_model(
        trainer.averaged_network(),
        folder,
        config=trainer.config.network,
        encoding=ENCODING,
        version=version,
    )
