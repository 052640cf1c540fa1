"""A way to run a network: runtime, precision, layout and threads, as one value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from napari_nninteractive.errors import SessionError

__all__ = [
    "RUNTIME_VARIABLE",
    "Execution",
    "FixedPrecision",
    "Layout",
    "Precision",
    "Runtime",
    "cpu_has_bf16",
    "runtime_asked_for",
]

FixedPrecision = Literal["fp32", "bf16", "fp16", "int8"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Runtime = Literal["torch", "openvino"]
Layout = Literal["default", "channels_last"]

# "auto" (the default) measures; "torch" and "openvino" measure within one runtime; "plain" measures nothing.
RUNTIME_VARIABLE = "NAPARI_NNINTERACTIVE_RUNTIME"
_ASKED = ("auto", "plain", "torch", "openvino")
_MOST_THREADS = 4096
_TITLES = {"torch": "PyTorch", "openvino": "OpenVINO"}


@dataclass(frozen=True, slots=True)
class Execution:
    """How a network runs.

    Attributes
    ----------
    runtime : {"torch", "openvino"}
        What multiplies.
    precision : {"fp32", "bf16", "fp16", "int8"}
        In which numbers.
    layout : {"default", "channels_last"}
        Order of the voxels in memory; OpenVINO chooses its own, which is called "default".
    threads : int
        Of the CPU, at least 1.
    """

    runtime: Runtime = "torch"
    precision: FixedPrecision = "fp32"
    layout: Layout = "default"
    threads: int = 1

    def __str__(self) -> str:
        """One line for people, such as "OpenVINO, fp32, 2 threads"."""
        parts = [_TITLES[self.runtime], self.precision]
        if self.layout != "default":
            parts.append("channels last")
        parts.append(f"{self.threads} thread{'' if self.threads == 1 else 's'}")
        return ", ".join(parts)

    @classmethod
    def plain(cls, precision: FixedPrecision = "fp32") -> Execution:
        """Torch as it is: default layout and as many threads as it has now."""
        return cls("torch", precision, "default", torch.get_num_threads())

    @classmethod
    def from_json(cls, content: Any) -> Execution:
        """Execution of a JSON object with the attributes as keys.

        Raises
        ------
        ValueError
            If a key is missing or its value makes no sense.
        """
        if not isinstance(content, dict):
            raise ValueError(f"expected an object, not {content!r}")
        known = {
            "runtime": get_args(Runtime),
            "precision": get_args(FixedPrecision),
            "layout": get_args(Layout),
        }
        for key, values in known.items():
            if content.get(key) not in values:
                raise ValueError(f"{key} is {content.get(key)!r}")
        threads = content.get("threads")
        if type(threads) is not int or not 1 <= threads <= _MOST_THREADS:
            raise ValueError(f"threads is {threads!r}")
        return cls(content["runtime"], content["precision"], content["layout"], threads)


def runtime_asked_for() -> Literal["auto", "plain", "torch", "openvino"]:
    """What the variable NAPARI_NNINTERACTIVE_RUNTIME asks for; "auto" where it is not set.

    Raises
    ------
    SessionError
        If it is something else.
    """
    asked = os.environ.get(RUNTIME_VARIABLE) or "auto"
    if asked not in _ASKED:
        raise SessionError(
            f"The variable {RUNTIME_VARIABLE} is {asked!r}: use {', '.join(map(repr, _ASKED[:-1]))} or {_ASKED[-1]!r}."
        )
    return asked  # type: ignore[return-value]  # checked above


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware; elsewhere bf16 is emulated and slower than fp32."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
