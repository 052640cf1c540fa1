"""The engine that was chosen: loaded when it is first needed, off the thread of a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nninteractive.engine.preload import open_torch_libraries
from napari_nninteractive.workspace.commands import ModelChoice

if TYPE_CHECKING:
    from napari_nninteractive.engine.engine import Engine
    from napari_nninteractive.engine.estimate import Estimate

__all__ = ["estimate_cost", "load_chosen"]


def load_chosen(choice: ModelChoice) -> Engine:
    """Load a model; imports torch, so not on the thread of a window.

    Raises
    ------
    ModelError, SessionError
        If the model or the device is not there.
    """
    open_torch_libraries()
    from napari_nninteractive.engine.engine import load_engine

    return load_engine(
        choice.name,
        choice.device,
        precision=choice.precision,  # type: ignore[arg-type]  # checked there
    )


def estimate_cost(engine: Engine) -> Estimate:
    """Time one pass of the network on a small patch."""
    from napari_nninteractive.engine.estimate import estimate

    return estimate(engine.model, precision=engine.precision)
