"""nnU-Net plans of a model folder: checked field by field, then resolved and built by nnU-Net itself.

Plans come from strangers, and nnU-Net imports and calls what they name. So everything is checked first, and only names
on a short list reach nnU-Net.
"""

from __future__ import annotations

import math
import pydoc
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from napari_nninteractive.core.box import Index3
from napari_nninteractive.engine.capabilities import read_json
from napari_nninteractive.errors import ModelError

__all__ = ["NetworkPlan", "build_network", "read_plans", "without_memory"]

_UNET = "dynamic_network_architectures.architectures.unet"
# Name in the plans: class that is built, both of nnU-Net's own planners.
_NETWORK_CLASSES = {
    f"{_UNET}.ResidualEncoderUNet": f"{_UNET}.ResidualEncoderUNet",
    f"{_UNET}.PlainConvUNet": f"{_UNET}.PlainConvUNet",
    # What nnU-Net makes of older plans; the module was renamed since.
    "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet": (
        f"{_UNET}.ResidualEncoderUNet"
    ),
}
_LARGEST = 1024  # voxels along a side of a patch; the published model has 192
_MOST_PATCH = 1 << 26  # voxels of a patch; the published model has 7 million
_MOST_STAGES = 16
_MOST_BLOCKS = 64  # per stage; nnU-Net plans 6 at most
_MOST_FEATURES = 8192
_MOST_PARENTS = 32
# Layers that nnU-Net imports by name, and the modules of torch.nn that hold such: others can take all memory.
_LAYERS = {
    "conv_op": ("conv",),
    "norm_op": ("batchnorm", "instancenorm"),
    "dropout_op": ("dropout",),
    "nonlin": ("activation",),
}
_IMPORTABLE = re.compile(r"torch\.nn\.(modules\.\w+\.)?\w+")
# Numbers in `arch_kwargs` that decide how many layers are made, and in plans older than that, with the highest allowed.
_COUNTS = {
    "n_stages": _MOST_STAGES,
    "n_blocks_per_stage": _MOST_BLOCKS,
    "n_conv_per_stage": _MOST_BLOCKS,
    "n_conv_per_stage_decoder": _MOST_BLOCKS,
}
_OLDER_COUNTS = {
    "UNet_base_num_features": _MOST_FEATURES,
    "unet_max_num_features": _MOST_FEATURES,
    "n_conv_per_stage_encoder": _MOST_BLOCKS,
    "n_conv_per_stage_decoder": _MOST_BLOCKS,
}


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """One configuration of a plans.json, checked.

    Attributes
    ----------
    path : Path
        The plans.json.
    architecture : mapping
        As nnU-Net describes a network: `network_class_name`, `arch_kwargs`, `_kw_requires_import`.
    patch_size : tuple of int
        (z, y, x) in voxels that the network sees at once.
    stride : tuple of int
        (z, y, x) voxels that become one at the network's coarsest level; it divides `patch_size`.
    """

    path: Path
    architecture: Mapping[str, Any]
    patch_size: Index3
    stride: Index3


def read_plans(path: Path, configuration: str) -> NetworkPlan:
    """Read one configuration of nnU-Net plans.

    What it inherits, and the style of nnU-Net before 2.4 (`UNet_base_num_features`), are resolved by nnU-Net.

    Parameters
    ----------
    path : Path
        A plans.json.
    configuration : str
        Its name in the plans.

    Returns
    -------
    NetworkPlan
        Checked: nothing in it names more than a known network and layers of torch.

    Raises
    ------
    ModelError
        Naming file and field, if something is missing, unsafe or does not fit.
    """
    resolved = _resolved(path, read_json(path), configuration)
    architecture = _architecture(path, resolved.get("architecture"))
    patch, stride = _patch_size(path, resolved.get("patch_size"), architecture["arch_kwargs"])
    return NetworkPlan(path, architecture, patch, stride)


