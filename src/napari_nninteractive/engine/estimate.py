"""What a prediction will cost, measured on a small patch before the user waits for a large one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from napari_nninteractive.engine.device import (
    Execution,
    Precision,
    Runner,
    Sight,
    choose_device,
    make_runner,
)
from napari_nninteractive.engine.model import Model

__all__ = ["Estimate", "estimate"]

# A patch of this side takes seconds at most, even with the largest model on a CPU.
_PROBE_SIDE = 64


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cost of one pass of the network.

    Attributes
    ----------
    seconds : float
        Wall time of one pass.
    bytes : int
        Memory for weights and activations, without the image.
    device : str
        Where it was measured.
    precision : str
        In which precision.
    execution : Execution
        How the network ran: runtime, precision, layout, threads.
    reason : str
        Why so: part of a sentence.
    """

    seconds: float
    bytes: int
    device: str
    precision: str
    execution: Execution = Execution()  # noqa: RUF009  # frozen
    reason: str = ""


def estimate(
    model: Model, device: str | torch.device | None = None, precision: Precision = "auto"
) -> Estimate:
    """Seconds and bytes that one pass of a model takes.

    One pass on a patch of about 64³ voxels is timed, after one to warm up, and scaled to the model's patch:
    right within a factor of about two, since small patches use caches better and wide machines less.

    Parameters
    ----------
    model : Model
        From `load_model`.
    device : str or torch.device, optional
        Where the model is by default; for another one load the model there.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        As in `InferenceSession`.

    Returns
    -------
    Estimate
        Of one pass; a prompt takes one, or several where AutoZoom looks from further away and refines.

    Raises
    ------
    SessionError
        If the device or precision is not there, or the pass fails.
    """
    chosen = model.device if device is None else choose_device(device)
    network = model.network
    if chosen.type != model.device.type:
        # A copy: the caller's model stays where it is.
        import copy

        network = copy.deepcopy(model.network).to(chosen)
    sight = Sight(model.patch_size, model.stride, model.capabilities.encoding)
    runner = make_runner(network, chosen, sight, precision)
    patch = _probe_patch(model)
    inputs = torch.zeros((1, model.capabilities.n_inputs, *patch), device=chosen)
    inputs.normal_(generator=torch.Generator(chosen).manual_seed(0))
    runner(inputs)
    with _largest_activations(network) as sizes:
        _wait(chosen)
        began = time.perf_counter()
        runner(inputs)
        _wait(chosen)
        seconds = time.perf_counter() - began
    scale = prod(model.patch_size) / prod(patch)
    largest = sum(sizes) * scale
    if runner.execution.runtime != "torch":
        largest = _activations_in_torch(network, sight)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    inputs_bytes = 4 * model.capabilities.n_inputs * prod(model.patch_size)
    return Estimate(
        seconds * scale,
        int(weights + inputs_bytes + largest),
        str(chosen),
        runner.precision,
        runner.execution,
        runner.reason,
    )


def _activations_in_torch(network: torch.nn.Module, sight: Sight) -> float:
    """Bytes of activations of one view, from a small one in torch, for a runtime that does not tell its own."""
    with _largest_activations(network) as sizes:
        Runner(network, torch.device("cpu"), "fp32")(torch.zeros(sight.probe))
    return sum(sizes) * prod(sight.patch) / prod(sight.probe[2:])


def _probe_patch(model: Model) -> tuple[int, ...]:
    """Model's patch, cut to about 64 voxels per side, but to no less than two voxels at the coarsest level."""
    return tuple(
        min(p, max(2 * s, _PROBE_SIDE // s * s))
        for p, s in zip(model.patch_size, model.stride, strict=True)
    )


@contextmanager
def _largest_activations(network: torch.nn.Module) -> Iterator[list[int]]:
    """Bytes of the outputs that live together at the peak: skip connections and three of the largest."""
    largest: list[int] = []
    skips: list[int] = []

    def note(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            largest.append(output.numel() * output.element_size())
        elif isinstance(output, list):
            skips.extend(
                t.numel() * t.element_size() for t in output if isinstance(t, torch.Tensor)
            )

    handles = [m.register_forward_hook(note) for m in network.modules()]
    sizes: list[int] = []
    try:
        yield sizes
    finally:
        for handle in handles:
            handle.remove()
        sizes.extend([*skips, *sorted(largest)[-3:]])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
