"""What a microscope or scanner does to a specimen: blur, haze, shading, attenuation, stripes, saturation, noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from napari_nninteractive.simulation.images._fields import Float, smooth_noise

__all__ = ["image_through", "noise_like", "quantised"]


def image_through(
    rng: np.random.Generator, clean: Float, coarse: float, level: float, inverted: float
) -> Float:
    """Return the noise-free image of a specimen.

    Parameters
    ----------
    rng
        Source of randomness.
    clean
        Intensities of the specimen (z, y, x), about 0 to 1.
    coarse
        Voxel size in z over that in y and x.
    level
        Difficulty from 0 to 1: more blur, shading and haze.
    inverted
        Probability that dark and bright change places.
    """
    textured = _textured(rng, clean, coarse, level)
    blurred = _blurred(rng, textured, coarse, level)
    shaded = _shaded(rng, blurred, level)
    toned = _toned(rng, shaded, level)
    return np.asarray(-toned if rng.random() < inverted else toned, np.float32)


def _textured(rng: np.random.Generator, clean: Float, coarse: float, level: float) -> Float:
    broad = smooth_noise(rng, clean.shape, (max(4.0 / coarse, 1.0), 4.0, 4.0)) * smooth_noise(
        rng, clean.shape, 12.0
    )
    fine = smooth_noise(rng, clean.shape, float(rng.uniform(1.5, 3.0)))
    return np.asarray(
        clean
        + level * np.float32(rng.uniform(0.0, 0.06)) * broad
        + level * np.float32(rng.uniform(0.0, 0.06)) * fine,
        np.float32,
    )


def _blurred(rng: np.random.Generator, image: Float, coarse: float, level: float) -> Float:
    """Blur of the point spread function, up to five times as wide along z, and haze from out of focus."""
    sigma = float(np.exp(rng.uniform(np.log(0.4), np.log(0.8 + 1.6 * level))))
    along_z = sigma * (1.0 if rng.random() < 0.4 else float(rng.uniform(1.2, 4.0))) / coarse
    out = ndi.gaussian_filter(image, (along_z, sigma, sigma), truncate=3.0)
    if rng.random() < 0.3 * level:
        small = ndi.uniform_filter(out, (3, 5, 5))[::2, ::4, ::4]
        wide = ndi.gaussian_filter(small, (6.0 / max(coarse, 1.0), 2.0, 2.0))
        wide = (
            wide.repeat(2, 0)
            .repeat(4, 1)
            .repeat(4, 2)[: out.shape[0], : out.shape[1], : out.shape[2]]
        )
        out = out + np.float32(rng.uniform(0.1, 0.6)) * wide
    return np.asarray(out, np.float32)


def _shaded(rng: np.random.Generator, image: Float, level: float) -> Float:
    """Uneven illumination, attenuation with depth, stripes of a scanner."""
    if rng.random() < 0.5 * level:
        field = smooth_noise(rng, image.shape, 40.0)
        image = image * np.exp(np.float32(rng.uniform(0.0, 0.3)) * field)
    if rng.random() < 0.3 * level:
        fall = np.exp(-np.linspace(0.0, rng.uniform(0.2, 1.2), image.shape[0], dtype=np.float32))
        image = image * fall[:, None, None]
    if rng.random() < 0.1 * level:
        axis = int(rng.integers(3))
        lines = np.float32(rng.uniform(0.01, 0.06)) * rng.standard_normal(
            image.shape[axis], dtype=np.float32
        )
        image = image + lines.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.asarray(image, np.float32)


def _toned(rng: np.random.Generator, image: Float, level: float) -> Float:
    """Gamma and saturation of the detector."""
    low, high = float(image.min()), float(image.max())
    unit = (image - low) / max(high - low, 1e-6)
    if rng.random() < 0.3:
        unit = unit ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))
    if rng.random() < 0.3 * level:
        bottom, top = np.percentile(unit, (rng.uniform(0.0, 8.0), rng.uniform(94.0, 100.0)))
        if top - bottom > 0.2:
            unit = np.clip(unit, bottom, top)
    return np.asarray(unit, np.float32)


def noise_like(rng: np.random.Generator, clean: Float) -> Float:
    """Return noise of about unit deviation: Gaussian, stronger where the signal is, or slightly correlated."""
    noise = rng.standard_normal(clean.shape, dtype=np.float32)
    kind = rng.random()
    if kind < 0.4:
        low, high = float(clean.min()), float(clean.max())
        noise = noise * np.sqrt(0.2 + 0.8 * (clean - low) / max(high - low, 1e-6))
    if kind > 0.7:
        noise = ndi.gaussian_filter(noise, float(rng.uniform(0.4, 0.8)))
        noise /= max(float(noise.std()), 1e-6)
    return np.asarray(noise, np.float32)


def quantised(rng: np.random.Generator, image: Float) -> Float:
    """Return the image in steps of 1/20 to 1/255 of its range, as few-bit detectors and 8-bit files have them."""
    steps = float(np.exp(rng.uniform(np.log(20.0), np.log(255.0))))
    low, high = float(image.min()), float(image.max())
    unit = (image - low) / max(high - low, 1e-6)
    return np.asarray(low + np.round(unit * steps) / steps * (high - low), np.float32)
