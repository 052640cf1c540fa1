"""Images to measure on: bright balls in noise, made plane by plane so that building one takes no second copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ball", "dice"]


@dataclass(frozen=True, slots=True)
class Ball:
    """A bright ball in the middle of a noisy cube.

    Parameters
    ----------
    side : int
        Side of the cube in voxels.
    radius : float
        Radius of the ball in voxels.
    dtype : str
        Type of the voxels; values lie around 100, inside the ball around 200, with a standard deviation of 8.
    seed : int
        Of the noise.
    """

    side: int
    radius: float
    dtype: str = "float32"
    seed: int = 0

    @property
    def centre(self) -> tuple[int, int, int]:
        """Middle voxel (z, y, x)."""
        middle = self.side // 2
        return middle, middle, middle

    def inside(self, z: int) -> NDArray[np.bool_]:
        """Voxels (y, x) of plane `z` that belong to the ball."""
        offset = np.arange(self.side) - self.side // 2
        flat = offset[:, None] ** 2 + offset[None, :] ** 2 + (z - self.side // 2) ** 2
        return np.asarray(flat <= self.radius**2)

    def image(self) -> NDArray[Any]:
        """Noise with the ball, (z, y, x)."""
        rng = np.random.default_rng(self.seed)
        volume = np.empty((self.side,) * 3, self.dtype)
        for z, plane in enumerate(volume):
            values = 100 + 8 * rng.standard_normal(plane.shape, dtype=np.float32)
            values[self.inside(z)] += 100
            plane[...] = values
        return volume

    def truth(self) -> NDArray[np.bool_]:
        """The ball alone, boolean (z, y, x)."""
        return np.stack([self.inside(z) for z in range(self.side)])


def dice(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Dice overlap of the non-zero voxels of two masks; 1 where both are empty."""
    a, b = a != 0, b != 0
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0
