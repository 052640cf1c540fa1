"""First generator of synthetic scenes: label maps of several families, rendered so that every target is visible.

A scene is made in three steps: a family draws labels, :mod:`._render` turns them into intensities and measures the
contrast of every object, and the noise is bounded by the weakest contrast of the objects kept as targets. numpy and
scipy only; the same seed gives the same scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi

from napari_nninteractive.training._fields import (
    Float,
    Labels,
    Shape,
    grid,
    label_borders,
    paint_path,
    quadratic_diagram,
    random_metrics,
    random_path,
    scattered_centres,
    smooth_noise,
    warp,
)
from napari_nninteractive.training._render import CONTRAST_FLOOR, measure_contrast, render

MIN_VOXELS = 60
"""Smallest object, in voxels, that is offered as a target."""


@dataclass(frozen=True)
class Layout:
    """What a family drew, before rendering.

    Attributes
    ----------
    labels
        (z, y, x) int16, 0 = background.
    depth
        (z, y, x) float32, 1 in the middle of an object and 0 at its border and outside: its thickness profile.
    walls
        Stained walls between cells are the signal (else the fill is).
    free
        Whether each label gets an intensity of its own (regions, tubes in organs) instead of one common stain.
    membrane
        Dark lines between densely packed objects, as in electron microscopy.
    """

    labels: Labels
    depth: Float
    walls: bool = False
    free: bool = False
    membrane: bool = False


@dataclass(frozen=True)
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
    """

    image: Float
    labels: Labels
    targets: tuple[int, ...]
    contrast: tuple[float, ...]
    noise: float
    family: str


Step = tuple[float, float, float]


