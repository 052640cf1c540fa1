"""The protocol: one object after another, each from a budget of prompts, every method corrected where it is wrong.

All methods get the same first prompt. Later ones are drawn from what the method itself got wrong, by
the same simulated user. Or all of them get the prompts that a person drew, in a session that was saved.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.metrics import area_under_curve, dice
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Prompt
from napari_nninteractive.core.surfaces import surface_dice
from napari_nninteractive.core.volume import ArrayLike3D
from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.evaluation.drawn import DrawnObject
from napari_nninteractive.evaluation.methods.styles import make_style
from napari_nninteractive.evaluation.presets import SESSION, Trial

__all__ = [
    "MaskCrop",
    "ObjectResult",
    "Player",
    "Segmenter",
    "run_drawn",
    "run_object",
    "run_volume",
]

_log = logging.getLogger(__name__)
Bool = NDArray[np.bool_]


class Segmenter(Protocol):
    """A method that is measured: prompts in, a mask out."""

    @property
    def name(self) -> str:
        """Of the method in every report."""
        ...

    def start(self, image: ArrayLike3D, spacing: tuple[float, float, float]) -> None:
        """Take an image, (z, y, x) or (y, x), with the physical size of its voxels along (z, y, x)."""
        ...

    def reset(self, extent: Box) -> None:
        """Go on to the next object.

        Parameters
        ----------
        extent : Box
            Smallest box of the object's truth. For methods that are given this help on purpose; nobody else may look.
        """
        ...

    def add(self, prompt: Prompt) -> Bool:
        """Add a prompt and return the mask, bool (z, y, x) of the image's shape; not changed later."""
        ...


@runtime_checkable
class Player(Protocol):
    """A method that predicts when it is told to."""

    def play(self, steps: Plan) -> Bool:
        """Take steps and return the mask, bool (z, y, x) of the image's shape; not changed later."""
        ...


