"""Between what there is and what is shown: computes the panel's state, and hands it to the view. Qt-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from napari_nninteractive.errors import Cancelled, DeviceMemoryError, NNInteractiveError
from napari_nninteractive.plugin.view import messages
from napari_nninteractive.plugin.view.messages import Occasion, settled
from napari_nninteractive.plugin.view.state import (
    Action,
    Busy,
    Choices,
    Kind,
    Message,
    Options,
    PanelState,
    PromptRow,
)
from napari_nninteractive.plugin.viewer_link import FlatOnlyError
from napari_nninteractive.workspace.values.placed import ImageSource, PlacedPrompt

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_nninteractive.engine.estimate import Estimate
    from napari_nninteractive.engine.results import Prediction, Progress
    from napari_nninteractive.plugin.actions.files import FileActions
    from napari_nninteractive.plugin.actions.models import ModelActions
    from napari_nninteractive.plugin.actions.prompts import PromptActions
    from napari_nninteractive.plugin.viewer_link import ViewerLink
    from napari_nninteractive.workspace.client import WorkspaceClient
    from napari_nninteractive.workspace.values.placed import ModelChoice

__all__ = ["Presenter", "Said", "Sources", "panel_state"]

_NO_IMAGE = "Open an image, or File ▸ Open Sample ▸ nnInteractive."


class StateView(Protocol):
    """What shows a state."""

    def show_state(self, state: PanelState) -> None:
        """Show a state."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Parts of the panel that know what is shown."""

    client: WorkspaceClient
    link: ViewerLink
    prompts: PromptActions
    models: ModelActions
    files: FileActions


@dataclass(frozen=True, slots=True)
class Said:
    """What was said last, and how far a prediction is."""

    status: str = "Click on an object, or choose a tool."
    message: Message | None = None
    progress: Busy | None = None


def panel_state(parts: Sources, said: Said) -> PanelState:
    """Everything that the panel shows."""
    client, link = parts.client, parts.link
    source, image = client.source, link.image
    space = len(source.frame.spatial) if source is not None else 3
    objects, placed = tuple(client.objects()), client.placed
    name = next((o.name for o in objects if o.current), f"Object {client.label}")
    return PanelState(
        offer=parts.files.offer,
        images=Choices(tuple((i.name, i) for i in link.images()), image),
        channels=channel_choices(image, source),
        models=parts.models.models,
        devices=parts.models.devices,
        fact=_NO_IMAGE if image is None or source is None else image_fact(image, source),
        has_image=source is not None,
        tool=parts.prompts.armed,
        positive=parts.prompts.positive,
        auto_run=client.auto_run,
        can_run=source is not None and bool(placed),
        can_undo=client.can_undo,
        can_redo=client.can_redo,
        busy=parts.models.download or (said.progress or Busy() if client.busy else None),
        status=said.status,
        message=said.message,
        object_name=name if source is not None else "this object",
        prompts=None if placed is None else prompt_rows(placed, flat_image=space == 2),
        objects=objects,
        unit=messages.volume_unit("voxel" if image is None else messages.unit_of(image), space),
        masks=tuple((layer.name, layer) for layer in link.other_labels()),
        options=Options(client.same_number, client.overwrite, client.probability),
    )


def channel_choices(image: Image | None, source: ImageSource | None) -> Choices[int | None]:
    """Channels to choose from; none where there is but one."""
    if image is None or source is None:
        return Choices()
    count = messages.channel_count(image, source.frame)
    if count < 2:
        return Choices()
    names = tuple((name, n) for n, name in enumerate(messages.channel_names(image, count)))
    return Choices((("Mean of channels", None), *names), source.frame.channel)


def image_fact(image: Image, source: ImageSource) -> str:
    """Size of the image, and where its other axes stand."""
    return messages.image_fact(source, messages.unit_of(image), image.axis_labels)


def prompt_rows(placed: tuple[PlacedPrompt, ...], *, flat_image: bool) -> tuple[PromptRow, ...]:
    """Prompts as they are listed."""
    return tuple(
        PromptRow(p.uid, messages.describe(p, flat_image=flat_image), p.prompt.positive)
        for p in placed
    )


