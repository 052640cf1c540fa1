"""`napari-nninteractive models`: what models there are, their licences, downloads, and whether a folder is sound."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from napari_nninteractive.cli.terminal import ProgressLine, note, say
from napari_nninteractive.errors import ModelError

if TYPE_CHECKING:
    from napari_nninteractive.engine.model import Model

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

USAGE = "list | download ID | licence ID | check FOLDER"
DESCRIPTION = """\
List, download and check models, and read their licences.

  napari-nninteractive models list
  napari-nninteractive models download nnInteractive_v1.0
  napari-nninteractive segment stack.tif --model nnInteractive_v1.0 --point 30,128,128 -o mask.tif

Downloads go into the user's cache folder, or below the one that NAPARI_NNINTERACTIVE_CACHE names. An interrupted
download goes on where it was. On a machine without network, copy the model's folder and give its path as --model."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    actions = parser.add_subparsers(
        prog="napari-nninteractive models",
        dest="action",
        metavar="ACTION",
        title="actions",
        required=True,
    )
    _add(
        actions, "list", "names of all models, what they are, and whether they are on this machine"
    )
    _add_download(actions)
    part = _add(actions, "licence", "the licence of a model's weights in full")
    part.add_argument("id", metavar="ID", help="name of the model")
    _add_check(actions)


def _add_download(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    part = _add(actions, "download", "download a model, after its licence was accepted")
    part.add_argument("id", metavar="ID", help="name of the model")
    part.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept the licence without being asked; read it first: models licence ID",
    )
    part.add_argument(
        "--force",
        action="store_true",
        help="download again what is there, e.g. because it is damaged",
    )


def _add_check(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    part = _add(actions, "check", "load a model and say what it is and understands")
    part.add_argument("model", metavar="FOLDER", help="model folder, or name of a model")
    part.add_argument(
        "--device", default="cpu", metavar="NAME", help="auto, cpu, cuda, mps (default: cpu)"
    )
    part.add_argument(
        "--forward", action="store_true", help="also run the network once, on one patch of zeros"
    )


def _add(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    part = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    part.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the whole trace of an error, and log messages",
    )
    return part


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    actions = {"list": _list, "download": _download, "licence": _licence, "check": _check}
    return actions[args.action](args)


def _list(_args: argparse.Namespace) -> int:
    from napari_nninteractive.engine import registry

    for model in registry.registered():
        there = registry.is_downloaded(model.id)
        if there:
            state = f"here: {registry.folder_of(model.id)}"
        elif model.repository is None:
            state = "not in this version"
        else:
            state = f"not downloaded ({model.size})"
        say(model.id)
        say(f"    {model.description}")
        say(f"    licence: {registry.licence_of(model.id) or 'not known'}")
        say(f"    {state}")
    say()
    say(f"Downloads: {registry.cache_folder()} (the variable {registry.CACHE_VARIABLE} moves them)")
    say("Any folder in the published format is a model too: give its path.")
    return 0


def _licence(args: argparse.Namespace) -> int:
    from napari_nninteractive.engine import registry

    say(registry.licence_text(args.id).rstrip())
    return 0


def _download(args: argparse.Namespace) -> int:
    from napari_nninteractive.engine import registry

    if registry.is_downloaded(args.id) and not args.force:
        say(f"{args.id} is here already: {registry.folder_of(args.id)}")
        return 0
    accepted = args.accept_licence or _ask(args.id)
    line = ProgressLine()

    def show(done: int, total: int) -> None:
        line.show(f"{args.id}, MB", round(done / 1e6), max(1, round(total / 1e6)))

    try:
        folder = registry.download(
            args.id, accept_licence=accepted, progress=show, force=args.force
        )
    finally:
        line.clear()
    say(f"{args.id} is downloaded: {folder}")
    return 0


def _ask(model_id: str) -> bool:
    """Show the licence and ask, where somebody can answer."""
    from napari_nninteractive.engine import registry

    model = registry.find(model_id)
    if not sys.stdin.isatty():
        return False
    note(registry.licence_text(model_id).rstrip())
    note("")
    note(f"The weights of {model.id} ({model.size}) are under this licence: {model.licence}.")
    sys.stderr.write("Do you accept it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    raise ModelError("The licence was not accepted; nothing was downloaded.")


def _check(args: argparse.Namespace) -> int:
    from napari_nninteractive.engine.model import load_model  # loads torch

    model = load_model(args.model, args.device)
    parameters = sum(p.numel() for p in model.network.parameters())
    for name, value in (
        ("model", model.id),
        ("folder", model.folder),
        ("licence", model.licence or "no file LICENSE"),
        ("patch", " x ".join(str(n) for n in model.patch_size) + " voxels (z, y, x)"),
        ("prompts", ", ".join(sorted(model.capabilities.kinds))),
        ("parameters", f"{parameters:,}"),
        ("sha256", model.sha256),
    ):
        say(f"{name:<12}{value}")
    if args.forward:
        say(f"{'forward':<12}{_forward(model):.2f} s on {model.device} (fp32, one patch of zeros)")
    return 0


def _forward(model: Model) -> float:
    """Seconds of one checked pass."""
    import torch

    from napari_nninteractive.engine.device import Runner

    shape = (1, model.capabilities.n_inputs, *model.patch_size)
    inputs = torch.zeros(shape, device=model.device)
    began = time.perf_counter()
    Runner(model.network, model.device, "fp32")(inputs)  # its check waits for the device
    return time.perf_counter() - began
