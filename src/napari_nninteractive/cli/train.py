"""The command `train`: a model of one's own, from synthetic scenes or labelled volumes, within a time budget."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nninteractive.cli.terminal import ProgressLine, note, say
from napari_nninteractive.errors import ModelError
from napari_nninteractive.io import check_output

if TYPE_CHECKING:
    from napari_nninteractive.training.config import StepReport, TrainConfig
    from napari_nninteractive.training.data.source import Source
    from napari_nninteractive.training.distributed import Group

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

_RATE, _RATE_FROM = 1e-3, 3e-4  # highest learning rate, from random weights and from a model

USAGE = "-o FOLDER [--minutes N] [options]"
DESCRIPTION = """\
Train a model with a simulated user: on synthetic scenes that this program makes itself, or with
--data on your own labelled volumes; from random weights, or with --from from any model.

The result is a model folder that `--model FOLDER` of the other commands takes. Stop it at any time
with Ctrl-C: it finishes the step and saves; `--resume` continues there with the same options, and
gives the same weights as a run without a pause. Pauses of the process do not count toward the
minutes. With more --minutes than before, a finished run goes on: its learning rate rises again.

  napari-nninteractive train --minutes 60 --output my-model
  napari-nninteractive train --output my-model --resume
  napari-nninteractive train --data my-volumes --from builtin --minutes 30 --output tuned
  napari-nninteractive train --output mean --export --average a/checkpoint.pt b/checkpoint.pt
  torchrun --nproc-per-node 4 --no-python napari-nninteractive train --minutes 60 --output my-model

--data holds images/NAME.tif with labels/NAME.tif, or NAME/image.tif with NAME/labels.tif (NIfTI,
NRRD, MHA and OME-Zarr too). In a label volume each value but 0 is one object.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FOLDER", help="model folder to write"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="train on these images and labels, not on scenes",
    )
    parser.add_argument(
        "--from",
        dest="origin",
        metavar="MODEL",
        help="start from this model (name or folder) or from a checkpoint.pt; else from random weights",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run whose checkpoint is in the folder"
    )
    _add_budget(parser)
    _add_recipe(parser)
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="write curves and pictures into FOLDER/tensorboard",
    )
    parser.add_argument(
        "--snapshots",
        type=int,
        metavar="N",
        help="keep the averaged weights of the latest N checkpoints in FOLDER/snapshots (default: 0)",
    )
    parser.add_argument(
        "--export",
        action="store_true",
        help="train nothing: write the model folder from the checkpoint in it, or from those of --average",
    )
    parser.add_argument(
        "--average",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="with --export: the mean of these checkpoints or snapshots",
    )


def _add_budget(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes",
        type=float,
        help="compute time of the whole run, earlier parts included (default: 60)",
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help="end after N steps, if the time has not ended before"
    )
    parser.add_argument(
        "--save-every",
        type=int,
        metavar="N",
        help="steps between checkpoints (default: 250)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default: auto)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        help="processes that make episodes; 0: the training process does (default: 0)",
    )


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, help="decides weights, scenes and prompts (default: 0)")
    parser.add_argument("--batch", type=int, help="objects trained on at once (default: 4)")
    parser.add_argument(
        "--rate",
        type=float,
        help=f"highest learning rate (default: {_RATE:g}, with --from {_RATE_FROM:g})",
    )
    parser.add_argument(
        "--cool-from",
        type=float,
        metavar="SHARE",
        help="share of the budget after which the rate falls to zero (default: 0.6)",
    )
    parser.add_argument(
        "--patch",
        type=_three,
        metavar="N or Z,Y,X",
        help="voxels that the model sees at once (default: those of --from, or 48)",
    )
    parser.add_argument(
        "--deep-supervision",
        action="store_true",
        default=None,
        help="let the network answer at every resolution while it is trained",
    )


def _three(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    try:
        numbers = [int(p) for p in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"expected one or three whole numbers, not {text!r}")
    z, y, x = numbers * 3 if len(numbers) == 1 else numbers
    return z, y, x


def run(args: argparse.Namespace) -> int:
    """Train and write the model folder."""
    _check(args)
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
    start = TrainConfig(rate=_RATE)
    if args.origin is not None:  # what is trained already needs no easy scenes to begin with
        start = TrainConfig(rate=_RATE_FROM, episodes=EpisodeConfig(start_level=1.0))
    if args.resume and earlier.exists():
        start = config_of(read_checkpoint(earlier))

    origin = args.origin or start.origin
    if origin is not None and Path(origin).exists():
        origin = str(Path(origin).resolve())  # a later --resume may be called from another folder
        if origin == str(args.output.resolve()):
            raise ModelError(
                f"{args.output} is the model to start from: choose another folder for --output."
            )
    given = {name: getattr(args, name) for name in _AS_BEFORE if getattr(args, name) is not None}
    if args.data is not None:
        given["data"] = str(args.data.resolve())
    if args.steps is not None:
        given["max_steps"] = args.steps
    return replace(start, **given, origin=origin)


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


def _check(args: argparse.Namespace) -> None:
    def at_least(lowest: float, value: float | None) -> bool:
        return value is None or value >= lowest

    rules = {
        f"--minutes must be above 0, not {args.minutes}": args.minutes is None or args.minutes > 0,
        f"--batch must be at least 1, not {args.batch}": at_least(1, args.batch),
        f"--workers must not be negative, as {args.workers} is": at_least(0, args.workers),
        f"--seed must not be negative, as {args.seed} is": at_least(0, args.seed),
        "--steps must be at least 1": at_least(1, args.steps),
        "--rate must be above 0": args.rate is None or args.rate > 0,
        "--cool-from must lie in [0, 1]": args.cool_from is None or 0 <= args.cool_from <= 1,
        "--save-every must be at least 1": at_least(1, args.save_every),
        "--snapshots must not be negative": at_least(0, args.snapshots),
        "--average needs --export: add it, and nothing is trained": args.export or not args.average,
    }
    for message, holds in rules.items():
        if not holds:
            raise ModelError(f"{message}.")
