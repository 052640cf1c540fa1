"""At which working resolution an object is looked at, and predictions there, brought back to the image's voxels.

A network knows objects of some tens of voxels. An object that is larger in voxels, because the microscope was better,
is looked at, corrected and completed in working voxels in which it is as large as the network knows; the network's
probabilities there, not masks, are enlarged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import Point, Prompt
from napari_nninteractive.core.view import View, Zoom3
from napari_nninteractive.core.working import WorkingResolution
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.history import edits
from napari_nninteractive.engine.predict import Canvas, Outcome, Predictor
from napari_nninteractive.engine.results import Monitor, Pass
from napari_nninteractive.engine.store import ChunkStore

__all__ = ["predict", "resolution_of_extent", "resolutions"]

# Distances that are tried, as multiples of the finest step: each at most twice as far as the one before.
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
_SLAB_VOXELS = 1 << 23  # voxels of the image enlarged at once: 32 MiB of float32


def resolutions(
    spacing: Sequence[float], shape: Index3, config: EngineConfig
) -> tuple[WorkingResolution, ...]:
    """Working resolutions to choose from, the finest first.

    Steps are equal along all axes as far as whole voxels allow, and never finer than the image's. The finest is that in
    which slices are at most ``config.working_anisotropy`` times as far apart as voxels in them.

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
    sizes = [s for s, n in zip(spacing, shape, strict=True) if n > 1] or list(spacing)
    finest, coarsest = min(sizes), max(sizes)
    most = config.max_working_zoom
    first = next(
        (g for g in _STEPS if coarsest <= config.working_anisotropy * finest * g), _STEPS[-1]
    )
    first = min(first, most)
    out = []
    for step in (g for g in _STEPS if first <= g <= most):
        # Half a percent, for spacings are rounded.
        z, y, x = (max(1, int(1.005 * step * finest / s)) for s in spacing)
        out.append(WorkingResolution((z, y, x)))
    return tuple(dict.fromkeys(out))


def resolution_of_extent(
    box: Box, choices: Sequence[WorkingResolution], patch: Index3, config: EngineConfig
) -> WorkingResolution:
    """Finest working resolution in which a box fits the patch with the context that a first view must show."""
    for resolution in choices:
        extent = resolution.box(box).shape
        if all(
            n == 1 or n + int(p * config.context_fraction) <= p
            for n, p in zip(extent, patch, strict=True)
        ):
            return resolution
    return choices[-1]


def predict(
    predictor: Predictor,
    prompts: Sequence[Prompt],
    canvas: Canvas,
    monitor: Monitor,
    resolution: WorkingResolution | None,
    *,
    probability: bool = False,
) -> Outcome:
    """Predict once, at a working resolution.

    Parameters
    ----------
    predictor : Predictor
        The image seen by the network.
    prompts : sequence of Prompt
        All prompts in force, oldest first, at least one, in voxels of the image.
    canvas : Canvas
        Read as the previous state, written to.
    monitor : Monitor
        Progress and cancel.
    resolution : WorkingResolution or None
        That of the object; chosen here where it has none yet.
    probability : bool
        Whether to keep the probabilities.

    Returns
    -------
    Outcome
        With the working resolution.
    """
    looks: list[Pass] = []
    if resolution is None:
        resolution = _choose(predictor, prompts, monitor, looks)
    here = _at(predictor, resolution)
    mapped = tuple(resolution.prompt(p) for p in prompts)
    before = _working_previous(canvas, resolution, predictor.reader.volume.shape)
    working = Canvas(before.draft(), before.draft(), edits(mapped))
    outcome = replace(here, autozoom=predictor.autozoom and resolution.is_full).run(
        mapped, working, monitor, probability=True
    )
    found = _Field.of(outcome, working, mapped)
    kept = _write(found, canvas, resolution, predictor.reader.volume.shape, probability)
    passes = [_in_image(p, resolution) for p in outcome.passes]
    return Outcome(looks + passes, kept, resolution)


def _at(predictor: Predictor, resolution: WorkingResolution) -> Predictor:
    """The predictor of an image in working voxels."""
    if resolution.is_full:
        return predictor
    return replace(
        predictor, reader=predictor.reader.of(resolution.volume(predictor.reader.volume))
    )