class Presenter:
    """Shows what there is whenever it changes, and remembers what was said.

    Parameters
    ----------
    view : StateView
        Shows each state.
    parts : Sources
        Know what is shown.
    """

    def __init__(self, view: StateView, parts: Sources) -> None:
        self._view, self._parts = view, parts
        self._said = Said()
        self._refused = False
        self._closed = False

    @property
    def state(self) -> PanelState:
        """What the panel shows."""
        return panel_state(self._parts, self._said)

    def close(self) -> None:
        """Show nothing any more."""
        self._closed = True

    def refresh(self) -> None:
        """Show what there is now."""
        if not self._closed:
            self._view.show_state(self.state)

    # What is said

    def say_status(self, text: str) -> None:
        """Say what was done."""
        self._become(replace(self._said, status=text))

    def say(self, message: Message) -> None:
        """Say what is wrong, or ask."""
        self._become(replace(self._said, message=message))

    def say_problem(self, text: str) -> None:
        """Say what did not work, and what to do."""
        self.say(Message(Kind.PROBLEM, text))

    def say_error(self, error: BaseException) -> None:
        """Say what an error means, and offer a way out where there is one."""
        if isinstance(error, Cancelled):
            self.say_status(str(error))
            return
        kind = Kind.FLAT_ONLY if isinstance(error, FlatOnlyError) else Kind.PROBLEM
        if self._refused:
            kind, self._refused = Kind.MODEL_REFUSED, False
        elsewhere = self._parts.client.choice.device != "cpu"
        offer = isinstance(error, DeviceMemoryError) and elsewhere
        action = Action("Compute on the CPU", self._use_cpu) if offer else None
        self.say(Message(kind, messages.error(error), action))

    def answer_message(self) -> None:
        """Do what the message offers."""
        message = self._said.message
        self._settle(Occasion.STARTED)
        if message is not None and message.action is not None:
            message.action.run()

    # What happened

    def note_chosen(self) -> None:
        """An image or tool was chosen."""
        self._settle(Occasion.CHOSEN)

    def note_model_chosen(self) -> None:
        """A model or device was chosen."""
        self._settle(Occasion.MODEL_CHOSEN)

    def note_started(self) -> None:
        """Something was asked for that says itself how it went."""
        self._settle(Occasion.STARTED)

    def note_flattened(self) -> None:
        """The viewer shows slices again."""
        self._settle(Occasion.FLATTENED)

    def note_refused(self, choice: ModelChoice) -> None:
        """A model or device cannot be had, and another one is used; why is said next."""
        self._refused = True
        self._parts.models.adopt(choice)

    def note_progress(self, progress: Progress | None) -> None:
        """The prediction that runs has come so far, or nothing runs."""
        busy = None if progress is None else Busy(progress.done, progress.total or 0)
        self._become(replace(self._said, progress=busy))

    def note_prediction(self, _source: ImageSource, prediction: Prediction) -> None:
        """A prediction came."""
        text = messages.prediction(prediction, self._parts.client.device)
        message = settled(self._said.message, Occasion.PREDICTED)
        self._become(replace(self._said, message=message, status=text))

    # What the user wants that concerns no other part

    def set_auto_run(self, on: bool) -> None:
        """Predict after each prompt, or when asked."""
        self._parts.client.auto_run = on

    def set_options(self, options: Options) -> None:
        """Take options as they were chosen."""
        client = self._parts.client
        client.same_number, client.overwrite = options.same_number, options.overwrite
        client.probability = options.probability
        self._parts.link.show_probability(options.probability)

    def edit_object(self, label: int | None) -> None:
        """Go on with the object that is chosen in the table."""
        self._with_object(label, self._parts.client.select_object)

    def delete_object(self, label: int | None) -> None:
        """Take the object away that is chosen in the table."""
        self._with_object(label, self._parts.client.delete_object)

    def delete_prompt(self, uid: int | None) -> None:
        """Take the prompt away that is chosen in the list."""
        if uid is None:
            self.say_problem("Choose a prompt in the list first.")
        else:
            self._parts.client.remove_and_show(uid)

    def set_number(self, label: int, text: str) -> None:
        """Give an object the number that was typed; what is none is said, and the old one shown again."""
        try:
            self._parts.client.set_number(label, int(text))
        except NNInteractiveError as error:
            self.say_error(error)
        except ValueError:
            self.say_problem(f"“{text}” is no number: type 1, 2, 3, …")
        self.refresh()

    def estimate_cost(self) -> None:
        """Say what a prompt will cost, as long as none has shown it."""
        client = self._parts.client
        if client.source is not None and not client.busy and not client.placed:
            client.work(client.workspace.cost, self._say_cost)

    def _say_cost(self, found: Estimate | None) -> None:
        if found is not None and not self._parts.client.placed:
            self.say_status(messages.cost(found))

    def _with_object(self, label: int | None, act: Callable[[int], object]) -> None:
        if label is None:
            self.say_problem("Choose an object in the table first.")
        else:
            act(label)

    def _use_cpu(self) -> None:
        self._parts.models.choose_device("cpu")
        self._parts.client.run()

    def _settle(self, occasion: Occasion) -> None:
        self._become(replace(self._said, message=settled(self._said.message, occasion)))

    def _become(self, said: Said) -> None:
        if said != self._said:
            self._said = said
            self.refresh()
