"""One plane of an image with the outlines of mask and truth and the prompts on it: for every picture of a result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import BoxPrompt, Point, Prompt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["AXES", "draw_plane", "legend_entries", "save_figure"]

AXES = "zyx"
_MASK, _TRUTH, _YES, _NO = "#00c8ff", "#ffd000", "#40ff60", "#ff4040"

Bool = NDArray[np.bool_]


def draw_plane(
    panel: Axes,
    image: NDArray[Any],
    mask: Bool,
    truth: Bool,
    prompts: Sequence[Prompt],
    axis: int,
    at: int,
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    origin: Sequence[int] = (0, 0, 0),
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw one plane.

    Parameters
    ----------
    panel : matplotlib.axes.Axes
        To draw on; its frame is taken away.
    image, mask, truth : ndarray
        (z, y, x), of one shape: an image or a part of it.
    prompts : sequence of Prompt
        In voxels of the whole image. Clicks on other planes are hollow, other kinds are drawn on their own planes only.
    axis, at : int
        Axis across the plane, and its place in the whole image.
    spacing : sequence of float
        Physical size of a voxel along (z, y, x), for the proportions.
    origin : sequence of int
        Voxel (z, y, x) of the whole image where the part begins.
    limits : tuple of float, optional
        Intensities shown black and white; percentiles 1 and 99.8 of `image` by default.
    """
    low, high = np.percentile(image, (1, 99.8)) if limits is None else limits
    rows, columns = (i for i in range(3) if i != axis)
    inside = at - origin[axis]
    panel.imshow(
        np.take(image, inside, axis), cmap="gray", vmin=low, vmax=high, interpolation="nearest"
    )
    _outline(panel, np.take(truth, inside, axis), _TRUTH, "dashed")
    _outline(panel, np.take(mask, inside, axis), _MASK, "solid")
    part = Box.of_shape(image.shape).shift(origin)
    for prompt in prompts:
        colour = _YES if prompt.positive else _NO
        if isinstance(prompt, Point):
            _click(panel, prompt, part, axis, prompt.position[axis] == at)
        elif prompt.bounds.start[axis] <= at < prompt.bounds.stop[axis]:
            _outline(panel, _covered(prompt, part, axis, at), colour, "dotted")
    panel.set_xlim(-0.5, part.shape[columns] - 0.5)
    panel.set_ylim(part.shape[rows] - 0.5, -0.5)
    panel.set_aspect(spacing[rows] / spacing[columns])
    panel.set_axis_off()


def _outline(panel: Axes, plane: Bool, colour: str, style: str) -> None:
    if plane.any() and not plane.all():
        panel.contour(plane, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.6)


def _covered(prompt: Prompt, part: Box, axis: int, at: int) -> Bool:
    """Voxels of a plane that a prompt covers, bool (rows, columns)."""
    out = np.zeros(part.shape, bool)
    both = prompt.bounds.intersect(part)
    if not both.is_empty and not isinstance(prompt, Point):
        drawn = (
            True
            if isinstance(prompt, BoxPrompt)
            else prompt.mask[both.relative_to(prompt.bounds).slices]
        )
        out[both.relative_to(part).slices] = drawn
    return np.asarray(np.take(out, at - part.start[axis], axis))


def _click(panel: Axes, point: Point, part: Box, axis: int, here: bool) -> None:
    if point.position not in part:
        return
    rows, columns = (i for i in range(3) if i != axis)
    colour = _YES if point.positive else _NO
    panel.plot(
        point.position[columns] - part.start[columns],
        point.position[rows] - part.start[rows],
        marker="o" if point.positive else "X",
        markersize=8,
        color=colour,
        markerfacecolor=colour if here else "none",
        markeredgecolor="black" if here else colour,
    )


def legend_entries(*, drawn: bool = False) -> list[Line2D]:
    """Return what the lines and marks mean, for a legend on black.

    Parameters
    ----------
    drawn : bool
        Whether there are boxes, scribbles or lassos.
    """
    from matplotlib.lines import Line2D

    lines: list[tuple[str, Literal["solid", "dashed", "dotted"], str]]
    lines = [(_MASK, "solid", "mask"), (_TRUTH, "dashed", "truth")]
    if drawn:
        lines += [(_YES, "dotted", "drawn inside"), (_NO, "dotted", "drawn outside")]
    markers = (
        (_YES, "o", "click inside", True),
        (_NO, "X", "click outside", True),
        ("white", "o", "hollow: on another plane", False),
    )
    entries = [Line2D([], [], color=c, linestyle=s, label=t) for c, s, t in lines]
    for colour, marker, text, full in markers:
        entry = Line2D([], [], color=colour, marker=marker, linestyle="", label=text)
        entry.set_fillstyle("full" if full else "none")
        entries.append(entry)
    return entries


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; a file that is there is replaced."""
    figure.savefig(path, dpi=110, format="png")
