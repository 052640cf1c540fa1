"""Interactive 3D segmentation: prompts in, whole objects out.

Importing the package loads neither torch nor Qt; each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_LAZY = {
    "Box": "core.box",
    "BoxPrompt": "core.prompts",
    "InitialMask": "core.prompts",
    "Lasso": "core.prompts",
    "MaskEdit": "core.prompts",
    "Point": "core.prompts",
    "Scribble": "core.prompts",
    "Cancelled": "errors",
    "ImageError": "errors",
    "ModelError": "errors",
    "NNInteractiveError": "errors",
    "PromptError": "errors",
    "DeviceMemoryError": "errors",
    "SessionError": "errors",
    "CancelToken": "engine.results",
    "EngineConfig": "engine.config",
    "Example": "learning.examples",
    "InferenceSession": "engine.session",
    "Learned": "learning.learn",
    "Model": "engine.model",
    "Prediction": "engine.results",
    "Progress": "engine.results",
    "estimate": "engine.estimate",
    "learn": "learning.learn",
    "load_model": "engine.model",
}

__all__ = [
    "Box",
    "BoxPrompt",
    "CancelToken",
    "Cancelled",
    "DeviceMemoryError",
    "EngineConfig",
    "Example",
    "ImageError",
    "InferenceSession",
    "InitialMask",
    "Lasso",
    "Learned",
    "MaskEdit",
    "Model",
    "ModelError",
    "NNInteractiveError",
    "Point",
    "Prediction",
    "Progress",
    "PromptError",
    "Scribble",
    "SessionError",
    "__version__",
    "estimate",
    "learn",
    "load_model",
]

if TYPE_CHECKING:
    from napari_nninteractive.core.box import Box
    from napari_nninteractive.core.prompts import (
        BoxPrompt,
        InitialMask,
        Lasso,
        MaskEdit,
        Point,
        Scribble,
    )
    from napari_nninteractive.engine.config import EngineConfig
    from napari_nninteractive.engine.estimate import estimate
    from napari_nninteractive.engine.model import Model, load_model
    from napari_nninteractive.engine.results import CancelToken, Prediction, Progress
    from napari_nninteractive.engine.session import InferenceSession
    from napari_nninteractive.errors import (
        Cancelled,
        DeviceMemoryError,
        ImageError,
        ModelError,
        NNInteractiveError,
        PromptError,
        SessionError,
    )
    from napari_nninteractive.learning.examples import Example
    from napari_nninteractive.learning.learn import Learned, learn


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
