"""What came out, as text: a table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from napari_nninteractive.core.metrics import prompts_needed
from napari_nninteractive.core.prompts import prompt_to_json
from napari_nninteractive.evaluation.protocol import ObjectResult
from napari_nninteractive.evaluation.summary import THRESHOLDS, Needed, Summary, summarise
from napari_nninteractive.simulation.users.next_prompt import kind_of

__all__ = ["to_csv", "to_json", "to_table"]

_SHOWN = (1, 3, 5, 10)
"""Prompts whose Dice is in the table; the last of the budget always is."""


def to_table(summaries: Sequence[Summary]) -> str:
    """Return a Markdown table, aligned so that it reads well as it is.

    Parameters
    ----------
    summaries : sequence of Summary
        From :func:`summarise`.
    """
    columns = _columns(summaries)
    rows = [list(columns), *[[cell(s) for cell in columns.values()] for s in summaries]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def _columns(summaries: Sequence[Summary]) -> dict[str, Callable[[Summary], str]]:
    """What is in a cell, by the heading of its column."""
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
    return columns


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
    for result in results:
        writer.writerows(_rows(result))
    return out.getvalue()


def _rows(r: ObjectResult) -> Iterator[dict[str, Any]]:
    for k in range(len(r.dice)):
        prompt = r.prompts[k] if k < len(r.prompts) else None
        yield {
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
