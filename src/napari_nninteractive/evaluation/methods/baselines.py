"""What a user has today without a network: classical methods behind the interface that the engine is measured by.

Every method sees a window of the image, smoothed a little, and the seeds that the prompts of this object make of it
(:mod:`.seeds`); it starts anew with every prompt. docs/evaluation.md says how each was given its best chance.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import flood, random_walker, watershed

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.core.volume import ArrayLike3D, Volume
from napari_nninteractive.errors import NNInteractiveError, SessionError
from napari_nninteractive.evaluation.methods.seeds import (
    Seeds,
    check_kind,
    choose_window,
    make_seeds,
)
from napari_nninteractive.evaluation.presets import BASELINES

__all__ = ["METHODS", "BaselineSegmenter", "Method", "make_baseline"]

Bool = NDArray[np.bool_]
Float = NDArray[np.float32]

SMOOTHING = 1.0
"""Standard deviation in voxels (of the finest axis) of the Gaussian before every method: against noise."""
BETA = 10_000.0
"""Of the random walker: how much harder it is to cross an edge than to walk on.

Of 130 (scikit-image's default), 1000, 3000, 10000 and 30000 the one with the best Dice after clicks in three volumes.
"""
RESIDUAL = 1e-3
"""Of the random walker's linear system, at which its solver stops: scikit-image's default.

A hundredth of it takes fifty times as long, and the masks of real volumes were no better.
"""
WALKED = 100_000
"""Most voxels that the random walker solves for, well below a second; a larger window is sampled more coarsely."""
WINDOW = 4_000_000
"""Most voxels that the other methods look at; a larger window is sampled more coarsely."""


@dataclass(frozen=True, slots=True)
class Method:
    """A classical method.

    Attributes
    ----------
    segment : callable
        (image float32 (z, y, x) between 0 and 1, seeds, spacing) to bool (z, y, x).
    largest : int
        Voxels of a window above which it is sampled more coarsely.
    """

    segment: Callable[[Float, Seeds, Sequence[float]], Bool]
    largest: int = WINDOW


def _random_walker(image: Float, seeds: Seeds, spacing: Sequence[float]) -> Bool:
    """Where a walker from a voxel meets the object's seeds before the others, more likely than not."""
    if image.min() == image.max():  # no edge decides anything
        return seeds.inside
    markers = np.where(seeds.inside, 1, np.where(seeds.background, 2, 0)).astype(np.int32)
    flat = 1 in image.shape
    if flat:
        axis = image.shape.index(1)
        image, markers = image.squeeze(axis), markers.squeeze(axis)
        spacing = [s for i, s in enumerate(spacing) if i != axis]
    with warnings.catch_warnings():  # about the solver and rounded probabilities
        warnings.simplefilter("ignore", UserWarning)
        found = random_walker(
            image.astype(np.float64),
            markers,
            beta=BETA,
            mode="cg_j",
            tol=RESIDUAL,
            spacing=np.asarray(spacing) / min(spacing),
        )
    return np.expand_dims(found == 1, axis) if flat else np.asarray(found == 1)


def _watershed(image: Float, seeds: Seeds, spacing: Sequence[float]) -> Bool:
    """Basins of the gradient's magnitude, flooded from the seeds: for objects that differ from what is around."""
    return _flooded(_edges(image, spacing), seeds)


def _edges(image: Float, spacing: Sequence[float]) -> Float:
    """Magnitude of the gradient, per voxel of the finest axis."""
    squares = np.zeros_like(image)
    for axis, size in enumerate(spacing):
        if image.shape[axis] > 1:
            squares += (np.gradient(image, axis=axis) * min(spacing) / size) ** 2
    return np.sqrt(squares)


def _watershed_intensity(image: Float, seeds: Seeds, _spacing: Sequence[float]) -> Bool:
    """Basins of the image itself, flooded from the seeds: for dark objects with bright walls."""
    return _flooded(image, seeds)


def _flooded(relief: Float, seeds: Seeds) -> Bool:
    markers = np.where(seeds.inside, 1, np.where(seeds.background, 2, 0)).astype(np.int32)
    return np.asarray(watershed(relief, markers) == 1)  # type: ignore[no-untyped-call]


def _region_growing(image: Float, seeds: Seeds, spacing: Sequence[float]) -> Bool:
    """Connected voxels as bright as a seed, give or take half the contrast, cut from what is known to be outside.

    Every seed has a tolerance of its own, so that one at the rim, halfway between dark and bright, adds little.
    """
    threshold = _otsu(image)
    parts, count = ndimage.label(seeds.inside)
    found = seeds.inside.copy()
    for number in range(1, count + 1):
        part = np.asarray(parts == number)
        at = _nearest(part, ndimage.center_of_mass(part))
        tolerance = abs(float(np.median(image[part])) - threshold)
        found |= flood(image, at, tolerance=tolerance)  # type: ignore[no-untyped-call]
    return _cut(image, found, seeds, spacing)


def _nearest(mask: Bool, place: Sequence[float]) -> tuple[int, ...]:
    voxels = np.argwhere(mask)
    at = voxels[int(((voxels - np.asarray(place)) ** 2).sum(1).argmin())]
    return tuple(int(i) for i in at)


def _otsu(image: Float) -> float:
    if image.min() == image.max():
        return float(image.flat[0])
    return float(threshold_otsu(image))  # type: ignore[no-untyped-call]


def _otsu_component(image: Float, seeds: Seeds, spacing: Sequence[float]) -> Bool:
    """What is connected to the seeds above (or below) Otsu's threshold, cut from what is known to be outside."""
    threshold = _otsu(image)
    bright = float(np.median(image[seeds.inside])) > threshold
    candidates = ((image > threshold) if bright else (image <= threshold)) | seeds.inside
    parts, _ = ndimage.label(candidates)
    return _cut(image, np.isin(parts, np.unique(parts[seeds.inside])), seeds, spacing)


def _cut(image: Float, found: Bool, seeds: Seeds, spacing: Sequence[float]) -> Bool:
    """Part of a region on the seeds' side of the strongest edges between them and what is known to be outside."""
    if not (found & seeds.outside).any():
        return found
    markers = np.where(seeds.inside, 1, np.where(seeds.outside, 2, 0)).astype(np.int32)
    basins = watershed(_edges(image, spacing), markers, mask=found)  # type: ignore[no-untyped-call]
    return np.asarray(basins == 1)


METHODS = MappingProxyType(
    {
        "random-walker": Method(_random_walker, WALKED),
        "watershed": Method(_watershed),
        "watershed-intensity": Method(_watershed_intensity),
        "region-growing": Method(_region_growing),
        "otsu": Method(_otsu_component),
    }
)
"""Methods by the names of :data:`~.presets.BASELINES`."""


class BaselineSegmenter:
    """A classical method that is measured.

    Parameters
    ----------
    name : str
        One of :data:`METHODS`.
    told_box : bool
        Whether it is told the smallest box of the object: help that no user gives, and a bound on what it can do.

    Raises
    ------
    NNInteractiveError
        If there is no such method.
    """

    def __init__(self, name: str, *, told_box: bool = False) -> None:
        if name not in METHODS:
            raise NNInteractiveError(
                f"There is no baseline {name}: choose of {', '.join(BASELINES)}."
            )
        self._method = METHODS[name]
        self._name = f"{name}+box" if told_box else name
        self._told_box = told_box
        self._volume: Volume | None = None
        self._extent: Box | None = None
        self._prompts: list[Prompt] = []

    @property
    def name(self) -> str:
        """Of the method in every report."""
        return self._name

    def start(self, image: ArrayLike3D, spacing: tuple[float, float, float]) -> None:
        """Take an image; errors as in `Volume.open`."""
        self._volume = Volume.open(image, spacing[-len(image.shape) :])
        self._prompts = []

    def reset(self, extent: Box) -> None:
        """Go on to the next object; its smallest box is looked at only where that was agreed."""
        self._extent = extent if self._told_box else None
        self._prompts = []

    def add(self, prompt: Prompt) -> Bool:
        """Add a prompt and segment anew from all of them.

        Raises
        ------
        PromptError
            If it is a mask.
        SessionError
            If there is no image.
        """
        if self._volume is None:
            raise SessionError("There is no image: start with one.")
        check_kind(prompt)
        self._prompts.append(prompt)
        volume = self._volume
        window = choose_window(self._prompts, volume.shape, volume.spacing, self._extent)
        seeds = make_seeds(self._prompts, window, volume.shape)
        out = np.zeros(volume.shape, bool)
        if seeds.inside.any():
            found = _sampled(self._method, _prepared(volume, window), seeds, volume.spacing)
            out[window.slices] = (found | seeds.inside) & ~seeds.outside
            if self._extent is not None:
                out &= _box_mask(self._extent, volume.shape)
        return out


def _box_mask(box: Box, shape: Index3) -> Bool:
    out = np.zeros(shape, bool)
    out[box.slices] = True
    return out


def _prepared(volume: Volume, window: Box) -> Float:
    """Voxels of a window, smoothed, from 0 (darkest 0.5 %) to 1 (brightest)."""
    image = np.asarray(volume.read(window), np.float32)
    image = np.nan_to_num(image, copy=True, posinf=0.0, neginf=0.0)
    sigma = [SMOOTHING * min(volume.spacing) / s for s in volume.spacing]
    image = ndimage.gaussian_filter(image, sigma)
    low, high = np.percentile(image, (0.5, 99.5))
    return np.asarray(np.clip((image - low) / max(high - low, 1e-6), 0, 1), np.float32)


def _sampled(method: Method, image: Float, seeds: Seeds, spacing: Sequence[float]) -> Bool:
    """Result on every n-th voxel, enlarged again, where the window is too large for the method."""
    steps = _steps(image.shape, spacing, method.largest)
    if max(steps) == 1:
        return method.segment(image, seeds, spacing)
    inside, outside, assumed = (
        _any_in_blocks(m, steps) for m in (seeds.inside, seeds.outside, seeds.assumed)
    )
    coarse = Seeds(inside, outside & ~inside, assumed & ~inside & ~outside)
    every = tuple(slice(None, None, n) for n in steps)
    found = method.segment(
        np.ascontiguousarray(image[every]),
        coarse,
        [s * n for s, n in zip(spacing, steps, strict=True)],
    )
    for axis, n in enumerate(steps):
        found = np.repeat(found, n, axis)
    return found[tuple(slice(n) for n in image.shape)]


def _steps(shape: Sequence[int], spacing: Sequence[float], largest: int) -> list[int]:
    """Voxels to go along each axis, so that at most `largest` are visited; the finest axis is thinned first."""
    steps = [1, 1, 1]
    while math.prod(math.ceil(n / s) for n, s in zip(shape, steps, strict=True)) > largest:
        wide = [a for a in range(3) if math.ceil(shape[a] / steps[a]) > 1]
        axis = min(wide, key=lambda a: steps[a] * spacing[a])
        steps[axis] += 1
    return steps


def _any_in_blocks(mask: Bool, steps: Sequence[int]) -> Bool:
    for axis, n in enumerate(steps):
        mask = np.logical_or.reduceat(mask, np.arange(0, mask.shape[axis], n), axis=axis)
    return mask


def make_baseline(name: str) -> BaselineSegmenter:
    """Return a baseline by its name, ``+box`` after it if it is to be told the object's box.

    Raises
    ------
    NNInteractiveError
        If there is no such baseline.
    """
    return BaselineSegmenter(name.removesuffix("+box"), told_box=name.endswith("+box"))
