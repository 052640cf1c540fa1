"""A network made ready to run in one way; every one takes and gives tensors of torch."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nninteractive.engine.runtime.execution import Execution, cpu_has_bf16
from napari_nninteractive.engine.runtime.graph import Ranges, UnknownLayerError, build_graph
from napari_nninteractive.errors import SessionError

__all__ = [
    "Network",
    "OpenVinoNetwork",
    "TorchNetwork",
    "has_openvino",
    "load_openvino",
    "make_network",
    "torch_context",
]

Network = Callable[[torch.Tensor], torch.Tensor]

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_REPORTS = "openvino_telemetry"
_loading = threading.Lock()


@contextlib.contextmanager
def torch_context(device: torch.device, precision: str) -> Iterator[None]:
    """Run torch without gradients, in a precision, and repeatably; the settings are as before afterwards.

    Parameters
    ----------
    device : torch.device
        Where it runs.
    precision : {"fp32", "bf16", "fp16", "int8"}
        Of the convolutions; what torch does not know of is computed elsewhere, and leaves it in fp32.
    """
    dtype = _DTYPES.get(precision)
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if device.type == "cuda":
            stack.enter_context(
                torch.backends.cudnn.flags(
                    enabled=True,
                    benchmark=False,
                    deterministic=True,
                    allow_tf32=precision != "fp32",
                )
            )
        # Also where it is off: the caller may have switched it on.
        stack.enter_context(torch.autocast(device.type, dtype, enabled=dtype is not None))
        yield


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use some threads in here; they are as before afterwards."""
    before = torch.get_num_threads()
    if number == before:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class TorchNetwork:
    """A network of torch in one precision and layout, on some threads.

    Parameters
    ----------
    network : callable
        (n, channels, z, y, x) float32 to (n, 2, z, y, x) logits.
    device : torch.device
        Where it is.
    execution : Execution
        How it runs; of torch.
    """

    def __init__(self, network: Network, device: torch.device, execution: Execution) -> None:
        self.execution = execution
        self._network = network
        self._device = device

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of (n, channels, z, y, x)."""
        if self.execution.layout == "channels_last":
            inputs = inputs.contiguous(memory_format=torch.channels_last_3d)
        with torch_context(self._device, self.execution.precision):
            if self._device.type != "cpu":
                return self._network(inputs)
            with _threads(self.execution.threads):
                return self._network(inputs)


class OpenVinoNetwork:
    """A network compiled by OpenVINO for inputs of one shape at a time.

    Several threads may call it; they wait for each other.

    Parameters
    ----------
    network : torch.nn.Module
        On the CPU, in evaluation mode; its weights are copied when an input of a new shape comes.
    execution : Execution
        How it runs; of OpenVINO.
    ranges : mapping, optional
        For int8: what enters each convolution.

    Raises
    ------
    SessionError
        If OpenVINO is not installed.
    """

    def __init__(
        self, network: torch.nn.Module, execution: Execution, ranges: Ranges | None = None
    ) -> None:
        self.execution = execution
        self._network = network
        self._ranges = ranges
        self._openvino = load_openvino()
        self._core = self._openvino.Core()
        self._shape: tuple[int, ...] = ()
        self._requests: list[Any] = []
        self._lock = threading.Lock()
        # Let go of where it was made.
        weakref.finalize(self, _own_thread().submit, self._requests.clear).atexit = False

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of float32 (n, channels, z, y, x) on the CPU.

        Raises
        ------
        UnknownLayerError
            If the network has a layer that OpenVINO is not told of here.
        """
        array = inputs.contiguous().numpy()
        with self._lock:
            if self._shape != array.shape:
                self.prepare(array.shape)
            out: NDArray[np.float32] = _own_thread().submit(self._infer, array).result()
        return torch.from_numpy(out)

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Compile for inputs of a shape (n, channels, z, y, x)."""
        graph = build_graph(self._network, self._openvino, shape, self._ranges)
        _own_thread().submit(self._compile, graph).result()
        self._shape = shape

    def _compile(self, graph: Any) -> None:
        compiled = self._core.compile_model(graph, "CPU", self._options())
        self._requests[:] = [compiled.create_infer_request()]

    def _infer(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        out: NDArray[np.float32] = self._requests[0].infer({0: array}, share_inputs=True)[0]
        return out

    def _options(self) -> dict[str, Any]:
        # What int8 leaves in floating point, norms above all, need not be more exact than it is.
        bf16 = self.execution.precision == "bf16" or (
            self.execution.precision == "int8" and cpu_has_bf16()
        )
        return {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": self.execution.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # A thread that is bound to a core waits for whoever is busy on it.
            "ENABLE_CPU_PINNING": False,
        }


@functools.cache
def _own_thread() -> ThreadPoolExecutor:
    """The one thread in which OpenVINO compiles, runs and is let go of.

    It gives the calling thread a stack for signals, and frees it in whichever thread drops the network: the next Ctrl+C
    of a main thread that called it ends the process (OpenVINO 2026.4 on Linux).
    """
    return ThreadPoolExecutor(1, "openvino")


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not loaded."""
    return importlib.util.find_spec("openvino") is not None


def load_openvino() -> ModuleType:
    """OpenVINO, imported so that it sends no reports of its use.

    Raises
    ------
    SessionError
        If it is not installed or cannot be loaded.
    """
    with _loading:
        if "openvino" in sys.modules or _REPORTS in sys.modules:
            return _import_openvino()
        # Its import sends a report to its maker unless this module is missing, which it allows for.
        sys.modules[_REPORTS] = None  # type: ignore[assignment]
        try:
            return _import_openvino()
        finally:
            del sys.modules[_REPORTS]


def _import_openvino() -> ModuleType:
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise SessionError(
            f"OpenVINO is not there ({error}). This installs it: pip install openvino. "
            "Without it, use precision 'auto', 'fp32' or 'bf16'."
        ) from error


def make_network(
    network: torch.nn.Module,
    device: torch.device,
    execution: Execution,
    shape: tuple[int, ...],
    ranges: Ranges | None = None,
) -> TorchNetwork | OpenVinoNetwork:
    """Network made ready to run in one way.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode on the device.
    device : torch.device
        Where it runs.
    execution : Execution
        How.
    shape : tuple of int
        (n, channels, z, y, x) of what it is to see first.
    ranges : mapping, optional
        For int8: least and largest value that enters each convolution.

    Raises
    ------
    SessionError
        If OpenVINO is to run it, and is not there or does not know one of its layers.
    """
    if execution.runtime == "torch":
        return TorchNetwork(network, device, execution)
    made = OpenVinoNetwork(network, execution, ranges)
    try:
        made.prepare(shape)
    except UnknownLayerError as error:
        raise SessionError(
            f"OpenVINO cannot run this network: {error}. Use precision 'auto', 'fp32' or 'bf16'."
        ) from error
    return made
