"""Families of label maps that stand for tissue: tubes, sheets, regions, nerve processes.

Lengths are in units of the finest voxel size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.simulation.images._fields import (
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
from napari_nninteractive.simulation.images.families_cells import nuclei
from napari_nninteractive.simulation.images.layout import Layout, Step

__all__ = ["bodies", "processes", "regions", "sheathed", "sheets", "tubes"]


def tubes(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Tubes, some branching: vessels, neurites, ducts, roots."""
    extent = np.array(shape) * np.array(step)
    labels = np.zeros(shape, np.int16)
    for value in range(1, int(rng.integers(2, 8))):
        radius = float(np.exp(rng.uniform(np.log(1.8), np.log(9.0))))
        start = rng.uniform(0.1, 0.9, 3) * extent
        bend = rng.uniform(0.1, 0.3 + 0.5 * level)
        length = float(extent.max())
        path = np.concatenate(
            [random_path(rng, start, length, radius * 0.5, bend) for _ in range(2)]
        )
        for _ in range(int(rng.integers(0, 3))):
            fork = path[int(rng.integers(len(path)))]
            branch = random_path(rng, fork, length * 0.5, radius * 0.5, bend)
            path = np.concatenate([path, branch])
        radii = radius * np.exp(ndi.gaussian_filter1d(rng.normal(0, 0.6, len(path)), 4.0))
        paint_path(labels, path, np.maximum(radii, 1.2), step, value)
    return Layout(labels, (labels > 0).astype(np.float32))


