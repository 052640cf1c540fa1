"""The command `gallery`: pictures of the synthetic scenes that models are trained on."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_nninteractive.cli.terminal import say
from napari_nninteractive.errors import NNInteractiveError

__all__ = ["DESCRIPTION", "FAMILY_NAMES", "USAGE", "add_arguments", "run"]

# Said here too, since the help must not wait for the modules that draw them.
FAMILY_NAMES = (
    *("nuclei", "packed", "nested", "shells", "tubes", "sheets", "bodies", "regions", "processes"),
    "sheathed",
)
USAGE = "-o FOLDER [--family NAME ...] [options]"
DESCRIPTION = """\
Draw the synthetic scenes that models are trained on: one PNG per family, in each the middle plane from
above and from the side, and below it the objects that are offered as targets.

  napari-nninteractive gallery --output scenes
  napari-nninteractive gallery --output scenes --family nuclei --family tubes --seed 7

Families: nuclei, packed, nested, shells, tubes, sheets, bodies, regions, processes, sheathed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FOLDER", help="where to write"
    )
    parser.add_argument(
        "--family",
        action="append",
        choices=FAMILY_NAMES,
        metavar="NAME",
        help="only this family; may be repeated (default: all)",
    )
    parser.add_argument("--columns", type=int, default=8, help="scenes per family (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="decides the scenes (default: 0)")
    parser.add_argument(
        "--level", type=float, default=1.0, help="difficulty from 0 to 1 (default: 1)"
    )
    parser.add_argument("--force", action="store_true", help="replace pictures that are there")


def run(args: argparse.Namespace) -> int:
    """Draw."""
    from napari_nninteractive.simulation.images.gallery import gallery_path, write_gallery
    from napari_nninteractive.simulation.images.scenes import FAMILIES

    families = tuple(dict.fromkeys(args.family or FAMILIES))
    if args.columns < 1 or args.seed < 0 or not 0.0 <= args.level <= 1.0:
        raise NNInteractiveError(
            "Give --columns of at least 1, --seed of at least 0, and --level from 0 to 1."
        )
    if args.output.exists() and not args.output.is_dir():
        raise NNInteractiveError(f"{args.output} is a file: name a folder with -o.")
    there = [p for f in families if (p := gallery_path(args.output, f)).exists()]
    if there and not args.force:
        raise NNInteractiveError(f"{there[0]} exists: name another folder, or add --force.")
    for path in write_gallery(
        args.output, families, columns=args.columns, seed=args.seed, level=args.level
    ):
        say(str(path))
    return 0
