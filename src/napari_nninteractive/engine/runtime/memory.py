"""What was measured, remembered for each network and machine in small files of the cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from napari_nninteractive.engine.registry import cache_folder
from napari_nninteractive.engine.runtime.execution import Execution
from napari_nninteractive.engine.runtime.graph import Ranges
from napari_nninteractive.files import atomic_write

__all__ = ["Memory", "machine", "weights_key"]

log = logging.getLogger(__name__)

_VERSION = 1
_LARGEST_FILE = 1 << 20
_LONGEST = 3600.0  # seconds of one pass


class Memory:
    """Files in one folder; what cannot be read is as if it was not there, and what cannot be written is not kept.

    Parameters
    ----------
    folder : Path, optional
        Made when something is written; by default beside the downloaded models.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = cache_folder().parent / "runtime" if folder is None else folder

    def times(self, network: torch.nn.Module, asked: str) -> dict[Execution, float]:
        """Measured seconds of one pass by way; empty where nothing is remembered.

        Parameters
        ----------
        network : torch.nn.Module
            What was measured: its layers count, not their weights.
        asked : str
            For which choice it was measured.
        """
        content = self._read(self._speed_file(network, asked))
        if content is None:
            return {}
        try:
            rows = content["times"]
            if not isinstance(rows, list):
                raise ValueError("times is no list")
            return {Execution.from_json(row): _seconds(row.get("seconds")) for row in rows}
        except (KeyError, ValueError) as error:
            log.warning("What was measured on this machine is measured again: %s", error)
            return {}

    def keep_times(
        self, network: torch.nn.Module, asked: str, times: Mapping[Execution, float]
    ) -> None:
        """Remember what was measured."""
        rows = [{**asdict(way), "seconds": seconds} for way, seconds in times.items()]
        self._write(self._speed_file(network, asked), {"times": rows, "machine": machine()})

    def forget_times(self, network: torch.nn.Module, asked: str) -> None:
        """Have it measured again the next time."""
        try:
            self._speed_file(network, asked).unlink(missing_ok=True)
        except OSError as error:
            log.info("What was measured cannot be removed: %s", error)

    def ranges(self, network: torch.nn.Module) -> Ranges | None:
        """Least and largest value that enters each convolution; None where it is not remembered."""
        content = self._read(self._ranges_file(network))
        if content is None:
            return None
        found = content.get("ranges")
        try:
            if not isinstance(found, dict) or not found:
                raise ValueError("ranges is no object")
            return {str(name): _range(pair) for name, pair in found.items()}
        except ValueError as error:
            log.warning("The ranges for int8 are measured again: %s", error)
            return None

    def keep_ranges(self, network: torch.nn.Module, ranges: Ranges) -> None:
        """Remember what enters each convolution of a network with just these weights."""
        self._write(self._ranges_file(network), {"ranges": dict(ranges)})

    def _speed_file(self, network: torch.nn.Module, asked: str) -> Path:
        return self._folder / f"speed-{_digest(asked, machine(), _layers(network))}.json"

    def _ranges_file(self, network: torch.nn.Module) -> Path:
        return self._folder / f"int8-{weights_key(network)}.json"

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise ValueError("it is too large")
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict) or content.get("version") != _VERSION:
                raise ValueError("it is of another version")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s is not used: %s", path, error)
            return None
        return content

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as beside:
                text = json.dumps({"version": _VERSION, **content}, indent=1)
                beside.write_text(text, encoding="utf-8")
        except OSError as error:
            log.info("%s is not kept: %s", path, error)


@cache
def machine() -> str:
    """What the speed of this machine depends on: its processor, the cores that we may use, the runtimes' versions."""
    parts = [platform.system(), platform.machine(), _processor(), f"torch {torch.__version__}"]
    parts += [f"{_cores()} cores", f"openvino {_version('openvino')}"]
    return ", ".join(parts)


def weights_key(network: torch.nn.Module) -> str:
    """Hash of a network's layers and weights."""
    digest = hashlib.sha256(_layers(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _layers(network: torch.nn.Module) -> str:
    shapes = [tuple(tensor.shape) for tensor in network.state_dict().values()]
    return f"{network} {shapes}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 < value <= _LONGEST:
        raise ValueError(f"seconds is {value!r}")
    return float(value)


def _range(value: Any) -> tuple[float, float]:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(isinstance(v, int | float) and math.isfinite(v) for v in value)
        or not value[0] <= value[1]
    ):
        raise ValueError(f"a range is {value!r}")
    return float(value[0]), float(value[1])
