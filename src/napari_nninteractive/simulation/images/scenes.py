"""Synthetic scenes: families of label maps, rendered so that every target is visible.

A scene is made in four steps: a family draws labels (:mod:`.families_cells`, :mod:`.families_tissue`), :mod:`._render`
turns them into a specimen, :mod:`._optics` takes its image, and :mod:`._visible` measures the contrast of every object,
which decides what is offered as a target and bounds the noise. numpy and scipy only; same seed, same scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.simulation.images import families_cells, families_tissue
from napari_nninteractive.simulation.images._fields import Float, Labels, Shape, smooth_noise
from napari_nninteractive.simulation.images._optics import image_through, noise_like, quantised
from napari_nninteractive.simulation.images._render import INVERTED, specimen
from napari_nninteractive.simulation.images._visible import (
    CONTRAST_FLOOR,
    measure_contrast,
    object_contrast,
)
from napari_nninteractive.simulation.images.layout import Family, Layout, Style

__all__ = ["FAMILIES", "MIN_VOXELS", "Scene", "make_scene"]

MIN_VOXELS = 60
"""Smallest object, in voxels, that is offered as a target."""

FAMILIES: dict[str, Family] = {
    "nuclei": families_cells.nuclei,
    "packed": families_cells.packed,
    "nested": families_cells.nested,
    "shells": families_cells.shells,
    "tubes": families_tissue.tubes,
    "sheets": families_tissue.sheets,
    "bodies": families_tissue.bodies,
    "regions": families_tissue.regions,
    "processes": families_tissue.processes,
    "sheathed": families_tissue.sheathed,
}
"""What a scene may show; two of them side by side make a mixed scene."""

_EASY = {"nuclei": 0.7, "packed": 0.15, "bodies": 0.1, "regions": 0.05}
_FULL = {
    "nuclei": 0.21,
    "packed": 0.24,
    "nested": 0.06,
    "shells": 0.03,
    "tubes": 0.06,
    "sheets": 0.03,
    "bodies": 0.06,
    "regions": 0.10,
    "processes": 0.14,
    "sheathed": 0.07,
}
_MIXED = 0.06
_FLAT = 0.03
_COARSEST = 8.0
_BLURRED: dict[Style, float] = {"electron": 0.3, "walled": 0.6}
"""Where what tells objects apart is thin, less of it may be lost in blur and haze."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One synthetic volume with truth.

    Attributes
    ----------
    image
        (z, y, x) float32 intensities, background not necessarily zero.
    labels
        (z, y, x) int16, 0 = background.
    targets
        Labels that are large enough and visible.
    contrast
        For each target its measured contrast as a fraction of the intensity range of the noise-free scene.
    noise
        Standard deviation of the noise as a fraction of that range.
    family
        Which family drew the labels.
    parts
        Labels inside another object, by that object's label: the object as a whole is all of them.
    """

    image: Float
    labels: Labels
    targets: tuple[int, ...]
    contrast: tuple[float, ...]
    noise: float
    family: str
    parts: Mapping[int, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def whole(self, target: int) -> NDArray[np.bool_]:
        """Return the mask (z, y, x) of an object with everything that lies inside it."""
        return np.isin(self.labels, (target, *self.parts.get(target, ())))


def make_scene(
    rng: np.random.Generator,
    *,
    level: float = 1.0,
    family: str | None = None,
    shape: Shape | None = None,
) -> Scene:
    """Return a random scene.

    Parameters
    ----------
    rng
        Source of randomness; the same state gives the same scene.
    level
        Difficulty from 0 (bright blobs, little noise) to 1 (all families, textures, noise).
    family
        One of :data:`FAMILIES`; drawn if absent, and then sometimes two of them side by side, or a single plane.
    shape
        Voxels (z, y, x); drawn if absent, fewer planes where the voxels are anisotropic.
    """
    coarse = float(np.exp(rng.uniform(0.0, np.log(_COARSEST)))) if rng.random() < 0.5 else 1.0
    flat = shape is None and family is None and rng.random() < _FLAT * level
    if shape is None:
        side = rng.integers(56, 97, 2)
        depth = int(np.clip(rng.uniform(40, 90) / coarse, 8, 80))
        shape = (depth, int(side[0]), int(side[1]))
    name = family or _drawn_family(rng, level)
    layout, clean = _drawn(rng, name, shape, coarse, level)
    if family is None and rng.random() < _MIXED * level:
        name, layout, clean = _beside(rng, (name, layout, clean), shape, coarse, level)
    clean = image_through(
        rng, clean, coarse, _BLURRED.get(layout.style, 1.0) * level, INVERTED[layout.style]
    )
    if flat:
        layout, clean = _middle_plane(layout, clean)
    return _photographed(rng, name, layout, clean, level)


def _drawn_family(rng: np.random.Generator, level: float) -> str:
    names = list(FAMILIES)
    full = min(1.0, 1.6 * level)
    weights = np.array([(1 - full) * _EASY.get(n, 0.0) + full * _FULL[n] for n in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _drawn(
    rng: np.random.Generator, name: str, shape: Shape, coarse: float, level: float
) -> tuple[Layout, Float]:
    layout = FAMILIES[name](rng, shape, (coarse, 1.0, 1.0), level)
    return layout, specimen(rng, layout, coarse, level)


def _beside(
    rng: np.random.Generator,
    first: tuple[str, Layout, Float],
    shape: Shape,
    coarse: float,
    level: float,
) -> tuple[str, Layout, Float]:
    """Two families in one volume, with a winding border between them."""
    _, layout, clean = first
    other, extra = _drawn(rng, _drawn_family(rng, level), shape, coarse, level)
    there = smooth_noise(rng, shape, (40.0 / coarse, 40.0, 40.0)) > 0.3
    top = int(layout.labels.max())
    moved = np.where(other.labels > 0, other.labels + top, 0)
    labels = np.where(there, moved, layout.labels).astype(np.int16)
    parts = dict(layout.parts)
    parts.update({k + top: tuple(p + top for p in v) for k, v in other.parts.items()})
    joint = replace(layout, labels=labels, parts=MappingProxyType(parts))
    return "mixed", joint, np.where(there, extra, clean).astype(np.float32)


def _middle_plane(layout: Layout, clean: Float) -> tuple[Layout, Float]:
    plane = slice(clean.shape[0] // 2, clean.shape[0] // 2 + 1)
    return replace(layout, labels=layout.labels[plane], depth=layout.depth[plane]), clean[plane]


def _photographed(
    rng: np.random.Generator, name: str, layout: Layout, clean: Float, level: float
) -> Scene:
    """Find the visible objects, and add as much noise as the weakest of them bears."""
    low, high = np.percentile(clean, (0.1, 99.9))
    clean = (clean - low) / max(float(high - low), 1e-6)
    seen = _visible(layout, clean)
    sizes = np.bincount(layout.labels.ravel())
    # Noise hides small objects first: a large one averages over many voxels.
    bears = [c * float(np.clip(np.cbrt(sizes[k]) / 14.0, 0.8, 1.6)) for k, c in seen.items()]
    noise = min([1.0, *bears]) * float(rng.random() ** 1.5 * (0.1 + 0.35 * level))
    image = clean + np.float32(noise) * noise_like(rng, clean)
    if rng.random() < 0.15 * level:
        image = quantised(rng, image)
    return Scene(
        np.asarray(image, np.float32),
        layout.labels,
        tuple(seen),
        tuple(seen.values()),
        noise,
        name,
        layout.parts,
    )


def _visible(layout: Layout, clean: Float) -> dict[int, float]:
    """Contrast of each object that shows well enough; of a whole with parts, that of its outline."""
    measured = measure_contrast(clean, layout.labels, MIN_VOXELS)
    for whole, parts in layout.parts.items():
        if whole in measured:
            mask = np.isin(layout.labels, (whole, *parts))
            measured[whole] = object_contrast(clean, mask)
    return {k: v for k, v in measured.items() if v >= CONTRAST_FLOOR}
