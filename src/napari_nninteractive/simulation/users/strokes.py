"""Scribbles and outlines as people draw them round a shape in one slice.

All masks are bool (rows, columns) of one slice; every random choice comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

from napari_nninteractive.errors import PromptError

__all__ = ["OUTLINES", "STROKES", "draw", "outline", "stroke"]

Bool = NDArray[np.bool_]
Float = NDArray[np.float64]


def draw(shares: Mapping[str, float], rng: np.random.Generator, known: tuple[str, ...]) -> str:
    """Draw a name by its weight; a mapping with one name draws nothing from the generator.

    Raises
    ------
    PromptError
        If a name is not known, or no weight is above 0.
    """
    names = list(shares)
    weights = np.array([shares[n] for n in names], float)
    if not set(names) <= set(known) or not (weights >= 0).all() or not weights.sum() > 0:
        raise PromptError(
            f"Expected weights, not negative and not all 0, for some of {', '.join(known)}; not {dict(shares)}."
        )
    if len(names) == 1:
        return names[0]
    at = np.searchsorted(weights.cumsum() / weights.sum(), rng.random(), side="right")
    return names[min(int(at), len(names) - 1)]


def outline(
    part: Bool, rng: np.random.Generator, jitter: float, shares: Mapping[str, float]
) -> Bool:
    """Return a filled outline round a shape.

    Parameters
    ----------
    part : ndarray
        bool (rows, columns), not empty, with room round it.
    rng : numpy.random.Generator
        Source of all choices.
    jitter : float
        How far off it may be, as a fraction of the extent.
    shares : mapping of str to float
        Weights of :data:`OUTLINES`.

    Returns
    -------
    ndarray
        bool (rows, columns), never empty.
    """
    signed = ndimage.distance_transform_edt(part) - ndimage.distance_transform_edt(~part)
    drawn = _OUTLINES[draw(shares, rng, OUTLINES)](signed, rng, jitter)
    return drawn if drawn.any() else part


def _smoothed(signed: Float, rng: np.random.Generator, jitter: float) -> Bool:
    smooth = ndimage.gaussian_filter(signed, rng.uniform(0.3, 1.5))
    slack = max(jitter * float(signed.max()), 1.0)
    return np.asarray(smooth > rng.uniform(-1.5 * slack, 0.7 * slack))


def _dilated(signed: Float, rng: np.random.Generator, jitter: float) -> Bool:
    slack = max(jitter * float(signed.max()), 1.0)
    return np.asarray(signed >= -rng.uniform(1.0, 3.0 * slack))


def _deformed(signed: Float, rng: np.random.Generator, jitter: float) -> Bool:
    extent = float(signed.max())
    shift = np.empty((2, *signed.shape))
    for axis in range(2):
        field = ndimage.gaussian_filter(
            rng.standard_normal(signed.shape), max(extent / 2, 2.0), mode="wrap"
        )
        shift[axis] = field / max(float(np.abs(field).max()), 1e-12)
    reach = rng.uniform(1.0, max(3.0 * jitter * extent, 1.5))
    moved = np.indices(signed.shape) + reach * shift
    return np.asarray(ndimage.map_coordinates(signed, moved, order=1, mode="nearest") > 0)


_OUTLINES: dict[str, Callable[[Float, np.random.Generator, float], Bool]] = {
    "smoothed": _smoothed,
    "dilated": _dilated,
    "deformed": _deformed,
}
OUTLINES = tuple(_OUTLINES)
"""Sorts of lasso: smoothed and moved in or out a little, wide of the shape, bent by a smooth random displacement."""


def stroke(part: Bool, rng: np.random.Generator, shares: Mapping[str, float]) -> Bool:
    """Return a stroke about two voxels thick, wholly inside a shape.

    Parameters
    ----------
    part : ndarray
        bool (rows, columns), not empty, connected.
    rng : numpy.random.Generator
        Source of all choices.
    shares : mapping of str to float
        Weights of :data:`STROKES`. In a shape too small for a contour, a line is drawn in its place.

    Returns
    -------
    ndarray
        bool (rows, columns), never empty.
    """
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    inner = depth >= max(1.0, float(rng.uniform(0.2, 0.6)) * float(depth.max()))
    sort = draw(shares, rng, STROKES)
    if sort == "contour" and depth.max() > 4:
        return _contour(depth, rng)
    drawn = _centre_line(part, rng) if sort == "centre" else _bent_line(inner, rng)
    thick: Bool = ndimage.binary_dilation(drawn, np.ones((2, 2), bool)) & part
    return thick if thick.any() else inner


def _contour(depth: Float, rng: np.random.Generator) -> Bool:
    level = float(rng.uniform(0.2, 0.6)) * float(depth.max())
    return _arc((depth >= level) & (depth < level + 1.5), rng)


def _centre_line(part: Bool, rng: np.random.Generator) -> Bool:
    thin = skeletonize(np.pad(part, 1))  # type: ignore[no-untyped-call]
    line: Bool = thin[1:-1, 1:-1].astype(np.bool_)
    return _arc(line, rng) if line.any() else part


def _arc(line: Bool, rng: np.random.Generator) -> Bool:
    """Part of a line: what lies near one of its voxels."""
    rows, cols = np.nonzero(line)
    pick = int(rng.integers(len(rows)))
    reach = rng.uniform(0.3, 1.0) * max(int(np.ptp(rows)), int(np.ptp(cols)), 1)
    grid = np.indices(line.shape)
    near = np.hypot(grid[0] - rows[pick], grid[1] - cols[pick]) <= reach
    return np.asarray(line & near, bool)


def _bent_line(inner: Bool, rng: np.random.Generator) -> Bool:
    """Curve between two voxels of a shape, bent sideways; it may leave a shape that is not convex."""
    rows, cols = np.nonzero(inner)
    picks = rng.integers(len(rows), size=(6,))
    gaps = np.hypot(rows[picks] - rows[picks[0]], cols[picks] - cols[picks[0]])
    a, b = picks[0], picks[int(gaps.argmax())]
    middle = (
        np.array([rows[a] + rows[b], cols[a] + cols[b]]) / 2 + rng.normal(0, 0.15, 2) * gaps.max()
    )
    t = np.linspace(0.0, 1.0, 2 * int(gaps.max()) + 2)[:, None]
    ends = np.array([[rows[a], cols[a]], [rows[b], cols[b]]], float)
    line = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * middle + t**2 * ends[1]
    at = np.clip(np.rint(line).astype(int), 0, np.array(inner.shape) - 1)
    drawn = np.zeros_like(inner)
    drawn[at[:, 0], at[:, 1]] = True
    return drawn


STROKES = ("contour", "line", "centre")
"""Sorts of scribble: along the outline, a bent line between two voxels, along the middle line."""
