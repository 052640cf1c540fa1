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
from napari_nninteractive.engine.found import Found, measured
from napari_nninteractive.engine.history import edits
from napari_nninteractive.engine.predict import Canvas, Outcome, Predictor
from napari_nninteractive.engine.resolutions import (
    anisotropic,
    resolution_of_extent,
    resolutions,
    showing_more,
)
from napari_nninteractive.engine.results import Monitor, Pass
from napari_nninteractive.engine.store import ChunkStore

__all__ = ["predict"]

_SLAB_VOXELS = 1 << 23  # voxels of the image enlarged at once: 32 MiB of float32


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
        # What was drawn tells the size, whatever the slices.
        all_ = anisotropic(volume.spacing, volume.shape, config) + choices
        return resolution_of_extent(last.bounds.clip(volume.shape), all_, patch, config)
    if not last.positive:
        return choices[0]
    full = WorkingResolution()
    # Thick slices alone are no reason to look from further away at what is well seen.
    for resolution in anisotropic(volume.spacing, volume.shape, config):
        if _found(predictor, resolution, prompts, monitor, looks).is_sure(config):
            return resolution
    nearest: Found | None = None
    before: tuple[float, WorkingResolution] | None = None
    for resolution in showing_more(choices, volume.shape, patch):
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


def _step(nearer: WorkingResolution, farther: WorkingResolution) -> float:
    """How many times as far away one is as the other."""
    return max(b / a for a, b in zip(nearer.zoom, farther.zoom, strict=True))


def _found(
    predictor: Predictor,
    resolution: WorkingResolution,
    prompts: Sequence[Prompt],
    monitor: Monitor,
    looks: list[Pass],
) -> Found:
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
    return measured(values.cpu().numpy(), clicked, seen, (patch, shape), resolution)


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
