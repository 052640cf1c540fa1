"""The options of `napari-nninteractive train`, and whether they make sense."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_nninteractive.errors import ModelError

__all__ = ["DESCRIPTION", "RATE", "RATE_FROM", "USAGE", "add_arguments", "check"]

RATE, RATE_FROM = 1e-3, 3e-4  # highest learning rate, from random weights and from a model

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
    _add_run(parser)
    _add_budget(parser)
    _add_recipe(parser)
    _add_results(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
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
        help=f"highest learning rate (default: {RATE:g}, with --from {RATE_FROM:g})",
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


def _add_results(parser: argparse.ArgumentParser) -> None:
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


def check(args: argparse.Namespace) -> None:
    """Refuse options that make no sense.

    Raises
    ------
    ModelError
        That names the option.
    """

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
