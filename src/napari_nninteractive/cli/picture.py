"""A picture of a segmentation: three planes with image, prompts, and the outlines of mask and truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.prompts import Point
from napari_nninteractive.evaluation.drawing import AXES, draw_plane, legend_entries

__all__ = ["draw_planes"]


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

    extent = [n * s for n, s in zip(image.shape, spacing, strict=True)]
    figure = Figure(figsize=(12, 5), layout="constrained", facecolor="black")
    widths = [extent[2], extent[2], extent[1]]
    low, high = (float(v) for v in np.percentile(image, (1, 99.8)))
    panels = figure.subplots(1, 3, width_ratios=widths)
    for axis, panel in enumerate(panels):
        at = points[0].position[axis]
        draw_plane(panel, image, mask, truth, points, axis, at, spacing=spacing, limits=(low, high))
        panel.set_title(f"{AXES[axis]} = {at}", color="white")
    figure.legend(
        handles=legend_entries(),
        loc="outside lower center",
        ncols=5,
        labelcolor="white",
        frameon=False,
    )
    figure.suptitle(title, color="white")
    figure.savefig(path, dpi=110)
    return path