_Asked = tuple[Prompt, Callable[[], Bool]]
"""A prompt, and what gives the mask that comes of it."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskCrop:
    """A mask without the emptiness around it.

    Attributes
    ----------
    voxels : ndarray
        bool (z, y, x), cropped.
    origin : tuple of int
        Voxel (z, y, x) of the image where it lies.
    """

    voxels: Bool
    origin: Index3

    @classmethod
    def of(cls, mask: Bool) -> MaskCrop:
        """Crop of a mask, bool (z, y, x); a copy."""
        box = Box.of_mask(mask) or Box.EMPTY
        return cls(mask[box.slices].copy(), box.start)

    def inside(self, box: Box) -> Bool:
        """Voxels in a box, bool (z, y, x)."""
        out = np.zeros(box.shape, bool)
        mine = Box.of_shape(self.voxels.shape).shift(self.origin)
        both = mine.intersect(box)
        if not both.is_empty:
            out[both.relative_to(box).slices] = self.voxels[both.relative_to(mine).slices]
        return out


@dataclass(frozen=True, eq=False)
class ObjectResult:
    """How one object went with one method.

    Attributes
    ----------
    volume, method : str
        Names.
    trial : Trial
        How it was prompted.
    label : int
        Of the object.
    voxels : int
        Of the object.
    prompts : tuple of Prompt
        Those that were given; fewer than the budget if the mask became perfect, the person had no more, or the method
        failed.
    dice, surface_dice : tuple of float
        After each prompt of the budget. A perfect mask stays at 1; after a failure the mask before it counts, and after
        the last prompt of a person the mask that it gave.
    seconds : tuple of float
        Of each prompt of the budget; 0 where none was needed or given.
    mask : MaskCrop
        What was segmented at the end.
    error : str or None
        Why the method failed, if it did.
    """

    volume: str
    method: str
    trial: Trial
    label: int
    voxels: int
    prompts: tuple[Prompt, ...]
    dice: tuple[float, ...]
    surface_dice: tuple[float, ...]
    seconds: tuple[float, ...]
    mask: MaskCrop
    error: str | None = None

    @cached_property
    def dice_auc(self) -> float:
        """Area under the curve of Dice, 0 to 1."""
        return area_under_curve(self.dice)

    @cached_property
    def surface_auc(self) -> float:
        """Area under the curve of surface Dice, 0 to 1."""
        return area_under_curve(self.surface_dice)


def run_object(
    segmenter: Segmenter,
    volume: LabelledVolume,
    label: int,
    trial: Trial,
    *,
    seed: int = 0,
    tolerance: float | None = None,
) -> ObjectResult:
    """Prompt one object until the budget is spent.

    Parameters
    ----------
    segmenter : Segmenter
        With the image of this volume.
    volume : LabelledVolume
        Image and truth.
    label : int
        Of the object, in the labels.
    trial : Trial
        Style and budget.
    seed : int
        With the label, decides every random choice of the simulated user, whatever was measured before.
    tolerance : float, optional
        Of the surface Dice, in the unit of the spacing.

    Returns
    -------
    ObjectResult
        Also where the method failed: an exception ends this object and is in the result.
    """
    truth = np.asarray(volume.labels == label)
    rng = np.random.default_rng([seed, abs(label)])
    style = make_style(trial.style)

    def turn(mask: Bool) -> _Asked | None:
        prompt = style.next_prompt(truth, mask, rng)
        return None if prompt is None else (prompt, partial(segmenter.add, prompt))

    return _run(segmenter, volume, label, trial, turn, tolerance)


def run_drawn(
    segmenter: Segmenter,
    volume: LabelledVolume,
    drawn: DrawnObject,
    trial: Trial,
    *,
    tolerance: float | None = None,
) -> ObjectResult:
    """Give one object the prompts that a person drew for it, whatever the mask.

    Parameters
    ----------
    segmenter : Segmenter
        With the image of this volume. Where it has a method `play`, it predicts when the person did; else with every
        prompt, and what was painted by hand is left out.
    volume : LabelledVolume
        Image and truth.
    drawn : DrawnObject
        From :func:`~.drawn.read_drawn`.
    trial : Trial
        Its budget may end before the person did; where it is longer, the last mask stays.
    tolerance
        As in :func:`run_object`.

    Returns
    -------
    ObjectResult
        As of :func:`run_object`.
    """
    turns = iter(drawn.turns)

    def turn(mask: Bool) -> _Asked | None:
        found = next(turns, None)
        if found is None:
            return None
        prompt, steps = found
        if isinstance(segmenter, Player):
            return prompt, partial(segmenter.play, steps)
        if isinstance(prompt, InitialMask | MaskEdit):
            return prompt, lambda: mask
        return prompt, partial(segmenter.add, prompt)

    return _run(segmenter, volume, drawn.label, trial, turn, tolerance)


def _run(
    segmenter: Segmenter,
    volume: LabelledVolume,
    label: int,
    trial: Trial,
    turn: Callable[[Bool], _Asked | None],
    tolerance: float | None,
) -> ObjectResult:
    """Ask for a prompt, segment and score, until the budget is spent or there is no prompt any more."""
    truth = np.asarray(volume.labels == label)
    mask = np.zeros(truth.shape, bool)
    prompts: list[Prompt] = []
    scores: list[tuple[float, float]] = []
    seconds: list[float] = []
    error = None
    try:
        segmenter.reset(Box.of_mask(truth) or Box.EMPTY)
        while len(prompts) < trial.prompts and (asked := turn(mask)) is not None:
            prompt, answer = asked
            began = time.perf_counter()
            mask = answer()
            seconds.append(time.perf_counter() - began)
            prompts.append(prompt)
            scores.append((dice(mask, truth), surface_dice(mask, truth, volume.spacing, tolerance)))
    except Exception as failure:  # noqa: BLE001  the other objects are measured all the same
        _log.debug("%s failed: %s, %s", segmenter.name, volume.name, label, exc_info=True)
        error = f"{type(failure).__name__}: {failure}"
    left = trial.prompts - len(scores)
    # A simulated user ends early where the mask is perfect, a person as they please.
    perfect = error is None and trial.style != SESSION
    rest = (1.0, 1.0) if perfect else (scores[-1] if scores else (0.0, 0.0))
    curves = [*scores, *[rest] * left]
    return ObjectResult(
        volume.name,
        segmenter.name,
        trial,
        label,
        int(np.count_nonzero(truth)),
        tuple(prompts),
        tuple(c[0] for c in curves),
        tuple(c[1] for c in curves),
        (*seconds, *[0.0] * left),
        MaskCrop.of(mask),
        error,
    )


def run_volume(
    segmenter: Segmenter,
    volume: LabelledVolume,
    labels: Sequence[int],
    trials: Sequence[Trial],
    *,
    drawn: Sequence[DrawnObject] = (),
    seed: int = 0,
    tolerance: float | None = None,
) -> Iterator[ObjectResult]:
    """Measure a method on the objects of a volume; the image is set once.

    Parameters
    ----------
    segmenter : Segmenter
        The method.
    volume : LabelledVolume
        Image and truth.
    labels : sequence of int
        The objects, as from :func:`~.cases.choose_objects`.
    trials : sequence of Trial
        What to do with each.
    drawn : sequence of DrawnObject
        What a person did: the objects of the trial of style :data:`~.presets.SESSION`.
    seed, tolerance
        As in :func:`run_object`.

    Yields
    ------
    ObjectResult
        As they are done, trial after trial.
    """
    segmenter.start(volume.image, volume.spacing)
    for trial in trials:
        if trial.style == SESSION:
            for one in drawn:
                yield run_drawn(segmenter, volume, one, trial, tolerance=tolerance)
            continue
        for label in labels:
            yield run_object(segmenter, volume, label, trial, seed=seed, tolerance=tolerance)
