"""Learning from finished objects: measure, train, measure again, and keep what is better."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.device import choose_device
from napari_nninteractive.engine.model import Model, load_model
from napari_nninteractive.engine.results import CancelToken
from napari_nninteractive.errors import Cancelled, ModelError
from napari_nninteractive.files import atomic_folder
from napari_nninteractive.learning.examples import Example, Stack, held_back, stacks_of, without
from napari_nninteractive.learning.measure import Quality, mean_of, qualities_of
from napari_nninteractive.learning.record import LearnedFrom, write_record
from napari_nninteractive.training.config import TrainConfig
from napari_nninteractive.training.data.crops import PairSource
from napari_nninteractive.training.data.pairs import Pair
from napari_nninteractive.training.loop import Trainer
from napari_nninteractive.training.run import export_run

__all__ = ["MARGIN", "USABLE", "Learned", "learn"]

MARGIN = 0.01
"""Dice by which the mean of first and fifth click must be better: less is noise."""

USABLE = 0.5
"""Dice after five clicks below which nothing is kept: examples that contradict each other leave it there."""

_MEASURING = 0.15
"""Share of the time after which no further object is measured before training."""

_LOADING = 2.0
"""Seconds that it takes to load a model, and to convert it for a fast runtime."""

_PATCH = 48
"""Voxels along each axis that are trained on, where the model's own patch is larger: seconds count."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What came of learning.

    Attributes
    ----------
    model : Model
        The learned one where it was adopted, else that which it began from. The folder of the learned one is temporary,
        and goes with this value: `save` keeps it.
    adopted : bool
        Whether it was better on the objects held back.
    before, after : Quality
        Mean Dice of the first click and after five, of the model that it began from and of the learned one: on the
        objects held back (as many of them as the time allows), or with fewer than three objects on those that were
        learned from.
    held_back : int
        Objects that nothing was learned from; 0 where there are fewer than three.
    steps : int
        Steps trained.
    record : LearnedFrom
        What was learned from and how, as it is written beside the saved model.
    """

    model: Model
    adopted: bool
    before: Quality
    after: Quality
    held_back: int
    steps: int
    record: LearnedFrom
    _place: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    def save(self, folder: Path | str) -> Path:
        """Write the model as a folder, whole or not at all, and return it.

        Raises
        ------
        ModelError
            If nothing was adopted: the model is the one that it began from.
        """
        if not self.adopted:
            raise ModelError(
                "There is nothing to save: what was learned was not better, so the model is the old one."
            )
        with atomic_folder(Path(folder)) as new:
            shutil.copytree(self.model.folder, new, dirs_exist_ok=True)
            write_record(new, self.record)
        return Path(folder)


def learn(
    model: Model | str | Path,
    examples: Sequence[Example],
    *,
    seconds: float = 60.0,
    steps: int | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: Callable[[float], object] | None = None,
    cancel: CancelToken | None = None,
) -> Learned:
    """Learn from finished objects.

    Parameters
    ----------
    model : Model, str or Path
        What to begin from: loaded, a registered name or a model folder. Not changed.
    examples : sequence of Example
        Images with their finished objects.
    seconds : float
        Time for everything: measuring, training, measuring again.
    steps : int, optional
        Train exactly so many steps, however long they take.
    seed : int
        Decides every random choice.
    device : str or torch.device
        "auto", "cpu", "cuda" or what torch knows.
    progress : callable, optional
        Called with the share that is done, 0 to 1.
    cancel : CancelToken, optional
        Ends it between two steps or objects; nothing is left then.

    Raises
    ------
    ImageError
        Naming the example, if it cannot be used.
    ModelError
        If the model cannot be loaded or trained, or a number makes no sense.
    Cancelled
        If it was cancelled.
    """
    if not 0 < seconds < math.inf or (steps is not None and steps < 1):
        raise ModelError("Learning needs at least one step, and more than 0 seconds.")
    began = time.monotonic()
    stacks = stacks_of(examples)
    source = model if isinstance(model, Model) else load_model(model, device)
    held = held_back(stacks, seed)
    measured = held or tuple((i, t) for i, s in enumerate(stacks) for t in s.pair.targets)

    def tell(share: float) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled("Learning was cancelled.")
        if progress is not None:
            progress(share)

    tell(0.0)
    until = began + _MEASURING * seconds if steps is None else math.inf
    before = qualities_of(source, stacks, measured, lambda: tell(0.1), until)
    measured = measured[: len(before)]
    left = math.inf if steps is not None else _left(seconds, time.monotonic() - began)
    trainer = _trainer(
        source, stacks, without(stacks, held), left, steps, seed, choose_device(device)
    )
    for _ in trainer.run():
        tell(0.1 + 0.8 * trainer.progress)
    place = tempfile.TemporaryDirectory(prefix="nninteractive-learned-")
    try:
        learned = load_model(export_run(trainer, Path(place.name) / "model"), device)
        after = qualities_of(learned, stacks, measured, lambda: tell(0.9))
    except BaseException:
        place.cleanup()
        raise
    tell(1.0)
    scores = mean_of(before), mean_of(after)
    counts = len(held), len(measured), trainer.step
    record = LearnedFrom.of(source, learned, stacks, trainer.config, counts, *scores)
    if _is_better(*scores):
        return Learned(learned, True, *scores, len(held), trainer.step, record, place)
    place.cleanup()
    return Learned(source, False, *scores, len(held), trainer.step, record)


def _left(seconds: float, spent: float) -> float:
    """Seconds to train in: measuring takes as long once more at the end, and the new model is loaded first."""
    return max(seconds - 2.25 * spent - _LOADING, 1.0)


def _is_better(before: Quality, after: Quality) -> bool:
    """Better on the mean by more than noise, worse at neither, and good enough to be of use."""
    gains = [a - b for a, b in zip(after, before, strict=True)]
    return after.fifth >= USABLE and sum(gains) / 2 > MARGIN and min(gains) > -MARGIN


def _trainer(
    model: Model,
    stacks: Sequence[Stack],
    pairs: tuple[Pair, ...],
    seconds: float,
    steps: int | None,
    seed: int,
    device: torch.device,
) -> Trainer:
    volumes = {s.pair.name: (s.image, s.labels) for s in stacks}

    def opened(pair: Pair) -> tuple[Volume, Volume]:
        return volumes[pair.name]

    patch = _patch_of(model)
    config = TrainConfig(
        minutes=max(seconds, 1.0) / 60.0,
        max_steps=steps,
        seed=seed,
        rate=3e-4,
        warm_up=10,
        cool_from=0.5,
        average=0.98,
        patch=patch,
        origin=str(model.folder),
    )
    return Trainer(config, device, PairSource(pairs, patch, opened=opened))


def _patch_of(model: Model) -> Index3:
    """At most 48 voxels along each axis, where the network takes that."""
    z, y, x = (
        min(p, max(_PATCH // s, 3) * s) for p, s in zip(model.patch_size, model.stride, strict=True)
    )
    return z, y, x
