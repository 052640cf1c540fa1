"""The command `train`: a model of one's own from synthetic scenes, within a time budget."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from napari_nninteractive.cli.terminal import ProgressLine, note, say
from napari_nninteractive.errors import ModelError

DESCRIPTION = """\
Train a model on synthetic scenes that this program makes itself, with a simulated user.

The result is a model folder that `--model FOLDER` of the other commands takes. Stop it at any time
with Ctrl-C: `--resume` continues from the last checkpoint, and gives the same weights as a run
without a pause. Pauses of the process do not count toward the minutes.

  napari-nninteractive train --minutes 60 --output my-model
  napari-nninteractive train --minutes 120 --output my-model --resume
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FOLDER", help="model folder to write"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=60.0,
        help="compute time of the whole run, earlier parts included (default: 60)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default: auto)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="decides weights, scenes and prompts (default: 0)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run whose checkpoint is in the folder"
    )
    parser.add_argument(
        "--batch", type=int, default=4, help="objects trained on at once (default: 4)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="processes that make scenes; 0: the training process does (default: 0)",
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help="end after N steps, if the time has not ended before"
    )


def run(args: argparse.Namespace) -> int:
    """Train and write the model folder."""
    _check(args)
    # Imported when used: torch takes a while, and --help must not wait for it.
    from napari_nninteractive.engine.device import choose_device
    from napari_nninteractive.training.loop import CHECKPOINT, StepReport, TrainConfig, train
    from napari_nninteractive.training.run import export_run

    if (args.output / CHECKPOINT).exists() and not args.resume:
        raise ModelError(
            f"{args.output} already holds a run: add --resume to continue it, or choose another folder."
        )
    config = TrainConfig(
        minutes=args.minutes,
        max_steps=args.steps,
        seed=args.seed,
        batch=args.batch,
        workers=args.workers,
    )
    if logging.getLogger().level > logging.INFO:
        logging.getLogger("napari_nninteractive.training").setLevel(logging.INFO)
    line = ProgressLine()

    def report(result: StepReport) -> None:
        line.show(f"step {result.step}  loss {result.loss:.3f}  {result.seconds:.2f} s")

    note(f"training for up to {args.minutes:g} minutes into {args.output}")
    trainer = train(
        args.output, config, choose_device(args.device), resume=args.resume, report=report
    )
    line.clear()
    export_run(trainer, args.output)
    say(
        f"{args.output}: {trainer.step} steps, {trainer.samples} samples, {trainer.spent / 60:.1f} minutes"
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    rules = {
        f"--minutes must be above 0, not {args.minutes:g}": args.minutes > 0,
        f"--batch must be at least 1, not {args.batch}": args.batch >= 1,
        f"--workers must not be negative, as {args.workers} is": args.workers >= 0,
        f"--seed must not be negative, as {args.seed} is": args.seed >= 0,
        "--steps must be at least 1": args.steps is None or args.steps >= 1,
    }
    for message, holds in rules.items():
        if not holds:
            raise ModelError(f"{message}.")
