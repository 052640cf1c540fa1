"""What enters each convolution of a network, measured on synthetic stacks; int8 needs it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.prompts import Point, Prompt
from napari_nninteractive.core.rasterize import PromptEncoding, rasterize
from napari_nninteractive.core.view import View
from napari_nninteractive.engine.runtime.graph import Ranges, convolutions
from napari_nninteractive.engine.runtime.networks import Network
from napari_nninteractive.simulation.images import samples

__all__ = ["calibration_inputs", "value_ranges"]

_KINDS = (samples.nuclei, samples.packed_cells, samples.vessels)
_OBJECTS = 3  # of each kind
_LEAST_SIDE = 48


def calibration_inputs(patch: Index3, encoding: PromptEncoding) -> Iterator[torch.Tensor]:
    """Inputs like those of a session: an object clicked on, and then corrected.

    Parameters
    ----------
    patch : tuple of int
        (z, y, x) in voxels.
    encoding : PromptEncoding
        How the model expects its prompts.

    Yields
    ------
    torch.Tensor
        float32 (1, channels, z, y, x), the same ones every time.
    """
    shape = [max(_LEAST_SIDE, n) for n in patch]
    for make in _KINDS:
        sample = make(shape, seed=7)
        image = sample.image.astype(np.float32)
        image = (image - image.mean()) / max(float(image.std()), 1e-6)
        for number in _largest(sample.labels):
            yield from _looks(image, sample.labels == number, patch, encoding)


def _largest(labels: NDArray[np.uint16]) -> NDArray[np.int_]:
    """Numbers of the largest objects."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = np.argsort(sizes, kind="stable")[::-1][:_OBJECTS]
    return order[sizes[order] > 0]


def _looks(
    image: NDArray[np.float32], truth: NDArray[np.bool_], patch: Index3, encoding: PromptEncoding
) -> Iterator[torch.Tensor]:
    inside = np.argwhere(truth)
    middle = inside[np.argmin(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))].tolist()
    outside = np.argwhere(~truth)
    near = outside[np.argmin(((outside - inside[0]) ** 2).sum(axis=1))].tolist()
    click: list[Prompt] = [Point(middle)]
    region = Box.around((middle[0], middle[1], middle[2]), patch)
    yield _input(image, np.zeros_like(truth), click, region, encoding)
    yield _input(image, truth, [*click, Point(near, positive=False)], region, encoding)


def _input(
    image: NDArray[np.float32],
    previous: NDArray[np.bool_],
    prompts: list[Prompt],
    region: Box,
    encoding: PromptEncoding,
) -> torch.Tensor:
    channels = np.zeros((1 + encoding.n_channels, *region.shape), np.float32)
    visible = region.clip(image.shape)
    inside = visible.relative_to(region).slices
    channels[(0, *inside)] = image[visible.slices]
    channels[(1, *inside)] = previous[visible.slices]
    for part in rasterize(prompts, View.of(region, region.shape), image.shape, encoding):
        channels[(1 + part.channel, *part.box.slices)] = part.values
    return torch.from_numpy(channels)[None]


def value_ranges(network: torch.nn.Module, run: Network, inputs: Iterator[torch.Tensor]) -> Ranges:
    """Least and largest value that enters each convolution but the first and the last one.

    Both are means over the inputs, so that one odd voxel does not coarsen all others. What the first convolution sees
    and the last one says is left in floating point.

    Parameters
    ----------
    network : torch.nn.Module
        Of torch, on the CPU.
    run : callable
        Runs it in the way that is fastest.
    inputs : iterator of torch.Tensor
        (1, channels, z, y, x) each, at least one.

    Returns
    -------
    mapping
        By name of the convolution.
    """
    seen: dict[str, list[tuple[float, float]]] = {}

    def note(name: str) -> Any:
        def hook(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            low, high = torch.aminmax(args[0])
            seen.setdefault(name, []).append((float(low), float(high)))

        return hook

    handles = [m.register_forward_pre_hook(note(name)) for name, m in convolutions(network).items()]
    try:
        for values in inputs:
            run(values)
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: (statistics.fmean(a for a, _ in pairs), statistics.fmean(b for _, b in pairs))
        for name, pairs in list(seen.items())[1:-1]
    }