def sheets(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Curved sheets side by side: membranes, layers of skin or retina, bone plates, fibre walls."""
    coords = grid(shape, step)
    normal = rng.standard_normal(3)
    normal /= np.linalg.norm(normal)
    height = np.tensordot(normal.astype(np.float32), coords, axes=(0, 0))
    scale = rng.uniform(14.0, 40.0)
    height = height + np.float32(rng.uniform(0.1, 0.3 + 0.2 * level) * scale) * smooth_noise(
        rng, shape, (scale / step[0], scale / step[1], scale / step[2])
    )
    labels = np.zeros(shape, np.int16)
    position, top = float(height.min()) + rng.uniform(0.0, 10.0), float(height.max())
    value = 1
    tight = rng.random() < 0.4
    while position < top and value < 12:
        thick = float(np.exp(rng.uniform(np.log(3.0), np.log(14.0))))
        labels[(height >= position) & (height < position + thick)] = value
        position += thick + (0.0 if tight else rng.uniform(3.0, 20.0))
        value += 1
    return Layout(labels, np.ones(shape, np.float32), "free" if tight else "filled")


def bodies(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """A few large bodies, long or flat, mostly cut by the patch's border: organs, fibres, organisms."""
    extent = np.array(shape) * np.array(step)
    radius = rng.uniform(14.0, 34.0)
    centres = scattered_centres(rng, extent, int(rng.integers(1, 6)), radius)
    metrics = random_metrics(
        rng,
        radius * np.exp(rng.normal(0.0, 0.2, len(centres))),
        rng.uniform(0.2, 0.3 + 0.4 * level),
    )
    coords = warp(rng, grid(shape, step), radius * rng.uniform(0.05, 0.3), radius, step)
    labels, distance = quadratic_diagram(coords, centres, metrics)
    labels[distance > 1.0] = 0
    free = rng.random() < 0.5
    return Layout(labels, np.clip(1.0 - distance, 0.0, 1.0), "free" if free else "filled")


def regions(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Large smooth regions with intensities of their own (organs, tissues), with bodies, cords or growths in them."""
    radius = rng.uniform(12.0, 40.0)
    scale = (radius / step[0], radius / step[1], radius / step[2])
    fields = [smooth_noise(rng, shape, scale) for _ in range(int(rng.integers(2, 5)))]
    chosen = np.argmax(np.stack(fields), 0).astype(np.int16)
    parts, _ = ndi.label(label_borders(chosen, between_objects=False) == 0)
    labels = _grown(parts.astype(np.int16), chosen)
    inserted = (nuclei, tubes, _growths)[int(rng.choice(3, p=(0.35, 0.25, 0.4)))]
    extra = inserted(rng, shape, step, level).labels
    keep = rng.random(int(extra.max()) + 1) < 0.6
    keep[0] = False
    inside = keep[extra]
    labels[inside] = extra[inside] + int(labels.max())
    return Layout(labels, np.ones(shape, np.float32), "free")


def _growths(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Ragged, lobed bodies that spread into what lies round them: tumours, lesions, infiltrates, plaques."""
    coords = grid(shape, step)
    extent = np.array(shape) * np.array(step)
    labels = np.zeros(shape, np.int16)
    for value in range(1, int(rng.integers(2, 5))):
        radius = float(np.exp(rng.uniform(np.log(6.0), np.log(22.0))))
        centre = (rng.uniform(0.1, 0.9, 3) * extent).astype(np.float32)
        away = np.sqrt(((coords - centre[:, None, None, None]) ** 2).sum(0)) / np.float32(radius)
        lobe = radius * rng.uniform(0.25, 0.8)
        lobes = smooth_noise(rng, shape, (lobe / step[0], lobe / step[1], lobe / step[2]))
        ragged = away + np.float32(rng.uniform(0.1, 0.2 + 0.25 * level)) * lobes < 1.0
        pieces, _ = ndi.label(ragged & (labels == 0))
        sizes = np.bincount(pieces.ravel())
        if len(sizes) > 1:
            labels[pieces == 1 + int(sizes[1:].argmax())] = value
    return Layout(labels, np.ones(shape, np.float32), "free")


def _grown(parts: Labels, chosen: Labels) -> Labels:
    """Give the one-voxel borders back to the nearest part."""
    if not (parts == 0).any() or not parts.any():
        return (chosen + 1).astype(np.int16)
    grown = ndi.grey_dilation(parts, size=3)
    return np.where(parts > 0, parts, grown).astype(np.int16)


def processes(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Packed winding processes of very different calibre with dark membranes: nerve tissue in electron microscopy."""
    extent = np.array(shape) * np.array(step)
    calibre = float(np.exp(rng.uniform(np.log(5.0), np.log(16.0))))
    points: list[NDArray[np.float64]] = []
    owner: list[int] = []
    radii: list[float] = []
    starts = scattered_centres(
        rng, extent, int(np.clip(float(extent.prod()) / (10.0 * calibre**3), 5, 30)), calibre
    )
    for number, start in enumerate(starts):
        radius = calibre * float(np.exp(rng.normal(0.0, 0.5)))
        length = radius * rng.uniform(0.5, 8.0)
        path = random_path(rng, start, length, radius * 1.2, rng.uniform(0.1, 0.6))[:6]
        points.extend(path)
        owner.extend([number + 1] * len(path))
        radii.extend([radius] * len(path))
    metrics = random_metrics(rng, np.array(radii), rng.uniform(0.1, 0.3 + 0.2 * level))
    coords = warp(
        rng,
        grid(shape, step),
        calibre * rng.uniform(0.1, 0.5),
        calibre * rng.uniform(0.8, 2.0),
        step,
    )
    nearest, distance = quadratic_diagram(coords, np.array(points), metrics)
    labels = np.array([0, *owner], np.int16)[nearest]
    return Layout(labels, np.clip(1.0 - distance / 2.0, 0.0, 1.0), "electron")


def sheathed(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """A thick cord or body in a sheath of another intensity among other tissue: cord and fluid, vessel and lumen."""
    surround = regions(rng, shape, step, level).labels
    extent = np.array(shape) * np.array(step)
    radius = rng.uniform(3.5, 12.0)
    start = rng.uniform(0.3, 0.7, 3) * extent
    arm = random_path(
        rng, start, float(extent.max()) * rng.uniform(0.3, 1.0), 2.0, rng.uniform(0.02, 0.15)
    )
    path = np.concatenate([(2 * start - arm)[::-1], arm])
    radii = radius * np.exp(ndi.gaussian_filter1d(rng.normal(0, 0.5, len(path)), 5.0))
    inner = np.zeros(shape, np.int16)
    paint_path(inner, path, radii, step, 1)
    outer = np.zeros(shape, np.int16)
    paint_path(outer, path, radii * rng.uniform(1.3, 1.9), step, 1)
    top = int(surround.max())
    labels = np.where(inner > 0, top + 2, np.where(outer > 0, top + 1, surround)).astype(np.int16)
    return Layout(labels, np.ones(shape, np.float32), "free")
