"""Episodes from labelled volumes: a crop round an object, near or from further away, modestly varied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.training.data.dataset import (
    Episode,
    EpisodeConfig,
    coarsened,
    misleading,
)
from napari_nninteractive.training.data.pairs import Pair, Target, fingerprint, open_pair
from napari_nninteractive.training.data.zooms import ZOOMS

__all__ = ["PairSource"]

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]

_ISOTROPIC = 1.5
_FEWEST = 20
_NAMED = 8


def _from_files(pair: Pair) -> tuple[Volume, Volume]:
    return open_pair(pair.image, pair.labels)


@dataclass(frozen=True, slots=True)
class PairSource:
    """Episodes from the objects of labelled volumes.

    All volumes are gone through in a new order again and again; of each, some objects are taken, larger ones a little
    more often. Intensities are normalised over the whole image, as the engine does.

    Parameters
    ----------
    pairs : tuple of Pair
        As `read_pairs` returns them.
    patch : tuple of int
        Voxels (z, y, x) that the network sees: crops are up to half as large again.
    config : EpisodeConfig
        Objects per volume, shares of episodes that begin from further away or with a wrong mask, prompts.
    opened : callable
        Gives image and labels of a pair; by default those in its files.
    """

    pairs: tuple[Pair, ...]
    patch: Index3
    config: EpisodeConfig = field(default_factory=EpisodeConfig)
    opened: Callable[[Pair], tuple[Volume, Volume]] = _from_files

    @property
    def key(self) -> str:
        """Hash of the data."""
        return f"pairs {fingerprint(self.pairs)}"

    def __call__(self, seed: int, index: int) -> list[Episode]:
        """Return episodes of some objects of one volume; the same numbers give the same episodes.

        Raises
        ------
        ImageError
            If a file is gone.
        """
        n = len(self.pairs)
        order = np.random.default_rng([seed, 4, index // n]).permutation(n)
        pair = self.pairs[int(order[index % n])]
        image, labels = self.opened(pair)
        rng = np.random.default_rng([seed, 5, index])
        shares = np.array([t.voxels for t in pair.targets], float) ** 0.25
        chosen = rng.choice(
            len(pair.targets),
            min(self.config.per_scene, len(pair.targets)),
            replace=False,
            p=shares / shares.sum(),
        )
        return [
            self._episode(pair, pair.targets[int(which)], image, labels, (seed, index, number))
            for number, which in enumerate(chosen)
        ]

    def _episode(
        self, pair: Pair, target: Target, image: Volume, labels: Volume, key: tuple[int, ...]
    ) -> Episode:
        rng = np.random.default_rng([*key, 0])
        zoom = self._zoom(target, rng)
        centre = _middle(target, labels, rng)
        seen, truth, zoom = _seen(pair, target, image, labels, centre, self.patch, zoom)
        seen, truth = _turned(seen, truth, pair.spacing, rng)
        seen = varied(seen, rng)
        name = pair.name if len(self.pairs) <= _NAMED else "data"
        rounds = 1 + int(rng.integers(0, self.config.max_rounds))
        episode = Episode(seen, truth, np.zeros_like(truth), key, rounds, zoom=zoom, name=name)
        kind = rng.random()
        if zoom > 1.0:
            return episode
        if kind < self.config.refining and min(truth.shape) > 1:
            border = np.argwhere(truth & ~ndi.binary_erosion(truth))
            where = border[int(rng.integers(len(border)))]
            z, y, x = (
                int(v + rng.integers(-(p // 3), p // 3 + 1))
                for v, p in zip(where, self.patch, strict=True)
            )
            mask = coarsened(truth, float(rng.choice(ZOOMS)), rng)
            return replace(episode, mask=mask, centre=(z, y, x), rounds=1)
        if kind < self.config.refining + self.config.misled:
            return replace(episode, mask=misleading(truth, rng))
        return episode

    def _zoom(self, target: Target, rng: np.random.Generator) -> float:
        """How far away to look: half of the time as far as AutoZoom would for an object that does not fit the patch."""
        context = EngineConfig().context_fraction
        need = max(
            (n + context * p) / p for n, p in zip(target.bounds.shape, self.patch, strict=True)
        )
        if rng.random() >= (0.5 if need > 1.0 else self.config.zoomed):
            return 1.0
        return float(rng.choice([z for z in ZOOMS if z <= max(1.5 * need, ZOOMS[0])]))


def _middle(target: Target, labels: Volume, rng: np.random.Generator) -> Index3:
    """A voxel of the object, any of them as often."""
    inside = np.flatnonzero(labels.read(target.bounds) == target.label)
    at = np.unravel_index(int(rng.choice(inside)), target.bounds.shape)
    z, y, x = (int(i) + s for i, s in zip(at, target.bounds.start, strict=True))
    return z, y, x


def _region(shape: Index3, target: Target, centre: Index3, patch: Index3, zoom: float) -> Box:
    """Part of the image to cut out: the object with half a patch round it where that is little enough."""
    start, stop = [], []
    for n, a, b, c, p in zip(
        shape, target.bounds.start, target.bounds.stop, centre, patch, strict=True
    ):
        size = min(b - a + round(p * zoom), round(1.5 * p * zoom), n)
        middle = (a + b) // 2 if b - a <= size - round(p * zoom / 3) else c
        low = min(max(middle - size // 2, 0), n - size)
        start.append(low)
        stop.append(low + size)
    return Box(start, stop)


def _seen(
    pair: Pair,
    target: Target,
    image: Volume,
    labels: Volume,
    centre: Index3,
    patch: Index3,
    zoom: float,
) -> tuple[Float, Bool, float]:
    """Image and object as they look at a zoom; at none where too little of the object would be left."""
    box = _region(pair.shape, target, centre, patch, zoom)
    seen = pair.normalization(image.read(box))
    truth = labels.read(box) == target.label
    if zoom == 1.0:
        return np.array(seen), np.array(truth), 1.0
    shape = [round(n / zoom) for n in box.shape]
    if min(shape) > 1:
        sizes = list(zip(box.shape, shape, strict=True))
        averaged = resample.apply(
            truth.astype(np.float32), [resample.area_matrix(n, m) for n, m in sizes]
        )
        if np.count_nonzero(averaged >= 0.5) >= _FEWEST:
            # The engine, too, looks at single voxels from further away and does not average.
            small = resample.apply(seen, [resample.linear_matrix(n, m) for n, m in sizes])
            return small, np.asarray(averaged >= 0.5), zoom
    return _seen(pair, target, image, labels, centre, patch, 1.0)


def _turned(
    image: Float, truth: Bool, spacing: tuple[float, float, float], rng: np.random.Generator
) -> tuple[Float, Bool]:
    """Flipped along any axes; axes swapped within slices, and with z where voxels are about as high as wide."""
    axes = tuple(int(a) for a in np.flatnonzero(rng.random(3) < 0.5))
    order = (0, *(int(a) for a in rng.permutation([1, 2])))
    if max(spacing) <= _ISOTROPIC * min(spacing) and rng.random() < 0.3 and min(image.shape) > 1:
        order = tuple(int(a) for a in rng.permutation(3))
    # Copies, for torch takes no negative stride, and numpy calls a flipped axis of one voxel contiguous.
    return (
        np.flip(image, axes).transpose(order).copy(),
        np.flip(truth, axes).transpose(order).copy(),
    )


def varied(image: Float, rng: np.random.Generator) -> Float:
    """Return a normalised image with modest changes of contrast, brightness, gamma, sharpness and noise.

    Parameters
    ----------
    image : ndarray
        float32 (z, y, x), about zero mean and unit deviation over the image that it is cut from.
    rng : numpy.random.Generator
        Source of all choices.

    Returns
    -------
    ndarray
        float32, same shape.
    """
    out = image * np.float32(np.exp(rng.normal(0.0, 0.15))) + np.float32(rng.normal(0.0, 0.15))
    if rng.random() < 0.3:
        out = _gamma(out, float(np.exp(rng.uniform(-0.4, 0.4))))
    if rng.random() < 0.15:
        out = ndi.gaussian_filter(out, float(rng.uniform(0.4, 1.0)))
    if rng.random() < 0.3:
        noise = rng.standard_normal(out.shape, dtype=np.float32)
        out = out + np.float32(rng.uniform(0.0, 0.15)) * noise
    return np.asarray(out, np.float32)


def _gamma(image: Float, exponent: float) -> Float:
    """Raise intensities to a power between their extremes, with mean and deviation kept."""
    low, high = float(image.min()), float(image.max())
    if not high > low:
        return image
    mean, deviation = float(image.mean()), float(image.std())
    out = ((image - low) / (high - low)) ** exponent
    scaled = (out - out.mean()) / max(float(out.std()), 1e-6)
    return np.asarray(scaled * deviation + mean, np.float32)
