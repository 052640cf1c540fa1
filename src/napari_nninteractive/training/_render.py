"""Turn label maps into intensities, and measure how visible every object is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_nninteractive.training._fields import Float, Labels, Shape, label_borders, smooth_noise

if TYPE_CHECKING:
    from napari_nninteractive.training.scenes import Layout

CONTRAST_FLOOR = 0.2
"""Smallest contrast of a target, as a fraction of the intensity range of the noise-free scene."""


def render(
    rng: np.random.Generator, layout: Layout, coarse: float, level: float
) -> tuple[Float, Float]:
    """Return the noise-free image and a noise field of unit strength, both (z, y, x) float32.

    Parameters
    ----------
    rng
        Source of randomness.
    layout
        What the family drew.
    coarse
        Voxel size in z over that in y and x: blur and texture are that much finer along z.
    level
        Difficulty from 0 to 1.
    """
    shape: Shape = layout.labels.shape
    if layout.walls:
        clean = _walled(rng, layout, coarse)
    elif layout.free:
        clean = _own_intensities(rng, layout)
    else:
        clean = _filled(rng, layout, level)
    texture = smooth_noise(rng, shape, (max(4.0 / coarse, 1.0), 4.0, 4.0)) * smooth_noise(
        rng, shape, 12.0
    )
    fine = smooth_noise(rng, shape, float(rng.uniform(1.5, 3.0)))
    clean = (
        clean
        + level * np.float32(rng.uniform(0.0, 0.06)) * texture
        + level * np.float32(rng.uniform(0.0, 0.06)) * fine
    )
    sigma = float(rng.uniform(0.4, 0.8 + 0.7 * level))
    clean = ndi.gaussian_filter(
        clean, (sigma * (1.0 if rng.random() < 0.5 else 1.6) / coarse, sigma, sigma)
    )
    if rng.random() < 0.5 * level:
        clean = clean * np.exp(np.float32(rng.uniform(0.0, 0.25)) * smooth_noise(rng, shape, 40.0))
    if rng.random() < 0.3:
        low, high = float(clean.min()), float(clean.max())
        unit = (clean - low) / max(high - low, 1e-6)
        clean = unit ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))
    if rng.random() < _INVERTED[_kind(layout)]:
        clean = -clean
    return clean.astype(np.float32), _noise(rng, clean)


_INVERTED = {"walls": 0.3, "free": 0.5, "filled": 0.15}


def _kind(layout: Layout) -> str:
    return "walls" if layout.walls else "free" if layout.free else "filled"


def _noise(rng: np.random.Generator, clean: Float) -> Float:
    """Return noise of about unit deviation: Gaussian, brighter where the signal is, or slightly correlated."""
    noise = rng.standard_normal(clean.shape, dtype=np.float32)
    kind = rng.random()
    if kind < 0.4:
        low, high = float(clean.min()), float(clean.max())
        noise = noise * np.sqrt(0.2 + 0.8 * (clean - low) / max(high - low, 1e-6))
    if kind > 0.7:
        noise = ndi.gaussian_filter(noise, 0.5)
        noise /= max(float(noise.std()), 1e-6)
    return noise.astype(np.float32)


def _filled(rng: np.random.Generator, layout: Layout, level: float) -> Float:
    """Stained bodies on a darker ground; where they touch a gap, a dip or another brightness tells them apart."""
    labels = layout.labels
    count = int(labels.max()) + 1
    ground = rng.uniform(0.0, 0.25)
    spread = rng.choice([0.0, 0.5, 0.75]) * (0.3 + 0.7 * level)
    table = ground + 0.8 * (1.0 - spread * rng.random(count))
    table[0] = ground
    clean = table.astype(np.float32)[labels]
    profile = rng.random()
    if profile < 0.5:
        strength = np.float32(rng.uniform(0.2, 0.6))
        fade = 1.0 - strength + strength * np.sqrt(layout.depth)
        clean = (ground + (clean - ground) * fade * (labels > 0)).astype(np.float32)
    elif profile < 0.6:
        rim = np.float32(rng.uniform(0.3, 0.6))
        fade = 1.0 - rim * np.clip(layout.depth * 1.5, 0, 1)
        clean = (ground + (clean - ground) * fade * (labels > 0)).astype(np.float32)
    gap = ndi.gaussian_filter(
        label_borders(labels, between_objects=True).astype(np.float32), rng.uniform(0.5, 0.9)
    )
    dip = np.float32(rng.uniform(0.45, 1.0))
    clean = clean - dip * np.clip(gap * 1.6, 0.0, 1.0) * (clean - ground)
    if rng.random() < 0.5 * level:
        lumps = smooth_noise(rng, clean.shape, float(rng.uniform(2.0, 5.0)))
        clean = clean + np.float32(rng.uniform(0.0, 0.2)) * lumps * (labels > 0) * (clean - ground)
    return np.asarray(clean, np.float32)


def _walled(rng: np.random.Generator, layout: Layout, coarse: float) -> Float:
    """Stained walls round cells; the inside dark, slightly varied, sometimes with bodies in it."""
    labels = layout.labels
    count = int(labels.max()) + 1
    width = float(rng.uniform(0.6, 1.8))
    border = label_borders(labels, between_objects=False).astype(np.float32)
    wall = ndi.gaussian_filter(border, (width / coarse, width, width))
    wall = np.clip(wall / max(float(np.percentile(wall[border > 0], 40)), 1e-6), 0.0, 1.0)
    inside = rng.uniform(0.0, 0.3) + rng.uniform(0.0, 0.2) * rng.random(count)
    inside[0] = inside[0] if rng.random() < 0.5 else rng.uniform(0.0, 0.4)
    clean = inside.astype(np.float32)[labels]
    if layout.depth.min() < 1.0 and rng.random() < 0.35:
        body = np.clip((layout.depth - rng.uniform(0.75, 0.9)) * 8.0, 0.0, 1.0)
        clean = clean + np.float32(rng.uniform(-0.2, 0.3)) * body
    return np.asarray(clean + (1.0 - clean) * wall, np.float32)


def _own_intensities(rng: np.random.Generator, layout: Layout) -> Float:
    """Each object has an intensity of its own, spread evenly so that most neighbours differ."""
    count = int(layout.labels.max()) + 1
    table = (rng.permutation(count) + rng.uniform(0.0, 1.0)) / max(count, 1)
    steps = int(rng.integers(3, 6))
    table = np.floor(table * steps) / steps + rng.normal(0.0, 0.03, count)
    return np.asarray(table.astype(np.float32)[layout.labels], np.float32)


def measure_contrast(clean: Float, labels: Labels, min_voxels: int) -> dict[int, float]:
    """Return for each object of at least ``min_voxels`` how far its inside stands out.

    The contrast is the difference between the mean inside and the surroundings or, if that is larger, its border
    line: the 25th percentile over border voxels, so that three quarters of the border must show it.

    Parameters
    ----------
    clean
        Noise-free image (z, y, x) scaled to a range of one.
    labels
        (z, y, x) int16, 0 = background.
    min_voxels
        Smaller objects are left out.
    """
    sizes = np.bincount(labels.ravel())
    found: dict[int, float] = {}
    for value, box in enumerate(ndi.find_objects(labels), start=1):
        if box is None or sizes[value] < min_voxels:
            continue
        wide = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in box)
        found[value] = object_contrast(clean[wide], labels[wide] == value)
    return found


def object_contrast(
    clean: Float, mask: Labels | np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> float:
    """Return how far one object stands out from what lies just outside it (see :func:`measure_contrast`)."""
    inside = np.asarray(mask, bool)
    core = ndi.binary_erosion(inside)
    core = core if core.sum() > 20 else inside
    near = ndi.binary_dilation(inside)
    line = near & ~core
    shell = ndi.binary_dilation(near, iterations=2) & ~near
    middle = float(np.median(clean[core]))
    edges = np.abs(clean[shell] - middle) if shell.any() else np.zeros(1)
    seam = np.abs(clean[line] - middle) if line.any() else np.zeros(1)
    return float(max(np.percentile(edges, 25), np.percentile(seam, 25)))
