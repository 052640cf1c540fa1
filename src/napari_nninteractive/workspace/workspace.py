"""All objects of all images: commands in, what they changed out; one history for each image.

It stands on the engine's pure steps, as the `InferenceSession` does: a command plays steps from one state of an object
to the next, and the new moment takes the place of the old one, or it does not. Not for several threads at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Prompt
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.history import State
from napari_nninteractive.engine.normalize import Normalization, measure
from napari_nninteractive.engine.results import CancelToken, Monitor, Prediction
from napari_nninteractive.errors import (
    Cancelled,
    DeviceMemoryError,
    NNInteractiveError,
    PromptError,
    SessionError,
)
from napari_nninteractive.workspace.commands import (
    Add,
    Change,
    Command,
    CommandOutcome,
    Delete,
    ImageSource,
    ModelChoice,
    Paint,
    PlacedPrompt,
    Redo,
    Remove,
    Replace,
    Reset,
    Restore,
    Run,
    Show,
    SwitchTo,
    Undo,
)
from napari_nninteractive.workspace.engines import load_chosen
from napari_nninteractive.workspace.history import History, Moment
from napari_nninteractive.workspace.object_steps import (
    NOTHING,
    ObjectKey,
    ObjectSteps,
    difference_of,
    says_object,
    steps_of_saved,
)

if TYPE_CHECKING:
    from napari_nninteractive.engine.engine import Engine
    from napari_nninteractive.engine.estimate import Estimate
    from napari_nninteractive.engine.predict import Predictor

__all__ = ["Workspace"]

MaskReader = Callable[[Frame, int], NDArray[np.bool_]]
"""Gives the voxels (z, y, x) that the label map held of an object at a time point, before the command."""


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """The volume that is open: one time point of one image."""

    image: str
    frame: Frame
    version: int
    volume: Volume
    normalization: Normalization
    engine: Engine
    predictor: Predictor


@dataclass(frozen=True, slots=True)
class _Call:
    """What a command may use while it runs."""

    monitor: Monitor
    probability: bool
    masks: MaskReader | None


class Workspace:
    """Runs commands on the objects of images.

    Parameters
    ----------
    load : callable
        Makes an `Engine` of a `ModelChoice`.
    estimate : callable, optional
        Says what a prediction will cost with an engine.
    """

    def __init__(
        self,
        load: Callable[[ModelChoice], Engine] = load_chosen,
        estimate: Callable[[Engine], Estimate] | None = None,
    ) -> None:
        self._load, self._estimate = load, estimate
        self._choice: ModelChoice | None = None
        self._engine: Engine | None = None
        self._opened: _Opened | None = None
        self._state: State | None = None  # of the current object of what is open
        self._histories: dict[str, History] = {}
        self._uids = itertools.count(1)

    @property
    def engine(self) -> Engine | None:
        """The model that is loaded; None before the first."""
        return self._engine

    @property
    def choice(self) -> ModelChoice | None:
        """How it was chosen; None before the first."""
        return self._choice

    @property
    def volume(self) -> Volume | None:
        """The volume that is open; None where there is none."""
        return None if self._opened is None else self._opened.volume

    def new_uid(self) -> int:
        """Return a uid that no prompt has; may be called from any thread."""
        return next(self._uids)

    def cost(self) -> Estimate | None:
        """Return what a prediction will cost; None where that is not known."""
        if self._engine is None or self._estimate is None:
            return None
        return self._estimate(self._engine)

    def open(self, choice: ModelChoice, source: ImageSource, label: int) -> None:
        """Load the model and open the image, where they are not open yet.

        Parameters
        ----------
        choice : ModelChoice
            Which model.
        source : ImageSource
            Which image, and time point. Objects made in it before are there again.
        label : int
            First object, where there was none.

        Raises
        ------
        ModelError, SessionError, ImageError
            If the model cannot be loaded, or the image cannot be segmented.
        """
        if self._engine is None or choice != self._choice:
            engine = self._load(choice)
            self._engine, self._choice = engine, choice
        engine, before = self._engine, self._opened
        place = (source.image, source.frame, source.version)
        if before is not None and (before.image, before.frame, before.version) == place:
            if before.engine is not engine:
                predictor = engine.open(before.volume, before.normalization)
                self._opened = replace(before, engine=engine, predictor=predictor)
            return
        self._leave()
        spacing = source.spacing[3 - len(source.frame.spatial) :]
        volume = Volume.open(source.frame.select(source.data), spacing)
        normalization = measure(volume)
        predictor = engine.open(volume, normalization)
        self._opened = _Opened(*place, volume, normalization, engine, predictor)
        history = self._histories.setdefault(source.image, History())
        if source.frame not in history.now.current:
            history.now = history.now.with_current({source.frame: label})
        self._state = self._state_now()

    def forget(self, image: str) -> None:
        """Drop all objects of an image."""
        self._histories.pop(image, None)
        if self._opened is not None and self._opened.image == image:
            self._opened = self._state = None

    def do(
        self,
        command: Command,
        cancel: CancelToken | None = None,
        progress: Callable[[Any], object] | None = None,
        *,
        probability: bool = False,
        masks: MaskReader | None = None,
    ) -> CommandOutcome:
        """Run a command on the image that is open.

        Parameters
        ----------
        command : Command
            What the user did.
        cancel : CancelToken, optional
            Stops between two passes of the network when set.
        progress : callable, optional
            Called with a `Progress` after each pass.
        probability : bool
            Whether to give the network's probability.
        masks : callable, optional
            Gives what the label map holds of an object that was not made here.

        Returns
        -------
        CommandOutcome
            What changed, and what is then.

        Raises
        ------
        PromptError
            If a prompt cannot be used, or there is no image.
        SessionError, Cancelled
            If the network failed, or `cancel` was set. As with every error, nothing has changed then.
        """
        call = _Call(Monitor(progress, cancel), probability, masks)
        match command:
            case Add():
                return self._add(command, call)
            case Run() | Replace() | Remove():
                return self._play_again(command, call)
            case Undo() | Redo():
                return self._travel(back=isinstance(command, Undo))
            case Show():
                return self.outcome(changes=self._changes(Moment(), self._history().now))
            case Paint():
                return self._paint(command, call)
            case Restore():
                return self._restore(command)
            case _:
                return self._rearrange(command, call)

    def frames(self, image: str) -> tuple[Frame, ...]:
        """Time points of an image that objects were made in."""
        history = self._histories.get(image)
        if history is None:
            return ()
        made = [frame for (frame, _), one in history.now.objects.items() if one.steps]
        return tuple(dict.fromkeys(made))

    def objects(
        self, image: str, frame: Frame
    ) -> Mapping[int, tuple[ObjectSteps, MaskEdit | None]]:
        """What was done to each object of a time point, by label, and its mask, cropped."""
        history = self._histories.get(image, History())
        empty = State.empty(frame.volume_shape)
        out = {}
        for (where, label), one in history.now.objects.items():
            if where == frame and one.steps:
                mask = empty.moved_to(one.steps).mask
                box = mask.bounds()
                edit = None if box is None else MaskEdit(mask.read(box) != 0, box.start)
                out[label] = one, edit
        return out

    def current(self, image: str, frame: Frame) -> int:
        """Label of the current object of a time point; 1 where it was never open."""
        history = self._histories.get(image)
        return 1 if history is None else history.now.current.get(frame, 1)

    def outcome(self, **what: Any) -> CommandOutcome:
        """Summarise the current state of the image that is open; `what` are fields of the outcome."""
        opened, history = self._ready(), self._history()
        prompts: dict[Frame, dict[int, int]] = {}
        for (frame, label), one in history.now.objects.items():
            prompts.setdefault(frame, {})[label] = one.count
        return CommandOutcome(
            label=self._key()[1],
            placed=history.steps_of(self._key()).in_force,
            prompts=prompts,
            can_undo=bool(history.past),
            can_redo=bool(history.future),
            device=f"{opened.engine.device}, {opened.engine.precision}",
            **what,
        )

    # What is open

    def _ready(self) -> _Opened:
        if self._opened is None:
            raise PromptError("There is no image open; choose one in the panel.")
        return self._opened

    def _history(self) -> History:
        return self._histories[self._ready().image]

    def _key(self) -> ObjectKey:
        """Key of the current object."""
        frame = self._ready().frame
        return frame, self._history().now.current[frame]

    def _leave(self) -> None:
        """Close the image; where nothing was done, its label is free again."""
        opened = self._opened
        self._opened = self._state = None
        history = None if opened is None else self._histories.get(opened.image)
        if opened is None or history is None or not history.is_untouched(opened.frame):
            return
        current = {f: n for f, n in history.now.current.items() if f != opened.frame}
        history.now = Moment(history.now.objects, current)

    def _state_now(self) -> State:
        """State of the current object, from its steps."""
        return self._empty().moved_to(self._history().steps_of(self._key()).steps)

    def _current_state(self) -> State:
        self._ready()
        if self._state is None:
            self._state = self._state_now()
        return self._state

    def _empty(self) -> State:
        return State.empty(self._ready().frame.volume_shape)

    # Commands

    def _add(self, command: Add, call: _Call) -> CommandOutcome:
        """All prompts as one action; they are kept where the prediction is cancelled or has not enough memory."""
        state, last = self._current_state(), command.placed[-1].prompt
        predicts = command.predict and not isinstance(last, InitialMask | MaskEdit)
        stopped: NNInteractiveError | None = None
        given = (*state.prompts, *(one.prompt for one in command.placed))
        if predicts and state.mask.bounds() is None and not any(map(says_object, given)):
            predicts = False
            stopped = PromptError(
                "So far you said only what is not the object: mark the object too."
            )
        waiting: Plan = [(one.prompt, False) for one in command.placed]
        try:
            new, prediction = self._play(state, [*waiting[:-1], (last, predicts)], call)
        except (Cancelled, DeviceMemoryError) as error:
            if not predicts:
                raise
            stopped = error
            new, prediction = self._play(state, waiting, call)
        placed = (*self._history().steps_of(self._key()).placed, *command.placed)
        return self._played(new, placed, prediction, stopped=stopped, joined=command.joined)

    def _play_again(self, command: Run | Replace | Remove, call: _Call) -> CommandOutcome:
        """Predict now, or go back to the state before a prompt and run the later ones again."""
        state, made = self._current_state(), self._history().steps_of(self._key())
        if isinstance(command, Run):
            if not state.prompts:
                raise SessionError("There is no prompt to predict from; add one first.")
            new, prediction = self._play(state, [(None, True)], call)
            return self._played(new, (*made.placed, None), prediction)
        uid = command.placed.uid if isinstance(command, Replace) else command.uid
        at = made.step_of(uid)
        if at is None:
            raise PromptError("This prompt no longer counts; draw it again.")
        later = [(step.prompt, step.predicted) for step in made.steps[at + 1 :]]
        placed = made.placed[at + 1 :]
        if isinstance(command, Replace):
            later.insert(0, (command.placed.prompt, made.steps[at].predicted))
            placed = (command.placed, *placed)
        start = state.moved_to(made.steps[:at])
        new, prediction = self._play(start, later, call)
        return self._played(new, (*made.placed[:at], *placed), prediction)

    def _play(self, start: State, plan: Plan, call: _Call) -> tuple[State, Prediction]:
        """Run steps from a state of the current object on."""
        from napari_nninteractive.engine.steps import check_prompt, play

        opened = self._ready()
        for prompt, _ in plan:
            if prompt is not None:
                check_prompt(prompt, opened.volume.shape, opened.engine.kinds)
        return play(
            opened.predictor,
            self._current_state(),
            start,
            plan,
            call.monitor,
            probability=call.probability,
        )

    def _played(
        self,
        new: State,
        placed: tuple[PlacedPrompt | None, ...],
        prediction: Prediction,
        *,
        stopped: NNInteractiveError | None = None,
        joined: bool = False,
    ) -> CommandOutcome:
        """Make a state that of the current object."""
        key, history = self._key(), self._history()
        changes = difference_of(key, self._current_state(), new)
        moment = history.now.with_objects({key: ObjectSteps(new.steps, placed)})
        history.did(moment, key[0], joined=joined)
        self._state = new
        return self.outcome(changes=changes, prediction=prediction, stopped=stopped)

    def _travel(self, *, back: bool) -> CommandOutcome:
        history = self._history()
        left = history.back() if back else history.forward()
        if left is None:
            return self.outcome()
        old, frame = left
        return self.outcome(changes=self._arrive(old), went_to=frame)

    def _rearrange(self, command: SwitchTo | Reset | Delete, call: _Call) -> CommandOutcome:
        key, history = self._key(), self._history()
        moment = history.now
        match command:
            case SwitchTo():
                self._find((key[0], command.label), call)
                moment = moment.with_current({key[0]: command.label})
            case Reset():
                moment = moment.with_objects({key: NOTHING})
            case Delete():
                self._find((key[0], command.label), call)
                moment = moment.with_objects({(key[0], command.label): NOTHING})
        old = history.now
        history.did(moment, key[0])
        return self.outcome(changes=self._arrive(old))

    def _paint(self, command: Paint, call: _Call) -> CommandOutcome:
        """Add an edit to each object that was touched; the label map holds them already."""
        history, old = self._history(), self._history().now
        made: dict[ObjectKey, ObjectSteps] = {}
        for edit in command.edits:
            key = (edit.frame, edit.label)
            self._find(key, call)
            before = made.get(key) or history.steps_of(key)
            state = State.empty(edit.frame.volume_shape).moved_to(before.steps)
            new = self._edited(state, edit.placed.prompt)
            made[key] = ObjectSteps(new.steps, (*before.placed, edit.placed))
        frame = command.edits[0].frame if command.edits else self._ready().frame
        history.did(old.with_objects(made), frame)
        return self.outcome(changes=self._arrive(old))

    def _restore(self, command: Restore) -> CommandOutcome:
        history, old = self._history(), self._history().now
        made = {
            key: steps_of_saved(key[0].volume_shape, one) for key, one in command.objects.items()
        }
        made = {key: one for key, one in made.items() if one.steps}
        history.did(old.with_objects(made).with_current(command.current), self._ready().frame)
        self._arrive(old)
        shown = [(key, one.shown) for key, one in command.objects.items() if one.shown is not None]
        changes = tuple(
            Change(frame, label, piece.bounds, piece.mask.astype(np.uint8))
            for (frame, label), piece in shown
        )
        return self.outcome(changes=changes)

    def _find(self, key: ObjectKey, call: _Call) -> None:
        """Take over an object that the label map holds but nothing was done to here: its mask is its first step."""
        history = self._history()
        if key in history.now.objects or key in history.found or call.masks is None:
            return
        mask = call.masks(*key)
        if mask.any():
            prompt = InitialMask(mask)
            state = self._edited(State.empty(key[0].volume_shape), prompt)
            history.found[key] = ObjectSteps(state.steps, (PlacedPrompt(self.new_uid(), prompt),))

    def _edited(self, state: State, prompt: Prompt) -> State:
        """State after a mask or an edit, which need no network."""
        from napari_nninteractive.engine.steps import play

        return play(self._ready().predictor, state, state, [(prompt, False)], Monitor())[0]

    def _arrive(self, old: Moment) -> tuple[Change, ...]:
        """Make the state fit the moment that is now; return what differs from an older one."""
        changes = self._changes(old, self._history().now)
        self._state = None
        return changes

    def _changes(self, old: Moment, new: Moment) -> tuple[Change, ...]:
        """What differs between two moments, by time point and label."""
        history = self._history()
        changes: list[Change] = []
        keys = [*new.objects, *(key for key in old.objects if key not in new.objects)]
        for key in sorted(keys, key=lambda k: (k[0].index, k[1])):
            before, after = history.steps_of(key, old), history.steps_of(key, new)
            if before is not after:
                start = State.empty(key[0].volume_shape).moved_to(before.steps)
                changes += difference_of(key, start, start.moved_to(after.steps))
        return tuple(changes)
