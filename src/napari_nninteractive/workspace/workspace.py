"""The engine's side of the panel: objects with their prompts, and one history over all of them.

Everything here runs on the worker's thread and knows neither napari nor Qt. Undo follows what the user did, across
objects: each moment is the steps of every object, which the engine toggles into masks without the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Prompt
from napari_nninteractive.engine.history import ObjectState, State, Step, in_force
from napari_nninteractive.engine.preload import open_torch_libraries
from napari_nninteractive.engine.results import CancelToken, Prediction
from napari_nninteractive.errors import (
    Cancelled,
    DeviceMemoryError,
    NNInteractiveError,
    PromptError,
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
    Run,
    Show,
    Stroke,
    SwitchTo,
    Undo,
)
from napari_nninteractive.workspace.session_file import SavedObject

if TYPE_CHECKING:
    from napari_nninteractive.engine.session import InferenceSession

__all__ = ["Moment", "Workspace", "load_session", "measure_cost"]

Steps = tuple[Step, ...]
ProgressLike = Callable[[Any], object]


def load_session(choice: ModelChoice) -> InferenceSession:
    """Load a model; imports torch, so not on the thread of the window.

    Raises
    ------
    ModelError, SessionError
        If the model or the device is not there.
    """
    open_torch_libraries()
    from napari_nninteractive.engine.session import InferenceSession

    return InferenceSession.from_pretrained(
        choice.name,
        choice.device,
        precision=choice.precision,  # type: ignore[arg-type]  # checked there
    )


def measure_cost(session: InferenceSession) -> str:
    """Time one pass of the network on a small patch, and say what it means."""
    from napari_nninteractive.engine.estimate import estimate

    found = estimate(session.model, precision=session.precision)  # type: ignore[arg-type]
    memory = f"{found.bytes / 2**30:.1f} GB" if found.bytes >= 2**30 else f"{found.bytes >> 20} MB"
    return f"About {found.seconds:.1g} s and {memory} for a prompt, more for large objects ({found.device})."


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """All objects of one image at one time.

    Attributes
    ----------
    label : int
        The current object.
    objects : mapping of int to tuple of Step
        What was done to each object.
    strokes : tuple of Stroke
        What was painted by hand into objects that were not the current one.
    """

    label: int
    objects: Mapping[int, Steps] = field(default_factory=lambda: MappingProxyType({}))
    strokes: tuple[Stroke, ...] = ()

    def with_steps(self, steps: Steps) -> Moment:
        """Moment in which the current object has other steps."""
        return replace(self, objects=MappingProxyType({**self.objects, self.label: steps}))


@dataclass(slots=True, eq=False)
class _Timeline:
    """A moment with its past and future."""

    now: Moment
    past: list[Moment] = field(default_factory=list)
    future: list[Moment] = field(default_factory=list)

    def become(self, moment: Moment, *, joined: bool = False) -> None:
        if not (joined and self.past):
            self.past.append(self.now)
        self.future.clear()
        self.now = moment


class Workspace:
    """Runs commands on a session.

    Parameters
    ----------
    load : callable
        Makes a session for a `ModelChoice`.
    cost : callable, optional
        Says what a prompt will cost with a session.
    """

    def __init__(
        self,
        load: Callable[[ModelChoice], InferenceSession] = load_session,
        cost: Callable[[InferenceSession], str] | None = None,
    ) -> None:
        self._load, self._cost = load, cost
        self._choice: ModelChoice | None = None
        self._session: InferenceSession | None = None
        self._opened: object = None
        self._version = 0
        self._timelines: dict[object, _Timeline] = {}
        self._placed: dict[
            int, PlacedPrompt
        ] = {}  # by identity of the prompt, which the placed prompt keeps alive

    @property
    def session(self) -> InferenceSession | None:
        """The session, once there is one."""
        return self._session

    @property
    def choice(self) -> ModelChoice | None:
        """The model that is loaded; None before the first."""
        return self._choice

    def cost(self) -> str:
        """What a prompt will cost, in words; "" where that is not known."""
        if self._session is None or self._cost is None:
            return ""
        return self._cost(self._session)

    def ready(self, choice: ModelChoice, source: ImageSource, label: int) -> InferenceSession:
        """Load the model and open the image, where they are not open yet.

        Parameters
        ----------
        choice : ModelChoice
            Which model.
        source : ImageSource
            Which image. Objects made in it before are there again.
        label : int
            First object, where there was none.
        """
        if self._session is None or choice != self._choice:
            session = self._load(choice)
            self._session, self._choice, self._opened = session, choice, None
        if (self._opened, self._version) != (source.key, source.version):
            self._leave()
            self._session.set_image(source.frame.select(source.data), _spacing_of(source))
            self._opened, self._version = source.key, source.version
            timeline = self._timelines.setdefault(source.key, _Timeline(Moment(label)))
            self._restore(timeline.now)
        return self._session

    def forget(self, key: object) -> None:
        """Drop the objects of an image."""
        self._timelines.pop(key, None)
        if self._opened == key:
            self._opened, self._session = None, None

    def do(
        self,
        command: Command,
        cancel: CancelToken | None = None,
        progress: ProgressLike | None = None,
        *,
        probability: bool = False,
    ) -> CommandOutcome:
        """Run a command on the open image.

        Raises
        ------
        PromptError, SessionError, Cancelled
            As the session's methods; nothing has changed then.
        """
        options: dict[str, Any] = {
            "cancel": cancel,
            "progress": progress,
            "probability": probability,
        }
        match command:
            case Add():
                return self._add(command, options)
            case Run():
                return self._predict(lambda s: s.predict(**options))
            case Replace():
                index = self._index(command.placed.uid)
                self._placed[id(command.placed.prompt)] = command.placed
                prompt = command.placed.prompt
                return self._predict(lambda s: s.replace(index, prompt, **options))
            case Remove():
                index = self._index(command.uid)
                return self._predict(lambda s: s.remove(index, **options))
            case Undo() | Redo():
                return self._travel(back=isinstance(command, Undo))
            case Show():
                return self._show()
            case Paint():
                timeline = self._timeline()
                strokes = (*timeline.now.strokes, command.stroke)
                timeline.become(replace(timeline.now, strokes=strokes))
                return self.outcome()
            case _:
                return self._rearrange(command)

    def images(self) -> tuple[Any, ...]:
        """Images that something was done in."""
        return tuple(key for key, line in self._timelines.items() if line.past or line.future)

    def save(self, key: object) -> tuple[int, dict[int, SavedObject]]:
        """Current label and all objects of an image."""
        timeline = self._timelines.get(key)
        if timeline is None:
            return 1, {}
        session = self._ready()
        empty = State.empty(session.volume.shape)
        return timeline.now.label, {
            label: self._saved(empty.moved_to(steps))
            for label, steps in timeline.now.objects.items()
            if steps
        }

    def take_over(self, key: object, label: int, objects: Mapping[int, SavedObject]) -> None:
        """Take over saved objects as one action; the image that is open must have the shape of theirs."""
        self._ready()
        timeline = self._timelines.setdefault(key, _Timeline(Moment(label)))
        steps = {n: self._steps(saved) for n, saved in objects.items()}
        objects_now = MappingProxyType({**timeline.now.objects, **steps})
        timeline.become(replace(timeline.now, label=label, objects=objects_now))
        if key == self._opened:
            self._restore(timeline.now)

    def _saved(self, state: State) -> SavedObject:
        taken = [(s.prompt, s.predicted) for s in state.steps]
        start = len([p for p, _ in taken if p is not None]) - len(state.prompts)
        placed: list[tuple[PlacedPrompt, bool]] = []
        for prompt, ran in taken:
            if prompt is not None:
                placed.append((self._placed_of(prompt), ran))
            elif ran and placed:
                placed[-1] = (placed[-1][0], True)
        box = state.mask.bounds()
        mask = None if box is None else MaskEdit(state.mask.read(box) != 0, box.start)
        return SavedObject(tuple(placed[start:]), mask)

    def _steps(self, saved: SavedObject) -> Steps:
        """Steps that lead to the saved mask without the network."""
        empty = self._empty()
        after = empty.mask
        if saved.mask is not None:
            draft = after.draft()
            draft.write(saved.mask.bounds, saved.mask.mask)
            after = draft.finish()
        delta = empty.mask.difference(after)
        for placed, _ in saved.placed:
            self._placed[id(placed.prompt)] = placed
        steps = [Step(placed.prompt, ran) for placed, ran in saved.placed]
        if not steps and saved.mask is None:
            return ()
        last = steps.pop() if steps else Step(None, True)
        return (*steps, Step(last.prompt, last.predicted, delta, delta))

    def outcome(self, **what: Any) -> CommandOutcome:
        """What is now."""
        timeline, session = self._timeline(), self._ready()
        prompts = {
            label: len(in_force([s.prompt for s in steps]))
            for label, steps in timeline.now.objects.items()
        }
        return CommandOutcome(
            label=timeline.now.label,
            placed=tuple(self._placed_of(p) for p in session.prompts),
            prompts=MappingProxyType(prompts),
            can_undo=bool(timeline.past),
            can_redo=bool(timeline.future),
            waiting=_waits(timeline.now.objects.get(timeline.now.label, ())),
            device=f"{session.model.device}, {session.precision}",
            **what,
        )

    # Inside

    def _ready(self) -> InferenceSession:
        if self._session is None or self._opened is None:
            raise PromptError("There is no image open; choose one in the panel.")
        return self._session

    def _leave(self) -> None:
        """Close the image; where nothing was done, its label is free again."""
        timeline = self._timelines.get(self._opened)
        if timeline is not None and not timeline.past and not timeline.future:
            del self._timelines[self._opened]
        self._opened = None

    def _timeline(self) -> _Timeline:
        self._ready()
        return self._timelines[self._opened]

    def _placed_of(self, prompt: Prompt) -> PlacedPrompt:
        return self._placed[id(prompt)]

    def _index(self, uid: int) -> int:
        for index, prompt in enumerate(self._ready().prompts):
            if self._placed_of(prompt).uid == uid:
                return index
        raise PromptError("This prompt no longer counts; draw it again.")

    def _add(self, command: Add, options: dict[str, Any]) -> CommandOutcome:
        """All prompts as one action; they are kept where the prediction is cancelled or has not enough memory."""
        session, before = self._ready(), self._ready().export()
        for placed in command.placed:
            self._placed[id(placed.prompt)] = placed
        *first, last = command.placed
        begun = self._changed_label()
        stopped: NNInteractiveError | None = None
        predicts = command.predict and not isinstance(last.prompt, InitialMask | MaskEdit)
        given = (*session.prompts, *(placed.prompt for placed in command.placed))
        nothing = before.state.mask.bounds() is None and not any(_is_object(p) for p in given)
        if predicts and nothing:
            predicts = False
            stopped = PromptError(
                "So far you said only what is not the object: mark the object too."
            )
        try:
            for placed in first:
                session.add(placed.prompt, predict=False)
            prediction = session.add(last.prompt, predict=False) if not predicts else None
            if prediction is None:
                try:
                    prediction = session.add(last.prompt, predict=True, **options)
                except (Cancelled, DeviceMemoryError) as error:
                    prediction, stopped = session.add(last.prompt, predict=False), error
        except BaseException:
            session.restore(before)
            raise
        return self._record(before, prediction, begun, stopped, joined=command.joined)

    def _predict(self, run: Callable[[InferenceSession], Prediction]) -> CommandOutcome:
        session = self._ready()
        before, begun = session.export(), self._changed_label()
        return self._record(before, run(session), begun)

    def _changed_label(self) -> int:
        return self._timeline().now.label

    def _record(
        self,
        before: ObjectState,
        prediction: Prediction,
        label: int,
        stopped: NNInteractiveError | None = None,
        *,
        joined: bool = False,
    ) -> CommandOutcome:
        after = self._ready().export().state
        changes = _difference(label, before.state, after)
        timeline = self._timeline()
        timeline.become(timeline.now.with_steps(after.steps), joined=joined)
        return self.outcome(changes=changes, prediction=prediction, stopped=stopped)

    def _travel(self, *, back: bool) -> CommandOutcome:
        timeline = self._timeline()
        source, target = timeline.past, timeline.future
        if not back:
            source, target = target, source
        if not source:
            return self.outcome()
        old, new = timeline.now, source.pop()
        target.append(old)
        timeline.now = new
        return self._go(old, new)

    def _show(self) -> CommandOutcome:
        empty = self._empty()
        changes: tuple[Change, ...] = ()
        for label, steps in self._timeline().now.objects.items():
            changes += _difference(label, empty, empty.moved_to(steps))
        strokes = _strokes_between((), self._timeline().now.strokes)
        return self.outcome(changes=changes, strokes=strokes)

    def _rearrange(self, command: SwitchTo | Reset | Delete) -> CommandOutcome:
        timeline = self._timeline()
        old = timeline.now
        objects = dict(old.objects)
        label = old.label
        match command:
            case SwitchTo():
                label = command.label
            case Reset():
                objects[label] = ()
            case Delete():
                objects.pop(command.label, None)
        timeline.become(replace(old, label=label, objects=MappingProxyType(objects)))
        return self._go(old, timeline.now)

    def _go(self, old: Moment, new: Moment) -> CommandOutcome:
        """Bring the session from one moment to another."""
        state = self._ready().export().state
        changes: tuple[Change, ...] = ()
        for label in sorted(old.objects.keys() | new.objects.keys()):
            before, after = old.objects.get(label, ()), new.objects.get(label, ())
            if before is not after:
                start = state if label == old.label else self._empty().moved_to(before)
                changes += _difference(label, start, start.moved_to(after))
        self._restore(new)
        return self.outcome(changes=changes, strokes=_strokes_between(old.strokes, new.strokes))

    def _restore(self, moment: Moment) -> None:
        state = self._empty().moved_to(moment.objects.get(moment.label, ()))
        self._session.restore(ObjectState(state))  # type: ignore[union-attr]

    def _empty(self) -> State:
        return State.empty(self._session.volume.shape)  # type: ignore[union-attr]


def _is_object(prompt: Prompt) -> bool:
    """Whether a prompt says where the object is."""
    return isinstance(prompt, InitialMask) or prompt.positive


def _spacing_of(source: ImageSource) -> tuple[float, ...]:
    return source.spacing[3 - len(source.frame.spatial) :]


def _strokes_between(
    old: tuple[Stroke, ...], new: tuple[Stroke, ...]
) -> tuple[tuple[Stroke, bool], ...]:
    """Strokes to take back, the last one first, and those to make again."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(old, new, strict=False)))
    return (*((s, True) for s in reversed(old[same:])), *((s, False) for s in new[same:]))


def _waits(steps: Steps) -> bool:
    """Whether the last thing was a prompt without a prediction."""
    if not steps or steps[-1].predicted:
        return False
    return not isinstance(steps[-1].prompt, InitialMask | MaskEdit)


def _difference(label: int, before: State, after: State) -> tuple[Change, ...]:
    box = before.mask.difference(after.mask).bounds
    return () if box is None else (Change(label, box, after.mask.read(box)),)
