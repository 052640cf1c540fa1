"""What a run starts from: random weights, a model folder, or the checkpoint of another run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.rasterize import PromptEncoding
from napari_nninteractive.engine.model import Model, load_model
from napari_nninteractive.errors import ModelError
from napari_nninteractive.training.config import TrainConfig
from napari_nninteractive.training.data.dataset import ENCODING
from napari_nninteractive.training.network import NetworkConfig, build
from napari_nninteractive.training.weights.checkpoint import config_of, read_checkpoint

__all__ = ["Origin", "load_weights", "origin_of", "patch_of"]


_FEWEST = 3
"""Voxels along each axis that must be left at the coarsest level."""


@dataclass(frozen=True, eq=False)
class Origin:
    """A network to train, and what is known of it.

    Attributes
    ----------
    network
        (batch, channels, z, y, x) float32 to logits (batch, 2, z, y, x), on the CPU.
    patch
        Voxels (z, y, x) that it is trained on.
    encoding
        How it is prompted.
    config
        Size of a network of this project's own; its patch is the one above.
    model
        The model whose plans describe it, where it did not start from random weights.
    """

    network: torch.nn.Module
    patch: Index3
    encoding: PromptEncoding
    config: NetworkConfig
    model: Model | None = None


def origin_of(config: TrainConfig) -> Origin:
    """Return what a run starts from; random weights come from torch's global generator.

    Parameters
    ----------
    config : TrainConfig
        Its `origin`, `patch` and `network` count.

    Raises
    ------
    ModelError
        If there is no such model, it is damaged, or the patch does not fit the network.
    """
    if config.origin is None:
        sizes = replace(config.network, patch=config.patch or config.network.patch)
        _check_patch(sizes.patch, _stride(sizes))
        return Origin(build(sizes), sizes.patch, ENCODING, sizes)
    if config.origin.endswith(".pt"):
        state = read_checkpoint(Path(config.origin))
        earlier = config_of(state)
        start = origin_of(replace(earlier, patch=config.patch or earlier.patch))
        load_weights(start.network, state["averaged"], config.origin)
        return start
    model = load_model(config.origin, device="cpu")
    patch = config.patch or model.patch_size
    _check_patch(patch, model.stride)
    network = model.network.train().requires_grad_(True)
    sizes = replace(config.network, patch=patch)
    return Origin(network, patch, model.capabilities.encoding, sizes, model)


def patch_of(config: TrainConfig) -> Index3:
    """Return the voxels (z, y, x) that a run is trained on.

    Raises
    ------
    ModelError
        As :func:`origin_of`, where that has to be asked.
    """
    if config.patch is not None:
        return config.patch
    return config.network.patch if config.origin is None else origin_of(config).patch


def load_weights(
    network: torch.nn.Module, weights: Mapping[str, torch.Tensor], name: str | Path
) -> None:
    """Copy weights into a network.

    Raises
    ------
    ModelError
        If they are not exactly those of the network; nothing was copied then.
    """
    parameters = dict(network.named_parameters())
    if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in parameters.items()}:
        raise ModelError(
            f"The weights in {name} do not fit the network that it names: was the model that it started from replaced "
            "by another one?"
        )
    with torch.no_grad():
        for key, value in weights.items():
            parameters[key].copy_(value)


def _stride(config: NetworkConfig) -> Index3:
    n = int(2 ** (len(config.features) - 1))
    return n, n, n


def _check_patch(patch: Index3, stride: Index3) -> None:
    # With two voxels a side at the coarsest level, instance norm divides by nearly nothing: see docs/training-log.md.
    if any(p % s or p < _FEWEST * s for p, s in zip(patch, stride, strict=True)):
        raise ModelError(
            f"A patch of {' × '.join(map(str, patch))} voxels does not fit this network: along each axis it must be a "
            f"multiple of {' × '.join(map(str, stride))}, and at least {_FEWEST} times that."
        )
