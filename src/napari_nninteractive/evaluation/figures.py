"""What came out, as pictures: curves over prompts, and the worst objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import Point
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.evaluation.drawing import AXES, draw_plane, legend_entries
from napari_nninteractive.evaluation.presets import BASELINES
from napari_nninteractive.evaluation.protocol import ObjectResult
from napari_nninteractive.evaluation.report import Summary, summarise
from napari_nninteractive.simulation.users.next_prompt import centre_point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WORST", "draw_curves", "draw_worst", "worst_objects"]

WORST = 8
"""Objects on a contact sheet."""
_COLUMNS = 4
_ROOM = 0.5
"""What is shown around an object, on each side, as a fraction of its extent."""
_LEAST_ROOM = 8
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
    _save(figure, path)


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


def worst_objects(results: Sequence[ObjectResult], most: int = WORST) -> list[ObjectResult]:
    """Objects of the first method with the lowest Dice at the end, worst first, each as it went worst.

    Parameters
    ----------
    results : sequence of ObjectResult
        Of any methods; the first result's method is taken, the model where one was measured.
    most : int
        How many.
    """
    mine = sorted(
        (r for r in results if r.method == results[0].method),
        key=lambda r: r.dice[-1],
        reverse=True,
    )
    each = {(r.volume, r.label): r for r in mine}  # the last, so the worst, stays
    return sorted(each.values(), key=lambda r: r.dice[-1])[:most]


def draw_worst(
    path: Path, results: Sequence[ObjectResult], read: Callable[[str], LabelledVolume]
) -> None:
    """Draw objects in three planes through their middle: image, outlines of mask and truth, prompts.

    Parameters
    ----------
    path : Path
        PNG file to write; replaced if it is there.
    results : sequence of ObjectResult
        At least one, from :func:`worst_objects`; a row for each.
    read : callable
        Name of a volume to the volume; called for one volume after another.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.1 * len(results) + 0.5), layout="constrained", facecolor="black")
    rows = list(figure.subfigures(len(results), 1, squeeze=False)[:, 0])
    by_volume: dict[str, list[int]] = {}
    for index, result in enumerate(results):
        by_volume.setdefault(result.volume, []).append(index)
    for name, indices in by_volume.items():
        volume = read(name)
        for index in indices:
            _draw_object(rows[index], results[index], volume)
    drawn = any(not isinstance(p, Point) for r in results for p in r.prompts)
    figure.legend(
        handles=legend_entries(drawn=drawn),
        loc="outside lower center",
        ncols=7,
        labelcolor="white",
        frameon=False,
        fontsize="small",
    )
    _save(figure, path)


def _draw_object(figure: Any, result: ObjectResult, volume: LabelledVolume) -> None:
    truth = np.asarray(volume.labels == result.label)
    middle = centre_point(truth)
    reader = Volume.open(volume.image, volume.spacing[-len(volume.image.shape) :])
    part = _part(truth, reader.shape)
    image, mask = reader.read(part), result.mask.inside(part)
    figure.set_facecolor("black")
    widths = [part.shape[a] * volume.spacing[a] for a in (2, 2, 1)]
    panels = figure.subplots(1, 3, width_ratios=widths)
    for axis, panel in enumerate(panels):
        at = middle.position[axis]
        draw_plane(
            panel,
            image,
            mask,
            truth[part.slices],
            result.prompts,
            axis,
            at,
            spacing=volume.spacing,
            origin=part.start,
        )
        panel.set_title(f"{AXES[axis]} = {at}", color="white", fontsize="small")
    curve = " ".join(f"{d:.2f}" for d in result.dice)
    figure.suptitle(
        f"{result.volume}, object {result.label}, {result.method}, {result.trial.style}: Dice {curve}",
        color="white",
        fontsize="medium",
    )


def _part(truth: np.ndarray[Any, np.dtype[np.bool_]], shape: tuple[int, int, int]) -> Box:
    box = Box.of_mask(truth) or Box.EMPTY
    return box.pad([max(_LEAST_ROOM, round(_ROOM * n)) for n in box.shape]).clip(shape)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, format="png")
