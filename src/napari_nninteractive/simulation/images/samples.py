"""Small synthetic stacks with their truth: for the demo, napari's sample menu and the tests.

They look like fluorescence microscopy because they are made the way it makes images: objects are placed in physical
units, stained, blurred (more along z), and counted as photons. The same seed gives the same stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_nninteractive.core.box import Box, Index3

__all__ = ["SAMPLES", "Sample", "nuclei", "packed_cells", "vessels"]

_Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A stack with its truth.

    Attributes
    ----------
    name : str
        What it shows.
    image : ndarray
        (z, y, x), uint8 or uint16.
    labels : ndarray
        (z, y, x) uint16; 0 is background, every object has a number of its own.
    spacing : tuple of float
        Micrometres per voxel along (z, y, x).
    """

    name: str
    image: NDArray[np.uint8 | np.uint16]
    labels: NDArray[np.uint16]
    spacing: tuple[float, float, float]

    def inner_object(self) -> int:
        """Label of the largest object that does not touch the border of the stack, or of the largest one if all do."""
        sizes = np.bincount(self.labels.ravel())
        sizes[0] = 0
        cut = [np.unique(np.take(self.labels, [0, -1], axis)) for axis in range(3)]
        whole = sizes.copy()
        whole[np.concatenate(cut)] = 0
        return int(np.argmax(whole if whole.any() else sizes))


def nuclei(shape: Sequence[int] = (64, 128, 128), seed: int = 0) -> Sample:
    """Cell nuclei in a loose tissue or embryo: DAPI or histone stain, confocal microscope.

    Bumpy ellipsoids with clumpy chromatin, some of them touching, of different brightness, on an uneven background.

    Parameters
    ----------
    shape : sequence of int
        Voxels along (z, y, x), at least 16 each.
    seed : int
        Of the random generator.

    Returns
    -------
    Sample
        uint16, 1.0 x 0.5 x 0.5 micrometres per voxel; about one nucleus in 7000 cubic micrometres.
    """
    rng, (depth, height, width) = np.random.default_rng(seed), _checked(shape)
    spacing = np.array((1.0, 0.5, 0.5))
    size = np.array((depth, height, width))
    labels = np.zeros(size, np.uint16)
    stain = np.zeros(size, np.float32)
    bumps = _texture(size, rng, 5.0 / spacing)
    wanted = max(2, round(float(np.prod(size * spacing)) / 7000))
    placed: list[tuple[NDArray[np.float64], float]] = []
    for _ in range(40 * wanted):
        if len(placed) == wanted:
            break
        radii = rng.uniform(5.5, 8.5) * rng.uniform(0.8, 1.2, 3)
        centre = rng.uniform(0.5 * radii, size * spacing - 0.5 * radii)
        mean = float(radii.mean())
        if any(np.linalg.norm(centre - c) < 0.95 * (mean + r) for c, r in placed):
            continue
        placed.append((centre, mean))
        part, inside = _ellipsoid(size, spacing, centre, radii, _rotation(rng), bumps)
        new = inside & (labels[part] == 0)
        labels[part][new] = len(placed)
        stain[part][new] = rng.uniform(0.45, 1.0)
    chromatin = 1.0 + 0.25 * _texture(size, rng, 1.0 / spacing)
    haze = 0.06 + 0.04 * _texture(size, rng, 20.0 / spacing)
    image = _microscope(stain * chromatin, haze, rng, blur=(0.9, 0.35, 0.35) / spacing, photons=220)
    return Sample("nuclei", _as_uint16(image), labels, (1.0, 0.5, 0.5))


