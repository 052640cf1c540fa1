"""The worst objects, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import Point
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.evaluation.drawing import AXES, draw_plane, legend_entries, save_figure
from napari_nninteractive.evaluation.protocol import ObjectResult
from napari_nninteractive.simulation.users.next_prompt import centre_point

__all__ = ["WORST", "draw_worst", "worst_objects"]

WORST = 8
"""Objects on a contact sheet."""
_ROOM = 0.5
"""What is shown around an object, on each side, as a fraction of its extent."""
_LEAST_ROOM = 8


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
    save_figure(figure, path)


def _draw_object(figure: Any, result: ObjectResult, volume: LabelledVolume) -> None:
    figure.set_facecolor("black")
    _draw_planes(figure, result, volume)
    curve = " ".join(f"{d:.2f}" for d in result.dice)
    figure.suptitle(
        f"{result.volume}, object {result.label}, {result.method}, {result.trial.style}: Dice {curve}",
        color="white",
        fontsize="medium",
    )


def _draw_planes(figure: Any, result: ObjectResult, volume: LabelledVolume) -> None:
    truth = np.asarray(volume.labels == result.label)
    middle = centre_point(truth)
    reader = Volume.open(volume.image, volume.spacing[-len(volume.image.shape) :])
    part = _part(truth, reader.shape)
    image, mask = reader.read(part), result.mask.inside(part)
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


def _part(truth: np.ndarray[Any, np.dtype[np.bool_]], shape: tuple[int, int, int]) -> Box:
    box = Box.of_mask(truth) or Box.EMPTY
    return box.pad([max(_LEAST_ROOM, round(_ROOM * n)) for n in box.shape]).clip(shape)