def build_network(
    architecture: Mapping[str, Any], n_inputs: int, *, initialise: bool
) -> torch.nn.Module:
    """Build a network as nnU-Net does.

    Parameters
    ----------
    architecture : mapping
        As in `NetworkPlan`; layers are imported by their names, so it must be checked or one's own.
    n_inputs : int
        Channels of the input.
    initialise : bool
        Whether weights are drawn as nnU-Net draws them for training.

    Returns
    -------
    torch.nn.Module
        (batch, n_inputs, z, y, x) float32 to (batch, 2, z, y, x) logits.
    """
    # Imported when used: it takes a while, and the rest of the package must not need it.
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    network: torch.nn.Module = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        n_inputs,
        2,
        allow_init=initialise,
        deep_supervision=False,
    )
    return network


def without_memory(plan: NetworkPlan, n_inputs: int) -> torch.nn.Module:
    """Network of a plan, without memory for its weights.

    Parameters
    ----------
    plan : NetworkPlan
        From `read_plans`.
    n_inputs : int
        Channels of the input.

    Returns
    -------
    torch.nn.Module
        On torch's "meta" device.

    Raises
    ------
    ModelError
        If no network can be built from the plan.
    """
    try:
        # On no device: building costs neither time nor memory, and draws no random numbers.
        with torch.device("meta"):
            return build_network(plan.architecture, n_inputs, initialise=False)
    except Exception as error:  # any field of the file can be wrong in any way
        raise ModelError(
            f"{plan.path}, field 'architecture.arch_kwargs': no network can be built from it: {error}."
        ) from error


def _resolved(path: Path, plans: Any, name: str) -> Mapping[str, Any]:
    """Configuration with what it inherits and the architecture in today's style."""
    configurations = plans.get("configurations") if isinstance(plans, dict) else None
    if not isinstance(configurations, dict):
        raise ModelError(f"{path}, field 'configurations': expected an object.")
    chain = _inherited(path, configurations, name)
    if len(chain) == 1 and "architecture" in chain[name]:
        # Nothing to resolve. nnU-Net's plans manager would load readers of all image formats, for half a second.
        return chain[name]
    for field, highest in _OLDER_COUNTS.items():
        for key, configuration in chain.items():
            _check_count(path, f"configurations.{key}.{field}", configuration.get(field), highest)
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    try:
        manager = PlansManager({"configurations": chain}).get_configuration(name)
    except Exception as error:  # any field of the file can be wrong in any way
        raise ModelError(
            f"{path}, field 'configurations.{name}': nnU-Net cannot read it "
            f"({type(error).__name__}: {error}); it needs an 'architecture', or the fields of plans before nnU-Net 2.4."
        ) from error
    resolved: Mapping[str, Any] = manager.configuration
    return resolved


def _inherited(
    path: Path, configurations: Mapping[str, Any], name: str
) -> dict[str, dict[str, Any]]:
    """Configurations that `name` is made of, by name: itself and those that it inherits from."""
    chain: dict[str, dict[str, Any]] = {}
    current: object = name
    while current is not None:
        if (
            not isinstance(current, str)
            or current in chain
            or len(chain) == _MOST_PARENTS
            or not isinstance(configurations.get(current), dict)
        ):
            raise ModelError(
                f"{path}, field 'configurations.{current}': missing, or inherited in a circle."
            )
        chain[current] = dict(configurations[current])
        if chain[current].get("inherits_from") is None:
            chain[current].pop("inherits_from", None)
        current = chain[current].get("inherits_from")
    return chain


def _architecture(path: Path, architecture: Any) -> dict[str, Any]:
    """Checked description of a network, with the name under which its class is found today."""
    if not isinstance(architecture, dict) or not isinstance(architecture.get("arch_kwargs"), dict):
        raise ModelError(f"{path}, field 'architecture': expected an object with 'arch_kwargs'.")
    name = architecture.get("network_class_name")
    if not isinstance(name, str) or name not in _NETWORK_CLASSES:
        supported = " and ".join(sorted(set(_NETWORK_CLASSES.values())))
        raise ModelError(
            f"{path}, field 'architecture.network_class_name': only {supported} are supported, not {name!r}."
        )
    arguments = architecture["arch_kwargs"]
    for field, highest in _COUNTS.items():
        _check_count(path, f"architecture.arch_kwargs.{field}", arguments.get(field), highest)
    imports = architecture.get("_kw_requires_import", [])
    _check_layers(path, arguments, imports)
    return {
        "network_class_name": _NETWORK_CLASSES[name],
        "arch_kwargs": arguments,
        "_kw_requires_import": imports,
    }


