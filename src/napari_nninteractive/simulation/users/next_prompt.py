"""The simulated user: the next prompt from the truth and the current prediction.

The first prompt comes from the truth alone, later ones from what is still wrong: a positive prompt where the object is
missed, a negative one where something else was taken. Training and evaluation use this same code. Masks are (z, y, x);
every random choice comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point, Prompt, Scribble
from napari_nninteractive.errors import PromptError
from napari_nninteractive.simulation.users.strokes import outline, stroke

__all__ = [
    "KINDS",
    "UserStyle",
    "centre_point",
    "kind_of",
    "next_centre_point",
    "next_prompt",
    "prompt_in",
]

KINDS = ("point", "box", "scribble", "lasso")
"""Kinds of prompt that a simulated user draws."""

Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class UserStyle:
    """Habits of a simulated user.

    Parameters
    ----------
    kinds : mapping of str to float
        How often each style of prompt is chosen: ``point``, ``box``, ``scribble``, ``lasso``; weights, not normalised.
    centred : float
        Probability that a click goes to the middle of an error rather than anywhere inside it.
    larger : float
        Probability that the larger of the two errors (missed, wrongly taken) is corrected; else one drawn by size.
    planes : tuple of float
        Weights of the slicing axes (z, y, x) for flat prompts.
    jitter : float
        How inaccurate boxes and lassos are drawn, as a fraction of the extent.
    strokes : mapping of str to float
        How often each sort of scribble is drawn: ``centre`` (along the middle line), ``line`` (bent, between any two
        voxels), ``contour`` (along the outline, inside); weights, not normalised.
    outlines : mapping of str to float
        How often each sort of lasso is drawn: ``smoothed`` (and moved in or out a little), ``dilated`` (wide of the
        object), ``deformed`` (by a smooth random displacement); weights, not normalised.
    """

    kinds: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            {"point": 0.6, "box": 0.12, "scribble": 0.14, "lasso": 0.14}
        )
    )
    centred: float = 0.5
    larger: float = 0.8
    planes: tuple[float, float, float] = (0.5, 0.25, 0.25)
    jitter: float = 0.1
    strokes: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"contour": 0.3, "line": 0.7})
    )
    outlines: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"smoothed": 1.0})
    )


def kind_of(prompt: Prompt) -> str | None:
    """Kind of a prompt: one of :data:`KINDS`, or None for what no simulated user draws."""
    for kind, cls in zip(KINDS, (Point, BoxPrompt, Scribble, Lasso), strict=True):
        if isinstance(prompt, cls):
            return kind
    return None


def _bounds(mask: Bool) -> Box:
    """Smallest box of the true voxels, grown by one voxel inside the volume."""
    return (Box.of_mask(mask) or Box.EMPTY).pad(1).clip(mask.shape)


def _depth(crop: Bool) -> NDArray[np.float64]:
    """Distance in voxels to the nearest voxel outside the mask; a mask without outside ends at its border."""
    if crop.all():
        return np.asarray(ndimage.distance_transform_edt(np.pad(crop, 1)))[1:-1, 1:-1, 1:-1]
    return np.asarray(ndimage.distance_transform_edt(crop))


def _index(position: Sequence[Any], box: Box) -> Index3:
    z, y, x = (int(p) + s for p, s in zip(position, box.start, strict=True))
    return z, y, x


def centre_point(mask: Bool, *, positive: bool = True) -> Point:
    """Point at the maximum of the Euclidean distance transform of a mask.

    Parameters
    ----------
    mask : ndarray
        bool (z, y, x), not empty.
    positive : bool
        Polarity of the point.

    Returns
    -------
    Point
        At the first deepest voxel in memory order.

    Raises
    ------
    PromptError
        If the mask is empty.
    """
    if not mask.any():
        raise PromptError("There is nothing to point at: the mask is empty.")
    box = _bounds(mask)
    depth = _depth(mask[box.slices])
    return Point(_index(np.unravel_index(int(depth.argmax()), depth.shape), box), positive)


def next_centre_point(truth: Bool, prediction: Bool) -> Point | None:
    """Point of the evaluation protocol: deepest voxel of the larger error; None if there is none.

    Parameters
    ----------
    truth, prediction : ndarray
        bool (z, y, x).

    Returns
    -------
    Point or None
        Positive in the missed voxels if they are at least as many, else negative in the wrongly taken ones.
    """
    missed, wrong = truth & ~prediction, prediction & ~truth
    n_missed, n_wrong = int(np.count_nonzero(missed)), int(np.count_nonzero(wrong))
    if not n_missed and not n_wrong:
        return None
    return centre_point(missed) if n_missed >= n_wrong else centre_point(wrong, positive=False)


def next_prompt(
    truth: Bool, prediction: Bool | None, rng: np.random.Generator, style: UserStyle | None = None
) -> Prompt | None:
    """Draw the next prompt of a simulated user.

    Parameters
    ----------
    truth : ndarray
        bool (z, y, x), the object that the user has in mind.
    prediction : ndarray or None
        bool (z, y, x), the current mask; None or empty: the first prompt, from the truth.
    rng : numpy.random.Generator
        Source of all choices.
    style : UserStyle, optional
        Habits of the user.

    Returns
    -------
    Prompt or None
        Inside the missed voxels if positive, in the wrongly taken ones if negative; None if nothing is wrong.
    """
    style = style or UserStyle()
    names = list(style.kinds)
    shares = np.array([style.kinds[n] for n in names], float)
    name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    if prediction is None or not prediction.any():
        return prompt_in(truth, name, rng, style) if truth.any() else None
    missed, wrong = truth & ~prediction, prediction & ~truth
    n_missed, n_wrong = int(np.count_nonzero(missed)), int(np.count_nonzero(wrong))
    if n_missed + n_wrong == 0:
        return None
    if rng.random() < style.larger:
        positive = n_missed >= n_wrong
    else:
        positive = bool(rng.random() * (n_missed + n_wrong) < n_missed)
    return prompt_in(missed if positive else wrong, name, rng, style, positive=positive)


def prompt_in(
    region: Bool, kind: str, rng: np.random.Generator, style: UserStyle, *, positive: bool = True
) -> Prompt:
    """Draw one prompt into a region.

    Parameters
    ----------
    region : ndarray
        bool (z, y, x), not empty: the object, or what is wrong.
    kind : str
        ``point``, ``box``, ``scribble`` or ``lasso``.
    rng : numpy.random.Generator
        Source of all choices.
    style : UserStyle
        Habits of the user.
    positive : bool
        Polarity of the prompt.

    Returns
    -------
    Prompt
        Points and scribbles lie wholly inside the region; boxes and lassos cover its part in one slice, inaccurately.
    """
    box = _bounds(region)
    seed = _index(_click(region[box.slices], rng, style), box)
    if kind == "point":
        return Point(seed, positive)
    axis = int(rng.choice(3, p=np.array(style.planes) / sum(style.planes)))
    if 1 in region.shape:  # of a single slice nothing else is seen
        axis = region.shape.index(1)
    part, origin = _part(region, box, seed, axis)
    if kind == "box":
        return _box(part, axis, origin, rng, style.jitter, positive)
    if kind == "lasso":
        drawn, cls = outline(part, rng, style.jitter, style.outlines), Lasso
    elif kind == "scribble":
        drawn, cls = stroke(part, rng, style.strokes), Scribble  # type: ignore[assignment]
    else:
        raise PromptError(f"Unknown kind of prompt {kind!r}: use point, box, scribble or lasso.")
    return cls(np.expand_dims(drawn, axis), origin, positive)


def _part(region: Bool, box: Box, seed: Index3, axis: int) -> tuple[Bool, Index3]:
    """Connected part of one slice of the region that holds a voxel, with room round it, and where it begins."""
    room = [8 + n // 2 for n in box.shape]
    room[axis] = 0
    start = [max(a - r, 0) for a, r in zip(box.start, room, strict=True)]
    stop = [min(b + r, n) for b, r, n in zip(box.stop, room, region.shape, strict=True)]
    start[axis], stop[axis] = seed[axis], seed[axis] + 1
    plane = region[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].squeeze(axis)
    parts, _ = ndimage.label(plane)
    at = tuple(seed[a] - start[a] for a in range(3) if a != axis)
    return np.asarray(parts == parts[at]), (start[0], start[1], start[2])


_LARGE = 20_000
"""Voxels of a box from which the depth of a click is counted in steps along the axes, at a tenth of the time."""


def _click(crop: Bool, rng: np.random.Generator, style: UserStyle) -> tuple[int, ...]:
    """Voxel inside the region: the deepest one, or any that is not right at its border if there are such."""
    if crop.size > _LARGE and not crop.all():
        depth = np.asarray(ndimage.distance_transform_cdt(crop, "taxicab"), float)
    else:
        depth = _depth(crop)
    if rng.random() < style.centred:
        at = int(depth.argmax())
    else:
        least = max(rng.uniform(0.0, 0.7) * float(depth.max()), 1.0)
        at = int(rng.choice(np.flatnonzero(depth.ravel() >= least)))
    return tuple(int(i) for i in np.unravel_index(at, depth.shape))


def _box(
    part: Bool, axis: int, origin: Index3, rng: np.random.Generator, jitter: float, positive: bool
) -> BoxPrompt:
    """Box around a part of a slice, each side off by up to `jitter` of the extent and at least a voxel."""
    offset = [o for a, o in enumerate(origin) if a != axis]
    start, stop = [], []
    for a in range(2):
        used = np.flatnonzero(part.any(axis=1 - a))
        low, high = int(used[0]), int(used[-1]) + 1
        slack = max(jitter * (high - low), 1.0)
        low = int(np.clip(round(low + rng.uniform(-slack, slack)), 0, part.shape[a] - 1))
        high = int(np.clip(round(high + rng.uniform(-slack, slack)), low + 1, part.shape[a]))
        start.append(offset[a] + low)
        stop.append(offset[a] + high)
    start.insert(axis, origin[axis])
    stop.insert(axis, origin[axis] + 1)
    return BoxPrompt(start, stop, positive)  # type: ignore[arg-type]
