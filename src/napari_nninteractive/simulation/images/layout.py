"""What a family of scenes draws: labels, and what the renderer needs to know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np

from napari_nninteractive.simulation.images._fields import Float, Labels, Shape

__all__ = ["Family", "Layout", "Step", "Style"]

Style = Literal["filled", "walled", "free", "nested", "electron"]
"""How intensities follow the labels: stained bodies, stained walls, an intensity for each label, bodies with bodies
inside, or membranes and textures as in electron microscopy."""

Step = tuple[float, float, float]
"""Size of a voxel (z, y, x) in units of the finest one."""


@dataclass(frozen=True, eq=False)
class Layout:
    """What a family drew, before rendering.

    Attributes
    ----------
    labels
        (z, y, x) int16, 0 = background: the truth.
    depth
        (z, y, x) float32, 1 in the middle of an object and 0 at its border and outside: its thickness profile.
    style
        How it is to be rendered.
    stained
        (z, y, x) int16, the part of each object that takes the stain; None: all of it. Where it is smaller than
        the truth, the truth reaches into the haze round the object, as contours drawn by people do.
    parts
        Labels that lie inside another object, by the label of that object: the whole is all of them.
    """

    labels: Labels
    depth: Float
    style: Style = "filled"
    stained: Labels | None = None
    parts: Mapping[int, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))


Family = Callable[[np.random.Generator, Shape, Step, float], Layout]
"""Draws a layout: source of randomness, voxels (z, y, x), voxel size, difficulty from 0 to 1."""
