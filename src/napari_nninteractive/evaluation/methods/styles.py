"""Simulated users of the evaluation: the exact clicks of the reference protocol, and the agents of the article."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.errors import PromptError
from napari_nninteractive.evaluation.presets import STYLES
from napari_nninteractive.simulation.users.agents import AGENTS, VARIED, Agent, make_agent
from napari_nninteractive.simulation.users.next_prompt import UserStyle, next_centre_point

__all__ = ["CAREFUL", "CentreClicks", "make_style"]

CAREFUL: UserStyle = replace(VARIED, centred=1.0, larger=1.0)
"""Habits of the agents here: always the larger error, in its middle, as the reference does; hands still tremble."""


@dataclass(frozen=True, slots=True)
class CentreClicks:
    """The reference: clicks at the deepest voxel of the object, then of the larger error. Nothing is random."""

    def next_prompt(
        self,
        truth: NDArray[np.bool_],
        mask: NDArray[np.bool_] | None,
        rng: np.random.Generator,  # noqa: ARG002  an agent gets one
    ) -> Prompt | None:
        """Draw the next prompt; see :meth:`~napari_nninteractive.simulation.users.agents.Agent.next_prompt`."""
        return next_centre_point(truth, np.zeros_like(truth) if mask is None else mask)


def make_style(name: str) -> Agent:
    """Return a new simulated user, for one object.

    Parameters
    ----------
    name : str
        One of :data:`~.presets.STYLES`.

    Raises
    ------
    PromptError
        If there is no such style.
    """
    if name == "points":
        return CentreClicks()
    if name not in AGENTS:
        raise PromptError(f"There is no style {name!r}: choose of {', '.join(STYLES)}.")
    return make_agent(name, CAREFUL)
