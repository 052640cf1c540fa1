"""Names of what can be measured, and the comparisons of the article as ready presets: plain values, nothing loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from napari_nninteractive.errors import NNInteractiveError

__all__ = ["BASELINES", "PRESETS", "SESSION", "STYLES", "Trial", "make_trials"]

STYLES = ("points", "random", "sunk-cost", "point", "box", "scribble", "lasso")
"""Simulated users: ``points`` is the reference, exact clicks only; the others are `simulation.users.agents`."""

SESSION = "session"
"""Style of the prompts that a person drew, read from a saved session; in no preset, and in no other style."""

BASELINES = (
    "random-walker",
    "watershed",
    "watershed-intensity",
    "region-growing",
    "otsu",
)
"""Methods without a network; with ``+box`` after the name they are told the box that fits the object."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to prompt, with all objects.

    Attributes
    ----------
    style : str
        One of :data:`STYLES`, or :data:`SESSION`.
    prompts : int
        Budget for each object, at least 1.
    autozoom : bool
        Whether the engine may look from further away.
    """

    style: str
    prompts: int
    autozoom: bool = True


_FLAT = ("box", "scribble", "lasso")

PRESETS = MappingProxyType(
    {
        "points": (Trial("points", 10),),
        "static": tuple(Trial(style, 1) for style in ("points", *_FLAT)),
        "interactive": tuple(Trial(style, 10) for style in ("points", *_FLAT)),
        "mixture": (Trial("random", 10), Trial("sunk-cost", 10)),
        "autozoom": (Trial("points", 5), Trial("points", 5, autozoom=False)),
    }
)
"""Comparisons of the article by name."""


def make_trials(
    preset: str = "points",
    style: str | None = None,
    prompts: int | None = None,
    *,
    autozoom: bool = True,
) -> tuple[Trial, ...]:
    """Trials of a preset, or of one style.

    Parameters
    ----------
    preset : str
        One of :data:`PRESETS`; not looked at where a style is given.
    style : str, optional
        One of :data:`STYLES`.
    prompts : int, optional
        Budget in place of that of the preset; 10 by default for a style.
    autozoom : bool
        False: without it in every trial.

    Returns
    -------
    tuple of Trial
        At least one, no two alike.

    Raises
    ------
    NNInteractiveError
        If there is no such preset or style, or the budget is not at least 1.
    """
    if style is not None and style not in STYLES:
        raise NNInteractiveError(f"There is no style {style}: choose of {', '.join(STYLES)}.")
    if preset not in PRESETS:
        raise NNInteractiveError(f"There is no preset {preset}: choose of {', '.join(PRESETS)}.")
    if prompts is not None and prompts < 1:
        raise NNInteractiveError(f"There must be at least 1 prompt, not {prompts}.")
    trials = PRESETS[preset] if style is None else (Trial(style, 10),)
    changed = [
        replace(t, prompts=prompts or t.prompts, autozoom=t.autozoom and autozoom) for t in trials
    ]
    return tuple(dict.fromkeys(changed))
