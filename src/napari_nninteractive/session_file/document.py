"""The saved session as pydantic sees it: every field with its type and its range, and the JSON schema that follows.

Imported late, where a file is read or written: the rest of the program knows the values only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from napari_nninteractive.errors import SessionError
from napari_nninteractive.session_file.values import FARTHEST, LARGEST_LABEL, MOST_POINTS

__all__ = [
    "FORMAT",
    "VERSION",
    "Document",
    "Edit",
    "Index",
    "Initial",
    "Label",
    "Labelled",
    "Precision",
    "Record",
    "Run",
    "Sha256",
    "Shape",
    "Spacing",
    "Step",
    "json_schema",
    "validated",
]

FORMAT, VERSION = "napari-nninteractive session", 2
_TAGGED = ("prompts", "marks")  # lists of prompts, told apart by their types


def _label_in_range(text: str) -> str:
    if int(text) > LARGEST_LABEL:
        raise ValueError(f"labels go up to {LARGEST_LABEL}")
    return text


Label = Annotated[int, Field(ge=1, le=LARGEST_LABEL)]
_LabelText = Annotated[
    str, StringConstraints(pattern=r"^[1-9][0-9]{0,9}$"), AfterValidator(_label_in_range)
]
_Value = TypeVar("_Value")
Labelled = dict[_LabelText, _Value]
"""By label, written as text, for JSON has no other keys."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Axes = Field(min_length=2, max_length=32)
_Coordinate = Annotated[int, Field(ge=-FARTHEST, le=FARTHEST)]
_Extent = Annotated[int, Field(ge=1, le=FARTHEST)]
_Three = Field(min_length=3, max_length=3)
_Voxel = Annotated[list[_Coordinate], _Three]
_Extents = Annotated[list[_Extent], _Three]
Shape = Annotated[list[_Extent], _Axes]
Index = Annotated[list[Annotated[int, Field(ge=0, le=FARTHEST)]], _Axes]
Spacing = Annotated[list[Annotated[float, Field(gt=0)]], _Three]
_Position = Annotated[list[Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]], _Axes]


class Record(BaseModel):
    """What all records share: no field more, no type but its own, no NaN and no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Bits(Record):
    """Voxels of a cropped mask (z, y, x): packed bits, compressed with zlib, in base64."""

    shape: _Extents
    bits: str


class Edit(Record):
    """A mask, or voxels painted (value true) or erased by hand, cropped."""

    type: Literal["MaskEdit"]
    mask: Bits
    origin: _Voxel
    value: bool


class Painted(Edit):
    """A mask."""

    value: Literal[True]


class Initial(Record):
    """A mask to start from, cropped, with the shape (z, y, x) of the image."""

    type: Literal["InitialMask"]
    mask: Bits
    origin: _Voxel
    shape: _Extents


class _Done(Record):
    """One step: whether the network ran after it, and what was drawn where the prompt alone does not tell."""

    predict: bool
    outline: (
        Annotated[list[_Position], Field(min_length=1, max_length=MOST_POINTS, fail_fast=True)]
        | None
    ) = None


class PointStep(_Done):
    """A click on a voxel (z, y, x)."""

    type: Literal["Point"]
    position: _Voxel
    positive: bool


class BoxStep(_Done):
    """A box, half-open, (z, y, x)."""

    type: Literal["BoxPrompt"]
    start: _Voxel
    stop: _Voxel
    positive: bool


class ScribbleStep(_Done):
    """A line."""

    type: Literal["Scribble"]
    mask: Bits
    origin: _Voxel
    positive: bool


class LassoStep(_Done):
    """A filled outline on one slice."""

    type: Literal["Lasso"]
    mask: Bits
    origin: _Voxel
    positive: bool


class InitialStep(_Done, Initial):
    """A mask to start from: earlier prompts no longer count."""


class EditStep(_Done, Edit):
    """Voxels painted or erased by hand."""


class PredictStep(_Done):
    """Nothing was added; the network ran."""

    type: Literal["predict"]


Step = Annotated[
    PointStep | BoxStep | ScribbleStep | LassoStep | InitialStep | EditStep | PredictStep,
    Field(discriminator="type"),
]
Steps = Annotated[list[Step], Field(fail_fast=True)]


class Object(Record):
    """One object at one time point: what was done, its mask, and its voxels in the label map."""

    prompts: Steps
    mask: Painted | None
    # "mask" where it is the same as the mask, as it mostly is: half the size of the file.
    shown: Painted | Literal["mask"] | None


class FrameRecord(Record):
    """The objects of one time point and channel."""

    index: Index
    channel: Annotated[int, Field(ge=0, le=FARTHEST)] | None
    sha256: Sha256 | None
    label: Label
    objects: Labelled[Object]


class Image(Record):
    """What is known of the image: voxels along its axes, size of a voxel (z, y, x), name, type of the voxels."""

    shape: Shape
    spacing: Spacing
    name: str
    dtype: str


class Model(Record):
    """The model, and how it was chosen."""

    name: str
    sha256: Sha256 | None
    licence: str
    device: str
    precision: Precision


class Run(Record):
    """How predictions were computed; config holds the thresholds of the engine."""

    device: str
    precision: Precision
    threads: Annotated[int, Field(ge=1, le=FARTHEST)]
    torch: str
    autozoom: bool
    config: dict[str, int | float]


class Document(Record):
    """A saved session of napari-nninteractive: the objects of one image, what they were made from, and with what."""

    format: Literal["napari-nninteractive session"]
    format_version: Literal[2]
    version: str
    image: Image
    model: Model
    run: Run | None
    names: Labelled[str]
    numbers: Labelled[Label]
    frames: Annotated[list[FrameRecord], Field(fail_fast=True)]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    schema = Document.model_json_schema()
    records = (schema, *schema["$defs"].values())
    for field in (field for record in records for field in record["properties"].values()):
        # pydantic refuses other keys than these, but does not write it down.
        if "patternProperties" in field:
            field["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


_Checked = TypeVar("_Checked", bound=Record)


def validated(kind: type[_Checked], content: Mapping[str, Any]) -> _Checked:
    """Content of a file as a record.

    Parameters
    ----------
    kind : type
        A record.
    content : dict
        From JSON; not trusted.

    Returns
    -------
    Record
        Of this kind.

    Raises
    ------
    SessionError
        That names the first field that is wrong, as in ``frames[0].objects[3].prompts[1].position[2]``.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = "".join(_parts(first["loc"])).removeprefix(".")
        words = {
            "missing": "is missing",
            "extra_forbidden": "is not known to this program",
        }.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise SessionError(f"{where or 'the file'}: {words}") from error


def _parts(place: tuple[int | str, ...]) -> Iterator[str]:
    """Spell a place in a file; where a list holds records of several types, pydantic has the type in it too."""
    for at, part in enumerate(place):
        if isinstance(part, int) or part.isdigit():
            yield f"[{part!s:.40}]"
        elif part != "[key]" and not (at >= 2 and place[at - 2] in _TAGGED):
            yield f".{part:.100}"
