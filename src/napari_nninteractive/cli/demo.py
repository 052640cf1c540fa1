"""`napari-nninteractive demo`: an object of a synthetic stack from one click, corrected with a second."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.cli.engine_args import add_engine_arguments, open_session, run_plan
from napari_nninteractive.cli.terminal import say
from napari_nninteractive.cli.viewer import check_viewer, open_viewer, run_viewer
from napari_nninteractive.core.metrics import dice
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.files import atomic_write

if TYPE_CHECKING:
    from napari_nninteractive.core.prompts import Point
    from napari_nninteractive.engine.session import InferenceSession
    from napari_nninteractive.simulation.images.samples import Sample

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

USAGE = "[-o FOLDER] [--view] [options]"
DESCRIPTION = """\
Try it: make a small synthetic stack whose truth is known, segment one of its objects from one click in its
middle, correct the result with a second click where most is wrong, and say how good it is (Dice: 1 is perfect).

Written are, into one folder:
  stack.nii.gz   the image                 truth.nii.gz   the objects in it, numbered
  mask.nii.gz    what was segmented        demo.png       three planes with clicks and outlines
  demo.json      what the demo wrote: by it a later demo knows which files it may replace"""

_SAMPLES = ("nuclei", "packed_cells", "vessels")
_FILES = ("stack.nii.gz", "truth.nii.gz", "mask.nii.gz", "demo.png")
_MARKER = "demo.json"
_HARDER = ("packed_cells", "vessels")
_CLICKS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("demo"),
        metavar="FOLDER",
        help="folder to write into; files of an earlier demo are replaced (default: demo)",
    )
    parser.add_argument(
        "--force", action="store_true", help="write into a folder that holds other files too"
    )
    parser.add_argument(
        "--sample",
        choices=_SAMPLES,
        default="nuclei",
        help="what the stack shows (default: nuclei)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another number, another stack (default: 0)"
    )
    parser.add_argument(
        "--view", action="store_true", help="open stack, mask and truth in napari afterwards"
    )
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make, segment, measure, write."""
    from napari_nninteractive.simulation.images.samples import SAMPLES

    if args.seed < 0:
        raise NNInteractiveError("--seed must be 0 or more.")
    if args.view:
        check_viewer()
    folder = _check_folder(args.output, args.force)
    sample = SAMPLES[args.sample](seed=args.seed)
    truth = sample.labels == sample.inner_object()
    session = open_session(args)
    shape = " x ".join(str(n) for n in sample.image.shape)
    say(
        f"{sample.name}: a synthetic stack of {shape} voxels (z, y, x), one object of {truth.sum()} voxels"
    )
    say(f"model {session.model.id} on {session.model.device} ({session.precision})")
    if args.model == "builtin" and args.sample in _HARDER:
        say(
            f"the built-in model is fair on nuclei and weaker on {args.sample}: expect a lower Dice"
        )
    points = _click(session, sample, truth)
    mask = session.mask[...] != 0
    _write(folder, sample, mask)
    _draw(folder, sample, mask, truth, points)
    _mark(folder)
    say(f"written to {folder}: {', '.join(_FILES)}")
    if args.view:
        _view(sample, mask, points)
    return 0


def _check_folder(folder: Path, force: bool) -> Path:
    """Take a folder that is new, empty, or whose files are those of an earlier demo; others where it is forced."""
    from napari_nninteractive.io import check_output

    if folder.exists() and not folder.is_dir():
        raise NNInteractiveError(f"{folder} is a file: name a folder with -o.")
    if folder.is_dir() and not force:
        ours = _earlier(folder)
        others = sorted(
            p.name
            for p in folder.iterdir()
            if (p.name in _FILES and ours.get(p.name) != _hash(p)) or not ours
        )
        if others:
            raise NNInteractiveError(
                f"The folder {folder} holds files that are not from a demo ({others[0]}): name an empty or new one "
                "with -o, or write into it with --force."
            )
    folder.mkdir(parents=True, exist_ok=True)
    check_output(folder / _FILES[0], overwrite=True)
    return folder


def _earlier(folder: Path) -> dict[str, str]:
    """Files that an earlier demo says it wrote, with their hashes; none where there is no such word of one."""
    try:
        content = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # a file of that name, but not ours
    files = content.get("napari-nninteractive demo") if isinstance(content, dict) else None
    return files if isinstance(files, dict) else {}


def _mark(folder: Path) -> None:
    files = {name: _hash(folder / name) for name in _FILES}
    text = json.dumps({"napari-nninteractive demo": files}, indent=1)
    with atomic_write(folder / _MARKER) as beside:
        beside.write_text(text, encoding="utf-8")


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _click(session: InferenceSession, sample: Sample, truth: NDArray[np.bool_]) -> list[Point]:
    """Click in the middle of the object, then of the larger error, as the evaluation does; say what came of it."""
    from napari_nninteractive.simulation.users.next_prompt import centre_point, next_centre_point

    session.set_image(sample.image, sample.spacing)
    points = [centre_point(truth)]
    while True:
        point = points[-1]
        seconds = run_plan(session, [(point, True)])
        mask = session.mask[...] != 0
        place = ",".join(str(i) for i in point.position)
        side = "inside" if point.positive else "outside"
        say(
            f"click {len(points)}, {side}, at {place}: Dice {dice(mask, truth):.3f}, {seconds:.1f} s"
        )
        correction = next_centre_point(truth, mask)
        if correction is None or len(points) == _CLICKS:
            return points
        points.append(correction)


def _write(folder: Path, sample: Sample, mask: NDArray[np.bool_]) -> None:
    from napari_nninteractive.io import Geometry, write_image

    geometry = Geometry.from_zyx(sample.spacing)
    for name, array in (
        ("stack.nii.gz", sample.image),
        ("truth.nii.gz", sample.labels),
        ("mask.nii.gz", mask.astype(np.uint8)),
    ):
        with atomic_write(folder / name) as beside:
            write_image(beside, array, geometry, "µm")


def _draw(
    folder: Path,
    sample: Sample,
    mask: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    points: list[Point],
) -> None:
    from napari_nninteractive.cli.picture import draw_planes

    title = (
        f"{sample.name}: {len(points)} click{'s' * (len(points) > 1)}, Dice {dice(mask, truth):.3f}"
    )
    with atomic_write(folder / "demo.png") as beside:
        draw_planes(beside, sample.image, mask, truth, points, sample.spacing, title)


def _view(sample: Sample, mask: NDArray[np.bool_], points: list[Point]) -> None:
    viewer = open_viewer()
    viewer.add_image(sample.image, name=sample.name, scale=sample.spacing)
    viewer.add_labels(sample.labels, name="truth", scale=sample.spacing, visible=False)
    viewer.add_labels(mask.astype(np.uint8), name="mask", scale=sample.spacing)
    viewer.add_points(
        [p.position for p in points],
        name="clicks",
        scale=sample.spacing,
        size=4,
        face_color=["lime" if p.positive else "red" for p in points],
    )
    viewer.dims.set_point(
        range(3), [p * s for p, s in zip(points[0].position, sample.spacing, strict=True)]
    )
    run_viewer()