def _choose(
    predictor: Predictor,
    prompts: Sequence[Prompt],
    monitor: Monitor,
    looks: list[Pass],
) -> WorkingResolution:
    """Working resolution for what the last prompt shows."""
    volume, patch, config = predictor.reader.volume, predictor.reader.patch, predictor.config
    choices = resolutions(volume.spacing, volume.shape, config)
    last = prompts[-1]
    if not isinstance(last, Point):
        return resolution_of_extent(last.bounds.clip(volume.shape), choices, patch, config)
    if not last.positive:
        return choices[0]
    full = WorkingResolution()
    # Thick slices alone are no reason to look from further away at what is well seen.
    if choices[0] != full and _found(predictor, full, prompts, monitor, looks).is_sure(config):
        return full
    nearest: _Found | None = None
    before: tuple[float, WorkingResolution] | None = None
    for resolution in _showing_more(choices, volume.shape, patch):
        found = _found(predictor, resolution, prompts, monitor, looks)
        nearest = nearest or found
        if choices[0] == full != resolution:
            settles = found.fits(config) and found.is_better(nearest, config)
        else:
            settles = found.fits(config)
        if settles:
            most = before and before[0] * _step(before[1], resolution) ** config.working_growth
            # What grows as quickly as the view is no object, but all that the view holds.
            return full if most and found.size > most else resolution
        before = found.size, resolution
    return full


def _showing_more(
    choices: Sequence[WorkingResolution], shape: Index3, patch: Index3
) -> Iterator[WorkingResolution]:
    """Resolutions up to the first of which one patch is as large as the image: further away nothing more is seen."""
    for resolution in choices:
        yield resolution
        if all(n <= p for n, p in zip(resolution.shape(shape), patch, strict=True)):
            return


def _step(nearer: WorkingResolution, farther: WorkingResolution) -> float:
    """How many times as far away one is as the other."""
    return max(b / a for a, b in zip(nearer.zoom, farther.zoom, strict=True))


@dataclass(frozen=True, slots=True)
class _Found:
    """What the network finds at a click at one working resolution.

    Attributes
    ----------
    size : float
        Voxels of the image; 0 where it finds nothing.
    extent : float
        Part of the patch that it fills, along the axis along which it fills most.
    cut : float
        Largest part of a face of the patch that it covers where the image goes on.
    certainty : float
        Dice that the network expects of it by its own probabilities.
    """

    size: float = 0.0
    extent: float = 0.0
    cut: float = 0.0
    certainty: float = 0.0

    def fits(self, config: EngineConfig) -> bool:
        """Whether it lies well inside the patch."""
        inside = self.extent < config.working_fill and self.cut <= config.working_border
        return self.size > 0 and inside

    def is_better(self, nearer: _Found, config: EngineConfig) -> bool:
        """Whether it is reason enough to leave full resolution, where less than the whole object was found."""
        return self.size >= nearer.size and self.certainty >= config.working_certainty

    def is_sure(self, config: EngineConfig) -> bool:
        """Whether it fits with the context that a first view must show, and the network is sure of it."""
        close = self.extent <= 1 - config.context_fraction
        return self.fits(config) and close and self.certainty >= config.working_certainty


def _found(
    predictor: Predictor,
    resolution: WorkingResolution,
    prompts: Sequence[Prompt],
    monitor: Monitor,
    looks: list[Pass],
) -> _Found:
    """What the network finds at the last point."""
    here = _at(predictor, resolution)
    mapped = tuple(resolution.prompt(p) for p in prompts)
    at, patch, shape = mapped[-1].bounds.start, here.reader.patch, here.reader.volume.shape
    view = View.at(at, 1.0, patch)
    monitor.check()
    logits = here.runner(here.reader.fill(view, mapped, ChunkStore(shape).draft()))
    looks.append(Pass("look", View(_middle(resolution, at), _zoom(resolution), patch)))
    monitor.report("look", len(looks), None)
    # What the network makes of the emptiness beyond the image does not count.
    seen = view.region.clip(shape)
    values = torch.softmax(logits.float(), dim=0)[1][seen.relative_to(view.region).slices]
    clicked = (at[0] - seen.start[0], at[1] - seen.start[1], at[2] - seen.start[2])
    return _measured(values.cpu().numpy(), clicked, seen, (patch, shape), resolution)


def _measured(
    values: NDArray[np.float32],
    clicked: Index3,
    seen: Box,
    shapes: tuple[Index3, Index3],
    resolution: WorkingResolution,
) -> _Found:
    """Measures of the part of a field of probabilities that was clicked."""
    (patch, shape), mask = shapes, values > 0.5
    parts, _ = ndimage.label(mask)
    if not parts[clicked]:
        return _Found()
    object_ = parts == parts[clicked]
    box = Box.of_mask(object_) or Box.EMPTY
    cuts = [
        float(object_.take(side, axis=axis).mean())
        for axis in range(3)
        for side, open_ in ((0, seen.start[axis] > 0), (-1, seen.stop[axis] < shape[axis]))
        if open_
    ]
    count = float(np.count_nonzero(object_))
    # Other objects that the network sees beside it say nothing about how sure it is of this one.
    expected = float(values[object_ | ~mask].sum())
    return _Found(
        size=count * float(np.prod(resolution.zoom)),
        extent=max(n / p for n, p in zip(box.shape, patch, strict=True)),
        cut=max(cuts, default=0.0),
        certainty=2 * float(values[object_].sum()) / (count + expected),
    )


