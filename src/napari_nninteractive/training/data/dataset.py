"""Episodes: one object of a scene, its prompts so far and the current mask, advanced one prompt per training step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    Lasso,
    Point,
    Prompt,
    Scribble,
    prompt_from_json,
    prompt_to_json,
)
from napari_nninteractive.core.rasterize import PromptEncoding, rasterize, to_array
from napari_nninteractive.core.view import View
from napari_nninteractive.simulation.images.scenes import Scene, make_scene
from napari_nninteractive.simulation.users.mixture import user_of
from napari_nninteractive.simulation.users.next_prompt import UserStyle, next_prompt
from napari_nninteractive.training.data.zooms import ZOOMS

ENCODING = PromptEncoding(point_radius=4, decay=0.9)
"""How the built-in model expects its prompts: earlier ones fade by a tenth with each new one."""


@dataclass(frozen=True, slots=True)
class EpisodeConfig:
    """How scenes become training samples.

    Parameters
    ----------
    per_scene : int
        Objects taken from one scene.
    ramp : int
        Scenes until the hardest ones are reached.
    start_level : float
        Difficulty of the first scenes, 0 to 1.
    zoomed, refining, misled : float
        Shares of episodes seen from further away, at full resolution after a coarse pass, and
        starting from a wrong mask.
    united : float
        Share of episodes whose object is two touching ones together; their first prompt is never a point,
        which could not say so.
    max_rounds : int
        Most prompts in one episode.
    shape : tuple of int or None
        Voxels (z, y, x) of every scene; None: drawn anew for each.
    """

    per_scene: int = 3
    ramp: int = 400
    start_level: float = 0.15
    zoomed: float = 0.15
    refining: float = 0.1
    misled: float = 0.1
    united: float = 0.05
    max_rounds: int = 6
    shape: Index3 | None = None


@dataclass(frozen=True, eq=False)
class Episode:
    """One object being segmented.

    Attributes
    ----------
    image
        (z, y, x) float32, normalised as the engine would, with the variation that whole images bring.
    truth, mask
        (z, y, x) bool; the mask is the current prediction pasted together.
    key
        Numbers that seed every random choice of this episode.
    rounds
        Prompts this episode gets.
    zoom
        How much further away the patch looks; the arrays are then what it sees, 1/zoom of the true resolution.
    centre
        Where a refinement patch lies; None: round the newest prompt.
    prompts
        In voxels of the true resolution, oldest first.
    opening
        The first prompt where it decides what the object is (a whole with parts, two objects together), drawn in
        the arrays; None: any that fits the truth.
    """

    image: NDArray[np.float32]
    truth: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    key: tuple[int, ...]
    rounds: int
    zoom: float = 1.0
    centre: Index3 | None = None
    prompts: tuple[Prompt, ...] = ()
    done: int = 0
    name: str = ""
    opening: Prompt | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """What the network sees and should answer.

    Attributes
    ----------
    inputs
        (8, z, y, x) float32.
    target
        (z, y, x) bool.
    region
        Voxels of the episode's arrays that the patch covers, beyond the border too.
    """

    inputs: NDArray[np.float32]
    target: NDArray[np.bool_]
    region: Box
    first: bool = field(default=True)


def episodes_of(seed: int, index: int, config: EpisodeConfig) -> list[Episode]:
    """Return the episodes of scene number ``index``; the same numbers give the same episodes."""
    rng = np.random.default_rng([seed, index])
    reached = min(
        1.0, config.start_level + (1.0 - config.start_level) * index / max(config.ramp, 1)
    )
    scene = make_scene(rng, level=float(reached * rng.uniform(0.3, 1.0)), shape=config.shape)
    if not scene.targets:
        return []
    sizes = np.bincount(scene.labels.ravel())[list(scene.targets)].astype(float)
    shares = sizes**0.25 / (sizes**0.25).sum()
    chosen = rng.choice(
        len(scene.targets), min(config.per_scene, len(scene.targets)), replace=False, p=shares
    )
    image = normalised(scene, rng)
    made = []
    for number, which in enumerate(chosen):
        key = (seed, index, number)
        truth, vague = _object(scene, scene.targets[int(which)], key, config)
        made.append(_start(image, truth, vague, scene.family, key, config))
    return made


def _object(
    scene: Scene, target: int, key: tuple[int, ...], config: EpisodeConfig
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """The object that the user has in mind, and the voxels where a point would mean another one (None: nowhere)."""
    rng = np.random.default_rng([*key, 2])
    truth = scene.whole(target)
    inner = truth & (scene.labels != target)
    if rng.random() >= config.united:
        return truth, inner if inner.any() else None
    shell = ndi.binary_dilation(truth) & ~truth & (scene.labels > 0)
    touching = np.bincount(scene.labels[shell])
    if not len(touching) or touching.max() < 20:
        return truth, inner if inner.any() else None
    both = truth | scene.whole(int(touching.argmax()))
    return both, both


def normalised(scene: Scene, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the image z-scored as a part of a larger image that is background for the most part.

    The engine normalises by the statistics of the whole image, so a patch may be far brighter or
    darker than these: the share of the scene in the imagined image is drawn between 3 and 100 %.
    """
    ground = scene.image[scene.labels == 0]
    level = float(ground.mean()) if ground.size else float(np.percentile(scene.image, 10))
    above = scene.image - level
    share = float(np.exp(rng.uniform(np.log(0.03), 0.0))) if rng.random() < 0.6 else 1.0
    mean = share * float(above.mean())
    square = share * float((above**2).mean()) + (1.0 - share) * scene.noise**2
    image = (above - mean) / max(np.sqrt(max(square - mean**2, 0.0)), 1e-3)
    return np.asarray(image * np.exp(rng.normal(0.0, 0.2)) + rng.normal(0.0, 0.2), np.float32)


