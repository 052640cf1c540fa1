"""What the commands share that run a model: its options, loading it, and playing prompts with progress."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from napari_nninteractive.cli.terminal import ProgressLine
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import Prompt

if TYPE_CHECKING:
    from napari_nninteractive.engine.results import Progress
    from napari_nninteractive.engine.session import InferenceSession

__all__ = ["add_engine_arguments", "add_model_arguments", "open_session", "run_plan"]


def add_model_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the choice of model, device and precision, which all commands with a model share."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="builtin",
        metavar="NAME",
        help="name or folder of a model (default: builtin)",
    )
    group.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:1, mps (default: auto)",
    )
    group.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16", "int8"),
        default="auto",
        help="of the network (default: auto, what the device does fast); int8 needs OpenVINO",
    )
    return group


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `open_session` reads."""
    group = add_model_arguments(parser)
    group.add_argument(
        "--no-autozoom",
        action="store_true",
        help="do not look from further away when the object leaves the model's view",
    )
    group.add_argument(
        "--working-zoom",
        type=int,
        default=None,
        metavar="N",
        help="look at objects that are larger than the model knows in voxels up to N times as large, and enlarge what "
        "it finds; 1: never (default: what the model is made for)",
    )


def open_session(args: argparse.Namespace) -> InferenceSession:
    """Load the model that was asked for; errors as in `InferenceSession.from_pretrained`."""
    from napari_nninteractive.engine.config import EngineConfig
    from napari_nninteractive.engine.session import InferenceSession  # loads torch

    wanted = args.working_zoom
    config = None if wanted is None else EngineConfig(max_working_zoom=wanted)
    line = ProgressLine()
    line.show(f"loading model {args.model}")
    try:
        return InferenceSession.from_pretrained(
            args.model,
            args.device,
            precision=args.precision,
            autozoom=not args.no_autozoom,
            config=config,
        )
    finally:
        line.clear()


def run_plan(session: InferenceSession, plan: Plan) -> float:
    """Add prompts in order, with progress on a terminal.

    Parameters
    ----------
    session : InferenceSession
        With an image.
    plan : Plan
        What to add (None: nothing), and whether to predict then.

    Returns
    -------
    float
        Seconds it took.
    """
    began = time.perf_counter()
    line = ProgressLine()
    try:
        for number, (prompt, predict) in enumerate(plan, start=1):
            title = f"{_title(prompt)} ({number} of {len(plan)})"
            line.show(title)

            def show(progress: Progress, title: str = title) -> None:
                stage = "looking" if progress.stage == "look" else "refining"
                line.show(f"{title}: {stage}", progress.done, progress.total)

            if prompt is None:
                session.predict(progress=show)
            else:
                session.add(prompt, predict=predict, progress=show)
    finally:
        line.clear()
    return time.perf_counter() - began


def _title(prompt: Prompt | None) -> str:
    return "prediction" if prompt is None else prompt.kind.replace("_", " ")
