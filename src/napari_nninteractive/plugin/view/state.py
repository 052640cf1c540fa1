"""What the panel shows, as one value: computed by the presenter, rendered by the view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from napari_nninteractive.plugin.layers.style import Tool
from napari_nninteractive.workspace.objects import ObjectRow

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = [
    "Action",
    "Busy",
    "Choices",
    "Kind",
    "Message",
    "Options",
    "PanelState",
    "PromptRow",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choices(Generic[T]):
    """Things to choose one of: each with its name, and the one that is chosen, if any."""

    items: tuple[tuple[str, T], ...] = ()
    chosen: T | None = None


class Kind(Enum):
    """What a message is about, which decides what settles it."""

    PROBLEM = auto()
    """Something did not work."""
    MODEL_REFUSED = auto()
    """The chosen model or device cannot be had, so another is used."""
    FLAT_ONLY = auto()
    """Nothing can be drawn while the viewer shows 3D."""
    LICENCE = auto()
    """A licence is to be accepted."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a button below a message does."""

    text: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Message:
    """What is wrong or asked, and what to do."""

    kind: Kind
    text: str
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """How far something is that runs.

    Attributes
    ----------
    done, total : int
        In any unit; a total of 0 only shows that it moves.
    """

    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt in the list: its uid, what it is called, and its sign."""

    uid: int
    text: str
    positive: bool


@dataclass(frozen=True, slots=True)
class Options:
    """What happens with objects; `forms.Form` shows it, with these names and explanations."""

    same_number: Annotated[
        bool,
        {
            "label": "Next objects get the same number",
            "tooltip": "For a map of one class; else each object has its own number",
        },
    ] = False
    overwrite: Annotated[
        bool,
        {
            "label": "May cover others",
            "tooltip": "This object may cover finished ones; they come back where it withdraws",
        },
    ] = False
    probability: Annotated[
        bool,
        {
            "label": "Show probability",
            "tooltip": "Another layer shows how sure the network was where the object changed",
        },
    ] = False


@dataclass(frozen=True, slots=True)
class PanelState:
    """All that the panel shows, top to bottom.

    Attributes
    ----------
    offer : str
        What a crash left, to be recovered; "" where there is nothing.
    images, channels, models, devices : Choices
        Of the boxes; no channels where the image has none.
    fact : str
        Size of the image, and where its other axes stand.
    has_image : bool
        Whether there is an image to segment.
    tool : Tool or None
        Tool that draws now; None where what is drawn is no prompt.
    positive : bool
        Sign that is drawn with.
    auto_run : bool
        Whether each prompt is followed by a prediction.
    can_run, can_undo, can_redo : bool
        What makes sense now.
    busy : Busy or None
        What runs.
    status : str
        What was done last, and how long it took.
    message : Message or None
        What is wrong.
    object_name : str
        Whose prompts are listed.
    prompts : tuple of PromptRow or None
        Of the current object, oldest first; None where only a command on its way will tell, so that the last ones stay.
    objects : tuple of ObjectRow
        All objects, by label.
    unit : str
        Of their volumes, as the heading of the column.
    masks : tuple
        Labels layers to start an object from, by name.
    options : Options
        As they are.
    """

    offer: str = ""
    images: Choices[Image] = field(default_factory=Choices)
    channels: Choices[int | None] = field(default_factory=Choices)
    models: Choices[str] = field(default_factory=Choices)
    devices: Choices[str] = field(default_factory=Choices)
    fact: str = ""
    has_image: bool = False
    tool: Tool | None = "point"
    positive: bool = True
    auto_run: bool = True
    can_run: bool = False
    can_undo: bool = False
    can_redo: bool = False
    busy: Busy | None = None
    status: str = ""
    message: Message | None = None
    object_name: str = "this object"
    prompts: tuple[PromptRow, ...] | None = ()
    objects: tuple[ObjectRow, ...] = ()
    unit: str = "Volume"
    masks: tuple[tuple[str, Labels], ...] = ()
    options: Options = field(default_factory=Options)

    @property
    def error(self) -> str:
        """Text of the message, or ""."""
        return "" if self.message is None else self.message.text
