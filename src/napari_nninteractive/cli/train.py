"""The command `train`: a model of one's own, from synthetic scenes or labelled volumes, within a time budget."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nninteractive.cli.terminal import ProgressLine, note, say
from napari_nninteractive.cli.train_args import (
    DESCRIPTION,
    RATE,
    RATE_FROM,
    USAGE,
    add_arguments,
    check,
)
from napari_nninteractive.errors import ModelError
from napari_nninteractive.io import check_output

if TYPE_CHECKING:
    from napari_nninteractive.training.config import StepReport, TrainConfig
    from napari_nninteractive.training.data.source import Source
    from napari_nninteractive.training.distributed import Group

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

_LARGE_PATCH = 96  # voxels; of larger ones fewer crops wait their turn in memory

_AS_BEFORE = (
    "minutes",
    "seed",
    "batch",
    "rate",
    "cool_from",
    "workers",
    "save_every",
    "snapshots",
    "patch",
    "deep_supervision",
)
"""Options that are fields of the configuration."""


def run(args: argparse.Namespace) -> int:
    """Train and write the model folder."""
    check(args)
    if args.export:
        return _export(args)
    # Imported when used: torch takes a while, and --help must not wait for it.
    from napari_nninteractive.engine.device import choose_device
    from napari_nninteractive.training.distributed import join
    from napari_nninteractive.training.loop import CHECKPOINT
    from napari_nninteractive.training.weights.origin import patch_of

    _check_folder(args.output, CHECKPOINT, args.resume)
    group = join(choose_device(args.device))
    try:
        config = _config(args)
        if max(patch_of(config)) > _LARGE_PATCH:
            config = replace(config, pool=max(4, args.batch))
        source = _source(config, group)
        return _train(args, config, source, group)
    finally:
        group.leave()


def _check_folder(folder: Path, checkpoint: str, resume: bool) -> None:
    """Take a folder that is new or empty, or that of the run to be continued, and can be written to."""
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder} is a file: name a folder with --output.")
    run = (folder / checkpoint).is_file()
    if resume and not run:
        raise ModelError(
            f"There is no checkpoint {folder / checkpoint} to go on from: name the folder of a run, or begin one "
            "without --resume."
        )
    if run and not resume:
        raise ModelError(
            f"{folder} already holds a run: add --resume to continue it, or choose another folder."
        )
    if folder.is_dir():
        other = next((p.name for p in sorted(folder.iterdir())), None)
        if other is not None and not run:
            raise ModelError(
                f"The folder {folder} holds other files ({other}): choose an empty or new one."
            )
        check_output(folder / checkpoint, overwrite=True, endings=(checkpoint,))


def _train(
    args: argparse.Namespace, config: TrainConfig, source: Source | None, group: Group
) -> int:
    from napari_nninteractive.training.loop import train
    from napari_nninteractive.training.run import export_run

    if group.is_first and logging.getLogger().level > logging.INFO:
        logging.getLogger("napari_nninteractive.training").setLevel(logging.INFO)
    line = ProgressLine()
    steps = 0

    def report(result: StepReport) -> None:
        nonlocal steps
        steps += 1
        line.show(f"step {result.step}  loss {result.loss:.3f}  {result.seconds:.2f} s")

    if group.is_first:
        note(f"training for up to {_budget(config)} into {args.output}")
    trainer = train(
        args.output,
        config,
        group.device,
        resume=args.resume,
        report=report,
        source=source,
        group=group,
        tensorboard=args.tensorboard,
    )
    line.clear()
    if group.is_first:
        export_run(trainer, args.output)
        if not steps:
            note(
                f"nothing was left to train: the budget of {_budget(config)} is used. Give more with --minutes or "
                "--steps."
            )
        done = "1 step" if trainer.step == 1 else f"{trainer.step} steps"
        say(f"{args.output}: {done}, {trainer.samples} samples, {trainer.spent / 60:.1f} minutes")
    return 0


def _budget(config: TrainConfig) -> str:
    """Budget in words."""
    steps = f" or {config.max_steps} steps" if config.max_steps else ""
    return f"{config.minutes:g} minutes{steps}"


def _config(args: argparse.Namespace) -> TrainConfig:
    """What the options say; what they do not say is as in the run that is continued, or else the default."""
    from napari_nninteractive.training.config import TrainConfig
    from napari_nninteractive.training.data.dataset import EpisodeConfig
    from napari_nninteractive.training.weights.checkpoint import (
        CHECKPOINT,
        config_of,
        read_checkpoint,
    )

    earlier = args.output / CHECKPOINT
    start = TrainConfig(rate=RATE)
    if args.origin is not None:  # what is trained already needs no easy scenes to begin with
        start = TrainConfig(rate=RATE_FROM, episodes=EpisodeConfig(start_level=1.0))
    if args.resume and earlier.exists():
        start = config_of(read_checkpoint(earlier))

    origin = _origin(args.origin or start.origin, args.output)
    given = {name: getattr(args, name) for name in _AS_BEFORE if getattr(args, name) is not None}
    if args.data is not None:
        given["data"] = str(args.data.resolve())
    if args.steps is not None:
        given["max_steps"] = args.steps
    return replace(start, **given, origin=origin)


def _origin(name: str | None, output: Path) -> str | None:
    """What to start from, as a name that holds in any folder: a later --resume may be called from another one."""
    if name is None or not Path(name).exists():
        return name
    origin = Path(name).resolve()
    if origin == output.resolve():
        raise ModelError(
            f"{output} is the model to start from: choose another folder for --output."
        )
    return str(origin)


def _source(config: TrainConfig, group: Group) -> Source | None:
    """Check the data before anything else is done; None: scenes."""
    if config.data is None:
        return None
    from napari_nninteractive.training.data.crops import PairSource
    from napari_nninteractive.training.data.pairs import read_pairs
    from napari_nninteractive.training.weights.origin import patch_of

    pairs = read_pairs(Path(config.data), note if group.is_first else None)
    return PairSource(pairs, patch_of(config), config.episodes)


def _export(args: argparse.Namespace) -> int:
    from napari_nninteractive.training.run import export_average
    from napari_nninteractive.training.weights.checkpoint import CHECKPOINT

    run = (args.output / CHECKPOINT).is_file()
    _check_folder(args.output, CHECKPOINT, resume=run or not args.average)
    files = args.average or [args.output / CHECKPOINT]
    export_average(files, args.output)
    say(f"{args.output}: mean of {len(files)}" if args.average else f"{args.output}: exported")
    return 0
