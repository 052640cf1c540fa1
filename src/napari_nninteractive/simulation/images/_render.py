"""Turn label maps into the intensities of a specimen: what is stained, and how evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.simulation.images._fields import Float, label_borders, smooth_noise
from napari_nninteractive.simulation.images.layout import Layout, Style

__all__ = ["INVERTED", "specimen"]

INVERTED: dict[Style, float] = {
    "filled": 0.15,
    "walled": 0.3,
    "free": 0.5,
    "nested": 0.3,
    "electron": 0.12,
}
"""How often dark and bright change places."""


def specimen(rng: np.random.Generator, layout: Layout, coarse: float, level: float) -> Float:
    """Return the intensities of what a family drew, before any optics: (z, y, x) float32, about 0 to 1.

    Parameters
    ----------
    rng
        Source of randomness.
    layout
        What the family drew.
    coarse
        Voxel size in z over that in y and x: textures are that much finer along z.
    level
        Difficulty from 0 to 1.
    """
    if layout.style == "walled":
        return _walled(rng, layout, coarse)
    if layout.style == "electron":
        return _electron(rng, layout, coarse)
    if layout.style == "free":
        return _own_intensities(rng, layout, coarse, level)
    if layout.style == "nested":
        return _nested(rng, layout, level)
    return _filled(rng, layout, coarse, level)


def _filled(rng: np.random.Generator, layout: Layout, coarse: float, level: float) -> Float:
    """Stained bodies on a darker ground; where they touch a gap, a dip or another brightness tells them apart."""
    labels = layout.labels if layout.stained is None else layout.stained
    count = int(layout.labels.max()) + 1
    ground = rng.uniform(0.0, 0.25)
    spread = rng.choice([0.0, 0.5, 0.8]) * (0.3 + 0.7 * level)
    table = ground + 0.8 * (1.0 - spread * rng.random(count))
    table[0] = ground
    clean = table.astype(np.float32)[labels]
    profile = rng.random()
    if profile < 0.65:  # brightest in the middle, dim towards the outline that a person would draw
        strength = np.float32(rng.uniform(0.2, 0.9))
        fade = 1.0 - strength + strength * layout.depth ** np.float32(rng.uniform(0.5, 1.2))
        clean = (ground + (clean - ground) * fade * (labels > 0)).astype(np.float32)
    elif profile < 0.75:
        rim = np.float32(rng.uniform(0.3, 0.6))
        fade = 1.0 - rim * np.clip(layout.depth * 1.5, 0, 1)
        clean = (ground + (clean - ground) * fade * (labels > 0)).astype(np.float32)
    gap = ndi.gaussian_filter(
        label_borders(labels, between_objects=True).astype(np.float32), rng.uniform(0.5, 0.9)
    )
    dip = np.float32(rng.uniform(0.35, 1.0))
    clean = clean - dip * np.clip(gap * 1.6, 0.0, 1.0) * (clean - ground)
    if rng.random() < 0.6 * level:
        lumps = smooth_noise(rng, clean.shape, float(rng.uniform(1.5, 5.0)))
        clean = clean + np.float32(rng.uniform(0.0, 0.35)) * lumps * (labels > 0) * (clean - ground)
    texture = rng.random()
    if texture < 0.25 * level:  # bright grains of chromatin, up to several times their surroundings
        grains = smooth_noise(rng, clean.shape, float(rng.uniform(2.0, 4.5)))
        bright = np.clip((grains - rng.uniform(0.4, 1.0)) * 2.5, 0.0, 1.0) * (labels > 0)
        clean = clean + np.float32(rng.uniform(0.3, 1.5)) * bright * (clean - ground)
    elif texture < 0.75 * level:  # bright and dark parts of any size, up to half of a body
        across = 2.0 * _typical_radius(labels, coarse)
        scale = float(np.exp(rng.uniform(np.log(2.0), np.log(max(0.35 * across, 2.5)))))
        parts = smooth_noise(rng, clean.shape, (max(scale / coarse, 1.0), scale, scale))
        gain = np.clip(np.exp(np.float32(rng.uniform(0.2, 0.7)) * parts), 0.25, 3.0)
        clean = np.where(labels > 0, ground + (clean - ground) * gain, clean)
    return np.asarray(clean, np.float32)


def _typical_radius(labels: NDArray[np.int16], coarse: float) -> float:
    """Radius of a ball as large as the median object, in units of the finest voxel; 0 where there is none."""
    sizes = np.bincount(labels.ravel())[1:]
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return 0.0
    return float(np.cbrt(float(np.median(sizes)) * coarse * 3.0 / (4.0 * np.pi)))


def _walls(
    rng: np.random.Generator, layout: Layout, coarse: float, low: float, high: float
) -> Float:
    """Walls of one random width between labels, 0 to 1."""
    width = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    border = label_borders(layout.labels, between_objects=False).astype(np.float32)
    if not border.any():
        return border
    wall = ndi.gaussian_filter(border, (width / coarse, width, width), truncate=3.0)
    top = max(float(np.percentile(wall[border > 0], rng.uniform(20.0, 60.0))), 1e-6)
    return np.asarray(np.clip(wall / top, 0.0, 1.0), np.float32)


def _walled(rng: np.random.Generator, layout: Layout, coarse: float) -> Float:
    """Stained walls round cells, thin or thick; the inside darker, varied, sometimes with bodies in it."""
    labels = layout.labels
    count = int(labels.max()) + 1
    thickest = float(np.clip(np.cbrt(labels.size / max(count - 1, 1)) / 6.0, 1.0, 5.0))
    wall = _walls(rng, layout, coarse, 0.5, thickest)
    inside = rng.uniform(0.0, 0.3) + rng.uniform(0.0, 0.35) * rng.random(count)
    inside[0] = inside[0] if rng.random() < 0.5 else rng.uniform(0.0, 0.4)
    clean = inside.astype(np.float32)[labels]
    if layout.depth.min() < 1.0 and rng.random() < 0.4:
        body = np.clip((layout.depth - rng.uniform(0.7, 0.9)) * 8.0, 0.0, 1.0)
        clean = clean + np.float32(rng.uniform(-0.3, 0.4)) * body
    if rng.random() < 0.4:
        clean = clean + np.float32(rng.uniform(0.0, 0.12)) * smooth_noise(
            rng, labels.shape, float(rng.uniform(2.0, 6.0))
        )
    if rng.random() < 0.4:
        patchy = 1.0 + np.float32(rng.uniform(0.0, 0.3)) * smooth_noise(rng, labels.shape, 10.0)
        wall = wall * np.clip(patchy, 0.3, 1.5)
    return np.asarray(clean + (1.0 - clean) * wall, np.float32)


def _own_intensities(
    rng: np.random.Generator, layout: Layout, coarse: float, level: float
) -> Float:
    """Each object has an intensity and a texture of its own, spread so that most neighbours differ."""
    count = int(layout.labels.max()) + 1
    table = (rng.permutation(count) + rng.uniform(0.0, 1.0)) / max(count, 1)
    steps = int(rng.integers(3, 6))
    table = np.floor(table * steps) / steps + rng.normal(0.0, 0.03, count)
    clean = table.astype(np.float32)[layout.labels]
    if rng.random() < 0.6 * level:
        scale = float(rng.uniform(1.5, 5.0))
        grain = smooth_noise(rng, layout.labels.shape, (max(scale / coarse, 1.0), scale, scale))
        amount = 0.15 * rng.random(count) * (rng.random(count) < 0.5)
        clean = clean + amount.astype(np.float32)[layout.labels] * grain
    if rng.random() < 0.4 * level:
        clean = clean + np.float32(rng.uniform(0.0, 0.12)) * smooth_noise(
            rng, layout.labels.shape, float(rng.uniform(10.0, 20.0))
        )
    return np.asarray(clean, np.float32)


def _nested(rng: np.random.Generator, layout: Layout, level: float) -> Float:
    """Wholes of one brightness, parts of another, ground of a third; between touching ones there is a dip."""
    count = int(layout.labels.max()) + 1
    ground, whole, part = rng.permutation([0.0, 0.5, 1.0]) + rng.uniform(-0.12, 0.12, 3)
    inner = np.zeros(count, bool)
    inner[[p for parts in layout.parts.values() for p in parts]] = True
    if not layout.parts:  # a shell and its lumen, which are objects of their own
        inner[count // 2 + 1 :] = True
    spread = rng.uniform(0.0, 0.25) * level
    table = np.where(inner, part, whole) + spread * rng.normal(0.0, 0.5, count)
    table[0] = ground
    clean = table.astype(np.float32)[layout.labels]
    outlines = np.where(inner[layout.labels], 0, layout.labels).astype(np.int16)
    gap = ndi.gaussian_filter(
        label_borders(outlines, between_objects=True).astype(np.float32), rng.uniform(0.5, 0.9)
    )
    return np.asarray(
        clean + (np.float32(ground) - clean) * np.clip(gap * 1.6, 0.0, 1.0) * rng.uniform(0.5, 1.0),
        np.float32,
    )


def _electron(rng: np.random.Generator, layout: Layout, coarse: float) -> Float:
    """Grey, grainy insides with dark organelles and vesicles, and dark membranes between them."""
    labels = layout.labels
    count = int(labels.max()) + 1
    inside = rng.uniform(0.55, 0.85) + rng.uniform(0.0, 0.12) * rng.standard_normal(count)
    clean = inside.astype(np.float32)[labels]
    clean = clean + np.float32(rng.uniform(0.02, 0.12)) * smooth_noise(
        rng, labels.shape, float(rng.uniform(1.2, 2.5))
    )
    membrane = _walls(rng, layout, coarse, 0.45, 1.3)
    if rng.random() < 0.8:
        for amount, size in ((rng.uniform(0.2, 0.6), (3.0, 7.0)), (0.25, (1.5, 3.0))):
            clean = clean - np.float32(amount) * _organelles(rng, layout, coarse, size)
    dark = np.float32(rng.uniform(0.0, 0.3))
    return np.asarray(clean + (dark - clean) * membrane, np.float32)


def _organelles(
    rng: np.random.Generator, layout: Layout, coarse: float, size: tuple[float, float]
) -> Float:
    """Bodies well inside some of the processes (mitochondria, vesicles): 0 to 1, partly with a brighter middle."""
    scale = float(rng.uniform(*size))
    field = smooth_noise(rng, layout.labels.shape, (max(scale / coarse, 1.0), scale, scale))
    some: NDArray[np.bool_] = rng.random(int(layout.labels.max()) + 1) < rng.uniform(0.3, 0.9)
    bodies = np.clip((field - rng.uniform(1.0, 1.7)) * 4.0, 0.0, 1.0)
    bodies = bodies * some[layout.labels] * np.clip((layout.depth - 0.55) * 8.0, 0.0, 1.0)
    if rng.random() < 0.4:
        bodies = bodies * (1.0 - np.float32(rng.uniform(0.3, 0.8)) * (bodies > 0.99))
    return np.asarray(bodies, np.float32)
