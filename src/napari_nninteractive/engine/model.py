"""Model folders of the published format: plans, weights, capabilities, licence; loaded without running their code."""

from __future__ import annotations

import hashlib
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_nninteractive.core.box import Index3
from napari_nninteractive.engine.capabilities import Capabilities, read_capabilities, read_json
from napari_nninteractive.engine.device import choose_device
from napari_nninteractive.engine.registry import resolve
from napari_nninteractive.errors import ModelError

__all__ = ["Model", "load_model"]

# plans.json names classes to import and call: only these are.
_NETWORK_CLASS = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
_IMPORTABLE = re.compile(r"torch\.nn\.(modules\.\w+\.)?\w+")
# What training programs leave in a checkpoint beside tensors: numpy's own scalars.
_NUMPY_SCALARS: list[Any] = [
    np.dtype,
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    *(type(np.dtype(code)) for code in ("f4", "f8", "i4", "i8", "?")),
]


@dataclass(frozen=True, eq=False)
class Model:
    """A network and all that is needed to use it.

    Attributes
    ----------
    id : str
        What it was loaded as: a folder or a registered name.
    folder : Path
        Where its files are.
    network : torch.nn.Module
        (1, 8, z, y, x) float32 to (1, 2, z, y, x) logits, in evaluation mode on `device`.
    patch_size : tuple of int
        (z, y, x) in voxels that it sees at once.
    licence : str or None
        First line of the file LICENSE, or None where there is none.
    capabilities : Capabilities
        Prompt kinds and their encoding.
    device : torch.device
        Where the network is.
    """

    id: str
    folder: Path
    network: torch.nn.Module
    patch_size: Index3
    licence: str | None
    capabilities: Capabilities
    device: torch.device

    @cached_property
    def sha256(self) -> str:
        """Hash of plans, capabilities and weights: what decides the result."""
        digest = hashlib.sha256()
        for path in sorted([*self.folder.glob("*.json"), _checkpoint(self.folder)]):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def load_model(name: str | Path, device: str | torch.device = "auto") -> Model:
    """Load a model by its registered name, or from a folder.

    No code from the folder is executed: weights are unpickled with torch's restricted loader and an allow list, and the
    plans may name nothing but the published architecture and layers of torch.

    Parameters
    ----------
    name : str or Path
        Folder in the published format, or a registered name: "builtin", or what `napari-nninteractive models list`
        shows; see `registry.resolve`.
    device : str or torch.device
        "auto", "cpu", "cuda", "mps" or what torch knows.

    Returns
    -------
    Model
        Ready to use.

    Raises
    ------
    ModelError
        Naming file and field, if something is missing, unsafe or does not fit.
    SessionError
        If the device is not there.
    """
    folder = resolve(name)
    chosen = choose_device(device)
    capabilities = read_capabilities(folder)
    _check_dataset(folder)
    path = _checkpoint(folder)
    checkpoint = _read_checkpoint(path)
    configuration = _configuration(folder / "plans.json", checkpoint["init_args"]["configuration"])
    network = _build(folder / "plans.json", configuration, capabilities.n_inputs)
    _load_weights(network, checkpoint["network_weights"], path)
    network = network.eval().requires_grad_(False).to(chosen)
    if chosen.type == "cuda":
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    patch = _patch_size(folder / "plans.json", configuration)
    return Model(str(name), folder, network, patch, _licence(folder), capabilities, chosen)


def _licence(folder: Path) -> str | None:
    path = folder / "LICENSE"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[0].strip() if lines else None


def _check_dataset(folder: Path) -> None:
    path = folder / "dataset.json"
    dataset = read_json(path)
    names = dataset.get("channel_names") if isinstance(dataset, dict) else None
    if not isinstance(names, dict) or len(names) != 1:
        raise ModelError(
            f"{path}, field 'channel_names': expected one image channel, not {names!r}."
        )


