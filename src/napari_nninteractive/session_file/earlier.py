"""The two formats of before: what a session of the engine wrote (version 1), and what the panel wrote (version 1).

Read, never written. Like `document`, imported late.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from napari_nninteractive.session_file.document import (
    Edit,
    Index,
    Initial,
    Label,
    Labelled,
    Precision,
    Record,
    Run,
    Sha256,
    Shape,
    Spacing,
    Step,
    Steps,
)

__all__ = ["PANEL_FORMAT", "EnginePrompts", "PanelObjects"]

PANEL_FORMAT = "napari-nninteractive panel"


class _EngineModel(Record):
    id: str
    sha256: Sha256
    licence: str | None


class _EngineImage(Record):
    shape: Annotated[Shape, Field(min_length=3, max_length=3)]
    dtype: str
    spacing: Spacing
    sha256: Sha256


class EnginePrompts(Record):
    """One object of one volume."""

    format: Literal["napari-nninteractive session"]
    format_version: Literal[1]
    version: str
    model: _EngineModel
    image: _EngineImage
    run: Run
    prompts: Steps
    mask: Initial | None


def _joined(mark: Any) -> Any:
    """Prompt, outline and what followed as one record, as they are today."""
    if not isinstance(mark, dict) or set(mark) != {"prompt", "outline", "predicted"}:
        raise ValueError("must hold prompt, outline and predicted")
    if not isinstance(mark["prompt"], dict):
        raise ValueError("its prompt must be a record")
    return {**mark["prompt"], "outline": mark["outline"], "predict": mark["predicted"]}


class _PanelObject(Record):
    marks: Annotated[list[Annotated[Step, BeforeValidator(_joined)]], Field(fail_fast=True)]
    mask: Edit | None


class _PanelFrame(Record):
    index: Index
    channel: Annotated[int, Field(ge=0)] | None
    label: Label
    objects: Labelled[_PanelObject]
    result: Labelled[Edit]


class _PanelImage(Record):
    name: str
    shape: Shape


class _PanelModel(Record):
    name: str
    device: str
    precision: Precision


class PanelObjects(Record):
    """All objects of an image."""

    format: Literal["napari-nninteractive panel"]
    version: Literal[1]
    image: _PanelImage
    model: _PanelModel
    names: Labelled[str]
    numbers: Labelled[Label] = Field(default_factory=dict)
    frames: list[_PanelFrame]
