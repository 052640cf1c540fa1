"""The engine of this project behind the few calls that `_measure.py` makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

import napari_nninteractive as nni
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.device import Runner
from napari_nninteractive.engine.engine import Engine as OurEngine
from napari_nninteractive.engine.tiling import opened, plan_tiles

__all__ = ["Engine", "plan", "version"]

version = nni.__version__


class _Calls:
    """Takes hooks as a module of torch does, and calls them around every pass of the engine, whatever runs it."""

    def __init__(self) -> None:
        self._before: list[Callable[..., Any]] = []
        self._after: list[Callable[..., Any]] = []
        self.register_forward_pre_hook = self._before.append
        self.register_forward_hook = self._after.append
        run = Runner.__call__

        def watched(runner: Runner, inputs: torch.Tensor) -> torch.Tensor:
            for hook in self._before:
                hook()
            logits = run(runner, inputs)
            for hook in self._after:
                hook()
            return logits

        Runner.__call__ = watched  # type: ignore[method-assign, assignment]


class Engine:
    """A session on the CPU.

    Parameters
    ----------
    model : str
        Model folder.
    precision : {"auto", "fp32", "bf16", "int8"}
        Of the network.
    rule : torch.nn.Module, optional
        What to call instead of the model's network.
    autozoom : bool
        Whether the view may widen.
    """

    def __init__(
        self,
        model: str,
        precision: str = "auto",
        rule: torch.nn.Module | None = None,
        autozoom: bool = True,
    ) -> None:
        loaded = nni.load_model(model, device="cpu")
        self.network: Any = _Calls() if rule is None else rule
        self._session = nni.InferenceSession(
            loaded, precision=cast(Any, precision), network=rule, autozoom=autozoom
        )

        # What the session chose; built once more, since a session does not hand out its engine.
        self.execution = OurEngine.of(loaded, precision=cast(Any, precision)).execution

    def open(self, image: NDArray[Any]) -> None:
        """Take an image (z, y, x)."""
        self._session.set_image(image)

    def click(self, position: tuple[int, int, int], positive: bool = True) -> None:
        """Predict from one more point at voxel (z, y, x)."""
        self._session.add(nni.Point(position, positive=positive))

    def reset(self) -> None:
        """Start the next object."""
        self._session.reset()

    def mask(self) -> NDArray[np.uint8]:
        """Copy of the mask, (z, y, x)."""
        return np.asarray(self._session.mask[...]).astype(np.uint8)


def plan(change: NDArray[np.bool_], patch: int) -> dict[str, Callable[[], Any]]:
    """What to time for the planning of a refinement, by name; "plan" returns the boxes."""
    config = EngineConfig()
    return {
        "plan": lambda: plan_tiles(change, (0, 0, 0), (patch,) * 3, config.margin_fraction),
        "opening": lambda: opened(change, config.opening_side),
    }