def _in_image(done: Pass, resolution: WorkingResolution) -> Pass:
    """A pass at a working resolution as one on the image."""
    view = done.view
    z, y, x = (a * b for a, b in zip(view.zoom, _zoom(resolution), strict=True))
    return Pass(done.stage, View(_middle(resolution, view.centre), (z, y, x), view.patch))


def _middle(resolution: WorkingResolution, at: Index3) -> Index3:
    z, y, x = (p * k + k // 2 for p, k in zip(at, resolution.zoom, strict=True))
    return z, y, x


def _zoom(resolution: WorkingResolution) -> Zoom3:
    z, y, x = (float(k) for k in resolution.zoom)
    return z, y, x


def _working_previous(canvas: Canvas, resolution: WorkingResolution, shape: Index3) -> ChunkStore:
    """The previous segmentation in working voxels: those of which half is set."""
    out = ChunkStore(resolution.shape(shape)).draft()
    bounds = canvas.previous.bounds()
    if bounds is not None:
        box = resolution.box(bounds)
        for slab in _slabs(box, resolution):
            block = canvas.previous.read(resolution.voxels(slab, shape))
            out.write(slab, resolution.averaged(block) >= 0.5)
    return out.finish()


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """Probability of the object in a box of working voxels, and where the network looked there."""

    box: Box
    values: NDArray[np.float32]
    seen: NDArray[np.bool_]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, outcome: Outcome, canvas: Canvas, prompts: Sequence[Prompt]) -> _Field:
        """What a prediction found, without parts that no prompt touches."""
        parts = outcome.probabilities or []
        box = Box.EMPTY
        for part, _, _ in parts:
            box = box.union(part)
        mask = canvas.mask.read(box) != 0
        values, seen = mask.astype(np.float32), np.zeros(box.shape, bool)
        for part, probability, where in parts:
            inside = part.relative_to(box).slices
            np.copyto(values[inside], probability, where=True if where is None else where)
            seen[inside] |= True if where is None else where
        kept = _touched_parts(mask, box, prompts)
        # What is dropped ends half way to it, so that enlarging does not bring its rim back.
        values[mask & ~kept] = 0
        return cls(box, values, seen, kept)


def _touched_parts(
    mask: NDArray[np.bool_], box: Box, prompts: Sequence[Prompt]
) -> NDArray[np.bool_]:
    """Connected parts of a mask that some positive prompt touches; all where none is touched."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    touched: set[int] = set()
    for prompt in prompts:
        both = prompt.bounds.intersect(box)
        if not prompt.positive or both.is_empty:
            continue
        there = parts[both.relative_to(box).slices]
        if isinstance(prompt, Point):
            touched |= set(np.unique(there).tolist())
        elif hasattr(prompt, "mask"):
            inside = prompt.mask[both.relative_to(prompt.bounds).slices]
            touched |= set(np.unique(there[inside]).tolist())
        else:
            touched |= set(np.unique(there).tolist())
    touched.discard(0)
    return np.isin(parts, list(touched)) if touched else mask


def _write(
    found: _Field,
    canvas: Canvas,
    resolution: WorkingResolution,
    shape: Index3,
    probability: bool,
) -> list[tuple[Box, NDArray[np.float32], NDArray[np.bool_] | None]] | None:
    """Bring what was found to the voxels of the image; its probability there where it is asked for."""
    out: list[tuple[Box, NDArray[np.float32], NDArray[np.bool_] | None]] = []
    for slab in _slabs(found.box, resolution):
        target = resolution.voxels(slab, shape)
        values = resolution.enlarged(found.values, found.box, target)
        where = resolution.repeated(found.seen, found.box, target)
        mask = resolution.repeated(found.mask, found.box, target)
        canvas.write(canvas.mask, target, mask if resolution.is_full else values >= 0.5, where)
        canvas.write(canvas.previous, target, mask, where)
        if probability:
            out.append((target, values, where))
    return out if probability else None


def _slabs(box: Box, resolution: WorkingResolution) -> Iterator[Box]:
    """Parts of a box of working voxels along z whose voxels of the image are few enough to be held at once."""
    z, y, x = resolution.zoom
    plane = box.shape[1] * box.shape[2] * z * y * x
    planes = max(1, _SLAB_VOXELS // max(plane, 1))
    for a in range(box.start[0], box.stop[0], planes):
        yield Box((a, *box.start[1:]), (min(a + planes, box.stop[0]), *box.stop[1:]))