def _check_count(path: Path, field: str, value: Any, highest: int) -> None:
    """Refuse numbers that would make a network without end; what else is wrong shows when it is built."""
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) > _MOST_STAGES or any(
        isinstance(n, int | float) and not 0 <= n <= highest for n in numbers
    ):
        raise ModelError(
            f"{path}, field '{field}': expected whole numbers up to {highest}, {_MOST_STAGES} of them at most, "
            f"not {str(value)[:100]}."
        )


def _check_layers(path: Path, arguments: Mapping[str, Any], imports: Any) -> None:
    """Refuse whatever nnU-Net would import that is no layer of torch."""
    if not isinstance(imports, list) or not all(
        isinstance(key, str) and key in arguments for key in imports
    ):
        raise ModelError(
            f"{path}, field 'architecture._kw_requires_import': expected a list of names from 'arch_kwargs', "
            f"not {imports!r}."
        )
    for key in imports:
        value = arguments[key]
        if value is None:
            continue
        named = isinstance(value, str) and _IMPORTABLE.fullmatch(value)
        layer = pydoc.locate(value) if named else None
        # By name alone, functions that change the process would get through.
        if not isinstance(layer, type) or not issubclass(layer, torch.nn.Module):
            raise ModelError(
                f"{path}, field 'architecture.arch_kwargs.{key}': only layers of torch.nn, not {value!r}."
            )
        modules = _LAYERS.get(key, ())
        if layer.__module__ not in [f"torch.nn.modules.{name}" for name in modules]:
            kinds = " or ".join(modules) or "none"
            raise ModelError(
                f"{path}, field 'architecture.arch_kwargs.{key}': only layers of torch.nn of the kind {kinds}, "
                f"not {value!r}."
            )
        options = arguments.get(f"{key}_kwargs") or {}
        # With a device of its own, a layer would take memory while the network is only planned.
        if not isinstance(options, dict) or {"device", "dtype"} & set(options):
            raise ModelError(
                f"{path}, field 'architecture.arch_kwargs.{key}_kwargs': expected an object without device and dtype."
            )


def _patch_size(path: Path, patch: Any, arguments: Mapping[str, Any]) -> tuple[Index3, Index3]:
    """Patch of the plans and the stride of the network, which divides it."""
    if (
        not isinstance(patch, list)
        or len(patch) != 3
        or not all(type(p) is int and 0 < p <= _LARGEST for p in patch)
    ):
        raise ModelError(
            f"{path}, field 'patch_size': expected three whole numbers from 1 to {_LARGEST}, not {patch!r}."
        )
    if math.prod(patch) > _MOST_PATCH:
        raise ModelError(
            f"{path}, field 'patch_size': expected {_MOST_PATCH} voxels at most, not {math.prod(patch)} ({patch!r})."
        )
    strides = arguments.get("strides")
    rows = (
        [[s] * 3 if isinstance(s, int) else s for s in strides] if isinstance(strides, list) else []
    )
    if not rows or not all(
        isinstance(row, list) and len(row) == 3 and all(type(s) is int and s > 0 for s in row)
        for row in rows
    ):
        raise ModelError(
            f"{path}, field 'architecture.arch_kwargs.strides': expected a list of positive whole numbers, one or "
            f"three per stage, not {strides!r}."
        )
    total = [math.prod(along) for along in zip(*rows, strict=True)]
    for axis, (p, t) in enumerate(zip(patch, total, strict=True)):
        if p % t:
            raise ModelError(
                f"{path}, field 'patch_size': {p} voxels along axis {axis} cannot be halved as the network does; it "
                f"must be a multiple of {t}."
            )
    return (patch[0], patch[1], patch[2]), (total[0], total[1], total[2])
