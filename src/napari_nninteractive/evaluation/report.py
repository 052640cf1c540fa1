"""What came out, as figures: means over objects, a table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_nninteractive.core.metrics import prompts_needed
from napari_nninteractive.core.prompts import prompt_to_json
from napari_nninteractive.errors import NNInteractiveError, Remedy
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import ObjectResult
from napari_nninteractive.simulation.users.next_prompt import kind_of

__all__ = ["THRESHOLDS", "Needed", "Summary", "summarise", "to_csv", "to_json", "to_table"]

THRESHOLDS = (0.8, 0.9)
"""Dice for which the number of prompts is told."""
_SHOWN = (1, 3, 5, 10)
"""Prompts whose Dice is in the table; the last of the budget always is."""


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


def to_table(summaries: Sequence[Summary]) -> str:
    """Return a Markdown table, aligned so that it reads well as it is.

    Parameters
    ----------
    summaries : sequence of Summary
        From :func:`summarise`.
    """
    most = max((len(s.dice) for s in summaries), default=0)
    shown = [*(k for k in _SHOWN if k < most), max(most, 1)]
    columns: dict[str, Callable[[Summary], str]] = {
        "volume": lambda s: s.volume,
        "style": lambda s: s.trial.style,
        "method": lambda s: s.method,
        "objects": lambda s: str(s.objects),
        **{f"Dice @{k}": lambda s, k=k: _at(s.dice, k) for k in shown},  # type: ignore[misc]
        f"surface @{shown[-1]}": lambda s: _at(s.surface_dice, shown[-1]),
        "AUC": lambda s: f"{s.dice_auc:.3f}",
        **{
            f"prompts to {t:g}": lambda s, i=i: _prompts(s.needed[i], s.objects)  # type: ignore[misc]
            for i, t in enumerate(THRESHOLDS)
        },
        "s/prompt": lambda s: f"{s.seconds:.2f}",
    }
    if any(s.failed for s in summaries):
        columns["failed"] = lambda s: str(s.failed)
    rows = [list(columns), *[[cell(s) for cell in columns.values()] for s in summaries]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def _at(curve: Sequence[float], prompts: int) -> str:
    return f"{curve[prompts - 1]:.3f}" if prompts <= len(curve) else "–"


def _prompts(needed: Needed, objects: int) -> str:
    if needed.prompts is None:
        return f"– (0/{objects})"
    return f"{needed.prompts:.1f} ({needed.reached}/{objects})"


_FIELDS = (
    "volume", "method", "style", "autozoom", "label", "voxels", "prompt", "kind", "positive",
    "dice", "surface_dice", "seconds", "error",
)  # fmt: skip


def to_csv(results: Sequence[ObjectResult]) -> str:
    """Return a row for every prompt of every object, with a header.

    Parameters
    ----------
    results : sequence of ObjectResult
        Rows for which no prompt was needed any more, or given, have no kind.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for r in results:
        for k in range(len(r.dice)):
            prompt = r.prompts[k] if k < len(r.prompts) else None
            row = {
                "volume": r.volume,
                "method": r.method,
                "style": r.trial.style,
                "autozoom": int(r.trial.autozoom),
                "label": r.label,
                "voxels": r.voxels,
                "prompt": k + 1,
                "kind": kind_of(prompt) or prompt.kind if prompt is not None else "",
                "positive": int(prompt.positive) if prompt is not None else "",
                "dice": f"{r.dice[k]:.6f}",
                "surface_dice": f"{r.surface_dice[k]:.6f}",
                "seconds": f"{r.seconds[k]:.4f}",
                "error": (r.error or "") if k == len(r.prompts) else "",
            }
            writer.writerow(row)
    return out.getvalue()


def to_json(results: Sequence[ObjectResult], settings: Mapping[str, Any]) -> str:
    """Return everything that was measured as JSON: settings, means, and every object with its prompts.

    Parameters
    ----------
    results : sequence of ObjectResult
        Any.
    settings : mapping
        JSON types only: what was run, on what.
    """
    record = {
        "settings": dict(settings),
        "summary": [asdict(s) for s in summarise(results)],
        "objects": [_object(r) for r in results],
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _object(result: ObjectResult) -> dict[str, Any]:
    return {
        "volume": result.volume,
        "method": result.method,
        "trial": asdict(result.trial),
        "label": result.label,
        "voxels": result.voxels,
        "dice": list(result.dice),
        "surface_dice": list(result.surface_dice),
        "seconds": list(result.seconds),
        "dice_auc": result.dice_auc,
        "surface_auc": result.surface_auc,
        "needed": {f"{t:g}": prompts_needed(result.dice, t) for t in THRESHOLDS},
        "error": result.error,
        "prompts": [prompt_to_json(p) for p in result.prompts],
    }


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
