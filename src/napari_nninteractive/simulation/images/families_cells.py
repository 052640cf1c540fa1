"""Families of label maps that stand for cells and what is in them. Lengths are in units of the finest voxel size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.simulation.images._fields import (
    Float,
    Labels,
    Shape,
    grid,
    quadratic_diagram,
    random_metrics,
    scattered_centres,
    smooth_noise,
    warp,
)
from napari_nninteractive.simulation.images.layout import Layout, Step

__all__ = ["nested", "nuclei", "packed", "shells"]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _blobs(
    rng: np.random.Generator,
    shape: Shape,
    step: Step,
    *,
    radius: float,
    filling: float,
    elongation: float,
    roughness: float,
    most: int = 55,
    clustered: bool = False,
) -> tuple[Labels, Float]:
    """Rough ellipsoids that share their touching faces: nearest label, and squared distance (1 = border)."""
    extent = np.array(shape) * np.array(step)
    room = float(extent.prod()) / (4.0 / 3.0 * np.pi * radius**3)
    count = int(np.clip(room * filling, 2, most))
    if clustered:
        centres = _cluster(rng, extent, radius)
    else:
        centres = scattered_centres(rng, extent, count, radius * rng.uniform(0.9, 2.0))
    radii = radius * np.exp(rng.normal(0.0, rng.uniform(0.0, 0.3), len(centres)))
    metrics = random_metrics(rng, radii, elongation)
    coords = warp(rng, grid(shape, step), radius * roughness, radius * rng.uniform(0.5, 1.5), step)
    return quadratic_diagram(coords, centres, metrics)


def _cluster(
    rng: np.random.Generator, extent: NDArray[np.float64], radius: float
) -> NDArray[np.float64]:
    """Centres (n, 3) of bodies that lie together in a ball, or side by side on its surface: embryo, spheroid, cyst."""
    middle = rng.uniform(0.35, 0.65, 3) * extent
    reach = radius * rng.uniform(1.1, 3.0)
    hollow = rng.random() < 0.5
    spread = radius * rng.uniform(1.2, 1.9)
    points = [middle + reach * _direction(rng)]
    for _ in range(150):
        away = reach * (rng.uniform(0.85, 1.1) if hollow else rng.random() ** (1 / 3))
        candidate = middle + away * _direction(rng)
        if np.min(np.linalg.norm(np.array(points) - candidate, axis=1)) > spread:
            points.append(candidate)
    return np.array(points)


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    vector = rng.standard_normal(3)
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def nuclei(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Nuclei, sparse, touching or in clusters: star-like blobs with rough outlines, sharp or in a haze of their own."""
    clustered = rng.random() < 0.4
    labels, distance = _blobs(
        rng,
        shape,
        step,
        radius=_log_uniform(rng, 8.0 if clustered else 5.0, 24.0 if clustered else 22.0),
        filling=_log_uniform(rng, 0.02, 0.8),
        elongation=rng.uniform(0.0, 0.1 + 0.3 * level),
        roughness=rng.uniform(0.0, 0.1 + 0.2 * level),
        clustered=clustered,
    )
    stained = None
    if rng.random() < 0.65:
        reach = rng.uniform(0.6, 0.97)
        stained = np.where(distance > reach**2, 0, labels).astype(np.int16)
        distance = distance / np.float32(reach**2)
        labels = np.where(distance * np.float32(reach**2) > 1.0, 0, labels).astype(np.int16)
    else:
        labels[distance > 1.0] = 0
    return Layout(labels, np.clip(1.0 - distance, 0.0, 1.0), stained=stained)


def packed(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Packed cells (plant tissue, epithelia, foam), partly with an outside; walls or insides are stained."""
    extent = np.array(shape) * np.array(step)
    radius = _log_uniform(rng, 7.0, 28.0)
    room = float(extent.prod()) / (4.0 / 3.0 * np.pi * radius**3)
    centres = scattered_centres(
        rng, extent, int(np.clip(room * 1.3, 3, 60)), radius * rng.uniform(0.7, 1.4)
    )
    radii = radius * np.exp(rng.normal(0.0, rng.uniform(0.05, 0.3), len(centres)))
    metrics = random_metrics(rng, radii, rng.uniform(0.0, 0.1 + 0.35 * level))
    if rng.random() < 0.4:
        metrics = _laid_flat(rng, metrics)
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
    walled = rng.random() < 0.8
    return Layout(labels, depth.astype(np.float32), "walled" if walled else "filled")


def _laid_flat(rng: np.random.Generator, metrics: NDArray[np.float64]) -> NDArray[np.float64]:
    """All cells stretched along common directions: layers and files of cells."""
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    stretch = np.exp(rng.normal(0.0, 0.4, 3))
    stretch /= np.cbrt(stretch.prod())
    common = turn @ np.diag(1.0 / stretch) @ turn.T
    return np.asarray(np.einsum("ij,njk,kl->nil", common, metrics, common), np.float64)


def nested(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Bodies with one inside: nucleus in cell, nucleolus in nucleus, yolk in egg; whole and part are targets."""
    touching = rng.random() < 0.5
    labels, distance = _blobs(
        rng,
        shape,
        step,
        radius=_log_uniform(rng, 9.0, 26.0),
        filling=_log_uniform(rng, 0.1, 1.2 if touching else 0.5),
        elongation=rng.uniform(0.0, 0.1 + 0.3 * level),
        roughness=rng.uniform(0.0, 0.1 + 0.2 * level),
        most=40,
    )
    labels[distance > (1.6 if touching else 1.0)] = 0
    share = rng.uniform(0.08, 0.45)
    shift = np.float32(rng.uniform(0.0, 0.12)) * smooth_noise(rng, shape, 8.0)
    top = int(labels.max())
    inner = (labels > 0) & (distance + shift < share)
    has = rng.random(top + 1) < 0.85
    inner &= has[labels]
    whole = labels.copy()
    labels = np.where(inner, labels + top, labels).astype(np.int16)
    parts = {int(v): (int(v) + top,) for v in np.unique(whole[inner])}
    return Layout(labels, np.clip(1.0 - distance, 0.0, 1.0), "nested", parts=parts)


def shells(rng: np.random.Generator, shape: Shape, step: Step, level: float) -> Layout:
    """Hollow bodies (vesicles, cysts, organoids, follicles): a shell, and the lumen that it encloses."""
    labels, distance = _blobs(
        rng,
        shape,
        step,
        radius=_log_uniform(rng, 10.0, 30.0),
        filling=_log_uniform(rng, 0.05, 0.4),
        elongation=rng.uniform(0.0, 0.1 + 0.3 * level),
        roughness=rng.uniform(0.0, 0.1 + 0.2 * level),
        most=20,
    )
    labels[distance > 1.0] = 0
    top = int(labels.max())
    thin = rng.uniform(0.45, 0.8)
    lumen = (labels > 0) & (distance < thin**2)
    labels = np.where(lumen, labels + top, labels).astype(np.int16)
    return Layout(labels, np.ones(shape, np.float32), "nested")
