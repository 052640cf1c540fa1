"""Simulated users with habits: three agents behind one interface, for training and for evaluation alike.

The three are those of Isensee et al., *nnInteractive* (arXiv:2503.08373): one that switches between kinds of prompt at
will, one that stays with a kind for a while before it changes, and one that knows a single kind. What they draw, and
where, is decided in :mod:`napari_nninteractive.simulation.users.next_prompt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.errors import PromptError
from napari_nninteractive.simulation.users.next_prompt import KINDS, UserStyle, kind_of, next_prompt

__all__ = [
    "AGENTS",
    "VARIED",
    "Agent",
    "RandomAgent",
    "SingleAgent",
    "SunkCostAgent",
    "make_agent",
]

Bool = NDArray[np.bool_]

AGENTS = ("random", "sunk-cost", *KINDS)
"""Names that :func:`make_agent` takes: a kind of prompt stands for the agent that knows only that one."""

VARIED = UserStyle(
    kinds=MappingProxyType(dict.fromkeys(KINDS, 1.0)),
    strokes=MappingProxyType({"centre": 1.0, "line": 1.0, "contour": 1.0}),
    outlines=MappingProxyType({"smoothed": 1.0, "dilated": 1.0, "deformed": 1.0}),
)
"""All kinds of prompt, and all ways to draw them, equally often: the habit of agents that are told none."""


class Agent(Protocol):
    """Somebody who has one object in mind and says, prompt by prompt, what is still wrong."""

    def next_prompt(
        self, truth: Bool, mask: Bool | None, rng: np.random.Generator
    ) -> Prompt | None:
        """Draw the next prompt.

        Parameters
        ----------
        truth : ndarray
            bool (z, y, x), the object.
        mask : ndarray or None
            bool (z, y, x), what is segmented so far; None or empty: the first prompt, drawn from the truth.
        rng : numpy.random.Generator
            Source of all choices: the same agent, arguments and state of the generator give the same prompt.

        Returns
        -------
        Prompt or None
            Positive where the object is missed, negative where something else was taken; None if nothing is wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class RandomAgent:
    """Draws the kind of every prompt anew.

    Parameters
    ----------
    style : UserStyle
        Habits: how often each kind is chosen, how exactly it is drawn.
    """

    style: UserStyle = VARIED

    def next_prompt(
        self, truth: Bool, mask: Bool | None, rng: np.random.Generator
    ) -> Prompt | None:
        """Draw the next prompt; see :meth:`Agent.next_prompt`."""
        return next_prompt(truth, mask, rng, self.style)


@dataclass(frozen=True, slots=True)
class SingleAgent:
    """Knows one kind of prompt only.

    Parameters
    ----------
    kind : str
        ``point``, ``box``, ``scribble`` or ``lasso``.
    style : UserStyle
        Habits; its shares of kinds do not count.

    Raises
    ------
    PromptError
        If there is no such kind.
    """

    kind: str
    style: UserStyle = VARIED

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PromptError(
                f"Unknown kind of prompt {self.kind!r}: use {', '.join(KINDS[:-1])} or {KINDS[-1]}."
            )

    def next_prompt(
        self, truth: Bool, mask: Bool | None, rng: np.random.Generator
    ) -> Prompt | None:
        """Draw the next prompt; see :meth:`Agent.next_prompt`."""
        return next_prompt(truth, mask, rng, _only(self.style, self.kind))


@dataclass(slots=True)
class SunkCostAgent:
    """Stays with a kind of prompt for some prompts, then changes to another.

    Its state is the kind and how many prompts it will go on with it: one agent for one object. A session can be taken
    up again from its prompts with :meth:`after`.

    Parameters
    ----------
    style : UserStyle
        Habits: how often each kind is chosen when it changes, how exactly it is drawn.
    stay : tuple of int
        Fewest and most prompts of one kind in a row.

    Raises
    ------
    PromptError
        If `stay` is no range of at least one prompt.

    Attributes
    ----------
    kind : str or None
        The kind of the prompt before; None: it has drawn none.
    left : int
        Prompts of this kind still to come.
    """

    style: UserStyle = VARIED
    stay: tuple[int, int] = (2, 4)
    kind: str | None = field(default=None, init=False)
    left: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.stay[0] <= self.stay[1]:
            raise PromptError(
                f"stay must be the fewest and the most prompts in a row, at least 1, not {self.stay}."
            )

    @classmethod
    def after(
        cls, prompts: Sequence[Prompt], style: UserStyle = VARIED, stay: tuple[int, int] = (2, 4)
    ) -> SunkCostAgent:
        """Return the agent as the prompts leave it: it stays with the kind of the last, for the fewest prompts.

        Parameters
        ----------
        prompts : sequence of Prompt
            Oldest first.
        style, stay
            As for the class.
        """
        agent = cls(style, stay)
        kinds = [kind_of(p) for p in prompts]
        if kinds and kinds[-1] is not None:
            row = next((i for i, k in enumerate(reversed(kinds)) if k != kinds[-1]), len(kinds))
            agent.kind, agent.left = kinds[-1], max(stay[0] - row, 0)
        return agent

    def next_prompt(
        self, truth: Bool, mask: Bool | None, rng: np.random.Generator
    ) -> Prompt | None:
        """Draw the next prompt; see :meth:`Agent.next_prompt`."""
        if self.left == 0 or self.kind is None:
            others = {k: w for k, w in self.style.kinds.items() if k != self.kind and w > 0}
            names = list(others) or [k for k, w in self.style.kinds.items() if w > 0]
            shares = np.array([self.style.kinds[n] for n in names], float)
            self.kind = names[int(rng.choice(len(names), p=shares / shares.sum()))]
            self.left = int(rng.integers(self.stay[0], self.stay[1] + 1))
        prompt = next_prompt(truth, mask, rng, _only(self.style, self.kind))
        if prompt is not None:
            self.left -= 1
        return prompt


def _only(style: UserStyle, kind: str) -> UserStyle:
    return replace(style, kinds=MappingProxyType({kind: 1.0}))


def make_agent(name: str, style: UserStyle = VARIED) -> Agent:
    """Return a new agent by its name.

    Parameters
    ----------
    name : str
        One of :data:`AGENTS`: ``random``, ``sunk-cost``, or the kind of prompt that it is limited to.
    style : UserStyle
        Its habits.

    Raises
    ------
    PromptError
        If there is no agent of that name.
    """
    if name == "random":
        return RandomAgent(style)
    if name == "sunk-cost":
        return SunkCostAgent(style)
    if name in KINDS:
        return SingleAgent(name, style)
    raise PromptError(f"There is no agent {name!r}: use {', '.join(AGENTS[:-1])} or {AGENTS[-1]}.")
