"""What commands do, from what is there to what is there then: pure, so that a failure leaves all as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Prompt
from napari_nninteractive.engine.engine import Engine
from napari_nninteractive.engine.history import State
from napari_nninteractive.engine.predict import Predictor
from napari_nninteractive.engine.results import Monitor, Prediction
from napari_nninteractive.engine.steps import check_prompt, play
from napari_nninteractive.errors import (
    Cancelled,
    DeviceMemoryError,
    NNInteractiveError,
    PromptError,
    SessionError,
)
from napari_nninteractive.workspace.history import (
    NOTHING,
    History,
    Moment,
    ObjectKey,
    ObjectSteps,
    difference_of,
    says_object,
    steps_of_saved,
)
from napari_nninteractive.workspace.values.commands import (
    Add,
    Command,
    Delete,
    Paint,
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
from napari_nninteractive.workspace.values.outcome import Change, Motion
from napari_nninteractive.workspace.values.placed import PlacedPrompt

__all__ = ["Done", "Here", "MaskReader", "run"]

MaskReader = Callable[[Frame, int], NDArray[np.bool_]]
"""Gives the voxels (z, y, x) that the label map held of an object at a time point, before the command."""


@dataclass(frozen=True, slots=True, eq=False)
class Here:
    """What a command finds.

    Attributes
    ----------
    engine : Engine
        The model.
    predictor : Predictor
        The volume that is open, as the network sees it.
    frame : Frame
        Its time point.
    history : History
        Of the image.
    state : State
        Of the current object.
    monitor : Monitor
        Progress and cancel.
    new_uid : callable
        Gives a uid that no prompt has.
    masks : MaskReader or None
        What the label map holds of objects that nothing was done to here.
    probability : bool
        Whether to give the network's probability.
    """

    engine: Engine
    predictor: Predictor
    frame: Frame
    history: History
    state: State
    monitor: Monitor
    new_uid: Callable[[], int]
    masks: MaskReader | None = None
    probability: bool = False

    @property
    def key(self) -> ObjectKey:
        """Key of the current object."""
        return self.frame, self.history.now.current[self.frame]

    @property
    def made(self) -> ObjectSteps:
        """What was done to the current object."""
        return self.history.steps_of(self.key)


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """What a command leaves; the other attributes are those of `CommandOutcome`.

    Attributes
    ----------
    history : History
        Of the image.
    state : State or None
        Of the current object; None where its steps tell.
    """

    history: History
    state: State | None = None
    changes: tuple[Change, ...] = ()
    motion: Motion = Motion.NONE
    went_to: Frame | None = None
    stopped: NNInteractiveError | None = None
    prediction: Prediction | None = None


def run(command: Command, here: Here) -> Done:
    """Run a command.

    Raises
    ------
    PromptError
        If a prompt cannot be used.
    SessionError, Cancelled
        If the network failed, or the monitor says to stop.
    """
    match command:
        case Add():
            return _add(command, here)
        case Run() | Replace() | Remove():
            return _play_again(command, here)
        case Undo() | Redo():
            return _travel(here.history, back=isinstance(command, Undo))
        case Show():
            changes = _changes(here.history, Moment(), here.history.now)
            return Done(here.history, here.state, changes)
        case Paint():
            return _paint(command, here)
        case Restore():
            return _restore(command, here)
        case _:
            return _rearrange(command, here)


def _add(command: Add, here: Here) -> Done:
    """All prompts as one action; they are kept where the prediction is cancelled or has not enough memory."""
    last = command.placed[-1].prompt
    predicts = command.predict and not isinstance(last, InitialMask | MaskEdit)
    stopped: NNInteractiveError | None = None
    given = (*here.state.prompts, *(one.prompt for one in command.placed))
    if predicts and here.state.mask.bounds() is None and not any(map(says_object, given)):
        predicts = False
        stopped = PromptError("So far you said only what is not the object: mark the object too.")
    waiting: Plan = [(one.prompt, False) for one in command.placed]
    try:
        state, prediction = _play(here, here.state, [*waiting[:-1], (last, predicts)])
    except (Cancelled, DeviceMemoryError) as error:
        if not predicts:
            raise
        stopped = error
        state, prediction = _play(here, here.state, waiting)
    made = ObjectSteps(state.steps, (*here.made.placed, *command.placed))
    return _played(here, state, made, prediction, stopped=stopped, joined=command.joined)


def _play_again(command: Run | Replace | Remove, here: Here) -> Done:
    """Predict now, or go back to the state before a prompt and run the later ones again."""
    made = here.made
    if isinstance(command, Run):
        if not here.state.prompts:
            raise SessionError("There is no prompt to predict from; add one first.")
        state, prediction = _play(here, here.state, [(None, True)])
        return _played(here, state, ObjectSteps(state.steps, (*made.placed, None)), prediction)
    at = made.step_of(command.placed.uid if isinstance(command, Replace) else command.uid)
    if at is None:
        raise PromptError("This prompt no longer counts; draw it again.")
    plan = [(step.prompt, step.predicted) for step in made.steps[at + 1 :]]
    placed = made.placed[at + 1 :]
    if isinstance(command, Replace):
        plan.insert(0, (command.placed.prompt, made.steps[at].predicted))
        placed = (command.placed, *placed)
    state, prediction = _play(here, here.state.moved_to(made.steps[:at]), plan)
    new = ObjectSteps(state.steps, (*made.placed[:at], *placed))
    return _played(here, state, new, prediction)


def _play(here: Here, start: State, plan: Plan) -> tuple[State, Prediction]:
    """Run steps from a state of the current object on."""
    for prompt, _ in plan:
        if prompt is not None:
            check_prompt(prompt, here.predictor.reader.volume.shape, here.engine.kinds)
    return play(here.predictor, here.state, start, plan, here.monitor, probability=here.probability)


def _played(
    here: Here,
    state: State,
    made: ObjectSteps,
    prediction: Prediction,
    *,
    stopped: NNInteractiveError | None = None,
    joined: bool = False,
) -> Done:
    """Make a state that of the current object."""
    changes = difference_of(here.key, here.state, state)
    moment = here.history.now.with_objects({here.key: made})
    history = here.history.did(moment, here.frame, joined=joined)
    motion = Motion.JOINED if joined else Motion.DONE
    return Done(history, state, changes, motion, stopped=stopped, prediction=prediction)


def _travel(history: History, *, back: bool) -> Done:
    arrived = history.undone() if back else history.redone()
    if arrived is None:
        return Done(history)
    new, frame = arrived
    motion = Motion.UNDONE if back else Motion.REDONE
    return Done(new, None, _changes(new, history.now, new.now), motion, frame)


def _rearrange(command: SwitchTo | Reset | Delete, here: Here) -> Done:
    """Go on with another object, or empty one."""
    key = here.key if isinstance(command, Reset) else (here.frame, command.label)
    history = _with_found(here, here.history, key)
    if isinstance(command, SwitchTo):
        moment = history.now.with_current({here.frame: command.label})
    else:
        moment = history.now.with_objects({key: NOTHING})
    return _went(history, moment, here.frame)


def _paint(command: Paint, here: Here) -> Done:
    """Add an edit to each object that was touched; the label map holds them already."""
    history = here.history
    made: dict[ObjectKey, ObjectSteps] = {}
    for edit in command.edits:
        key = (edit.frame, edit.label)
        history = _with_found(here, history, key)
        before = made.get(key) or history.steps_of(key)
        state = State.empty(edit.frame.volume_shape).moved_to(before.steps)
        steps = _edited(here, state, edit.placed.prompt).steps
        made[key] = ObjectSteps(steps, (*before.placed, edit.placed))
    frame = command.edits[0].frame if command.edits else here.frame
    return _went(history, history.now.with_objects(made), frame, Motion.PAINTED)


def _restore(command: Restore, here: Here) -> Done:
    saved = {k: steps_of_saved(k[0].volume_shape, one) for k, one in command.objects.items()}
    moment = here.history.now.with_objects({key: one for key, one in saved.items() if one.steps})
    history = here.history.did(moment.with_current(command.current), here.frame)
    shown = [(key, one.shown) for key, one in command.objects.items() if one.shown is not None]
    changes = tuple(Change(*key, one.bounds, one.mask.astype(np.uint8)) for key, one in shown)
    return Done(history, None, changes, Motion.DONE)


def _went(history: History, moment: Moment, frame: Frame, motion: Motion = Motion.DONE) -> Done:
    """Note an action that needs no network."""
    new = history.did(moment, frame)
    return Done(new, None, _changes(new, history.now, moment), motion)


def _with_found(here: Here, history: History, key: ObjectKey) -> History:
    """Take over an object that the label map holds but nothing was done to here: its mask is its first step."""
    if key in history.now.objects or key in history.found or here.masks is None:
        return history
    mask = here.masks(*key)
    if not mask.any():
        return history
    prompt = InitialMask(mask)
    state = _edited(here, State.empty(key[0].volume_shape), prompt)
    found = ObjectSteps(state.steps, (PlacedPrompt(here.new_uid(), prompt),))
    return replace(history, found={**history.found, key: found})


def _edited(here: Here, state: State, prompt: Prompt) -> State:
    """State after a mask or an edit, which need no network."""
    return play(here.predictor, state, state, [(prompt, False)], Monitor())[0]


def _changes(history: History, old: Moment, new: Moment) -> tuple[Change, ...]:
    """What differs between two moments, by time point and label."""
    changes: list[Change] = []
    keys = {*old.objects, *new.objects}
    for key in sorted(keys, key=lambda k: (k[0].index, k[1])):
        before, after = history.steps_of(key, old), history.steps_of(key, new)
        if before is not after:
            start = State.empty(key[0].volume_shape).moved_to(before.steps)
            changes += difference_of(key, start, start.moved_to(after.steps))
    return tuple(changes)