def _checkpoint(folder: Path) -> Path:
    """Weights of the lowest fold."""
    found = sorted(folder.glob("fold_*/checkpoint_final.pth"))
    if not found:
        raise ModelError(
            f"{folder} holds no fold_0/checkpoint_final.pth: the weights are missing. Fetch the model again."
        )
    return found[0]


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, nothing but tensors, plain containers and numpy scalars."""
    try:
        with torch.serialization.safe_globals(_NUMPY_SCALARS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than weights and was refused: such a file can run any program when it is opened. Use a "
            "model from a source that you trust, saved with nothing but tensors."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(
            f"{path} is damaged or no torch file: {error}. Fetch the model again."
        ) from error
    if not isinstance(checkpoint, dict):
        raise ModelError(f"{path}: expected a dictionary, not {type(checkpoint).__name__}.")
    weights, arguments = checkpoint.get("network_weights"), checkpoint.get("init_args")
    if not isinstance(weights, dict) or not all(
        isinstance(v, torch.Tensor) for v in weights.values()
    ):
        raise ModelError(f"{path}, field 'network_weights': expected a dictionary of tensors.")
    if not isinstance(arguments, dict) or not isinstance(arguments.get("configuration"), str):
        raise ModelError(
            f"{path}, field 'init_args.configuration': expected the name of a configuration."
        )
    return checkpoint


def _configuration(path: Path, name: str) -> dict[str, Any]:
    """Configuration of the plans with what it inherits."""
    plans = read_json(path)
    configurations = plans.get("configurations") if isinstance(plans, dict) else None
    if not isinstance(configurations, dict):
        raise ModelError(f"{path}, field 'configurations': expected an object.")
    merged: dict[str, Any] = {}
    seen: list[str] = []
    current: object = name
    while current is not None:
        if (
            not isinstance(current, str)
            or current in seen
            or not isinstance(configurations.get(current), dict)
        ):
            raise ModelError(
                f"{path}, field 'configurations.{current}': missing, or inherited in a circle."
            )
        seen.append(current)
        merged = {**configurations[current], **merged}
        current = configurations[current].get("inherits_from")
    return merged


def _build(path: Path, configuration: Mapping[str, Any], n_inputs: int) -> torch.nn.Module:
    """Network of a configuration, with random weights."""
    # Imported when used: it takes a while, and the rest of the package must not need it.
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = configuration.get("architecture")
    if not isinstance(architecture, dict) or not isinstance(architecture.get("arch_kwargs"), dict):
        raise ModelError(f"{path}, field 'architecture': expected an object with 'arch_kwargs'.")
    if architecture.get("network_class_name") != _NETWORK_CLASS:
        raise ModelError(
            f"{path}, field 'architecture.network_class_name': only {_NETWORK_CLASS} is supported, "
            f"not {architecture.get('network_class_name')!r}."
        )
    keywords, imports = architecture["arch_kwargs"], architecture.get("_kw_requires_import", [])
    for key in imports:
        value = keywords.get(key)
        if value is not None and not (isinstance(value, str) and _IMPORTABLE.fullmatch(value)):
            raise ModelError(
                f"{path}, field 'architecture.arch_kwargs.{key}': only layers of torch.nn, not {value!r}."
            )
    try:
        network = get_network_from_plans(
            _NETWORK_CLASS,
            dict(keywords),
            list(imports),
            n_inputs,
            2,
            allow_init=False,
            deep_supervision=False,
        )
    except Exception as error:  # any field of the file can be wrong in any way
        raise ModelError(
            f"{path}, field 'architecture.arch_kwargs': no network can be built from it: {error}."
        ) from error
    if not isinstance(network, torch.nn.Module):
        raise ModelError(
            f"{path}, field 'architecture': gives {type(network).__name__}, which is no network."
        )
    return network


def _load_weights(
    network: torch.nn.Module, weights: Mapping[str, torch.Tensor], path: Path
) -> None:
    own = network.state_dict()
    for key, tensor in own.items():
        if key not in weights:
            raise ModelError(
                f"{path}, field 'network_weights': {key} is missing; plans and weights do not belong together."
            )
        if weights[key].shape != tensor.shape:
            raise ModelError(
                f"{path}, field 'network_weights': {key} has shape {tuple(weights[key].shape)}, but the plans and "
                f"capabilities ask for {tuple(tensor.shape)} (the network sees the image and all interaction channels)."
            )
    extra = sorted(set(weights) - set(own))
    if extra:
        raise ModelError(
            f"{path}, field 'network_weights': {extra[0]} has no place in the network of the plans."
        )
    network.load_state_dict(dict(weights))


def _patch_size(path: Path, configuration: Mapping[str, Any]) -> Index3:
    patch = configuration.get("patch_size")
    if (
        not isinstance(patch, list)
        or len(patch) != 3
        or not all(type(p) is int and p > 0 for p in patch)
    ):
        raise ModelError(
            f"{path}, field 'patch_size': expected three positive whole numbers, not {patch!r}."
        )
    strides = configuration["architecture"]["arch_kwargs"]["strides"]
    for axis, p in enumerate(patch):
        total = math.prod(s if isinstance(s, int) else s[axis] for s in strides)
        if p % total:
            raise ModelError(
                f"{path}, field 'patch_size': {p} voxels along axis {axis} cannot be halved as the network does; it "
                f"must be a multiple of {total}."
            )
    return patch[0], patch[1], patch[2]