def _start(
    image: NDArray[np.float32],
    truth: NDArray[np.bool_],
    vague: NDArray[np.bool_] | None,
    family: str,
    key: tuple[int, ...],
    config: EpisodeConfig,
) -> Episode:
    rng = np.random.default_rng([*key, 0])
    axes = tuple(int(a) for a in np.flatnonzero(rng.random(3) < 0.5))
    order = (0, *rng.permutation([1, 2])) if rng.random() < 0.7 else tuple(rng.permutation(3))
    image = np.flip(image, axes).transpose(order).copy()
    truth = np.flip(truth, axes).transpose(order).copy()
    rounds = 1 + int(rng.integers(0, config.max_rounds))
    opening = None
    if vague is not None:
        opening = _unmistakable(truth, np.flip(vague, axes).transpose(order), rng)
    empty = np.zeros_like(truth)
    episode = Episode(image, truth, empty, key, rounds, name=family, opening=opening)
    kind = rng.random() if min(image.shape) > 1 else 1.0
    if kind < config.zoomed:
        return replace(episode, zoom=float(rng.choice(ZOOMS)))
    if kind < config.zoomed + config.refining:
        border = truth & ~ndi.binary_erosion(truth)
        where = np.argwhere(border)[int(rng.integers(int(border.sum())))]
        z, y, x = (int(v) for v in where + rng.integers(-16, 17, 3))
        mask = coarsened(truth, float(rng.choice(ZOOMS)), rng)
        return replace(episode, mask=mask, centre=(z, y, x), rounds=1)
    if kind < config.zoomed + config.refining + config.misled:
        return replace(episode, mask=misleading(truth, rng))
    return episode


_OUTLINING = UserStyle(kinds=MappingProxyType({"box": 0.45, "lasso": 0.45, "scribble": 0.1}))
_POINTING = UserStyle(kinds=MappingProxyType({"point": 0.8, "scribble": 0.2}))


def _unmistakable(
    truth: NDArray[np.bool_], vague: NDArray[np.bool_], rng: np.random.Generator
) -> Prompt | None:
    """A first prompt that tells this object from those that overlap it: an outline, or a point where only it lies."""
    clear = truth & ~vague
    if clear.any() and rng.random() < 0.6:
        return next_prompt(clear, None, rng, _POINTING)
    return next_prompt(truth, None, rng, _OUTLINING)


