"""The network and its plans: nnU-Net's residual encoder U-Net, described so that the published engine loads it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from napari_nninteractive.engine.plans import build_network

CONFIGURATION = "3d_fullres"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Size of the network.

    Parameters
    ----------
    features : tuple of int
        Channels per resolution, finest first; each further one halves the resolution.
    blocks : tuple of int
        Residual blocks of the encoder per resolution.
    patch : tuple of int
        Voxels (z, y, x) that the model sees, in training and inference alike: trained on 48 and
        used at 64 it takes too much.
    """

    features: tuple[int, ...] = (8, 32, 64, 96, 128)
    blocks: tuple[int, ...] = (1, 2, 2, 3, 2)
    patch: tuple[int, int, int] = (48, 48, 48)


def architecture(config: NetworkConfig) -> dict[str, Any]:
    """Return the architecture part of nnU-Net plans."""
    n = len(config.features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {
            "n_stages": n,
            "features_per_stage": list(config.features),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * n,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (n - 1),
            "n_blocks_per_stage": list(config.blocks),
            "n_conv_per_stage_decoder": [1] * (n - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def build(config: NetworkConfig, n_inputs: int = 8) -> torch.nn.Module:
    """Return an untrained network: (batch, n_inputs, z, y, x) → (batch, 2, z, y, x) logits."""
    return build_network(architecture(config), n_inputs, initialise=True)
