"""Model folders of the published format: plans, weights, capabilities, licence; loaded without running their code."""

from __future__ import annotations

import hashlib
import math
import pickle
import zipfile
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
from napari_nninteractive.engine.foreign import ENOUGH, what_else
from napari_nninteractive.engine.plans import NetworkPlan, read_plans, without_memory
from napari_nninteractive.engine.registry import resolve
from napari_nninteractive.errors import ModelError
from napari_nninteractive.limits import available_memory, what_is_there

__all__ = ["Model", "load_model"]

_ZIP = b"PK\x03\x04"
_LICENCE_BYTES = 1 << 16

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
    stride : tuple of int
        (z, y, x) voxels that become one at the network's coarsest level: it takes multiples of this.
    configuration : str
        Which one of those in its plans it is.
    """

    id: str
    folder: Path
    network: torch.nn.Module
    patch_size: Index3
    licence: str | None
    capabilities: Capabilities
    device: torch.device
    stride: Index3 = (1, 1, 1)
    configuration: str = ""

    @cached_property
    def sha256(self) -> str:
        """Hash of plans, capabilities and weights: what decides the result."""
        digest = hashlib.sha256()
        described = [path for path in self.folder.glob("*.json") if path.is_file()]
        for path in sorted([*described, _checkpoint(self.folder)]):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def load_model(name: str | Path, device: str | torch.device = "auto") -> Model:
    """Load a model by its registered name, or from a folder.

    No code from the folder is executed: weights are unpickled with torch's restricted loader and an allow list, and the
    plans may name nothing but the networks of nnU-Net's planners and layers of torch.

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
    _check_dataset(folder, capabilities.n_inputs)
    path = _checkpoint(folder)
    checkpoint = _read_checkpoint(path)
    plan = read_plans(folder / "plans.json", checkpoint["init_args"]["configuration"])
    _check_memory(plan, capabilities.n_inputs)
    network = without_memory(plan, capabilities.n_inputs)
    network = _with_weights(network, checkpoint["network_weights"], path)
    network = network.eval().requires_grad_(False)
    _try_layers(plan.path, network)
    network = network.to(chosen)
    if chosen.type == "cuda":
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return Model(
        str(name),
        folder,
        network,
        plan.patch_size,
        _licence(folder),
        capabilities,
        chosen,
        plan.stride,
        checkpoint["init_args"]["configuration"],
    )


def _licence(folder: Path) -> str | None:
    path = folder / "LICENSE"
    if not path.is_file():
        return None
    with path.open("rb") as file:
        lines = file.read(_LICENCE_BYTES).decode("utf-8", errors="replace").strip().splitlines()
    return lines[0].strip() if lines else None


def _check_dataset(folder: Path, n_inputs: int) -> None:
    """One image channel; prompts are further ones, which training adds or the file lists as well."""
    path = folder / "dataset.json"
    dataset = read_json(path)
    names = (
        dataset.get("channel_names", dataset.get("modality")) if isinstance(dataset, dict) else None
    )
    if not isinstance(names, dict) or len(names) not in (1, n_inputs):
        raise ModelError(
            f"{path}, field 'channel_names': expected one image channel, or all {n_inputs} of the network with "
            f"those of the prompts, not {names!r}."
        )


def _checkpoint(folder: Path) -> Path:
    """Weights of the lowest fold."""
    found = sorted(folder.glob("fold_*/checkpoint_final.pth"))
    if not found:
        raise ModelError(
            f"{folder} holds no fold_0/checkpoint_final.pth: the weights are missing. Fetch the model again."
        )
    return found[0]


def _check_memory(plan: NetworkPlan, n_inputs: int) -> None:
    """Refuse a patch whose input alone does not fit in memory."""
    have, need = available_memory(), 4 * n_inputs * math.prod(plan.patch_size)
    if have is not None and need > have:
        raise ModelError(
            f"{plan.path}, field 'patch_size': the input of {plan.patch_size} voxels takes {need / 1e9:.3g} GB, and "
            f"{have / 1e9:.3g} GB of memory are free: close other programs, or use a smaller model."
        )


def _check_checkpoint(path: Path) -> None:
    """Refuse what is no file of weights, and what unpacks to more than it is, before it is read."""
    if what_is_there(path):
        raise ModelError(f"{path} is {what_is_there(path)}, not a file. Fetch the model again.")
    with path.open("rb") as file:
        start = file.read(ENOUGH)
    if what_else(start):
        raise ModelError(f"{path} is {what_else(start)}.")
    if not start.startswith(_ZIP):
        return  # the older format, which is not packed
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # which torch then says
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise ModelError(
            f"{path} is compressed, as torch never saves weights, and was refused: it unpacks to far more than it is. "
            "Use a model from a source that you trust."
        )


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, nothing but tensors, plain containers and numpy scalars."""
    try:
        _check_checkpoint(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        with torch.serialization.safe_globals(_NUMPY_SCALARS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than weights and was refused: such a file can run any program when it is opened. Use a "
            "model from a source that you trust, saved with nothing but tensors."
        ) from error
    except Exception as error:  # damaged bytes can fail anywhere in the unpickler
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


def _try_layers(path: Path, network: torch.nn.Module) -> None:
    """Run all layers but convolutions, whose arguments the weights confirm: errors in theirs show only then."""
    layers = [m for m in network.modules() if next(m.children(), None) is None]
    for layer in layers:
        if type(layer).__name__.startswith("Conv"):
            continue
        try:
            channels = getattr(layer, "num_features", 1)
            layer(torch.zeros((1, channels, 2, 2, 2), dtype=torch.float32))
        except Exception as error:  # any field of the file can be wrong in any way
            raise ModelError(
                f"{path}, field 'architecture.arch_kwargs': {type(layer).__name__} does not work with its arguments: "
                f"{error}."
            ) from error


def _with_weights(
    network: torch.nn.Module, weights: Mapping[str, torch.Tensor], path: Path
) -> torch.nn.Module:
    """Network in memory, in single precision, with exactly these weights."""
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
    extra = sorted(set(weights) - set(own), key=str)
    if extra:
        raise ModelError(
            f"{path}, field 'network_weights': {extra[0]} has no place in the network of the plans."
        )
    # Those of the encoder are in the file under several names, and once in memory.
    n_weights = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
    if n_weights > path.stat().st_size:
        # Views can make few numbers look like many.
        raise ModelError(
            f"{path}, field 'network_weights': the plans ask for {n_weights} numbers, more than the file can hold."
        )
    network = network.float().to_empty(device="cpu")
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:  # sparse, quantised
        raise ModelError(f"{path}, field 'network_weights': {error}.") from error
    return network