def coarsened(truth: NDArray[np.bool_], zoom: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the mask as a coarse pass would bring it back: blocky, with a border that is somewhat off."""
    shape = [max(round(n / zoom), 1) for n in truth.shape]
    factors = [m / n for m, n in zip(shape, truth.shape, strict=True)]
    small = ndi.zoom(
        ndi.uniform_filter(truth.astype(np.float32), max(int(zoom), 1)), factors, order=1
    )
    small = small + rng.normal(0, 0.25, 1) + rng.normal(0, 0.15, small.shape)
    back = [n / m for m, n in zip(small.shape, truth.shape, strict=True)]
    return np.asarray(ndi.zoom((small >= 0.5).astype(np.float32), back, order=1) >= 0.5)


def misleading(truth: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a wrong mask to start from: too large, too small, half of it, or with a piece too much."""
    kind = int(rng.integers(4))
    if kind == 0:
        return np.asarray(ndi.binary_dilation(truth, iterations=int(rng.integers(1, 5))))
    if kind == 1:
        return np.asarray(ndi.binary_erosion(truth, iterations=int(rng.integers(1, 4))))
    where = np.argwhere(truth)
    normal = rng.standard_normal(3)
    side = (np.indices(truth.shape).transpose(1, 2, 3, 0) - where.mean(0)) @ normal > 0
    if kind == 2:
        return np.asarray(truth & side)
    return np.asarray(
        truth | (ndi.binary_dilation(truth, iterations=8) & side & (rng.random() < 0.9))
    )


def advance(episode: Episode) -> Episode | None:
    """Return the episode with its next prompt; None if it is over or nothing is wrong any more."""
    if episode.done >= episode.rounds:
        return None
    rng = np.random.default_rng([*episode.key, 1, episode.done])
    if episode.centre is not None:
        drawn = [next_prompt(episode.truth, None, rng) for _ in range(int(rng.integers(1, 4)))]
        prompts = tuple(p for p in drawn if p is not None)
        return replace(episode, prompts=prompts, done=1)
    prompt = episode.opening if episode.done == 0 else None
    if prompt is None:
        user = user_of(episode.key, episode.prompts)
        prompt = user.next_prompt(episode.truth, episode.mask, rng)
    if prompt is None:
        return None
    scaled = enlarged(prompt, episode.zoom, rng)
    return replace(episode, prompts=(*episode.prompts, scaled), done=episode.done + 1)


def enlarged(prompt: Prompt, zoom: float, rng: np.random.Generator) -> Prompt:
    """Return a prompt drawn in the coarse arrays as it would be in voxels of the true resolution."""
    if zoom == 1.0:
        return prompt
    if isinstance(prompt, Point):
        position = [(p + float(rng.uniform(0, 1))) * zoom - 0.5 for p in prompt.position]
        return Point(position, prompt.positive)  # type: ignore[arg-type]
    flat = int(np.argmin(prompt.bounds.shape))
    starts = [round(s * zoom) for s in prompt.bounds.start]
    stops = [max(round(s * zoom), a + 1) for s, a in zip(prompt.bounds.stop, starts, strict=True)]
    starts[flat] += int(rng.integers(0, stops[flat] - starts[flat]))
    stops[flat] = starts[flat] + 1
    if isinstance(prompt, BoxPrompt):
        return BoxPrompt(starts, stops, prompt.positive)  # type: ignore[arg-type]
    if not isinstance(prompt, (Scribble, Lasso)):
        return prompt
    wanted = [b - a for a, b in zip(starts, stops, strict=True)]
    index = [
        np.minimum((np.arange(n) * m) // n, m - 1)
        for n, m in zip(wanted, prompt.mask.shape, strict=True)
    ]
    mask = prompt.mask[np.ix_(*index)]
    if isinstance(prompt, Scribble):
        mask = _thinned(mask, round(zoom))
    return type(prompt)(mask, starts, prompt.positive)  # type: ignore[arg-type]


def _thinned(mask: NDArray[np.bool_], amount: int) -> NDArray[np.bool_]:
    """Return the stroke about two voxels thick again after enlargement."""
    cross = ndi.generate_binary_structure(3, 1)
    flat = int(np.argmin(mask.shape))
    for side in (0, 2):
        cross[tuple(side if a == flat else 1 for a in range(3))] = False
    for _ in range(amount - 1):
        thinner = ndi.binary_erosion(mask, cross)
        if not thinner.any():
            break
        mask = thinner
    return mask


def sample_of(episode: Episode, patch: Index3, encoding: PromptEncoding = ENCODING) -> Sample:
    """Return the patch round the newest prompt (or the refinement centre) as the engine would build it."""
    if episode.centre is not None:
        centre = episode.centre
    else:
        bounds = episode.prompts[-1].bounds
        middle = [
            (a + b) // 2 / episode.zoom for a, b in zip(bounds.start, bounds.stop, strict=True)
        ]
        centre = (int(middle[0]), int(middle[1]), int(middle[2]))
    region = Box.around(centre, patch)
    inputs = np.zeros((1 + encoding.n_channels, *patch), np.float32)
    seen = region.intersect(Box.of_shape(episode.image.shape))
    inside = seen.relative_to(region).slices
    target = np.zeros(patch, bool)
    if not seen.is_empty:
        inputs[0][inside] = episode.image[seen.slices]
        inputs[1][inside] = episode.mask[seen.slices]
        target[inside] = episode.truth[seen.slices]
    inputs[2:] = _prompt_channels(episode, region, patch, encoding)[1:]
    return Sample(inputs, target, region, first=episode.done == 1)


def _prompt_channels(
    episode: Episode, region: Box, patch: Index3, encoding: PromptEncoding
) -> NDArray[np.float32]:
    shape, start, extent = (
        _enlarged_index(v, episode.zoom) for v in (episode.image.shape, region.start, patch)
    )
    # At the zoom itself, which the region, in whole voxels, only comes near to.
    view = View.of(Box.of_shape(extent).shift(start), patch).zoomed((episode.zoom,) * 3)
    painted = rasterize(episode.prompts, view, shape, encoding)
    return to_array(painted, patch, encoding.n_channels)


def _enlarged_index(values: tuple[int, ...], zoom: float) -> Index3:
    z, y, x = (round(v * zoom) for v in values)
    return z, y, x


def with_prediction(episode: Episode, region: Box, prediction: NDArray[np.bool_]) -> Episode:
    """Return the episode with the patch's prediction pasted into its mask."""
    seen = region.intersect(Box.of_shape(episode.mask.shape))
    if seen.is_empty:
        return episode
    mask = episode.mask.copy()
    mask[seen.slices] = prediction[seen.relative_to(region).slices]
    return replace(episode, mask=mask)


def to_record(episode: Episode) -> dict[str, Any]:
    """Return the episode as tensors and plain values, for a checkpoint."""
    return {
        "image": torch.from_numpy(episode.image.copy()),  # torch takes no negative strides
        "truth": torch.from_numpy(episode.truth.copy()),
        "mask": torch.from_numpy(episode.mask.copy()),
        "key": list(episode.key),
        "rounds": episode.rounds,
        "zoom": episode.zoom,
        "centre": None if episode.centre is None else list(episode.centre),
        "prompts": [prompt_to_json(p) for p in episode.prompts],
        "done": episode.done,
        "name": episode.name,
        "opening": None if episode.opening is None else prompt_to_json(episode.opening),
    }


def from_record(record: dict[str, Any]) -> Episode:
    """Return the episode that :func:`to_record` wrote."""
    arrays = {k: record[k].numpy() for k in ("image", "truth", "mask")}
    return Episode(
        **arrays,
        key=tuple(record["key"]),
        rounds=record["rounds"],
        zoom=record["zoom"],
        centre=None if record["centre"] is None else tuple(record["centre"]),
        prompts=tuple(prompt_from_json(p) for p in record["prompts"]),
        done=record["done"],
        name=record["name"],
        opening=None if record["opening"] is None else prompt_from_json(record["opening"]),
    )
