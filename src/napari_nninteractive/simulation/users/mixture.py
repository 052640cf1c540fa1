"""Who segments an episode: which agent, and with which habits; decided once by the episode's key."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.simulation.users.agents import (
    VARIED,
    Agent,
    RandomAgent,
    SingleAgent,
    SunkCostAgent,
)
from napari_nninteractive.simulation.users.next_prompt import UserStyle

__all__ = ["user_of"]

_KINDS = MappingProxyType({"point": 0.45, "box": 0.2, "scribble": 0.15, "lasso": 0.2})


def user_of(key: Sequence[int], prompts: Sequence[Prompt]) -> Agent:
    """Return the simulated user of an episode, as the prompts so far leave them.

    Half of the users change the kind of prompt at will, three in ten stay with one for a while, the others know only
    one (Isensee et al., arXiv:2503.08373). Somewhat less than half of all prompts are points.

    Parameters
    ----------
    key : sequence of int
        Numbers of the episode: the same ones give the same user.
    prompts : sequence of Prompt
        Given so far, oldest first.
    """
    rng = np.random.default_rng([*key, 3])
    style = UserStyle(
        kinds=_KINDS,
        centred=float(rng.choice([0.3, 0.8])),
        jitter=float(rng.uniform(0.05, 0.2)),
        strokes=VARIED.strokes,
        outlines=VARIED.outlines,
    )
    habit = rng.random()
    if habit < 0.5:
        return RandomAgent(style)
    if habit < 0.8:
        row = int(rng.integers(2, 5))
        return SunkCostAgent.after(prompts, style, (row, row))
    shares = np.array(list(_KINDS.values()))
    return SingleAgent(list(_KINDS)[int(rng.choice(len(shares), p=shares))], style)
