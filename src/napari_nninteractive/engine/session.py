"""The inference session: one image, one object at a time, prompts in, a mask out.

It orchestrates and computes nothing itself. Its whole state is one immutable value, replaced at the end of a call that
succeeded; whatever fails, is cancelled or is interrupted leaves it as it was.
"""

from __future__ import annotations

import contextlib
import operator
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_nninteractive.core.plan import Plan, predicts
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.engine import record
from napari_nninteractive.engine.config import EngineConfig
from napari_nninteractive.engine.device import Network, Precision
from napari_nninteractive.engine.engine import Engine, load_engine
from napari_nninteractive.engine.history import Action, History, ObjectState, State
from napari_nninteractive.engine.model import Model, load_model
from napari_nninteractive.engine.normalize import Normalization
from napari_nninteractive.engine.predict import Predictor
from napari_nninteractive.engine.results import CancelLike, Monitor, Prediction, ProgressCallback
from napari_nninteractive.engine.steps import check_prompt, play
from napari_nninteractive.engine.store import MaskView
from napari_nninteractive.errors import PromptError, SessionError
from napari_nninteractive.session_file.choose import choose_object
from napari_nninteractive.session_file.files import read_session, write_session

__all__ = ["InferenceSession"]


@dataclass(frozen=True, slots=True)
class _Now:
    """All that a session holds: one value, so that an interrupt finds the old one or the new one, nothing between."""

    predictor: Predictor | None = None
    state: State = field(default_factory=lambda: State.empty((0, 0, 0)))
    history: History = field(default_factory=History)