def packed_cells(shape: Sequence[int] = (64, 128, 128), seed: int = 0) -> Sample:
    """Cells of a plant tissue without gaps: membrane or cell wall stain, confocal microscope.

    Walls are bright and cells dark; walls differ in brightness, and every cell is labelled up to its walls' middle.

    Parameters
    ----------
    shape : sequence of int
        Voxels along (z, y, x), at least 16 each.
    seed : int
        Of the random generator.

    Returns
    -------
    Sample
        uint8, 0.5 x 0.3 x 0.3 micrometres per voxel; cells about 10 micrometres across.
    """
    rng, (depth, height, width) = np.random.default_rng(seed), _checked(shape)
    spacing = np.array((0.5, 0.3, 0.3))
    size = np.array((depth, height, width))
    extent = size * spacing
    n = max(3, round(float(np.prod(extent)) / 10.0**3))
    centres = rng.uniform(0, extent, (n, 3))
    for _ in range(3):  # Lloyd: cells of similar size
        samples = rng.uniform(0, extent, (60 * n, 3))
        nearest = _nearest(samples, centres)
        for i in range(n):
            if np.any(nearest == i):
                centres[i] = samples[nearest == i].mean(0)
    bent = np.indices(size.tolist(), dtype=np.float32).reshape(3, -1).T * spacing.astype(np.float32)
    for axis in range(3):
        bent[:, axis] += 0.7 * _texture(size, rng, 6.0 / spacing).ravel()
    labels = (_nearest(bent, centres) + 1).reshape(size).astype(np.uint16)
    wall = _borders(labels) * (1.0 + 0.3 * _texture(size, rng, 5.0 / spacing))
    haze = 0.05 + 0.03 * _texture(size, rng, 8.0 / spacing)
    image = _microscope(wall, haze, rng, blur=(0.55, 0.25, 0.25) / spacing, photons=150)
    return Sample("packed cells", _as_uint8(image), labels, (0.5, 0.3, 0.3))


def vessels(shape: Sequence[int] = (64, 128, 128), seed: int = 0) -> Sample:
    """Blood vessels in brain tissue: filled with a dye, two-photon microscope.

    A few winding tubes of different width that cross the stack; where two meet, the thicker one owns the voxels.

    Parameters
    ----------
    shape : sequence of int
        Voxels along (z, y, x), at least 16 each.
    seed : int
        Of the random generator.

    Returns
    -------
    Sample
        uint16, 2.0 x 1.0 x 1.0 micrometres per voxel; tubes 6 to 18 micrometres wide.
    """
    rng, (depth, height, width) = np.random.default_rng(seed), _checked(shape)
    spacing = np.array((2.0, 1.0, 1.0))
    size = np.array((depth, height, width))
    extent = size * spacing
    labels = np.zeros(size, np.uint16)
    for number, radius in enumerate(np.sort(rng.uniform(3.0, 9.0, 5)), start=1):
        path = _winding_path(extent, rng)
        index = np.rint(path / spacing).astype(int)
        index = index[((index >= 0) & (index < size)).all(1)]
        away = np.ones(size, bool)
        away[tuple(index.T)] = False
        labels[ndimage.distance_transform_edt(away, sampling=spacing) <= radius] = number
    stain = (labels > 0) * (0.8 + 0.15 * _texture(size, rng, 12.0 / spacing))
    haze = 0.08 + 0.04 * _texture(size, rng, 15.0 / spacing)
    image = _microscope(stain, haze, rng, blur=(2.0, 0.7, 0.7) / spacing, photons=120)
    return Sample("vessels", _as_uint16(image), labels, (2.0, 1.0, 1.0))


SAMPLES: dict[str, Callable[..., Sample]] = {
    "nuclei": nuclei,
    "packed_cells": packed_cells,
    "vessels": vessels,
}


def _checked(shape: Sequence[int]) -> Index3:
    z, y, x = (int(n) for n in shape)
    if min(z, y, x) < 16:
        raise ValueError(f"A sample needs at least 16 voxels along z, y and x, not {(z, y, x)}.")
    return z, y, x


