"""Where and how the network runs: device, precision, the fastest way on this machine, and one checked forward pass."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_nninteractive.engine.runtime.choice import Choice, Chooser, Sight
from napari_nninteractive.engine.runtime.execution import (
    Execution,
    FixedPrecision,
    Precision,
    cpu_has_bf16,
    runtime_asked_for,
)
from napari_nninteractive.engine.runtime.networks import Network, has_openvino, torch_context
from napari_nninteractive.engine.runtime.watch import WatchedNetwork
from napari_nninteractive.errors import DeviceMemoryError, Remedy, SessionError

__all__ = [
    "Execution",
    "FixedPrecision",
    "Network",
    "Precision",
    "Runner",
    "Sight",
    "choose_device",
    "choose_precision",
    "faster_advice",
    "make_runner",
]

log = logging.getLogger(__name__)

_PRECISIONS = ("fp32", "bf16", "fp16", "int8")


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Device to run on.

    Parameters
    ----------
    name : str or torch.device
        "auto" (CUDA, else Apple's MPS, else CPU) or a name that torch knows, e.g. "cuda:1".

    Returns
    -------
    torch.device
        One that is present.

    Raises
    ------
    SessionError
        If the name is unknown or the device is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise SessionError(
            f"Unknown device {name!r}: use 'auto', 'cpu', 'cuda' or 'mps'."
        ) from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise SessionError(
                f"This PyTorch ({torch.__version__}) finds no CUDA device.",
                Remedy.USE_CPU_OR_INSTALL_CUDA,
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise SessionError(
                f"There is no {device}: this machine has {torch.cuda.device_count()} CUDA device(s)."
            )
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise SessionError("This machine or this PyTorch has no MPS device.", Remedy.USE_CPU)
    elif device.type not in ("cpu", "mps"):
        raise SessionError(f"Device {name!r} is not supported: use 'auto', 'cpu', 'cuda' or 'mps'.")
    return device


def choose_precision(device: torch.device, precision: Precision = "auto") -> FixedPrecision:
    """Precision of the network on a device, where nothing is measured.

    Parameters
    ----------
    device : torch.device
        Where it runs.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        "auto": on CUDA bf16 where the card has it, else fp16; on a CPU bf16 where it is in hardware, else fp32; fp32
        elsewhere.

    Returns
    -------
    str
        "fp32", "bf16", "fp16" or "int8".

    Raises
    ------
    SessionError
        If the precision is unknown, fp16 is asked for away from CUDA, or int8 away from a CPU.
    """
    if precision == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
        return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"
    if precision not in _PRECISIONS:
        raise SessionError(
            f"Unknown precision {precision!r}: use 'auto', 'fp32', 'bf16', 'fp16' or 'int8'."
        )
    if precision == "fp16" and device.type != "cuda":
        raise SessionError(
            f"fp16 runs on CUDA devices only; use 'bf16' or 'fp32' on {device.type}."
        )
    if precision == "int8" and device.type != "cpu":
        raise SessionError(f"int8 runs on a CPU only; use 'bf16' or 'fp32' on {device.type}.")
    return precision


@dataclass(frozen=True, slots=True)
class Runner:
    """One forward pass, checked, deterministic, without touching settings of the process.

    Attributes
    ----------
    network : callable
        (n, channels, z, y, x) float32 to (n, 2, z, y, x) logits; n is 1 on a CPU.
    device : torch.device
        Where input and output live.
    precision : str
        "fp32", "bf16", "fp16" or "int8".
    keeps_input : bool
        Whether the network is known neither to change nor to hold its input, so that it may be given without a copy.
    choice : Choice or None
        Why it runs as it does; None: nothing was chosen.
    """

    network: Network
    device: torch.device
    precision: FixedPrecision
    keeps_input: bool = True
    choice: Choice | None = None

    @property
    def execution(self) -> Execution:
        """The way that is used now: runtime, precision, layout and threads.

        Within a session it stays the same, unless passes become several times slower than measured: then other
        threads or another layout of the same runtime and precision are tried. Masks are then equal up to the rounding
        of that precision, and not always to the bit.
        """
        if isinstance(self.network, WatchedNetwork):
            return self.network.execution
        return Execution.plain(self.precision)

    @property
    def reason(self) -> str:
        """Why that way is used: part of a sentence."""
        return "nothing was measured" if self.choice is None else self.choice.reason

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of one patch.

        Parameters
        ----------
        inputs : torch.Tensor
            float32 (1, channels, z, y, x) on the device.

        Returns
        -------
        torch.Tensor
            (2, z, y, x): background and object.

        Raises
        ------
        DeviceMemoryError
            If the device is out of memory.
        SessionError
            If the network returns another shape, NaN or infinite values.
        """
        return self._logits(inputs)[0]

    def run(self, inputs: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits of several patches that do not depend on each other.

        A graphics card sees them together. A CPU sees one after the other: together they take as long there.

        Parameters
        ----------
        inputs : torch.Tensor or sequence of torch.Tensor
            float32 (n, channels, z, y, x), or n of (1, channels, z, y, x), on the device; at least one.

        Returns
        -------
        torch.Tensor
            (n, 2, z, y, x).

        Raises
        ------
        DeviceMemoryError
            If the device is out of memory for a single one.
        SessionError
            If the network returns another shape, NaN or infinite values.
        """
        batch = inputs if isinstance(inputs, torch.Tensor) else torch.cat(tuple(inputs))
        if self.device.type != "cpu" and len(batch) > 1:
            try:
                return self._logits(batch)
            except DeviceMemoryError:
                torch.cuda.empty_cache()
        return torch.cat([self._logits(batch[i : i + 1]) for i in range(len(batch))])

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        try:
            with torch_context(self.device, self.precision):
                logits: object = self.network(inputs if self.keeps_input else inputs.clone())
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            raise DeviceMemoryError(
                f"Not enough memory on {self.device} for one patch of {tuple(inputs.shape[2:])} voxels.",
                Remedy.FREE_DEVICE_MEMORY,
            ) from error
        expected = (inputs.shape[0], 2, *inputs.shape[2:])
        if (
            not isinstance(logits, torch.Tensor) or logits.shape != expected
        ):  # any callable may be given
            got = tuple(getattr(logits, "shape", ())) or type(logits).__name__
            raise SessionError(f"The network must return a tensor of shape {expected}, not {got}.")
        if not bool(torch.isfinite(logits.sum(dtype=torch.float32))):
            what = "The network returned NaN or infinite values"
            if self.precision == "fp32":
                raise SessionError(f"{what}.")
            raise SessionError(f"{what} in {self.precision}.", Remedy.USE_FP32)
        return logits


def faster_advice(device: torch.device) -> str | None:
    """What to install so that the network runs faster; None where that is not known.

    Parameters
    ----------
    device : torch.device
        Where it runs.

    Returns
    -------
    str or None
        A sentence with the command.
    """
    if device.type != "cpu" or has_openvino() or runtime_asked_for() in ("plain", "torch"):
        return None
    return (
        "OpenVINO may be faster: on the one CPU measured, a pass in fp32 took a ninth of PyTorch's time. "
        "This installs it: pip install openvino"
    )


def make_runner(
    network: torch.nn.Module,
    device: torch.device,
    sight: Sight,
    precision: Precision = "auto",
    execution: Execution | None = None,
) -> Runner:
    """Runner of a model's network, in the way that is fastest on this machine.

    On a CPU, what there is to choose from (runtime, precision, layout, threads) is timed when a network of these layers
    comes for the first time, which takes about two seconds, and remembered. The variable NAPARI_NNINTERACTIVE_RUNTIME
    restricts the choice: "torch", "openvino", or "plain", where nothing is measured. OpenVINO copies the weights; who
    changes them makes another runner.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, on the device.
    device : torch.device
        Where it is.
    sight : Sight
        What it sees.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        Of the network; "auto" takes what is fastest of fp32 and bf16.
    execution : Execution, optional
        Way to take, as from a saved session; nothing is measured then, and `precision` does not count.

    Returns
    -------
    Runner
        Ready to run.

    Raises
    ------
    SessionError
        If the precision does not fit the device, or OpenVINO is needed and not there.
    """
    fixed = choose_precision(device, precision)
    if device.type != "cpu":
        return Runner(network, device, fixed)
    chooser = Chooser(network, sight)
    if execution is not None:
        choice = Choice(execution, "asked for")
    elif runtime_asked_for() == "plain" and fixed != "int8":
        return Runner(network, device, fixed)
    else:
        choice = chooser.choose(precision)
    try:
        watched = _watched(chooser, choice)
    except Exception:
        if execution is not None or fixed == "int8" or runtime_asked_for() == "openvino":
            raise
        log.warning("%s does not run this network after all", choice.execution, exc_info=True)
        return Runner(network, device, fixed)
    return Runner(watched, device, choice.execution.precision, choice=choice)


def _watched(chooser: Chooser, choice: Choice) -> WatchedNetwork:
    return WatchedNetwork(
        chooser.make,
        choice.execution,
        choice.others,
        choice.seconds,
        chooser.sight.patch,
        lambda: chooser.forget(choice),
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a device ran out of memory; only CUDA has an error of its own for it."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        said in text for said in ("out of memory", "can't allocate memory", "not enough memory")
    )
