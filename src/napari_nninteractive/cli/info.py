"""`napari-nninteractive info`: what this machine and this model will do."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from napari_nninteractive import __version__
from napari_nninteractive.cli.engine_args import add_model_arguments
from napari_nninteractive.cli.terminal import say

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "cuda_advice", "run"]

USAGE = "[options]"
DESCRIPTION = """\
Show versions, device, precision and model, and how much time and memory one look of the model takes here.
Says how to mend it where a graphics card is there but cannot be used."""

_PACKAGES = ("torch", "openvino", "nnunetv2", "numpy", "SimpleITK", "tifffile", "zarr", "napari")
_QT = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_WHEELS = "https://download.pytorch.org/whl"
# From this CUDA version of the driver on: the wheels to take.
_CUDA_WHEELS = (((13, 0), "cu130"), ((12, 8), "cu128"), ((0, 0), "cu126"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Say what is known before the model is loaded, then what the model does."""
    _line("version", f"napari-nninteractive {__version__}")
    _line("python", f"{platform.python_version()} on {platform.platform()}")
    found = [f"{name} {_version(name)}" for name in _PACKAGES if _version(name)]
    _line("packages", ", ".join(found))
    _line(
        "Qt",
        next((f"{q} {_version(q)}" for q in _QT if _version(q)), "none: needed by the widget only"),
    )

    import torch

    from napari_nninteractive.engine.device import choose_device, choose_precision, faster_advice

    advice = cuda_advice(torch.version.cuda, torch.cuda.is_available())
    if advice:
        _line("attention", advice)
    device = choose_device(args.device)
    _line("device", _describe(device))
    fixed = choose_precision(device, args.precision)
    measured = device.type == "cpu" and args.precision == "auto"
    _line("precision", "auto, the fastest on this machine" if measured else fixed)

    from napari_nninteractive.engine.estimate import estimate
    from napari_nninteractive.engine.model import load_model

    model = load_model(args.model, device)
    patch = " x ".join(str(n) for n in model.patch_size)
    _line("model", f"{model.id}, licence {model.licence or 'not stated'}")
    _line(
        "",
        f"sees {patch} voxels (z, y, x) at once; understands {', '.join(sorted(model.capabilities.kinds))}",
    )
    cost = estimate(model, precision=args.precision)
    _line("network", str(cost.execution))
    _line("", cost.reason)
    faster = faster_advice(device)
    if faster:
        _line("faster", faster)
    _line("one look", f"about {cost.seconds:.2g} s and {_size(cost.bytes)} of memory")
    _line(
        "",
        "a prompt takes one look, or several where the object is larger than what the model sees",
    )
    return 0


def _line(name: str, text: str) -> None:
    say(f"{name:<10} {text}")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _size(n: float) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{max(n / 2**20, 1):.0f} MiB"


def _describe(device: object) -> str:
    import torch

    if not isinstance(device, torch.device) or device.type != "cuda":
        threads = f"{torch.get_num_threads()} threads"
        return f"{device}, {threads}" if str(device) == "cpu" else str(device)
    free, total = torch.cuda.mem_get_info(device)
    return f"{device}, {torch.cuda.get_device_name(device)}, {_size(free)} of {_size(total)} free"


def cuda_advice(torch_cuda: str | None, usable: bool) -> str | None:
    """Say what to do where an NVIDIA card is there but torch does not use it.

    Parameters
    ----------
    torch_cuda : str or None
        CUDA version that torch was built for; None where it was built without.
    usable : bool
        Whether torch finds a CUDA device.

    Returns
    -------
    str or None
        One sentence with the command that mends it; None where all is well or there is no card.
    """
    driver = _driver()
    if usable or driver is None:
        return None
    if torch_cuda is None:
        wheels = next(name for least, name in _CUDA_WHEELS if driver >= least)
        command = f'"{sys.executable}" -m pip install --force-reinstall torch --index-url {_WHEELS}/{wheels}'
        return f"an NVIDIA card is there, but this torch was built without CUDA. This mends it: {command}"
    return (
        f"an NVIDIA card is there, but its driver does not work with this torch, which needs CUDA {torch_cuda}: "
        "update the driver, and see that nvidia-smi shows the card."
    )


def _driver() -> tuple[int, int] | None:
    """CUDA version that the NVIDIA driver offers; (0, 0) where it does not say; None without a card."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return (0, 0) if Path("/proc/driver/nvidia/version").exists() else None
    try:
        answer = subprocess.run(  # noqa: S603  # found on the PATH, without arguments
            [program], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # the program is there, but no card that answers
    version = re.search(r"CUDA[^:|]*Version:\s*(\d+)\.(\d+)", answer.stdout)
    return (int(version[1]), int(version[2])) if version else (0, 0)
