"""How prompts look, and how the plugin's layers are recognised and placed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = [
    "GEOMETRY",
    "KEY",
    "SIGNS",
    "SYMBOLS",
    "SignColours",
    "Tool",
    "align",
    "aligned",
    "role_of",
    "tag",
]

Tool = Literal["point", "box", "scribble", "lasso"]

KEY = "napari-nninteractive"
"""The plugin's entry in a layer's metadata."""

GEOMETRY = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Attributes of a layer that say where its voxels lie."""

SYMBOLS = {True: "disc", False: "x"}
SIGNS = {True: "+", False: "−"}


@dataclass(frozen=True, slots=True)
class SignColours:
    """Colours of positive and negative prompts, by name or as #rrggbb.

    By default sky blue and orange of Okabe and Ito: told apart with every kind of colour vision, and on grey images.
    """

    positive: str = "#56b4e9"
    negative: str = "#e69f00"

    def of(self, positive: bool) -> str:
        """Colour of a sign."""
        return self.positive if positive else self.negative


def aligned(image: Layer) -> dict[str, Any]:
    """Options with which a layer lies on an image layer, voxel by voxel."""
    return {name: getattr(image, name) for name in GEOMETRY}


def align(layer: Layer, image: Layer) -> None:
    """Lay a layer on an image layer again, which was moved or got another voxel size."""
    for name, value in aligned(image).items():
        setattr(layer, name, value)


def tag(role: str, image: Layer) -> dict[str, dict[str, object]]:
    """Metadata of the plugin's layer of a role for an image layer."""
    return {KEY: {"role": role, "image": str(image.unique_id)}}


def role_of(layer: Layer, image: Layer) -> str | None:
    """Role of a layer for an image layer; None where it is not the plugin's."""
    entry = layer.metadata.get(KEY)
    if isinstance(entry, dict) and entry.get("image") == str(image.unique_id):
        return str(entry.get("role"))
    return None
