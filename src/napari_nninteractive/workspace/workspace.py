"""All objects of all images: commands in, what they changed out; one history for each image.

It stands on the engine's pure steps, as the `InferenceSession` does. What is there is replaced by a single assignment
at the end of a command that succeeded. Commands are not for several threads at once; what is there may be read from
another one meanwhile, to be saved.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine.history import State
from napari_nninteractive.engine.normalize import Normalization, measure
from napari_nninteractive.engine.preload import open_torch_libraries
from napari_nninteractive.engine.results import CancelToken, Monitor
from napari_nninteractive.errors import PromptError
from napari_nninteractive.workspace.history import History, ObjectSteps
from napari_nninteractive.workspace.values.commands import Command
from napari_nninteractive.workspace.values.outcome import CommandOutcome
from napari_nninteractive.workspace.values.placed import ImageSource, ModelChoice

if TYPE_CHECKING:
    from napari_nninteractive.engine.engine import Engine
    from napari_nninteractive.engine.estimate import Estimate
    from napari_nninteractive.engine.predict import Predictor
    from napari_nninteractive.workspace.actions import MaskReader

__all__ = ["Workspace", "estimate_cost", "load_chosen"]


def load_chosen(choice: ModelChoice) -> Engine:
    """Load a model; imports torch, so not on the thread of a window.

    Raises
    ------
    ModelError, SessionError
        If the model or the device is not there.
    """
    open_torch_libraries()
    from napari_nninteractive.engine.engine import load_engine

    return load_engine(
        choice.name,
        choice.device,
        precision=choice.precision,  # type: ignore[arg-type]  # checked there
    )


def estimate_cost(engine: Engine) -> Estimate:
    """Time one pass of the network on a small patch."""
    from napari_nninteractive.engine.estimate import estimate

    return estimate(engine.model, precision=engine.precision)


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

    @property
    def key(self) -> tuple[str, tuple[int, ...]]:
        return self.image, self.frame.shape


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
        self._state: State | None = None  # of its current object; None: its steps tell
        # By image and shape: where its data are replaced by others of another shape, its objects are others too.
        self._histories: dict[tuple[str, tuple[int, ...]], History] = {}
        self._hashes: dict[tuple[str, Frame], str] = {}
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
        history = self._history_of(source.image, source.frame)
        key = (source.image, source.frame.shape)
        self._histories[key] = history.entered(source.frame, label)

    def forget(self, image: str) -> None:
        """Drop all objects of an image."""
        for table in (self._histories, self._hashes):
            for key in [key for key in list(table) if key[0] == image]:
                del table[key]  # type: ignore[arg-type]  # of either
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
        from napari_nninteractive.workspace.actions import Here, run

        opened = self._ready()
        here = Here(
            opened.engine,
            opened.predictor,
            opened.frame,
            self._histories[opened.key],
            self._state_now(),
            Monitor(progress, cancel),
            self.new_uid,
            masks,
            probability,
        )
        done = run(command, here)
        self._histories[opened.key], self._state = done.history, done.state
        return self._outcome(
            changes=done.changes,
            motion=done.motion,
            went_to=done.went_to,
            stopped=done.stopped,
            prediction=done.prediction,
        )

    def look(self) -> CommandOutcome:
        """Say what is there, without a command."""
        return self._outcome()

    def frames(self, image: str, like: Frame) -> tuple[Frame, ...]:
        """Time points of an image of the shape of a frame that objects were made in."""
        history = self._history_of(image, like)
        made = [frame for (frame, _), one in history.now.objects.items() if one.steps]
        return tuple(dict.fromkeys(made))

    def objects(
        self, image: str, frame: Frame
    ) -> Mapping[int, tuple[ObjectSteps, MaskEdit | None]]:
        """What was done to each object of a time point, by label, and its mask, cropped."""
        history = self._history_of(image, frame)
        empty = State.empty(frame.volume_shape)
        out = {}
        for (where, label), one in history.now.objects.items():
            if where == frame and one.steps:
                mask = empty.moved_to(one.steps).mask
                box = mask.bounds()
                edit = None if box is None else MaskEdit(mask.read(box) != 0, box.start)
                out[label] = one, edit
        return out

    def sha256(self, image: str, frame: Frame, *, known: bool = False) -> str | None:
        """`Volume.sha256` of a time point that was open; reads all of the volume the first time. None for others.

        With `known`, None too where it was not computed yet.
        """
        opened = self._opened
        if not known and opened is not None and (opened.image, opened.frame) == (image, frame):
            self._hashes[image, frame] = opened.volume.sha256()
        return self._hashes.get((image, frame))

    def current(self, image: str, frame: Frame) -> int:
        """Label of the current object of a time point; 1 where it was never open."""
        return self._history_of(image, frame).now.current.get(frame, 1)

    # Inside

    def _outcome(self, **what: Any) -> CommandOutcome:
        """Summarise the current state of the image that is open; `what` are fields of the outcome."""
        opened = self._ready()
        history = self._histories[opened.key]
        label = history.now.current[opened.frame]
        prompts: dict[Frame, dict[int, int]] = {}
        for (frame, n), one in history.now.objects.items():
            prompts.setdefault(frame, {})[n] = one.count
        return CommandOutcome(
            label=label,
            placed=history.steps_of((opened.frame, label)).in_force,
            prompts=prompts,
            can_undo=bool(history.past),
            can_redo=bool(history.future),
            device=f"{opened.engine.device}, {opened.engine.precision}",
            **what,
        )

    def _ready(self) -> _Opened:
        if self._opened is None:
            raise PromptError("There is no image open; choose one in the panel.")
        return self._opened

    def _state_now(self) -> State:
        """State of the current object."""
        opened = self._ready()
        if self._state is None:
            history = self._histories[opened.key]
            key = (opened.frame, history.now.current[opened.frame])
            empty = State.empty(opened.frame.volume_shape)
            self._state = empty.moved_to(history.steps_of(key).steps)
        return self._state

    def _leave(self) -> None:
        """Close the image."""
        opened = self._opened
        self._opened = self._state = None
        if opened is not None and opened.key in self._histories:
            self._histories[opened.key] = self._histories[opened.key].left(opened.frame)

    def _history_of(self, image: str, frame: Frame) -> History:
        return self._histories.get((image, frame.shape), History())
