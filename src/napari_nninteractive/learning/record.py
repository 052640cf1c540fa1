"""Where a learned model came from, as a file beside its weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_nninteractive import __version__
from napari_nninteractive.engine.model import Model
from napari_nninteractive.learning.examples import Stack
from napari_nninteractive.learning.measure import Quality
from napari_nninteractive.training.config import TrainConfig

__all__ = ["RECORD", "LearnedFrom", "write_record"]

RECORD = "provenance/learned.json"
"""Where it is in the model's folder: not among the files that decide the result, and the model's hash."""


@dataclass(frozen=True, slots=True)
class LearnedFrom:
    """What a model learned from.

    Attributes
    ----------
    model : str
        Name of the model that it began from.
    model_sha256, weights_sha256 : str
        Of the model that it began from, and of what was learned.
    images_sha256 : tuple of str
        `Volume.sha256` of each image.
    objects, held_back, measured : int
        Finished objects in all; those that nothing was learned from; those that decided whether it helped.
    steps, batch, seed : int
        Of training.
    rate : float
        Highest learning rate.
    patch : tuple of int
        Voxels (z, y, x).
    before, after : Quality
        Mean Dice after the first click and after five.
    version : str
        Of this program.
    """

    model: str
    model_sha256: str
    weights_sha256: str
    images_sha256: tuple[str, ...]
    objects: int
    held_back: int
    measured: int
    steps: int
    batch: int
    seed: int
    rate: float
    patch: tuple[int, ...]
    before: Quality
    after: Quality
    version: str = __version__

    @classmethod
    def of(
        cls,
        source: Model,
        learned: Model,
        stacks: Sequence[Stack],
        config: TrainConfig,
        counts: tuple[int, int, int],
        before: Quality,
        after: Quality,
    ) -> LearnedFrom:
        """Gather it from what `learn` had in hand; `counts` are objects held back and measured, and steps."""
        held_back, measured, steps = counts
        return cls(
            model=source.id,
            model_sha256=source.sha256,
            weights_sha256=learned.sha256,
            images_sha256=tuple(stack.image.sha256() for stack in stacks),
            objects=sum(len(stack.pair.targets) for stack in stacks),
            held_back=held_back,
            measured=measured,
            steps=steps,
            batch=config.batch,
            seed=config.seed,
            rate=config.rate,
            patch=tuple(config.patch or ()),
            before=before,
            after=after,
        )


def write_record(folder: Path, record: LearnedFrom) -> None:
    """Write it into a model's folder."""
    values = asdict(record)
    values |= {name: getattr(record, name)._asdict() for name in ("before", "after")}
    text = json.dumps(values, indent=2)
    (folder / RECORD).parent.mkdir(exist_ok=True)
    (folder / RECORD).write_text(f"{text}\n", encoding="utf-8")