def _nuclei(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Sparse and touching nuclei: star-like blobs with rough outlines."""
    extent = np.array(shape) * np.array(step)
    radius = float(np.exp(rng.uniform(np.log(5.0), np.log(20.0))))
    room = float(extent.prod()) / (4.0 / 3.0 * np.pi * radius**3)
    count = int(np.clip(room * np.exp(rng.uniform(np.log(0.02), np.log(0.7))), 2, 55))
    centres = scattered_centres(rng, extent, count, radius * rng.uniform(0.9, 2.0))
    radii = radius * np.exp(rng.normal(0.0, rng.uniform(0.0, 0.3), len(centres)))
    metrics = random_metrics(rng, radii, rng.uniform(0.0, 0.1 + 0.3 * level))
    coords = warp(
        rng,
        grid(shape, step),
        radius * rng.uniform(0.0, 0.1 + 0.2 * level),
        radius * rng.uniform(0.5, 1.5),
        step,
    )
    labels, distance = quadratic_diagram(coords, centres, metrics)
    labels[distance > 1.0] = 0
    return Layout(labels, np.clip(1.0 - distance, 0.0, 1.0))


def _packed(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Packed cells (foam): a diagram of ellipsoid cells, partly with outside; walls or fill are stained."""
    extent = np.array(shape) * np.array(step)
    radius = float(np.exp(rng.uniform(np.log(7.0), np.log(24.0))))
    room = float(extent.prod()) / (4.0 / 3.0 * np.pi * radius**3)
    centres = scattered_centres(
        rng, extent, int(np.clip(room * 1.3, 3, 60)), radius * rng.uniform(0.8, 1.4)
    )
    radii = radius * np.exp(rng.normal(0.0, 0.15, len(centres)))
    metrics = random_metrics(rng, radii, rng.uniform(0.0, 0.1 + 0.35 * level))
    coords = warp(
        rng,
        grid(shape, step),
        radius * rng.uniform(0.0, 0.25),
        radius * rng.uniform(0.8, 2.0),
        step,
    )
    labels, distance = quadratic_diagram(coords, centres, metrics)
    if rng.random() < 0.5:
        wide = 2.5 * radius
        outside = smooth_noise(rng, shape, (wide / step[0], wide / step[1], wide / step[2]))
        labels[outside > rng.uniform(0.5, 1.5)] = 0
    depth = np.clip(1.0 - distance / 2.0, 0.0, 1.0) * (labels > 0)
    return Layout(labels, depth.astype(np.float32), walls=bool(rng.random() < 0.75), membrane=True)


def _tubes(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Tubes, some branching: vessels, neurites, ducts."""
    extent = np.array(shape) * np.array(step)
    labels = np.zeros(shape, np.int16)
    for value in range(1, int(rng.integers(2, 7))):
        radius = float(np.exp(rng.uniform(np.log(2.2), np.log(8.0))))
        start = rng.uniform(0.1, 0.9, 3) * extent
        bend = rng.uniform(0.1, 0.3 + 0.5 * level)
        both = [random_path(rng, start, float(extent.max()), radius * 0.5, bend) for _ in range(2)]
        path = np.concatenate(both)
        if rng.random() < 0.5:
            path = np.concatenate(
                [
                    path,
                    random_path(
                        rng, path[len(path) // 3], float(extent.max()) * 0.5, radius * 0.5, bend
                    ),
                ]
            )
        radii = radius * np.exp(ndi.gaussian_filter1d(rng.normal(0, 0.6, len(path)), 4.0))
        paint_path(labels, path, np.maximum(radii, 1.2), step, value)
    return Layout(labels, (labels > 0).astype(np.float32))


def _regions(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Large smooth regions with intensities of their own (organs, tissues), with smaller bodies and cords in them."""
    radius = rng.uniform(12.0, 40.0)
    scale = (radius / step[0], radius / step[1], radius / step[2])
    fields = [smooth_noise(rng, shape, scale) for _ in range(int(rng.integers(2, 5)))]
    regions = np.argmax(np.stack(fields), 0).astype(np.int16)
    parts, _ = ndi.label(label_borders(regions, between_objects=False) == 0)
    labels = _grow(parts.astype(np.int16), regions)
    extra = (
        _nuclei(rng, shape, step, level) if rng.random() < 0.6 else _tubes(rng, shape, step, level)
    )
    keep = rng.random(int(extra.labels.max()) + 1) < 0.6
    keep[0] = False
    inserted = keep[extra.labels]
    labels[inserted] = extra.labels[inserted] + int(labels.max())
    return Layout(labels, np.ones(shape, np.float32), free=True)


def _grow(parts: Labels, regions: Labels) -> Labels:
    """Give the one-voxel borders back to the nearest part."""
    if not (parts == 0).any() or not parts.any():
        return (regions + 1).astype(np.int16)
    grown = ndi.grey_dilation(parts, size=3)
    return np.where(parts > 0, parts, grown).astype(np.int16)


def _processes(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Packed elongated and winding processes with membranes, as in electron microscopy of nerve tissue."""
    extent = np.array(shape) * np.array(step)
    radius = float(np.exp(rng.uniform(np.log(6.0), np.log(16.0))))
    count = int(np.clip(float(extent.prod()) / (8.0 * radius**3), 6, 70))
    centres = scattered_centres(rng, extent, count, radius * 0.8)
    radii = radius * np.exp(rng.normal(0.0, 0.35, len(centres)))
    metrics = random_metrics(rng, radii, rng.uniform(0.3, 0.5 + 0.3 * level))
    coords = warp(
        rng, grid(shape, step), radius * rng.uniform(0.2, 0.7), radius * rng.uniform(1.0, 2.0), step
    )
    labels, _ = quadratic_diagram(coords, centres, metrics)
    return Layout(labels, np.ones(shape, np.float32), walls=True, membrane=True)


def _sheathed(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """A thick cord or body in a sheath of another intensity among other tissue: cord and fluid, vessel and lumen."""
    surround = _regions(rng, shape, step, level).labels
    extent = np.array(shape) * np.array(step)
    radius = rng.uniform(4.0, 12.0)
    start = rng.uniform(0.3, 0.7, 3) * extent
    bend = rng.uniform(0.02, 0.15)
    arms = [random_path(rng, start, float(extent.max()) * rng.uniform(0.3, 1.0), 2.0, bend)]
    arms.append(2 * start - arms[0] + 0.0)
    path = np.concatenate([arms[1][::-1], arms[0]])
    radii = radius * np.exp(ndi.gaussian_filter1d(rng.normal(0, 0.5, len(path)), 5.0))
    inner = np.zeros(shape, np.int16)
    paint_path(inner, path, radii, step, 1)
    outer = np.zeros(shape, np.int16)
    paint_path(outer, path, radii * rng.uniform(1.3, 1.8), step, 1)
    top = int(surround.max())
    labels = np.where(inner > 0, top + 2, np.where(outer > 0, top + 1, surround)).astype(np.int16)
    return Layout(labels, np.ones(shape, np.float32), free=True)


Family = Callable[[np.random.Generator, Shape, Step, float], Layout]

FAMILIES: dict[str, Family] = {
    "nuclei": _nuclei,
    "packed": _packed,
    "tubes": _tubes,
    "regions": _regions,
    "processes": _processes,
    "sheathed": _sheathed,
}

_EASY = {
    "nuclei": 0.75,
    "packed": 0.15,
    "tubes": 0.05,
    "regions": 0.05,
    "processes": 0.0,
    "sheathed": 0.0,
}
_FULL = {
    "nuclei": 0.46,
    "packed": 0.18,
    "tubes": 0.08,
    "regions": 0.09,
    "processes": 0.10,
    "sheathed": 0.09,
}


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
        One of :data:`FAMILIES`; drawn if absent.
    shape
        Voxels (z, y, x); drawn if absent, fewer planes where the voxels are anisotropic.
    """
    names = list(FAMILIES)
    weights = np.array([(1 - level) * _EASY[n] + level * _FULL[n] for n in names])
    name = family or names[int(rng.choice(len(names), p=weights / weights.sum()))]
    coarse = float(np.exp(rng.uniform(0.0, np.log(4.0)))) if rng.random() < 0.5 else 1.0
    if shape is None:
        side = rng.integers(56, 97, 2)
        depth = int(np.clip(rng.uniform(40, 90) / coarse, 14, 80))
        shape = (depth, int(side[0]), int(side[1]))
    layout = FAMILIES[name](rng, shape, (coarse, 1.0, 1.0), level)
    clean, noise_shape = render(rng, layout, coarse, level)
    low, high = np.percentile(clean, (0.1, 99.9))
    span = max(float(high - low), 1e-6)
    clean = (clean - low) / span
    measured = measure_contrast(clean, layout.labels, MIN_VOXELS)
    seen = {k: v for k, v in measured.items() if v >= CONTRAST_FLOOR}
    weakest = min([1.0, *seen.values()])
    noise = weakest * float(rng.uniform(0.0, 0.1 + 0.35 * level))
    image = clean + noise * noise_shape
    return Scene(
        image.astype(np.float32), layout.labels, tuple(seen), tuple(seen.values()), noise, name
    )