class InferenceSession:
    """Segment objects in one image with prompts.

    All methods may be called from any thread; calls from several threads run one after the other.

    Parameters
    ----------
    model : Model
        From `load_model`.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the network; "auto" takes what the device does fast.
    network : callable, optional
        (1, channels, z, y, x) float32 tensor to (1, 2, z, y, x) logits; the model's own by default.
    autozoom : bool
        Whether to look from further away while the object reaches the border of the view.
    config : EngineConfig, optional
        Thresholds; those of the published engine by default, with the working zoom of the model's capabilities.

    Raises
    ------
    SessionError
        If the precision does not fit the device.
    """

    def __init__(
        self,
        model: Model,
        *,
        precision: Precision = "auto",
        network: Network | None = None,
        autozoom: bool = True,
        config: EngineConfig | None = None,
    ) -> None:
        self._engine = Engine.of(
            model, precision=precision, network=network, autozoom=autozoom, config=config
        )
        self._lock = threading.RLock()
        self._busy = False
        self._now = _Now()

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        device: str = "auto",
        *,
        precision: Precision = "auto",
        autozoom: bool = True,
        config: EngineConfig | None = None,
    ) -> InferenceSession:
        """Session with a model by name or folder; see `load_engine` for its errors."""
        engine = load_engine(name, device, precision=precision, autozoom=autozoom, config=config)
        return cls(
            engine.model,
            precision=engine.precision,
            autozoom=engine.autozoom,
            config=engine.config,
        )

    # What there is

    @property
    def engine(self) -> Engine:
        """The model and how it runs, which other programs may open on images of their own."""
        return self._engine

    @property
    def model(self) -> Model:
        """The model."""
        return self._engine.model

    @property
    def precision(self) -> str:
        """Precision of the network: "fp32", "bf16" or "fp16"."""
        return self._engine.precision

    @property
    def config(self) -> EngineConfig:
        """Thresholds of the engine."""
        return self._engine.config

    @property
    def autozoom(self) -> bool:
        """Whether the view widens while the object reaches its border."""
        return self._engine.autozoom

    @property
    def volume(self) -> Volume:
        """The image.

        Raises
        ------
        SessionError
            If none was set.
        """
        return self._ready().reader.volume

    @property
    def mask(self) -> MaskView:
        """Mask of the current object: a read-only view, (z, y, x) uint8 of zeros and ones."""
        return MaskView(self._now.state.mask)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts in force, oldest first, edits by hand included."""
        return self._now.state.prompts

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._now.history.past)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return bool(self._now.history.future)

    # Images and objects

    def set_image(
        self,
        image: object,
        spacing: Sequence[float] | None = None,
        *,
        normalization: Normalization | None = None,
    ) -> None:
        """Start on an image; everything done before is forgotten.

        Parameters
        ----------
        image : array_like
            (z, y, x) or (y, x), real. Held by reference and never changed; call again after editing it.
        spacing : sequence of float, optional
            Physical size of a voxel along the axes of the image; 1 by default.
        normalization : Normalization, optional
            Intensity statistics of the image, where `engine.normalize.measure` gave them before; measured by default.

        Raises
        ------
        ImageError
            If it cannot be segmented; the session then keeps its image and object.
        """
        self._open(Volume.open(image, spacing), normalization)

    def reset(self) -> None:
        """Go on to the next object on the same image. Undo brings this one back."""
        with self._exclusive():
            self._ready()
            if self._now.state.steps:
                self._become(State.empty(self._now.state.mask.shape))

    def export(self) -> ObjectState:
        """The current object: prompts, edits and mask, to come back to with `restore`."""
        with self._exclusive():
            self._ready()
            return ObjectState(self._now.state)

    def restore(self, state: ObjectState) -> None:
        """Come back to an exported object; the current one is left, and undo brings it back.

        Raises
        ------
        SessionError
            If the state is not from an image of this shape.
        """
        with self._exclusive():
            shape = self._ready().reader.volume.shape
            if not isinstance(state, ObjectState):
                raise SessionError(f"restore takes what export gave, not {type(state).__name__}.")
            if state.shape != shape:
                raise SessionError(
                    f"This object is from an image of shape {state.shape}, but the image is {shape}."
                )
            self._become(state.state)

    # Prompts

    def add(
        self,
        prompt: Prompt,
        *,
        predict: bool | None = None,
        probability: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelLike | None = None,
    ) -> Prediction:
        """Add a prompt and predict.

        Parameters
        ----------
        prompt : Prompt
            What was drawn, in voxels (z, y, x); clipped to the image.
        predict : bool, optional
            Whether to predict now; by default yes, but not after an `InitialMask` or `MaskEdit`. Prompts that wait are
            run together by `predict` or by the next prompt, as one step of undo.
        probability : bool
            Whether to give the network's probability.
        progress : callable, optional
            Called with a `Progress` after each pass.
        cancel : CancelToken or threading.Event, optional
            Stops between two passes when set.

        Returns
        -------
        Prediction
            What changed.

        Raises
        ------
        PromptError
            If the prompt lies outside the image or the model does not know its kind; nothing has changed then.
        SessionError
            If there is no image, or the network failed.
        Cancelled
            If `cancel` was set; nothing has changed then.
        """
        with self._exclusive():
            self._checked(prompt)
            if predict is None:
                predict = predicts(prompt)
            waits = not predict and predicts(prompt)
            plan = [(prompt, predict)]
            return self._play(
                self._now.state,
                plan,
                Monitor(progress, cancel),
                probability=probability,
                queued=waits,
            )

    def predict(
        self,
        *,
        probability: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelLike | None = None,
    ) -> Prediction:
        """Predict with all prompts in force, centred on the last one; parameters and errors as in `add`."""
        with self._exclusive():
            self._ready()
            if not self._now.state.prompts:
                raise SessionError("There is no prompt to predict from; add one first.")
            return self._play(
                self._now.state, [(None, True)], Monitor(progress, cancel), probability=probability
            )

    def remove(
        self,
        index: int,
        *,
        probability: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelLike | None = None,
    ) -> Prediction:
        """Take an earlier prompt away, as if it had never been.

        Goes back to the state before it and runs the later prompts again.

        Parameters
        ----------
        index : int
            Into `prompts`.
        probability, progress, cancel
            As in `add`.

        Returns
        -------
        Prediction
            What changed, all in all.

        Raises
        ------
        PromptError
            If there is no such prompt.
        SessionError, Cancelled
            As in `add`.
        """
        with self._exclusive():
            at = self._step_of(index)
            before = self._now.state.moved_to(self._now.state.steps[:at])
            plan = [(s.prompt, s.predicted) for s in self._now.state.steps[at + 1 :]]
            return self._play(before, plan, Monitor(progress, cancel), probability=probability)

    def replace(
        self,
        index: int,
        prompt: Prompt,
        *,
        probability: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelLike | None = None,
    ) -> Prediction:
        """Change an earlier prompt, as if it had been so from the start; parameters and errors as in `remove`."""
        with self._exclusive():
            at = self._step_of(index)
            self._checked(prompt)
            before = self._now.state.moved_to(self._now.state.steps[:at])
            plan = [(s.prompt, s.predicted) for s in self._now.state.steps[at:]]
            plan[0] = (prompt, plan[0][1])
            return self._play(before, plan, Monitor(progress, cancel), probability=probability)

    def undo(self) -> bool:
        """Take the last action back, to any depth. Returns whether there was one."""
        with self._exclusive():
            history = self._now.history
            if not history.past:
                return False
            state = self._now.state.moved_to(history.past[-1].before)
            self._now = replace(self._now, state=state, history=history.undone())
            return True

    def redo(self) -> bool:
        """Do the last undone action again, without the network. Returns whether there was one."""
        with self._exclusive():
            history = self._now.history
            if not history.future:
                return False
            state = self._now.state.moved_to(history.future[-1].after)
            self._now = replace(self._now, state=state, history=history.redone())
            return True

    # Files

    def save(self, path: str | Path, name: str = "") -> None:
        """Write prompts, mask, and the identity of model and image to a JSON file, from which `replay` starts again.

        Parameters
        ----------
        path : str or Path
            File to write; one that is there is replaced.
        name : str
            Of the image, for whoever opens the file.

        Raises
        ------
        SessionError
            If there is no image, or the file cannot be written; an earlier file is then still there.
        """
        with self._exclusive():
            self._ready()
            plan = [(s.prompt, s.predicted) for s in self._now.state.steps]
            saved = record.describe(self._engine, self.volume, plan, self.mask, name)
            write_session(path, saved)

    @classmethod
    def replay(
        cls,
        path: str | Path,
        volume: object,
        model: Model | str | Path | None = None,
        device: str = "auto",
        *,
        label: int | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelLike | None = None,
    ) -> InferenceSession:
        """Run a saved object again on its image.

        Parameters
        ----------
        path : str or Path
            File that `save`, the command line or the panel wrote, in this version or an earlier one.
        volume : array_like
            The same image, (z, y, x) or (y, x): of a series the time point, as the panel showed it.
        model : Model, str or Path, optional
            The same model; by default loaded from where it was.
        device : str
            Where to load the model to; ignored where `model` is one already.
        label : int, optional
            Of the object, where the file holds several; the current one by default.
        progress, cancel
            As in `add`.

        Returns
        -------
        InferenceSession
            With the object as saved. Bit-identical on the same device, precision, number of threads and torch;
            otherwise a warning gives the Dice coefficient with the saved mask. A warning also says what a file of an
            earlier version does not tell.

        Raises
        ------
        SessionError
            If the file is no saved session, or does not tell which object is meant.
        ImageError, ModelError
            If image or model are others than those that were saved.
        """
        opened = Volume.open(volume)
        saved = read_session(path, opened.shape)
        opened = replace(opened, spacing=saved.image.spacing)
        frame, chosen = choose_object(saved, opened, label)
        if not isinstance(model, Model):
            model = load_model(model or saved.model.name, device)
        precision, autozoom, config = record.settings_of(saved, model.device)
        session = cls(model, precision=precision, autozoom=autozoom, config=config)
        session._open(opened)
        record.check_same(saved, frame, model, opened)
        for step in chosen.steps:
            if step.prompt is not None:
                session._checked(step.prompt)
        if chosen.steps:
            plan = [(step.prompt, step.predicted) for step in chosen.steps]
            session._play(session._now.state, plan, Monitor(progress, cancel))
        record.compare(chosen.mask, session.mask)
        return session

    # Inside

    def _open(self, volume: Volume, normalization: Normalization | None = None) -> None:
        predictor = self._engine.open(volume, normalization)
        with self._exclusive():
            self._now = _Now(predictor, State.empty(volume.shape))

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One caller at a time; a callback of a running call must not call back."""
        with self._lock:
            if self._busy:
                raise SessionError(
                    "The session is computing; a progress callback must not call it."
                )
            self._busy = True
            try:
                yield
            finally:
                self._busy = False

    def _ready(self) -> Predictor:
        if self._now.predictor is None:
            raise SessionError("There is no image yet; call set_image first.")
        return self._now.predictor

    def _checked(self, prompt: Prompt) -> Prompt:
        return check_prompt(prompt, self._ready().reader.volume.shape, self._engine.kinds)

    def _step_of(self, index: int) -> int:
        """Step that placed prompt `index` of those in force."""
        self._ready()
        placed = [i for i, step in enumerate(self._now.state.steps) if step.prompt is not None]
        count = len(self._now.state.prompts)
        if not -count <= operator.index(index) < count:
            raise PromptError(
                f"There is no prompt {index!r}; {count} are in force, counted from 0."
            )
        return placed[len(placed) - count + operator.index(index) % count]

    def _play(
        self,
        start: State,
        plan: Plan,
        monitor: Monitor,
        *,
        probability: bool = False,
        queued: bool = False,
    ) -> Prediction:
        """Run steps and make the result the current state: all of them or none."""
        state, prediction = play(
            self._ready(), self._now.state, start, plan, monitor, probability=probability
        )
        ran = bool(prediction.forwards) and start is self._now.state
        self._become(state, queued=queued, predicted=ran)
        return prediction

    def _become(self, state: State, *, queued: bool = False, predicted: bool = False) -> None:
        action = Action(self._now.state.steps, state.steps, queued)
        history = self._now.history.did(action, predicted=predicted)
        self._now = replace(self._now, state=state, history=history)
