"""Pictures of synthetic scenes, to look at what a model is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_nninteractive.files import atomic_write
from napari_nninteractive.simulation.images.scenes import FAMILIES, Scene, make_scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gallery_path", "write_gallery"]


def gallery_path(folder: Path, family: str) -> Path:
    """Return the file that :func:`write_gallery` writes for a family."""
    return folder / f"{family}.png"


def write_gallery(
    folder: Path,
    families: tuple[str, ...] = tuple(FAMILIES),
    *,
    columns: int = 8,
    seed: int = 0,
    level: float = 1.0,
) -> list[Path]:
    """Write one PNG per family: the middle plane of each scene from above and from the side, with the targets below.

    Parameters
    ----------
    folder : Path
        Where to; made if absent, pictures of the same families are replaced.
    families : tuple of str
        Some of :data:`~napari_nninteractive.simulation.images.scenes.FAMILIES`.
    columns : int
        Scenes per family.
    seed : int
        Decides the scenes.
    level : float
        Difficulty from 0 to 1.

    Returns
    -------
    list of Path
        The files.
    """
    # Imported when used: it is slow to load, and training does without it.
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for family in families:
        figure = Figure(figsize=(1.8 * columns, 7.6))
        axes = figure.subplots(4, columns, squeeze=False)
        for column in range(columns):
            rng = np.random.default_rng([seed, sorted(FAMILIES).index(family), column])
            _draw(axes[:, column], make_scene(rng, level=level, family=family))
        figure.tight_layout(pad=0.3)
        with atomic_write(gallery_path(folder, family)) as beside:
            figure.savefig(beside, dpi=80)
        written.append(gallery_path(folder, family))
    return written


def _draw(axes: np.ndarray[tuple[int, ...], np.dtype[np.object_]], scene: Scene) -> None:
    low, high = np.percentile(scene.image, (0.5, 99.5))
    labels = scene.labels * np.isin(scene.labels, scene.targets)
    coloured = np.where(labels > 0, labels % 19 + 1, 0)
    z, y = scene.image.shape[0] // 2, scene.image.shape[1] // 2
    for row, plane in enumerate((np.s_[z], np.s_[:, y])):
        picture: Axes = axes[2 * row]
        picture.imshow(scene.image[plane], cmap="gray", vmin=low, vmax=high)
        axes[2 * row + 1].imshow(
            coloured[plane], cmap="nipy_spectral", vmin=0, vmax=19, interpolation="nearest"
        )
    size = "×".join(str(n) for n in scene.image.shape)
    axes[0].set_title(f"{size}, noise {scene.noise:.2f}", fontsize=7)
    for ax in axes:
        ax.set_axis_off()
