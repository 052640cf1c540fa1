"""`napari-nninteractive segment`: one object of an image file, from prompts, into a mask file."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_nninteractive.cli.engine_args import add_engine_arguments, open_session, run_plan
from napari_nninteractive.cli.prompt_args import (
    Request,
    add_prompt_arguments,
    build_plan,
    check_known,
)
from napari_nninteractive.cli.terminal import note, say
from napari_nninteractive.errors import PromptError
from napari_nninteractive.io import Geometry, ImageFile, check_output, read_image, write_mask

if TYPE_CHECKING:
    from napari_nninteractive.engine.session import InferenceSession

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

USAGE = "IMAGE --point Z,Y,X ... -o MASK [options]"
DESCRIPTION = """\
Segment one object of an image from points, boxes, scribbles and lassos, and write its mask.

The prompts are given to the model one after the other, as if they were drawn: each is followed by a
prediction, and corrects what the ones before it gave.

  napari-nninteractive segment stack.nii.gz --point 30,128,128 -o mask.nii.gz
  napari-nninteractive segment stack.tif --box 30,40:90,40:90 --negative-point 30,95,60 -o mask.tif

The mask is uint8, 1 inside the object, with the spacing, origin and direction of the image; TIFF has a
place for the spacing only, OME-Zarr none for the direction.
Images: NIfTI, NRRD, MetaImage, TIFF (ImageJ, OME), OME-Zarr.
Masks: .nii.gz .nii .nrrd .mha .tif .zarr"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="3D stack or 2D image")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="MASK",
        help="file to write; its ending is the format",
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there already")
    parser.add_argument("--channel", type=int, metavar="N", help="channel of the image, from 0")
    parser.add_argument(
        "--timepoint", type=int, metavar="N", help="time point of the image, from 0"
    )
    parser.add_argument(
        "--save-session",
        type=Path,
        metavar="FILE.json",
        help="also write prompts, model and mask, to go on from with --prompts or in the panel",
    )
    add_prompt_arguments(parser)
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Segment and write."""
    requests: list[Request] = args.requests or []
    if not requests:
        raise PromptError(
            "Say what to segment: give at least one --point z,y,x (or --box, --scribble, --lasso)."
        )
    _check_outputs(args, requests)
    image = read_image(args.image, args.channel, args.timepoint)
    plan = build_plan(requests, image, args.object)
    session = open_session(args)
    check_known(plan, session.model.id, session.model.capabilities.kinds)
    began = time.perf_counter()
    session.set_image(image.data, image.spacing)
    run_plan(session, plan)
    seconds = time.perf_counter() - began
    if args.save_session:
        session.save(args.save_session, args.image.name)
    mask = session.mask[...]
    write_mask(args.output, mask, image, overwrite=args.force)
    lost = _lost(args.output, image.geometry)
    if lost:
        note(f"{lost} that this image has: write .nii.gz, .nrrd or .mha to keep them.")
    voxels = int(np.count_nonzero(mask))
    say(_summary(args.output, voxels, image, session, len(plan), seconds))
    if not voxels:
        note("The mask is empty: try a point deeper inside the object, a box, or another model.")
    return 0


def _check_outputs(args: argparse.Namespace, requests: list[Request]) -> None:
    """Find out before any work whether the results can be written."""
    inputs = (args.image, *(r.value for r in requests if isinstance(r.value, Path)))
    check_output(args.output, overwrite=args.force, inputs=inputs)
    if args.save_session:
        check_output(args.save_session, overwrite=args.force, endings=(".json",), inputs=inputs)


def _lost(path: Path, geometry: Geometry) -> str:
    """Of where the image lies, what the format of a mask has no place for; "" where it keeps all."""
    name = path.name.lower()
    if name.endswith((".tif", ".tiff")) and geometry.is_placed:
        return "TIFF has no place for the origin and direction"
    if name.endswith(".zarr") and geometry.is_turned:
        return "OME-Zarr has no place for the directions"
    return ""


def _summary(
    path: Path,
    voxels: int,
    image: ImageFile,
    session: InferenceSession,
    prompts: int,
    seconds: float,
) -> str:
    volume = voxels * math.prod(image.spacing)
    flat = image.geometry.ndim == 2
    unit = f"{image.unit}{'²' if flat else '³'}" if image.unit else "(no unit in the image)"
    return (
        f"{path}: {voxels} voxels, {volume:.6g} {unit}; {prompts} prompt{'s' * (prompts != 1)} in {seconds:.1f} s "
        f"on {session.model.device} ({session.precision})"
    )
