"""Smooth random fields and label geometry that the scene families are built from.

Everything here is a pure function of a :class:`numpy.random.Generator` and numbers; all arrays are (z, y, x).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Float = NDArray[np.float32]
Labels = NDArray[np.int16]
Shape = tuple[int, int, int]

_ROWS_PER_CHUNK = 4096


def spline_matrix(size: int, scale: float) -> Float:
    """Return the cubic B-spline weights (size, knots) for knots ``scale`` voxels apart."""
    position = np.arange(size) / max(scale, 1e-3)
    knots = int(np.floor(position[-1])) + 4
    distance = np.abs(position[:, None] + 1.0 - np.arange(knots)[None, :])
    near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    far = np.clip(2.0 - distance, 0.0, None) ** 3 / 6.0
    weights = np.where(distance < 1.0, near, far)
    return np.asarray(weights, np.float32)


def smooth_noise(
    rng: np.random.Generator, shape: Shape, scale: tuple[float, float, float] | float
) -> Float:
    """Return a smooth random field of about zero mean and unit standard deviation.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Voxels (z, y, x).
    scale
        Distance of the spline knots in voxels, one number or one per axis; larger is smoother.
    """
    scales = (scale, scale, scale) if isinstance(scale, (int, float)) else scale
    weights = [spline_matrix(n, s) for n, s in zip(shape, scales, strict=True)]
    knots = rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
    field = np.tensordot(weights[2], knots, axes=(1, 2))  # x, kz, ky
    field = np.tensordot(weights[1], field, axes=(1, 2))  # y, x, kz
    field = np.tensordot(weights[0], field, axes=(1, 2))  # z, y, x
    deviation = float(field.std())
    return np.asarray(field / deviation if deviation > 0 else field, np.float32)


def grid(shape: Shape, step: tuple[float, float, float]) -> Float:
    """Return physical coordinates (3, z, y, x) of the voxel centres for a voxel of size ``step``."""
    axes = [
        np.arange(n, dtype=np.float32) * np.float32(s) for n, s in zip(shape, step, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def warp(
    rng: np.random.Generator, coords: Float, amplitude: float, scale: float, step: tuple[float, ...]
) -> Float:
    """Return ``coords`` (3, z, y, x) displaced by smooth fields of that amplitude and scale (physical units)."""
    shape: Shape = (coords.shape[1], coords.shape[2], coords.shape[3])
    knots = (scale / step[0], scale / step[1], scale / step[2])
    moved = [coords[a] + np.float32(amplitude) * smooth_noise(rng, shape, knots) for a in range(3)]
    return np.stack(moved)


def random_metrics(
    rng: np.random.Generator, radii: NDArray[np.float64], elongation: float
) -> NDArray[np.float64]:
    """Return metric matrices (n, 3, 3) of randomly turned ellipsoids with those mean radii (n,)."""
    count = len(radii)
    stretch = np.exp(rng.normal(0.0, elongation, (count, 3)))
    stretch /= np.cbrt(stretch.prod(1, keepdims=True))
    axes = radii[:, None] * stretch
    turn, _ = np.linalg.qr(rng.standard_normal((count, 3, 3)))
    metrics = np.einsum("nij,nj,nkj->nik", turn, 1.0 / axes**2, turn)
    return np.asarray(metrics, np.float64)


def quadratic_diagram(
    coords: Float, centres: NDArray[np.float64], metrics: NDArray[np.float64]
) -> tuple[Labels, Float]:
    """Return for each voxel the nearest centre (1-based) and its squared distance, each centre in its own metric.

    With equal metrics this is a Voronoi diagram; where the distance is below 1 it is a set of ellipsoids that share
    their touching faces.

    Parameters
    ----------
    coords
        Physical coordinates (3, z, y, x).
    centres, metrics
        (n, 3) and (n, 3, 3).
    """
    linear = np.einsum("nij,nj->ni", metrics, centres)
    offset = np.einsum("ni,ni->n", linear, centres)
    pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    weights = [metrics[:, i, j] * (1.0 if i == j else 2.0) for i, j in pairs]
    matrix = np.stack([*weights, *(-2.0 * linear.T), offset]).astype(np.float32)  # 10, n
    flat = coords.reshape(3, -1)
    labels = np.empty(flat.shape[1], np.int16)
    distance = np.empty(flat.shape[1], np.float32)
    for start in range(0, flat.shape[1], _ROWS_PER_CHUNK):
        part = flat[:, start : start + _ROWS_PER_CHUNK]
        terms = [part[i] * part[j] for i, j in pairs]
        monomials = np.stack([*terms, *part, np.ones_like(part[0])], axis=1)
        values = monomials @ matrix
        nearest = values.argmin(1)
        labels[start : start + _ROWS_PER_CHUNK] = nearest + 1
        distance[start : start + _ROWS_PER_CHUNK] = values[np.arange(len(nearest)), nearest]
    shape = coords.shape[1:]
    return labels.reshape(shape), distance.reshape(shape)


def scattered_centres(
    rng: np.random.Generator,
    extent: NDArray[np.float64],
    count: int,
    spread: float,
    tries: int = 12,
) -> NDArray[np.float64]:
    """Return up to ``count`` points (n, 3) in a box of that physical extent, ``spread`` apart where there is room."""
    points: list[NDArray[np.float64]] = []
    for _ in range(count):
        for _ in range(tries):
            candidate = rng.uniform(-0.1, 1.1, 3) * extent
            if not points or np.min(np.linalg.norm(np.array(points) - candidate, axis=1)) > spread:
                points.append(candidate)
                break
    return np.array(points)


def label_borders(labels: Labels, *, between_objects: bool) -> NDArray[np.bool_]:
    """Return the voxels with a face neighbour of another label; optionally only where both are objects."""
    border = np.zeros(labels.shape, bool)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = labels[tuple(low)], labels[tuple(high)]
        differs = a != b
        if between_objects:
            differs &= (a > 0) & (b > 0)
        border[tuple(low)] |= differs
        border[tuple(high)] |= differs
    return border


def paint_path(
    labels: Labels,
    path: NDArray[np.float64],
    radii: NDArray[np.float64],
    step: tuple[float, ...],
    value: int,
) -> None:
    """Paint balls along ``path`` (n, 3; physical) into ``labels`` in place, only over background."""
    shape = np.array(labels.shape)
    voxel = np.array(step)
    for centre, radius in zip(path, radii, strict=True):
        low = np.maximum(np.floor((centre - radius) / voxel).astype(int), 0)
        high = np.minimum(np.ceil((centre + radius) / voxel).astype(int) + 1, shape)
        if (low >= high).any():
            continue
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        squares = [
            ((np.arange(a, b) * s - c) / radius) ** 2
            for a, b, s, c in zip(low, high, voxel, centre, strict=True)
        ]
        inside = (
            squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :] <= 1.0
        )
        view = labels[box]
        view[inside & (view == 0)] = value


def random_path(
    rng: np.random.Generator, start: NDArray[np.float64], length: float, stride: float, bend: float
) -> NDArray[np.float64]:
    """Return a smooth random walk (n, 3) of that length in physical units."""
    count = max(int(length / stride), 2)
    direction = rng.standard_normal(3)
    turns = ndi.gaussian_filter1d(rng.standard_normal((count, 3)), 3.0, axis=0) * bend
    points = np.empty((count, 3))
    point = np.array(start, float)
    for i in range(count):
        direction = direction / max(float(np.linalg.norm(direction)), 1e-6) + turns[i]
        point = point + stride * direction / max(float(np.linalg.norm(direction)), 1e-6)
        points[i] = point
    return points
