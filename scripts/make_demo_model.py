"""Make a model folder in the published format whose network floods bright voxels from a click.

    python scripts/make_demo_model.py OUT/model

Nothing is trained: the weights of a residual encoder U-Net are set by hand, so that its residual blocks smooth the
image, compare it with a threshold, cut thin bridges, and spread from the prompts through what is bright, one voxel per
block. It shows the way from a click to a mask; for real work use a real model. An earlier folder is replaced.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

FLOOD = 28  # blocks that spread: the farthest voxel from a click that is found in one look
FEATURES = 8
THRESHOLD = 0.6  # of the smoothed image, in standard deviations above its mean
SURE = 10.0  # how much a prompt counts, which may be faint far from its middle
NEVER = 63.0  # more than the 27 voxels around can outweigh; bf16 knows it and 1 more exactly

# Input channels: image, previous segmentation, box and lasso + -, point + -, scribble + -.
POSITIVE, NEGATIVE = [1, 2, 4, 6], [3, 5, 7]
# Feature channels; the first holds darkness until the first block.
BRIGHT, AVOID, CORE, REACHED, DONE = range(5)


def architecture() -> dict[str, Any]:
    """Return plans of a network without normalisation: its weights are its program."""
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {
            "n_stages": 2,
            "features_per_stage": [FEATURES, 1],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3], [1, 1, 1]],
            "strides": [[1, 1, 1], [2, 2, 2]],
            "n_blocks_per_stage": [FLOOD + 4, 1],
            "n_conv_per_stage_decoder": [1],
            "conv_bias": True,
            "norm_op": None,
            "norm_op_kwargs": None,
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.ReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def spread(block: Any, source: int, within: int, target: int) -> None:
    """Set `target` to 1 where `within` is 1 and `source` is above 0 at the voxel or a neighbour, else to 0.

    A residual block computes relu(second(relu(first(x))) + x); "at least 1" is 1 - relu(1 - v), which is exact in any
    precision where `source` is 0 or 1.
    """
    first, second = block.conv1.conv, block.conv2.conv
    first.weight[0, source] = -1.0
    first.weight[0, within, 1, 1, 1] -= NEVER
    first.bias[0] = 1 + NEVER
    first.weight[1, target, 1, 1, 1] = 1.0
    second.weight[target, :2, 1, 1, 1] = -1.0
    second.bias[target] = 1.0


def program(network: Any) -> None:
    """Set all weights."""
    for parameter in network.parameters():
        parameter.zero_()
    stem, blocks = network.encoder.stem.convs[0].conv, network.encoder.stages[0].blocks
    stem.weight[BRIGHT, 0] = -8 / 27
    stem.bias[BRIGHT] = 1 + 8 * THRESHOLD
    stem.weight[REACHED, POSITIVE, 1, 1, 1] = SURE
    stem.weight[AVOID, NEGATIVE, 1, 1, 1] = SURE

    # Bright is 1 - darkness, and nothing where the user said no.
    first, second = blocks[0].conv1.conv, blocks[0].conv2.conv
    first.weight[0, BRIGHT, 1, 1, 1] = first.weight[1, AVOID, 1, 1, 1] = 1.0
    second.weight[BRIGHT, :2, 1, 1, 1] = torch.tensor([-2.0, -NEVER])
    second.bias[BRIGHT] = 1.0

    for block in blocks[:2]:  # reached is 0 or 1: the first cut rounds, the second is exact
        block.conv1.conv.weight[2, REACHED, 1, 1, 1], block.conv1.conv.bias[2] = -1.0, 1.0
        block.conv1.conv.weight[3, REACHED, 1, 1, 1] = 1.0
        block.conv2.conv.weight[REACHED, 2:4, 1, 1, 1] = -1.0
        block.conv2.conv.bias[REACHED] = 1.0

    # Core: at least 25 of the 27 voxels around are bright.
    first, second = blocks[1].conv1.conv, blocks[1].conv2.conv
    first.weight[0, BRIGHT], first.bias[0] = -1.0, 25.0
    second.weight[CORE, 0, 1, 1, 1], second.bias[CORE] = -1.0, 1.0

    for block in blocks[2 : 2 + FLOOD]:
        spread(block, REACHED, CORE, REACHED)
    # From the core back to the rim, twice.
    spread(blocks[2 + FLOOD], REACHED, BRIGHT, DONE)
    spread(blocks[3 + FLOOD], DONE, BRIGHT, DONE)

    decoder = network.decoder.stages[0].convs[0].conv
    decoder.weight[0, FEATURES + DONE, 1, 1, 1] = 1.0  # behind what comes up from the coarser stage
    network.decoder.seg_layers[-1].weight[1, 0] = 20.0
    network.decoder.seg_layers[-1].bias[0] = 10.0


def write(folder: Path) -> None:
    """Write the folder."""
    plan = architecture()
    network = get_network_from_plans(
        plan["network_class_name"],
        plan["arch_kwargs"],
        plan["_kw_requires_import"],
        8,
        2,
        allow_init=False,
        deep_supervision=False,
    )
    with torch.no_grad():
        program(network)
    name = "3d_fullres"
    (folder / "fold_0").mkdir(parents=True, exist_ok=True)
    files = {
        "plans.json": {
            "configurations": {name: {"patch_size": [64, 64, 64], "architecture": plan}}
        },
        "dataset.json": {"channel_names": {"0": "image"}, "labels": {"background": 0, "object": 1}},
        "inference_info.json": {"inference_class": "nnInteractiveInferenceSession"},
    }
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=1), encoding="utf-8")
    (folder / "LICENSE").write_text("BSD-3-Clause\n", encoding="utf-8")
    checkpoint = {
        "trainer_name": "by hand",
        "init_args": {"configuration": name},
        "network_weights": network.state_dict(),
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


def main() -> None:
    """Write the folder that is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="folder to make")
    folder = parser.parse_args().out
    write(folder)
    print(
        f"wrote {folder}: weights set by hand, which flood bright voxels from a click",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
