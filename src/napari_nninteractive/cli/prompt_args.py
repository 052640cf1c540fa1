"""Prompts on the command line: read in the order given, because earlier ones count less."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.plan import Plan, plan_from_json, predicts
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    Point,
    Prompt,
    Scribble,
)
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import PromptError, SessionError
from napari_nninteractive.io import ImageFile, read_image
from napari_nninteractive.session_file.choose import choose_object
from napari_nninteractive.session_file.convert import voxel_limit
from napari_nninteractive.session_file.files import read_json, session_of

__all__ = [
    "Request",
    "add_prompt_arguments",
    "build_plan",
    "check_known",
    "parse_box",
    "parse_point",
]

_FARTHEST = 2**31  # no image is that long

_Kind = Literal["point", "box", "scribble", "lasso", "initial", "prompts"]


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt as asked for.

    Attributes
    ----------
    kind : str
        Which option.
    positive : bool
        False for the negative form.
    value : tuple or Path
        Coordinates, or the file that holds them.
    """

    kind: _Kind
    positive: bool
    value: Any


class _InOrder(argparse.Action):
    """Append to one list that all prompt options share."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        del parser
        name = str(option_string or self.option_strings[0]).removeprefix("--")
        kind: Any = name.removeprefix("negative-")
        request = Request(kind, kind == name, values)
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), request])


def add_prompt_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every prompt option; what is given lands in `requests`, in order."""
    group = parser.add_argument_group(
        "prompts",
        "Any number, also mixed. The order matters: each counts less with every later one, so give\n"
        "corrections last. Voxels count from 0, in the order z,y,x; a 2D image has z 0. FILE is an image\n"
        "of the same shape, not 0 where something is painted.",
    )
    table: list[tuple[str, Any, str, str]] = [
        ("point", parse_point, "Z,Y,X", "a voxel of the object"),
        (
            "box",
            parse_box,
            "Z,Y0:Y1,X0:X1",
            "a box around the object on one slice, such as 31,84:121,8:48; the stop is outside. Boxes on one slice "
            "(one axis is a single number) are all that the built-in model knows; some models know z0:z1 too",
        ),
        ("scribble", Path, "FILE", "voxels of the object"),
        ("lasso", Path, "FILE", "a filled outline around the object on one slice"),
    ]
    for name, kind, metavar, text in table:
        group.add_argument(
            f"--{name}", dest="requests", action=_InOrder, type=kind, metavar=metavar, help=text
        )
        group.add_argument(
            f"--negative-{name}",
            dest="requests",
            action=_InOrder,
            type=kind,
            metavar=metavar,
            help="the same, of what is not the object",
        )
    group.add_argument(
        "--initial",
        dest="requests",
        action=_InOrder,
        type=Path,
        metavar="FILE",
        help="a mask to start from, which a prompt after it corrects; prompts before it no longer count",
    )
    group.add_argument(
        "--prompts",
        dest="requests",
        action=_InOrder,
        type=Path,
        metavar="FILE.json",
        help="prompts from a file: what --save-session or the panel writes, or a list of prompts",
    )
    group.add_argument(
        "--object",
        type=int,
        metavar="LABEL",
        help="which object of FILE.json, where it holds several (default: the current one)",
    )


def parse_point(text: str) -> tuple[float, float, float]:
    """Coordinates (z, y, x) of a text such as "30,128,128".

    Raises
    ------
    argparse.ArgumentTypeError
        If it is something else.
    """
    parts = text.split(",")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not three numbers z,y,x such as 30,128,128 (in a 2D image z is 0)"
        )
    z, y, x = (_coordinate(part, text) for part in parts)
    return z, y, x


def parse_box(text: str) -> tuple[Index3, Index3]:
    """Start and stop (z, y, x) of a text such as "10:20,30:60,30:60"; a single number is one slice.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is something else.
    """
    parts = text.split(",")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a slice and two ranges z,y0:y1,x0:x1 such as 10,30:60,30:60 (or three ranges)"
        )
    start, stop = [], []
    for part in parts:
        low, colon, high = part.partition(":")
        a = round(_coordinate(low, text))
        b = round(_coordinate(high, text)) if colon else a + 1
        if b <= a:
            raise argparse.ArgumentTypeError(
                f"{text!r} is empty along {part}: the stop must be greater than the start"
            )
        start.append(a)
        stop.append(b)
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def _coordinate(part: str, text: str) -> float:
    try:
        value = float(part)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{part.strip()!r} in {text!r} is not a number") from error
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(
            f"{part.strip()} in {text!r} is no voxel: coordinates count from 0"
        )
    if value > _FARTHEST:
        raise argparse.ArgumentTypeError(
            f"{part.strip()} in {text!r} is no voxel: it lies farther out than any image"
        )
    return value


