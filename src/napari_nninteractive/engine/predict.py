"""From prompts to a mask: look from as far away as the object needs, then refine what changed at full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nninteractive.core import resample
from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Prompt
from napari_nninteractive.core.view import View
from napari_nninteractive.core.working import WorkingResolution
from napari_nninteractive.engine import autozoom, tiling
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.device import Runner
from napari_nninteractive.engine.patch import PatchReader, apply_torch, faces, faces_of_previous
from napari_nninteractive.engine.results import Monitor, Pass, Stage
from napari_nninteractive.engine.store import Draft

__all__ = ["Canvas", "Outcome", "Predictor"]

# Voxels at full resolution of a coarse prediction that are held at once: 32 MiB of float32.
_SLAB_VOXELS = 1 << 23


@dataclass(slots=True)
class Canvas:
    """Mask and previous segmentation while a prediction writes to them; edits by hand stay on top.

    Attributes
    ----------
    mask, previous : Draft
        What the user sees, and what the network sees as the previous segmentation.
    edits : tuple of MaskEdit
        Edits in force, oldest first.
    """

    mask: Draft
    previous: Draft
    edits: tuple[MaskEdit, ...] = ()

    def write(
        self,
        draft: Draft,
        box: Box,
        values: NDArray[np.bool_],
        where: NDArray[np.bool_] | None = None,
    ) -> None:
        """Set voxels of a box in one of the two, then what was edited there by hand."""
        draft.write(box, values, where)
        for edit in self.edits:
            part = edit.bounds.intersect(box)
            if not part.is_empty:
                painted = edit.mask[part.relative_to(edit.bounds).slices]
                draft.write(part, np.full(part.shape, edit.value), painted)


@dataclass(slots=True)
class Outcome:
    """What one prediction did.

    Attributes
    ----------
    passes : list of Pass
        Runs of the network in order.
    probabilities : list of (Box, ndarray, ndarray or None) or None
        Refined parts in order: where, float32 probability of the object, and where it counts (None: everywhere).
        None unless asked for.
    resolution : WorkingResolution or None
        Working resolution of the object; None where there is none.
    """

    passes: list[Pass] = field(default_factory=list)
    probabilities: list[tuple[Box, NDArray[np.float32], NDArray[np.bool_] | None]] | None = None
    resolution: WorkingResolution | None = None

    @property
    def zoom(self) -> float:
        """Widest view that was needed, in patches."""
        return max((p.zoom for p in self.passes), default=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What stays the same during one prediction: what it starts from, writes to and reports to."""

    prompts: Sequence[Prompt]
    canvas: Canvas
    monitor: Monitor
    outcome: Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """One image seen by one network.

    Attributes
    ----------
    reader : PatchReader
        Builds the input of the network.
    runner : Runner
        Runs it.
    config : EngineConfig
        Thresholds.
    autozoom : bool
        Whether the view widens while the object reaches its border.
    """

    reader: PatchReader
    runner: Runner
    config: EngineConfig
    autozoom: bool = True

    def run(
        self,
        prompts: Sequence[Prompt],
        canvas: Canvas,
        monitor: Monitor,
        *,
        probability: bool = False,
    ) -> Outcome:
        """Predict once and write the result to the canvas.

        Parameters
        ----------
        prompts : sequence of Prompt
            All prompts in force, oldest first, at least one; the last one decides where to look.
        canvas : Canvas
            Read as the previous state, written to.
        monitor : Monitor
            Told after each pass; asked for a cancel before each.
        probability : bool
            Whether to keep the probabilities.

        Returns
        -------
        Outcome
            Zoom and passes.

        Raises
        ------
        Cancelled
            If the monitor's token is set; the canvas is to be thrown away then.
        """
        outcome = Outcome(probabilities=[] if probability else None)
        task = _Task(prompts, canvas, monitor, outcome)
        view, logits = self._look(task)
        if view.is_full_resolution:
            self._keep(logits, view.region, task, None)
        else:
            self._refine(self._plan(logits[1] > logits[0], view, task), task)
        monitor.check()
        return outcome

    def _look(self, task: _Task) -> tuple[View, torch.Tensor]:
        """The view that shows the whole object, or the widest there is, and its logits (2, z, y, x)."""
        shape, patch = self.reader.volume.shape, self.reader.patch
        view = autozoom.start_view(task.prompts[-1], shape, patch, self.config)
        while True:
            logits = self._forward(view, task, "look", None)
            wider = autozoom.wider_view(view, self.config) if self.autozoom else None
            if wider is None or not autozoom.border_changed(
                faces(logits[1] > logits[0]),
                faces_of_previous(task.canvas.previous, view),
                self.config,
            ):
                return view, logits
            view = wider

    def _forward(self, view: View, task: _Task, stage: Stage, total: int | None) -> torch.Tensor:
        """Logits (2, z, y, x) of one view."""
        task.monitor.check()
        logits = self.runner(self.reader.fill(view, task.prompts, task.canvas.previous))
        task.outcome.passes.append(Pass(stage, view))
        done = sum(p.stage == stage for p in task.outcome.passes)
        task.monitor.report(stage, done, total)
        return logits

    def _keep(
        self, logits: torch.Tensor, region: Box, task: _Task, where: NDArray[np.bool_] | None
    ) -> None:
        """Make a prediction at full resolution the new mask inside its region."""
        visible = region.clip(self.reader.volume.shape)
        inside = visible.relative_to(region).slices
        prediction = (logits[1] > logits[0])[inside].cpu().numpy()
        where = None if where is None else where[inside]
        task.canvas.write(task.canvas.mask, visible, prediction, where)
        task.canvas.write(task.canvas.previous, visible, prediction, where)
        if task.outcome.probabilities is not None:
            values = torch.softmax(logits.float(), dim=0)[1][inside].cpu().numpy()
            task.outcome.probabilities.append((visible, values, where))

    def _plan(self, prediction: torch.Tensor, view: View, task: _Task) -> tuple[tiling.Tile, ...]:
        """Bring a coarse prediction back to full resolution as previous segmentation; plan what to refine."""
        side, shape = self.config.opening_side, self.reader.volume.shape
        box, change = _paste(prediction, view.region, shape, side // 2, task.canvas)
        if isinstance(task.prompts[-1], InitialMask):
            # The whole mask is to be refined, not only what changed.
            change |= task.canvas.previous.read(box) != 0
        change = tiling.opened(change, side)
        margin = self.config.margin_fraction
        tiles = tiling.plan_tiles(change, box.start, self.reader.patch, margin)
        if not tiles:
            around = Box.around(view.centre, self.reader.patch)
            tiles = (tiling.Tile(around, around),)
        return tiles

    def _refine(self, tiles: Sequence[tiling.Tile], task: _Task) -> None:
        """Refine tile after tile, each seeing the ones before; what lies in the core of an earlier tile stays."""
        for i, tile in enumerate(tiles):
            view = View.of(tile.patch, self.reader.patch)
            logits = self._forward(view, task, "refine", len(tiles))
            done = [t.core.intersect(tile.patch).relative_to(tile.patch) for t in tiles[:i]]
            done = [core for core in done if not core.is_empty]
            where = np.ones(tile.patch.shape, bool) if done else None
            for core in done:
                where[core.slices] = False  # type: ignore[index]
            self._keep(logits, tile.patch, task, where)


def _touched(bounds: Box, region: Box, patch: Index3) -> Box:
    """Voxels of the region whose trilinear neighbours in the patch include some of `bounds`."""
    start, stop = [], []
    for a, b, n_out, n_in in zip(bounds.start, bounds.stop, region.shape, patch, strict=True):
        first, second, _ = resample.linear_taps(n_in, n_out)
        hit = np.flatnonzero((second >= a) & (first < b))
        start.append(int(hit[0]))
        stop.append(int(hit[-1]) + 1)
    return Box(start, stop).shift(region.start)


def _paste(
    prediction: torch.Tensor, region: Box, shape: Index3, halo: int, canvas: Canvas
) -> tuple[Box, NDArray[np.bool_]]:
    """Replace the previous segmentation inside a region by a coarse prediction.

    Parameters
    ----------
    prediction : torch.Tensor
        bool (z, y, x) of the patch.
    region : Box
        What the patch covers.
    shape : tuple of int
        Of the image.
    halo : int
        Voxels to add around what is set before or after, so that the change is not cut off at its own border.
    canvas : Canvas
        Its previous segmentation is written to.

    Returns
    -------
    Box, ndarray of bool
        Where something was set before or is now, and which voxels changed there.
    """
    visible = region.clip(shape)
    box = canvas.previous.bounds(visible) or Box.EMPTY
    found = Box.of_mask(prediction.cpu().numpy())
    if found is not None:
        box = box.union(_touched(found, region, _shape(prediction)).intersect(visible))
    if box.is_empty:
        return box, np.zeros(box.shape, bool)
    box = box.pad(halo).intersect(visible)
    change = np.empty(box.shape, bool)
    matrices = [
        resample.linear_matrix(p, n) for p, n in zip(prediction.shape, region.shape, strict=True)
    ]
    rows = box.relative_to(region).slices
    planes = max(1, _SLAB_VOXELS // (box.shape[1] * box.shape[2]))
    coarse = prediction.float()
    for z in range(box.start[0], box.stop[0], planes):
        slab = box.intersect(Box((z, *box.start[1:]), (z + planes, *box.stop[1:])))
        along_z = matrices[0][slab.relative_to(region).slices[0]]
        used = np.flatnonzero(along_z.any(axis=0))
        taps = slice(int(used[0]), int(used[-1]) + 1)
        fine = apply_torch(
            coarse[taps], [along_z[:, taps], matrices[1][rows[1]], matrices[2][rows[2]]]
        )
        before = canvas.previous.read(slab) != 0
        canvas.write(canvas.previous, slab, (fine >= 0.5).cpu().numpy())
        change[slab.relative_to(box).slices] = before != (canvas.previous.read(slab) != 0)
    return box, change


def _shape(tensor: torch.Tensor) -> Index3:
    z, y, x = tensor.shape
    return z, y, x
