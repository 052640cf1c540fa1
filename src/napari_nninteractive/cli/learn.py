"""`napari-nninteractive learn`: a model that has learned from finished objects."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nninteractive.cli.terminal import ProgressLine, say
from napari_nninteractive.errors import NNInteractiveError

if TYPE_CHECKING:
    from napari_nninteractive.learning.examples import Example
    from napari_nninteractive.learning.learn import Learned

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

USAGE = "IMAGE --labels LABELS -o FOLDER [options]"
DESCRIPTION = """\
Learn from objects that are finished, so that the first click on the others is better: within about a
minute, on this computer.

  napari-nninteractive learn stack.tif --labels objects.tif -o nuclei-model
  napari-nninteractive learn work.json stack.tif -o nuclei-model
  napari-nninteractive segment stack.tif --point 30,128,128 --model nuclei-model -o mask.tif

Three or four objects are a good start. In a label file each value but 0 is one finished object; what is 0
is not taken for background. A session that was saved in the panel gives the objects in it, and goes with
the image that it is of. From three objects on, a third of them is held back: nothing is learned from
these, and only if clicks on them became better is a model written. Else the answer is no (exit code 1).
The model has the licence of the one that it began from."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="images; or a saved session (.json) and the image that it is of",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        nargs="+",
        metavar="LABELS",
        help="label file of each image, in the same order",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="model folder to write"
    )
    parser.add_argument(
        "--channel", type=int, metavar="N", help="channel of the image of a session, from 0"
    )
    parser.add_argument(
        "--timepoint", type=int, metavar="N", help="time point of the image of a session, from 0"
    )
    parser.add_argument(
        "--model",
        default="builtin",
        metavar="NAME",
        help="name or folder of the model to begin from (default: builtin)",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:1, mps (default: auto)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        help="for everything, measuring included (default: 60)",
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help="train exactly so many steps, however long they take"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="decides every random choice (default: 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Learn, and write the model if it became better."""
    if args.output.exists():
        raise NNInteractiveError(f"{args.output} exists: choose another folder with -o.")
    if args.seed < 0:
        raise NNInteractiveError("Give --seed of at least 0.")
    examples = _examples(args)
    from napari_nninteractive.learning.learn import learn

    line = ProgressLine()
    try:
        learned = learn(
            args.model,
            examples,
            seconds=args.seconds,
            steps=args.steps,
            seed=args.seed,
            device=args.device,
            progress=lambda share: line.show("learning", round(100 * share), 100),
        )
    finally:
        line.clear()
    say(_report(learned))
    if not learned.adopted:
        return 1
    say(f"{learned.save(args.output)}: use it with --model")
    return 0


def _examples(args: argparse.Namespace) -> list[Example]:
    """Read what is learned from."""
    from napari_nninteractive.learning.files import example_of_labels, example_of_session

    files: list[Path] = args.files
    if args.labels is None:
        if len(files) != 2 or files[0].suffix.lower() != ".json":
            raise NNInteractiveError(
                "Say which objects are finished: an image with --labels FILE, or a saved session (.json) and its image."
            )
        return [example_of_session(files[0], files[1], args.channel, args.timepoint)]
    if args.channel is not None or args.timepoint is not None:
        raise NNInteractiveError(
            "--channel and --timepoint belong to a session: with --labels, save the stack to learn from as a file "
            "of its own."
        )
    if len(files) != len(args.labels):
        raise NNInteractiveError(
            f"There are {len(files)} images and {len(args.labels)} label files: give one for each, in the same order."
        )
    return [example_of_labels(*pair) for pair in zip(files, args.labels, strict=True)]


def _report(learned: Learned) -> str:
    """What came of it, in numbers."""
    count = learned.record.objects
    objects = "1 object" if count == 1 else f"{count} objects"
    steps = "1 step" if learned.steps == 1 else f"{learned.steps} steps"
    where = (
        f"on {learned.record.measured} of them, held back"
        if learned.held_back
        else "on the same objects: nothing was held back"
    )
    found = (
        f"first click {learned.before.first:.2f} → {learned.after.first:.2f}, "
        f"after five {learned.before.fifth:.2f} → {learned.after.fifth:.2f} ({where}; {steps})"
    )
    if learned.adopted:
        return f"learned from {objects}: {found}"
    return f"not better, so nothing was written; from {objects}: {found}"