def _texture(
    size: NDArray[np.int_], rng: np.random.Generator, grain: NDArray[np.float64]
) -> _Field:
    """Smooth noise (z, y, x), mean 0, standard deviation 1, cut at 2; `grain` is the size of a spot in voxels."""
    coarse = np.maximum(np.ceil(size / grain), 2).astype(int) + 1
    field: _Field = rng.standard_normal(coarse, dtype=np.float32)
    for axis in range(3):
        field = _stretch(field, int(size[axis]), axis)
    field -= field.mean()
    out: _Field = np.clip(field / (field.std() + 1e-6), -2, 2)
    return out


def _stretch(field: _Field, n: int, axis: int) -> _Field:
    """Interpolate one axis to `n` voxels with a smooth step between neighbours."""
    position = np.linspace(0, field.shape[axis] - 1, n)
    first = np.minimum(position.astype(int), field.shape[axis] - 2)
    t = (position - first).astype(np.float32)
    t = t * t * (3 - 2 * t)
    t = t.reshape([-1 if a == axis else 1 for a in range(3)])
    below = np.take(field, first, axis)
    out: _Field = below + t * (np.take(field, first + 1, axis) - below)
    return out


def _rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Random orthogonal matrix (3, 3)."""
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return q


def _ellipsoid(
    size: NDArray[np.int_],
    spacing: NDArray[np.float64],
    centre: NDArray[np.float64],
    radii: NDArray[np.float64],
    turn: NDArray[np.float64],
    bumps: _Field,
) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]]:
    """Part of the stack around a bumpy ellipsoid, and which voxels of it lie inside."""
    reach = 1.3 * radii.max()
    start = np.floor((centre - reach) / spacing).astype(int)
    stop = np.ceil((centre + reach) / spacing).astype(int)
    part = Box(_index(start), _index(stop)).clip(size.tolist()).slices
    axes = [
        np.arange(p.start, p.stop) * s - c for p, s, c in zip(part, spacing, centre, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    distance = np.linalg.norm((grid @ turn) / radii, axis=-1)
    return part, distance < 1 + 0.06 * bumps[part]


def _index(values: NDArray[np.int_]) -> Index3:
    z, y, x = values.tolist()
    return z, y, x


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the centre nearest to each point."""
    return np.asarray(cKDTree(centres).query(points)[1], dtype=np.intp)


def _borders(labels: NDArray[np.uint16]) -> _Field:
    """1 on both sides of every border between two labels, else 0."""
    border = np.zeros(labels.shape, np.float32)
    for axis in range(3):
        a = np.moveaxis(labels, axis, 0)
        b = np.moveaxis(border, axis, 0)
        differs = a[1:] != a[:-1]
        b[1:][differs] = 1
        b[:-1][differs] = 1
    return border


def _winding_path(extent: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Points in micrometres along a smooth curve from one side of the stack to the opposite one."""
    axis = int(rng.integers(3))
    knots = rng.uniform(0.1, 0.9, (6, 3)) * extent
    knots[:, axis] = np.linspace(-0.1, 1.1, 6) * extent[axis]
    along = np.linspace(0, 5, 2000)
    smooth = ndimage.map_coordinates
    return np.stack([smooth(k, along[None], order=3, mode="nearest") for k in knots.T], 1)


def _microscope(
    stain: NDArray[np.floating[Any]],
    haze: NDArray[np.floating[Any]],
    rng: np.random.Generator,
    blur: NDArray[np.float64],
    photons: float,
) -> _Field:
    """Blur stain, add haze, count photons; 1 is full stain."""
    light = ndimage.gaussian_filter(stain.astype(np.float32), blur, truncate=3)
    mean = photons * np.maximum(light + haze, 0)
    counted = mean + np.sqrt(mean + 4) * rng.standard_normal(mean.shape, dtype=np.float32)
    return np.asarray(counted / photons, np.float32)


def _as_uint16(image: _Field) -> NDArray[np.uint16]:
    """Counts of a 12-bit camera with an offset of 100."""
    return np.clip(100 + 2000 * image, 0, 4095).astype(np.uint16)


def _as_uint8(image: _Field) -> NDArray[np.uint8]:
    return np.clip(10 + 150 * image, 0, 255).astype(np.uint8)
