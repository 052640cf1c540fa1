"""A picture of a segmentation: three planes with image, prompts, and the outlines of mask and truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.prompts import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_planes"]

_AXES = "zyx"
_MASK, _TRUTH, _YES, _NO = "#00c8ff", "#ffd000", "#40ff60", "#ff4040"


def draw_planes(
    path: Path,
    image: NDArray[Any],
    mask: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    points: Sequence[Point],
    spacing: tuple[float, float, float],
    title: str,
) -> Path:
    """Draw the three planes through the first point.

    Parameters
    ----------
    path : Path
        PNG file to write; replaced if it is there.
    image : ndarray
        (z, y, x).
    mask, truth : ndarray
        bool (z, y, x).
    points : sequence of Point
        At least one.
    spacing : tuple of float
        Of a voxel along (z, y, x), for the proportions.
    title : str
        Line above.

    Returns
    -------
    Path
        The file.
    """
    # Without pyplot: no window system is touched, no state of the process is changed.
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    extent = [n * s for n, s in zip(image.shape, spacing, strict=True)]
    figure = Figure(figsize=(12, 5), layout="constrained", facecolor="black")
    widths = [extent[2], extent[2], extent[1]]
    low, high = np.percentile(image, (1, 99.8))
    panels = figure.subplots(1, 3, width_ratios=widths)
    for axis, panel in enumerate(panels):
        at = points[0].position[axis]
        panel.imshow(
            np.take(image, at, axis), cmap="gray", vmin=low, vmax=high, interpolation="nearest"
        )
        _outline(panel, np.take(truth, at, axis), _TRUTH, "dashed")
        _outline(panel, np.take(mask, at, axis), _MASK, "solid")
        _points(panel, points, axis)
        rows, columns = (i for i in range(3) if i != axis)
        panel.set_aspect(spacing[rows] / spacing[columns])
        panel.set_title(f"{_AXES[axis]} = {at}", color="white")
        panel.set_axis_off()
    markers = (
        (_YES, "o", "click inside", True),
        (_NO, "X", "click outside", True),
        ("white", "o", "hollow: on another plane", False),
    )
    entries = [
        Line2D([], [], color=_MASK, label="mask"),
        Line2D([], [], color=_TRUTH, linestyle="dashed", label="truth"),
        *(
            Line2D(
                [], [], color=c, marker=m, linestyle="", label=t, fillstyle="full" if f else "none"
            )
            for c, m, t, f in markers
        ),
    ]
    figure.legend(
        handles=entries, loc="outside lower center", ncols=5, labelcolor="white", frameon=False
    )
    figure.suptitle(title, color="white")
    figure.savefig(path, dpi=110)
    return path


def _outline(panel: Axes, plane: NDArray[np.bool_], colour: str, style: str) -> None:
    if plane.any() and not plane.all():
        panel.contour(plane, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.6)


def _points(panel: Axes, points: Sequence[Point], axis: int) -> None:
    """Mark every point; those of other planes are hollow."""
    rows, columns = (i for i in range(3) if i != axis)
    for point in points:
        here = point.position[axis] == points[0].position[axis]
        colour = _YES if point.positive else _NO
        panel.plot(
            point.position[columns],
            point.position[rows],
            marker="o" if point.positive else "X",
            markersize=8,
            color=colour,
            markerfacecolor=colour if here else "none",
            markeredgecolor="black" if here else colour,
        )
