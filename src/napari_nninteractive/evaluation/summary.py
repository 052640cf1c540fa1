"""What came out, as means over objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_nninteractive.core.metrics import prompts_needed
from napari_nninteractive.errors import NNInteractiveError, Remedy
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import ObjectResult

__all__ = ["THRESHOLDS", "Needed", "Summary", "check_results", "summarise"]

THRESHOLDS = (0.8, 0.9)
"""Dice for which the number of prompts is told."""


@dataclass(frozen=True, slots=True)
class Needed:
    """How many prompts a Dice needs.

    Attributes
    ----------
    threshold : float
        The Dice.
    reached : int
        Objects that reached it within the budget.
    prompts : float or None
        Mean over these objects; None if none did.
    """

    threshold: float
    reached: int
    prompts: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over the objects of one volume, with one method and style.

    Attributes
    ----------
    volume, method : str
        Names.
    trial : Trial
        How it was prompted.
    objects, failed : int
        Measured, and of those the ones where the method failed.
    dice, surface_dice : tuple of float
        After each prompt.
    dice_auc, surface_auc : float
        Area under these curves.
    needed : tuple of Needed
        For :data:`THRESHOLDS`.
    seconds : float
        Mean over all prompts given; 0 where none was.
    slowest : float
        Seconds of the slowest prompt.
    """

    volume: str
    method: str
    trial: Trial
    objects: int
    failed: int
    dice: tuple[float, ...]
    surface_dice: tuple[float, ...]
    dice_auc: float
    surface_auc: float
    needed: tuple[Needed, ...]
    seconds: float
    slowest: float


def summarise(results: Sequence[ObjectResult]) -> list[Summary]:
    """Means over the objects of every volume, method and trial, in the order in which they came.

    Parameters
    ----------
    results : sequence of ObjectResult
        Of any volumes and methods.

    Returns
    -------
    list of Summary
        One per volume, method and trial. An object where the method failed counts with the mask that it had.
    """
    groups: dict[tuple[str, Trial, str], list[ObjectResult]] = {}
    for result in results:
        groups.setdefault((result.volume, result.trial, result.method), []).append(result)
    return [_summary(group) for group in groups.values()]


def _summary(group: Sequence[ObjectResult]) -> Summary:
    dice = np.array([r.dice for r in group]).mean(0)
    surface = np.array([r.surface_dice for r in group]).mean(0)
    seconds = [s for r in group for s in r.seconds[: len(r.prompts)]]
    return Summary(
        group[0].volume,
        group[0].method,
        group[0].trial,
        len(group),
        sum(r.error is not None for r in group),
        tuple(float(d) for d in dice),
        tuple(float(d) for d in surface),
        float(np.mean([r.dice_auc for r in group])),
        float(np.mean([r.surface_auc for r in group])),
        tuple(_needed(group, t) for t in THRESHOLDS),
        float(np.mean(seconds)) if seconds else 0.0,
        max(seconds, default=0.0),
    )


def _needed(group: Sequence[ObjectResult], threshold: float) -> Needed:
    counts = [n for r in group if (n := prompts_needed(r.dice, threshold)) is not None]
    return Needed(threshold, len(counts), float(np.mean(counts)) if counts else None)


def check_results(results: Sequence[ObjectResult]) -> None:
    """Refuse to report on nothing.

    Raises
    ------
    NNInteractiveError
        If no object was measured.
    """
    if not results:
        raise NNInteractiveError(
            "No object was large enough to be measured.", Remedy.MEASURE_SMALLER
        )
