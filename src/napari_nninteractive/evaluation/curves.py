"""What came out, as curves over prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nninteractive.evaluation.drawing import save_figure
from napari_nninteractive.evaluation.presets import BASELINES
from napari_nninteractive.evaluation.protocol import ObjectResult
from napari_nninteractive.evaluation.summary import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves"]

_COLUMNS = 4
_STYLES = ("solid", "dashed", "dotted", "dashdot")


def draw_curves(path: Path, results: Sequence[ObjectResult]) -> None:
    """Draw the mean Dice after each prompt: a panel for every volume, a line for every method and style.

    A model beside baselines, or alone with one style, is black, and lies above the others.

    Parameters
    ----------
    path : Path
        PNG file to write; replaced if it is there.
    results : sequence of ObjectResult
        At least one.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    summaries = summarise(results)
    volumes = list(dict.fromkeys(s.volume for s in summaries))
    looks = _looks(summaries)
    columns = min(len(volumes), _COLUMNS)
    rows = math.ceil(len(volumes) / columns)
    figure = Figure(figsize=(3.4 * columns + 2.4, 2.8 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel in panels.flat[len(volumes) :]:
        panel.set_visible(False)
    for volume, panel in zip(volumes, panels.flat, strict=False):
        mine = [s for s in summaries if s.volume == volume]
        for summary in mine:
            name = _line(summary, summaries)
            _curve(panel, summary, name, looks[name])
        panel.set_title(f"{volume} ({mine[0].objects})", fontsize=9)
        panel.set_ylim(0, 1)
        panel.set_xlabel("prompts")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    for row in panels:
        row[0].set_ylabel("mean Dice")
    entries: dict[str, Any] = {}
    for panel in panels.flat:
        entries |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside right upper", frameon=False)
    save_figure(figure, path)


def _line(summary: Summary, summaries: Sequence[Summary]) -> str:
    """Name of a line: only as much as tells the lines apart."""
    methods = {s.method for s in summaries}
    styles = {s.trial.style for s in summaries}
    if len(styles) == 1:
        return summary.method
    return summary.trial.style if len(methods) == 1 else f"{summary.method}, {summary.trial.style}"


def _looks(summaries: Sequence[Summary]) -> dict[str, dict[str, Any]]:
    """Colour and style of each line by its name; where lines coincide, the thin one of the model shows on top."""
    lines = {_line(s, summaries): s.method.removesuffix("+box") in BASELINES for s in summaries}
    models = [name for name, is_baseline in lines.items() if not is_baseline]
    others = [name for name, is_baseline in lines.items() if is_baseline]
    if not others and len(models) > 1:  # styles of one model: colours tell them apart better
        models, others = [], models
    looks: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(others):
        # Broken where the box was told: often such a line coincides with that of the same method without it.
        style = _STYLES[number // 10 % 2 * 2 + ("+box" in name)]
        looks[name] = {"color": f"C{number % 10}", "linestyle": style, "linewidth": 2.4}
    for number, name in enumerate(models):
        style = _STYLES[number % len(_STYLES)]
        looks[name] = {"color": "black", "linestyle": style, "linewidth": 1.2, "zorder": 3}
    return looks


def _curve(panel: Axes, summary: Summary, name: str, look: Mapping[str, Any]) -> None:
    prompts = range(1, len(summary.dice) + 1)
    panel.plot(prompts, summary.dice, marker="o", markersize=3, label=name, **look)