def build_plan(requests: Sequence[Request], image: ImageFile, label: int | None = None) -> Plan:
    """Prompts of an image, checked against its shape.

    Parameters
    ----------
    requests : sequence of Request
        In order.
    image : ImageFile
        The image they belong to.
    label : int, optional
        Of the object in the files of prompts; the current one by default.

    Returns
    -------
    list of (Prompt or None, bool)
        What to add (None: nothing), and whether to predict then; the steps of a file stand where it was named.

    Raises
    ------
    PromptError
        If a prompt does not fit the image, a file holds something else, or nothing would be predicted.
    ImageError
        If a file with a painted mask cannot be read, or a file of prompts is of an image of another shape.
    SessionError
        If a file of prompts has no such object, or several may be meant.
    """
    if label is not None and all(request.kind != "prompts" for request in requests):
        raise PromptError("--object chooses in a file of prompts: give one with --prompts.")
    plan: list[tuple[Prompt | None, bool]] = []
    for request in requests:
        if request.kind == "prompts":
            plan += _from_json(request.value, image, label)
        else:
            built = _build(request, image.shape)
            plan.append((built, predicts(built)))
    for prompt, _ in plan:
        if prompt is not None:
            _check_inside(prompt, image.shape)
    if not any(predicted for _, predicted in plan):
        if any(isinstance(prompt, InitialMask) for prompt, _ in plan):
            raise PromptError(
                "A mask to start from only prepares: add what to correct, e.g. --point z,y,x after --initial."
            )
        raise PromptError(
            "There is nothing to segment from: give at least one --point, --box, --scribble or --lasso."
        )
    return plan


def check_known(plan: Plan, model: str, kinds: Collection[str]) -> None:
    """Refuse a box in 3D that a model does not know, with one that it does.

    Parameters
    ----------
    plan : Plan
        What is to be added.
    model : str
        Its name.
    kinds : collection of str
        Kinds of prompts that it knows.

    Raises
    ------
    PromptError
        Naming the box through the middle.
    """
    for prompt, _ in plan:
        if isinstance(prompt, BoxPrompt) and prompt.kind not in kinds and "bbox2d" in kinds:
            (z0, y0, x0), (z1, y1, x1) = prompt.start, prompt.stop
            option = "--box" if prompt.positive else "--negative-box"
            raise PromptError(
                f"The model {model} knows boxes on one slice only: give one, e.g. "
                f"{option} {(z0 + z1 - 1) // 2},{y0}:{y1},{x0}:{x1}"
            )


def _check_inside(prompt: Prompt, shape: Index3) -> None:
    """Refuse before a model is loaded what the session would refuse."""
    if not prompt.bounds.clip(shape).is_empty:
        return
    low, high = prompt.bounds.start, tuple(n - 1 for n in prompt.bounds.stop)
    raise PromptError(
        f"The {_name(prompt)} at {low if low == high else f'{low} to {high}'} lies outside the image, whose voxels "
        f"(z, y, x) go from (0, 0, 0) to {tuple(n - 1 for n in shape)}."
    )


def _name(prompt: Prompt) -> str:
    return {"bbox2d": "box", "bbox3d": "box"}.get(prompt.kind, prompt.kind.replace("_", " "))


def _build(request: Request, shape: Index3) -> Prompt:
    match request.kind:
        case "point":
            return Point(request.value, request.positive)
        case "box":
            start, stop = request.value
            return BoxPrompt(start, stop, request.positive)
        case "scribble":
            return Scribble(_painted(request.value, shape), (0, 0, 0), request.positive)
        case "lasso":
            return Lasso(_painted(request.value, shape), (0, 0, 0), request.positive)
        case _:
            return InitialMask(_painted(request.value, shape))


def _painted(path: Path, shape: Index3) -> NDArray[Any]:
    drawn = read_image(path)
    if drawn.shape != shape:
        raise PromptError(
            f"{path.name} has {drawn.shape} voxels, but the image has {shape}: a painted file must have "
            "the image's shape."
        )
    array: NDArray[Any] = np.asarray(drawn.data[...])
    if not array.any():
        raise PromptError(f"{path.name} is empty: paint at least one voxel.")
    return array.reshape(shape)


def _from_json(path: Path, image: ImageFile, label: int | None) -> Plan:
    """Steps in a file: a session of any version, or a list of prompts, alone or in the field "prompts"."""
    try:
        content = read_json(path)
        if isinstance(content, dict) and "format" in content:
            session = session_of(content, path.name, image.shape)
        else:
            records = content.get("prompts") if isinstance(content, dict) else content
            plan = plan_from_json(records, voxel_limit(image.shape))
            session = None
    except (PromptError, SessionError) as error:
        raise PromptError(
            f"{error.message} --prompts takes what --save-session or the panel wrote, or a list of prompts.",
            error.advice,
        ) from error
    if session is not None:
        _, chosen = choose_object(session, Volume.open(image.data), label)
        return [(step.prompt, step.predicted) for step in chosen.steps]
    if label is not None:
        raise PromptError(f"{path.name} is a list of prompts without labels: leave out --object.")
    return plan
