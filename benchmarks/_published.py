"""The published engine (nnInteractive, Apache-2.0) behind the few calls that `_measure.py` makes.

It is used as its README says, through its public session; nothing of it is part of this project.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import version as version_of
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Engine", "plan", "version"]

version = version_of("nnInteractive")
_MARGIN = 24  # voxels per side of a patch, and the depth below, as its session plans
_DEPTH = 3


class Engine:
    """A session on the CPU.

    Parameters
    ----------
    model : str
        Model folder.
    precision : {"auto", "fp32"}
        It has fp32 alone there.
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
        if precision not in ("auto", "fp32"):
            raise ValueError(f"The published engine has no {precision} on a CPU.")
        module = importlib.import_module("nnInteractive.inference.inference_session")
        self._session = module.nnInteractiveInferenceSession(
            device=torch.device("cpu"),
            torch_n_threads=torch.get_num_threads(),
            do_autozoom=autozoom,
        )
        self._session.initialize_from_trained_model_folder(model)
        if rule is not None:
            self._session.network = rule
        self.network: torch.nn.Module = self._session.network
        self._target = torch.zeros((1, 1, 1), dtype=torch.uint8)

    def open(self, image: NDArray[Any]) -> None:
        """Take an image (z, y, x)."""
        self._target = torch.zeros(image.shape, dtype=torch.uint8)
        self._session.set_image(image[None])
        self._session.set_target_buffer(self._target)

    def click(self, position: tuple[int, int, int], positive: bool = True) -> None:
        """Predict from one more point at voxel (z, y, x)."""
        self._session.add_point_interaction(position, include_interaction=positive)

    def reset(self) -> None:
        """Start the next object."""
        self._session.reset_interactions()

    def mask(self) -> NDArray[np.uint8]:
        """Copy of the mask, (z, y, x)."""
        return np.array(self._target.numpy())


def plan(change: NDArray[np.bool_], patch: int) -> dict[str, Callable[[], Any]]:
    """What to time for the planning of a refinement, by name; "plan" returns the boxes."""
    module = importlib.import_module("nnInteractive.utils.bboxes")
    mask = torch.from_numpy(change.astype(np.uint8))
    return {
        "plan": lambda: module.generate_bounding_boxes(
            mask, (patch,) * 3, stride="auto", margin=(_MARGIN,) * 3, max_depth=_DEPTH
        )
    }
