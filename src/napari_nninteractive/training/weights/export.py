"""Write a trained network as a model folder in the published format, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from napari_nninteractive.core.box import Index3
from napari_nninteractive.core.rasterize import PromptEncoding
from napari_nninteractive.engine.capabilities import read_json
from napari_nninteractive.engine.model import Model
from napari_nninteractive.errors import ModelError
from napari_nninteractive.files import atomic_folder
from napari_nninteractive.training.network import CONFIGURATION, NetworkConfig, architecture

__all__ = ["export_like", "export_model"]

_PLANS = "nnUNetResEncUNetLPlans"
_TRAINER = "nnInteractiveTrainer_stub"
_DATASET = "Dataset001_Objects"


def export_model(
    network: torch.nn.Module,
    folder: Path,
    *,
    config: NetworkConfig,
    encoding: PromptEncoding,
    name: str = "",
    licence: str = "",
    version: str = "1",
) -> Path:
    """Write a model folder that this engine and the published one load.

    Parameters
    ----------
    network : torch.nn.Module
        As built by `network.build(config)`; not changed.
    folder : Path
        Made if absent; files of an earlier export are replaced together, once all new ones are written.
    config : NetworkConfig
        Size of the network and of its patch.
    encoding : PromptEncoding
        How it was trained to be prompted.
    name : str
        What it is called; by default as its folder.
    licence : str
        Its licence, as a short identifier such as BSD-3-Clause; none is stated by default: that is the owner's to do.
    version : str
        Version of the weights, for people.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If the weights are not finite or cannot be stored in half precision.
    """
    weights = _half_precision(network)
    described = {"name": name or folder.resolve().name, "version": version}
    with atomic_folder(folder) as new:
        _write_json(new / "plans.json", plans(config))
        _write_json(new / "dataset.json", _DATASET_JSON)
        if licence:
            described["license"] = licence
            (new / "LICENSE").write_text(f"{licence}\n", encoding="utf-8")
        _write_json(new / "inference_info.json", _capabilities(encoding) | described)
        _write_weights(new, weights, CONFIGURATION)
    return folder


def export_like(
    network: torch.nn.Module, folder: Path, *, source: Model, patch: Index3, version: str = "1"
) -> Path:
    """Write a model folder for weights that were trained from those of another one.

    Plans, capabilities and licence are those of the other folder: what was trained from it is under its licence.

    Parameters
    ----------
    network : torch.nn.Module
        As the plans describe it; not changed.
    folder : Path
        Made if absent; files of an earlier export are replaced together, once all new ones are written.
    source : Model
        The model that it was trained from; its folder is not `folder`.
    patch : tuple of int
        Voxels (z, y, x) that it was trained on.
    version : str
        Version of the weights, for people.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If the weights are not finite or cannot be stored in half precision, or a file of `source` is damaged.
    """
    origin, configuration = source.folder, source.configuration
    if folder.resolve() == origin.resolve():
        raise ModelError(f"{folder} is the model that was trained on: choose another folder.")
    weights = _half_precision(network)
    described = read_json(origin / "plans.json")
    described["configurations"][configuration]["patch_size"] = list(patch)
    with atomic_folder(folder) as new:
        for path in sorted([*origin.glob("*.json"), *origin.glob("LICENSE*")]):
            shutil.copyfile(path, new / path.name)
        _write_json(new / "plans.json", described)
        capabilities = new / "inference_info.json"
        if capabilities.is_file():
            info = read_json(capabilities)
            name = f"trained from {info.get('name', origin.name)}"
            _write_json(capabilities, info | {"name": name, "version": version})
        _write_weights(new, weights, configuration)
    return folder


def _half_precision(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights in fp16; entries that share a tensor keep sharing it, so that the file holds it once."""
    cast: dict[int, torch.Tensor] = {}
    weights = {}
    for name, value in network.state_dict(keep_vars=True).items():
        if id(value) not in cast:
            half = value.detach().to("cpu", torch.float16).contiguous()
            if not torch.isfinite(half).all():
                raise ModelError(
                    f"The weights {name} are not finite in half precision: the training went wrong."
                )
            cast[id(value)] = half
        weights[name] = cast[id(value)]
    return weights


_DATASET_JSON = {
    "channel_names": {"0": "image"},
    "labels": {"background": 0, "object": 1},
    "numTraining": 1,
    "file_ending": ".nii.gz",
}


def _capabilities(encoding: PromptEncoding) -> dict[str, Any]:
    def pair(kind: str) -> Sequence[int]:
        return list(encoding.channels[kind])

    return {
        "inference_class": "nnInteractiveInferenceSession",
        "point_radius": encoding.point_radius,
        "preferred_scribble_thickness": [2, 2, 2],
        "interaction_decay": encoding.decay,
        "pad_mode_image": "constant",
        "supported_interactions": {
            "points": True,
            "bbox2d": True,
            "bbox3d": False,
            "scribble": True,
            "lasso": True,
        },
        "interaction_channels": encoding.n_channels - 1,
        "channel_mapping": {
            "prev_seg": 0,
            "bbox2d": pair("bbox2d"),
            "bbox3d": pair("bbox3d"),
            "lasso": pair("lasso"),
            "points": pair("point"),
            "scribble": pair("scribble"),
        },
    }


def plans(config: NetworkConfig) -> dict[str, Any]:
    """Minimal nnU-Net plans with one configuration."""
    resampling = {"order": 3, "order_z": 0, "force_separate_z": None}
    function = "resample_data_or_seg_to_shape"
    return {
        "dataset_name": _DATASET,
        "plans_name": _PLANS,
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [64, 96, 96],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "nnUNetPlannerResEncL",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"max": 1.0, "mean": 0.0, "median": 0.0, "min": -1.0}
            | {"percentile_00_5": -1.0, "percentile_99_5": 1.0, "std": 1.0}
        },
        "configurations": {
            CONFIGURATION: {
                "data_identifier": f"{_PLANS}_{CONFIGURATION}",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(config.patch),
                "median_image_size_in_voxels": [64.0, 96.0, 96.0],
                "spacing": [1.0, 1.0, 1.0],
                "normalization_schemes": ["ZScoreNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": function,
                "resampling_fn_seg": function,
                "resampling_fn_probabilities": function,
                "resampling_fn_data_kwargs": {"is_seg": False, **resampling},
                "resampling_fn_seg_kwargs": {"is_seg": True, **resampling, "order": 1},
                "resampling_fn_probabilities_kwargs": {"is_seg": False, **resampling, "order": 1},
                "batch_dice": True,
                "architecture": architecture(config),
            }
        },
    }


def _write_weights(folder: Path, weights: dict[str, torch.Tensor], configuration: str) -> None:
    checkpoint = {
        "trainer_name": _TRAINER,
        "init_args": {"configuration": configuration},
        "network_weights": weights,
    }
    (folder / "fold_0").mkdir()
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
