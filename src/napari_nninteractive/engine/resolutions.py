"""Which working resolutions there are for an image, and which of them fits what was drawn: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.working import WorkingResolution
from napari_nninteractive.engine.config import EngineConfig

__all__ = ["anisotropic", "resolution_of_extent", "resolutions", "showing_more"]

# Distances that are tried, as multiples of the finest step: each at most twice as far as the one before.
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)


def resolutions(
    spacing: Sequence[float], shape: Index3, config: EngineConfig
) -> tuple[WorkingResolution, ...]:
    """Working resolutions to choose from, the finest first.

    Steps are equal along all axes as far as whole voxels allow, and never finer than the image's. The finest is that in
    which slices are at most ``config.working_anisotropy`` times as far apart as voxels in them; `anisotropic` gives
    those before it.

    Parameters
    ----------
    spacing : sequence of float
        Size of a voxel along (z, y, x).
    shape : tuple of int
        Voxels (z, y, x) of the image.
    config : EngineConfig
        Thresholds.

    Returns
    -------
    tuple of WorkingResolution
        At least one, all different.
    """
    finest, coarsest = _finest_and_coarsest(spacing, shape)
    most = config.max_working_zoom
    first = next(
        (g for g in _STEPS if coarsest <= config.working_anisotropy * finest * g), _STEPS[-1]
    )
    first = min(first, most)
    steps = [g for g in _STEPS if first <= g <= most]
    return _of_steps(steps, spacing, finest)


def anisotropic(
    spacing: Sequence[float], shape: Index3, config: EngineConfig
) -> tuple[WorkingResolution, ...]:
    """Working resolutions finer than the first of `resolutions`, full resolution first; see there."""
    finest, _ = _finest_and_coarsest(spacing, shape)
    first = resolutions(spacing, shape, config)[0]
    finer = _of_steps([g for g in _STEPS if g <= config.max_working_zoom], spacing, finest)
    return finer[: finer.index(first)] if first in finer else ()


def _finest_and_coarsest(spacing: Sequence[float], shape: Index3) -> tuple[float, float]:
    """Smallest and largest size of a voxel along the axes that the image has."""
    sizes = [s for s, n in zip(spacing, shape, strict=True) if n > 1] or list(spacing)
    return min(sizes), max(sizes)


def _of_steps(
    steps: Sequence[int], spacing: Sequence[float], finest: float
) -> tuple[WorkingResolution, ...]:
    """Working resolutions of steps in sizes of the finest voxel, all different."""
    out = []
    for step in steps:
        # Half a percent, for spacings are rounded.
        z, y, x = (max(1, int(1.005 * step * finest / s)) for s in spacing)
        out.append(WorkingResolution((z, y, x)))
    return tuple(dict.fromkeys(out))


def resolution_of_extent(
    box: Box, choices: Sequence[WorkingResolution], patch: Index3, config: EngineConfig
) -> WorkingResolution:
    """Finest working resolution in which a box fits the patch with the context that a first view must show.

    The first of the choices where the box is not much larger than the patch; see ``config.working_reach``.
    """
    if all(n <= config.working_reach * p for n, p in zip(box.shape, patch, strict=True)):
        return choices[0]
    for resolution in choices:
        extent = resolution.box(box).shape
        if all(
            n == 1 or n + int(p * config.context_fraction) <= p
            for n, p in zip(extent, patch, strict=True)
        ):
            return resolution
    return choices[-1]


def showing_more(
    choices: Sequence[WorkingResolution], shape: Index3, patch: Index3
) -> Iterator[WorkingResolution]:
    """Resolutions up to the first of which one patch is as large as the image: further away nothing more is seen."""
    for resolution in choices:
        yield resolution
        if all(n <= p for n, p in zip(resolution.shape(shape), patch, strict=True)):
            return
