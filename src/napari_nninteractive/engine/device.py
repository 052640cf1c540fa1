"""Where and how the network runs: device, precision, memory format, and one checked forward pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from napari_nninteractive.errors import DeviceMemoryError, Remedy, SessionError

__all__ = ["Network", "Precision", "Runner", "choose_device", "choose_precision"]

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Network = Callable[[torch.Tensor], torch.Tensor]

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


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


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware; elsewhere bf16 is emulated and slower than fp32."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def choose_precision(
    device: torch.device, precision: Precision = "auto"
) -> Literal["fp32", "bf16", "fp16"]:
    """Precision of the network on a device.

    Parameters
    ----------
    device : torch.device
        Where it runs.
    precision : {"auto", "fp32", "bf16", "fp16"}
        "auto": on CUDA bf16 where the card has it, else fp16; on a CPU bf16 where it is in hardware, else fp32; fp32
        elsewhere.

    Returns
    -------
    str
        "fp32", "bf16" or "fp16".

    Raises
    ------
    SessionError
        If the precision is unknown, or fp16 is asked for away from CUDA.
    """
    if precision == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
        return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"
    if precision not in _DTYPES:
        raise SessionError(
            f"Unknown precision {precision!r}: use 'auto', 'fp32', 'bf16' or 'fp16'."
        )
    if precision == "fp16" and device.type != "cuda":
        raise SessionError(
            f"fp16 runs on CUDA devices only; use 'bf16' or 'fp32' on {device.type}."
        )
    return precision


@dataclass(frozen=True, slots=True)
class Runner:
    """One forward pass, checked, deterministic, without touching settings of the process.

    Attributes
    ----------
    network : callable
        (1, channels, z, y, x) float32 to (1, 2, z, y, x) logits.
    device : torch.device
        Where input and output live.
    precision : str
        "fp32", "bf16" or "fp16".
    keeps_input : bool
        Whether the network is known neither to change nor to hold its input, so that it may be given without a copy.
    """

    network: Network
    device: torch.device
    precision: Literal["fp32", "bf16", "fp16"]
    keeps_input: bool = True

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
        try:
            with self._context():
                logits: object = self.network(inputs if self.keeps_input else inputs.clone())
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            raise DeviceMemoryError(
                f"Not enough memory on {self.device} for one patch of {tuple(inputs.shape[2:])} voxels.",
                Remedy.FREE_DEVICE_MEMORY,
            ) from error
        expected = (1, 2, *inputs.shape[2:])
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
        return logits[0]

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        dtype = _DTYPES[self.precision]
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if self.device.type == "cuda":
                stack.enter_context(
                    torch.backends.cudnn.flags(
                        enabled=True,
                        benchmark=False,
                        deterministic=True,
                        allow_tf32=self.precision != "fp32",
                    )
                )
            # Also where it is off: the caller may have switched it on.
            autocast = torch.autocast(self.device.type, dtype, enabled=dtype is not None)
            stack.enter_context(autocast)
            yield


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a device ran out of memory; only CUDA has an error of its own for it."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        said in text for said in ("out of memory", "can't allocate memory", "not enough memory")
    )
