"""The loss: soft Dice plus cross entropy, at several resolutions where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

__all__ = ["margin_loss", "supervise", "supervised_loss"]


def margin_loss(margin: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean over samples of soft Dice loss plus cross entropy.

    Parameters
    ----------
    margin
        Foreground logit minus background logit, (batch, z, y, x).
    target
        0 or 1, same shape.
    """
    entropy = (
        functional.binary_cross_entropy_with_logits(margin, target, reduction="none")
        .flatten(1)
        .mean(1)
    )
    probability = torch.sigmoid(margin)
    common = (probability * target).flatten(1).sum(1)
    total = probability.flatten(1).sum(1) + target.flatten(1).sum(1)
    return (entropy + 1.0 - (2.0 * common + 10.0) / (total + 10.0)).mean()


def supervised_loss(
    outputs: torch.Tensor | Sequence[torch.Tensor], target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of a network's answer, and its margin at full resolution.

    Parameters
    ----------
    outputs
        Logits (batch, 2, z, y, x); or those of every resolution, finest first (deep supervision). Each resolution then
        counts half as much as the one before and the coarsest not at all, as in nnU-Net (Isensee et al. 2021); the
        target is taken there at the nearest voxel.
    target
        0 or 1, float (batch, z, y, x).

    Returns
    -------
    tuple of torch.Tensor
        The loss, and the margin (batch, z, y, x) float32 of foreground over background.
    """
    levels = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    used = levels[:-1] or levels
    margins = [(level[:, 1] - level[:, 0]).float() for level in used]
    weights = [0.5**i for i in range(len(used))]
    losses = []
    for margin in margins:
        truth = target
        if margin.shape != target.shape:
            truth = functional.interpolate(target[:, None], margin.shape[1:])[:, 0]
        losses.append(margin_loss(margin, truth))
    total = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    return torch.as_tensor(total), margins[0]


def supervise(network: torch.nn.Module, deep: bool) -> None:
    """Let a U-Net of nnU-Net answer at every resolution, or at the finest alone.

    Its weights are the same in both cases: the layers that answer at coarser resolutions are always there. Those that
    get no gradient are frozen, so that processes which train together need not look for them.

    Parameters
    ----------
    network
        A `ResidualEncoderUNet`; changed in place.
    deep
        Answer at every resolution.
    """
    decoder: Any = network.decoder
    decoder.deep_supervision = deep
    layers = list(decoder.seg_layers)
    first_used = min(1, len(layers) - 1) if deep else len(layers) - 1
    for number, layer in enumerate(layers):
        layer.requires_grad_(number >= first_used)
