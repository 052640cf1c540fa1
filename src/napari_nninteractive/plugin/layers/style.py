"""How prompts and objects look, and how our layers are recognised."""

from __future__ import annotations

from typing import Any

__all__ = ["COLOURS", "KEY", "SIGNS", "SYMBOLS", "Tool", "aligned", "role_of", "tag"]

Tool = str
"""One of "point", "box", "scribble", "lasso"."""

KEY = "napari-nninteractive"
"""Our entry in a layer's metadata."""

# Sky blue and orange of Okabe and Ito: told apart with every kind of colour vision, and on grey images.
COLOURS = {True: "#56b4e9", False: "#e69f00"}
SYMBOLS = {True: "disc", False: "x"}
SIGNS = {True: "+", False: "−"}

_SPACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def aligned(image: Any) -> dict[str, Any]:
    """Options with which a layer lies on an image layer, voxel by voxel."""
    return {name: getattr(image, name) for name in _SPACE}


def tag(role: str, image: Any) -> dict[str, Any]:
    """Metadata of our layer of a role for an image layer."""
    return {KEY: {"role": role, "image": str(image.unique_id)}}


def role_of(layer: Any, image: Any) -> str | None:
    """Role of a layer for an image layer; None if it is not ours."""
    entry = layer.metadata.get(KEY)
    if isinstance(entry, dict) and entry.get("image") == str(image.unique_id):
        return str(entry.get("role"))
    return None
