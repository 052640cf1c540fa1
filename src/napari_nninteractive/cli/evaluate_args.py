"""The options of `napari-nninteractive evaluate`, and whether they make sense together."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from napari_nninteractive.cli.engine_args import add_engine_arguments
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.evaluation.presets import BASELINES, PRESETS, STYLES, Trial, make_trials

__all__ = ["DESCRIPTION", "OUTPUTS", "OUTPUT_NAMES", "USAGE", "add_arguments", "read_trials"]

USAGE = "(--data FOLDER | IMAGE LABELS) [options]"
DESCRIPTION = """\
Measure how good a model is, and how quickly, on volumes whose objects are known. A simulated user
prompts every object and corrects what is wrong, until the budget of prompts is spent.

  napari-nninteractive evaluate image.nii.gz labels.nii.gz
  napari-nninteractive evaluate image.nii.gz labels.nii.gz --session drawn.json --style points
  napari-nninteractive evaluate --data FOLDER --output results
  napari-nninteractive evaluate --data FOLDER --baseline all --preset interactive --prompts 5

A folder holds one folder per volume, in it an image file (image.tif, image.nii.gz, ...), a label file
(label.tif, ...; 0 is no object, every object has a number), and perhaps spacing_zyx.txt; or it holds
images/NAME.tif with labels/NAME.tif, as train takes them.

Presets: points       clicks, each in the middle of the larger error: the reference, 10 prompts
         static       one point, box, scribble or lasso, nothing more
         interactive  each of these kinds, with corrections, 10 prompts
         mixture      all kinds at random, and one kind after another, 10 prompts
         autozoom     clicks with AutoZoom and without, 5 prompts

A session that was saved (in the panel, by segment, from Python) gives the prompts that a person drew:
each of its objects is taken for the one of the labels that its first prompts touch most.

Baselines need no network: random-walker, watershed (of the gradient), watershed-intensity,
region-growing, otsu; all for these five. NAME+box is told the box that fits the object, which the
model never is. The table is Markdown; docs/evaluation.md explains its columns."""

MOST_ENLARGED = 8
"""Largest factor of --enlarge: 64 times the voxels, all in memory."""

OUTPUTS = {"json": (".json",), "csv": (".csv",), "plot": (".png",), "sheet": (".png",)}
OUTPUT_NAMES = {
    "json": "results.json",
    "csv": "results.csv",
    "plot": "curves.png",
    "sheet": "worst.png",
}  # in the folder of --output


MOST_ENLARGED = 8
"""Largest factor of --enlarge: 64 times the voxels, all in memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("files", type=Path, nargs="*", metavar="IMAGE LABELS", help="one volume")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder of volumes (default: the variable NNI_DATA)",
    )
    parser.add_argument(
        "--volume", action="append", metavar="NAME", help="only this one; may be repeated"
    )
    protocol = parser.add_argument_group("protocol")
    _add_users(protocol)
    _add_objects(protocol)
    _add_baselines(protocol)
    outputs = parser.add_argument_group("results")
    outputs.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"all of these in one folder: {', '.join(OUTPUT_NAMES.values())}",
    )
    for flag, text in (
        ("--json", "everything: settings, means, every object with its prompts"),
        ("--csv", "a row for every prompt of every object"),
        ("--plot", "PNG: mean Dice after each prompt"),
        ("--sheet", "PNG: the worst objects, with outlines and prompts"),
    ):
        outputs.add_argument(flag, type=Path, metavar="FILE", help=text)
    outputs.add_argument(
        "--force", action="store_true", help="replace files that are there already"
    )
    add_engine_arguments(parser)


def _add_users(group: argparse._ArgumentGroup) -> None:
    what = group.add_mutually_exclusive_group()
    what.add_argument(
        "--preset",
        metavar="NAME",
        help=f"{', '.join(PRESETS)} (default: points, or none with --session)",
    )
    what.add_argument("--style", metavar="NAME", help=f"one style only: {', '.join(STYLES)}")
    group.add_argument(
        "--session",
        type=Path,
        metavar="FILE.json",
        help="prompts that a person drew on this image, from a saved session: the objects that they touch are measured",
    )
    group.add_argument(
        "--prompts",
        type=int,
        metavar="N",
        help="budget of each object (default: the preset's; with --session, all that were drawn)",
    )


def _add_objects(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--objects", type=int, default=20, metavar="N", help="most of a volume (default: 20)"
    )
    group.add_argument(
        "--smallest",
        type=int,
        default=500,
        metavar="N",
        help="voxels of the smallest object (default: 500)",
    )
    group.add_argument(
        "--enlarge",
        type=_factors,
        default=(1,),
        metavar="N,N",
        help="also the volumes with N times as many voxels along y and x, as a better microscope takes them; "
        "--smallest counts likewise (default: 1, as they are)",
    )
    group.add_argument(
        "--seed", type=int, default=0, help="decides objects and drawings (default: 0)"
    )
    group.add_argument(
        "--tolerance",
        type=float,
        metavar="D",
        help="distance up to which surfaces agree, in the unit of the spacing (default: the edge of a cube as large as "
        "a voxel)",
    )


def _add_baselines(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--baseline",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"also {', '.join(BASELINES)}, all, all+box, NAME+box",
    )
    group.add_argument("--only-baselines", action="store_true", help="leave the model out")


def _factors(text: str) -> tuple[int, ...]:
    """Factors of --enlarge, in the order given."""
    factors = tuple(dict.fromkeys(int(word) for word in text.split(",")))
    if not all(1 <= n <= MOST_ENLARGED for n in factors):
        raise argparse.ArgumentTypeError(f"whole numbers from 1 to {MOST_ENLARGED}, not {text}")
    return factors


def read_trials(args: argparse.Namespace) -> tuple[tuple[Trial, ...], list[str]]:
    """Trials of simulated users and baselines that were asked for, before anything is read.

    Raises
    ------
    NNInteractiveError
        If an option makes no sense.
    """
    preset, autozoom = args.preset or "points", not args.no_autozoom
    trials = make_trials(preset, args.style, args.prompts, autozoom=autozoom)
    if args.session is not None and args.preset is None and args.style is None:
        trials = ()  # the person alone
    rules = {
        f"--objects must be at least 1, not {args.objects}": args.objects >= 1,
        f"--smallest must be at least 1, not {args.smallest}": args.smallest >= 1,
        "--enlarge does not go with --session, whose prompts are of the image as it is": (
            args.session is None or args.enlarge == (1,)
        ),
        f"--seed must not be negative, as {args.seed} is": args.seed >= 0,
        f"--tolerance must be a distance of 0 or more, not {args.tolerance}": (
            args.tolerance is None or (math.isfinite(args.tolerance) and args.tolerance >= 0)
        ),
        "--session is of the volume as it is: leave out --enlarge": (
            args.session is None or args.enlarge == (1,)
        ),
    }
    for message, holds in rules.items():
        if not holds:
            raise NNInteractiveError(f"{message}.")
    return trials, _baselines(args)


def _baselines(args: argparse.Namespace) -> list[str]:
    """Methods without a network that were asked for, each once."""
    names: list[str] = []
    for name in args.baseline:
        method, box = name.removesuffix("+box"), "+box" * name.endswith("+box")
        if method != "all" and method not in BASELINES:
            raise NNInteractiveError(
                f"There is no baseline {name}: choose of {', '.join(BASELINES)}, all."
            )
        names += [b + box for b in (BASELINES if method == "all" else (method,))]
    if args.only_baselines and not names:
        raise NNInteractiveError("Say which with --baseline, for example --baseline all.")
    return list(dict.fromkeys(names))
