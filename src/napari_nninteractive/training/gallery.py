"""A picture of synthetic scenes, to look at what a model is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nninteractive.training.scenes import FAMILIES, make_scene

__all__ = ["write_gallery"]


def write_gallery(path: Path, *, columns: int = 6, seed: int = 0, level: float = 1.0) -> None:
    """Write a PNG with scenes of every family: the middle plane, and below it the targets.

    Parameters
    ----------
    path : Path
        File to write.
    columns : int
        Scenes per family.
    seed : int
        Decides the scenes.
    level : float
        Difficulty from 0 to 1.
    """
    # Imported when used: it is slow to load, and training does without it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 * columns, 4.0 * len(FAMILIES)))
    axes = figure.subplots(2 * len(FAMILIES), columns, squeeze=False)
    for row, family in enumerate(FAMILIES):
        for column in range(columns):
            rng = np.random.default_rng([seed, row, column])
            scene = make_scene(rng, level=level, family=family)
            plane = scene.image.shape[0] // 2
            labels = scene.labels[plane] * np.isin(scene.labels[plane], scene.targets)
            above, below = axes[2 * row, column], axes[2 * row + 1, column]
            above.imshow(scene.image[plane], cmap="gray")
            above.set_title(f"{family}, noise {scene.noise:.2f}", fontsize=7)
            below.imshow(np.where(labels > 0, labels % 19 + 1, 0), cmap="nipy_spectral", vmax=19)
    for ax in axes.ravel():
        ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=70)
