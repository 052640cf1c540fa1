"""Pure steps from one state of an object to the next, and the check that comes before them."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.core.box import Box, Index3
from napari_nninteractive.core.plan import Plan
from napari_nninteractive.core.prompts import InitialMask, MaskEdit, Point, Prompt
from napari_nninteractive.core.working import WorkingResolution
from napari_nninteractive.engine import working
from napari_nninteractive.engine.history import State, Step, edits
from napari_nninteractive.engine.predict import Canvas, Outcome, Predictor
from napari_nninteractive.engine.results import Monitor, Pass, Prediction
from napari_nninteractive.engine.store import ChunkStore
from napari_nninteractive.errors import PromptError

__all__ = ["check_prompt", "play"]


def check_prompt(prompt: Prompt, shape: Index3, kinds: frozenset[str]) -> Prompt:
    """Refuse what cannot be used, before anything changes.

    Parameters
    ----------
    prompt : Prompt
        What the caller gave, whatever its type.
    shape : tuple of int
        (z, y, x) of the image in voxels.
    kinds : frozenset of str
        Prompt kinds that the model knows.

    Returns
    -------
    Prompt
        The same.

    Raises
    ------
    PromptError
        If it is no prompt, of a kind that the model does not know, outside the image, or a mask of another shape.
    """
    if not isinstance(prompt, Prompt):
        raise PromptError(
            f"Not a prompt: {prompt!r}. Use Point, BoxPrompt, Scribble, Lasso, InitialMask or MaskEdit."
        )
    if isinstance(prompt, InitialMask):
        if prompt.shape != shape:
            raise PromptError(
                f"The initial mask has shape {prompt.shape}, but the image has {shape}."
            )
        return prompt
    if not isinstance(prompt, MaskEdit) and prompt.kind not in kinds:
        raise PromptError(
            f"This model does not know prompts of kind {prompt.kind}, only {', '.join(sorted(kinds))}."
            + (
                " Give a box on one slice: one axis of extent 1."
                if "bbox2d" in kinds and prompt.kind == "bbox3d"
                else ""
            )
        )
    if not _touches(prompt, shape):
        what = (
            f"point at {prompt.position}"
            if isinstance(prompt, Point)
            else f"{prompt.kind} at {prompt.bounds}"
        )
        raise PromptError(
            f"The {what} lies outside the image of shape {shape} (z, y, x): draw it inside."
        )
    return prompt


def _touches(prompt: Prompt, shape: Index3) -> bool:
    """Whether some voxel of a prompt lies in the image."""
    inside = prompt.bounds.clip(shape)
    if inside.is_empty:
        return False
    if isinstance(prompt, Point) or not hasattr(prompt, "mask"):
        return True
    return bool(prompt.mask[inside.relative_to(prompt.bounds).slices].any())


def play(
    predictor: Predictor,
    current: State,
    start: State,
    plan: Plan,
    monitor: Monitor,
    *,
    probability: bool = False,
) -> tuple[State, Prediction]:
    """Run steps from a state on.

    Parameters
    ----------
    predictor : Predictor
        The image seen by the network.
    current : State
        What the caller sees now: changes are counted from it.
    start : State
        Where to begin.
    plan : Plan
        Steps to take, in order.
    monitor : Monitor
        Progress and cancel.
    probability : bool
        Whether to give the probability of the last prediction.

    Returns
    -------
    State, Prediction
        The state after all steps, and what differs from `current`. The given states stay as they are.
    """
    began, state, outcome = time.perf_counter(), start, None
    passes: list[Pass] = []
    for prompt, predict in plan:
        state, done = _step(predictor, state, prompt, predict, monitor, probability)
        if done is not None:
            outcome = done
            passes += done.passes
    changed = current.mask.difference(state.mask).bounds
    values = state.mask.read(changed or Box.EMPTY)
    prediction = Prediction(
        changed=changed,
        mask=values,
        zoom=outcome.zoom if outcome else 1.0,
        forwards=len(passes),
        seconds=time.perf_counter() - began,
        passes=tuple(passes),
        probability=_probability(outcome, changed, values) if probability else None,
    )
    return state, prediction


def _step(
    predictor: Predictor,
    state: State,
    prompt: Prompt | None,
    predict: bool,
    monitor: Monitor,
    probability: bool,
) -> tuple[State, Outcome | None]:
    """State after one more step."""
    base = state
    prompts = state.prompts
    if isinstance(prompt, InitialMask):  # takes the place of all that was
        empty = ChunkStore(state.mask.shape)
        base, prompts = State(state.steps, empty, empty), ()
    if prompt is not None:
        prompts = (*prompts, prompt)
    canvas = Canvas(base.mask.draft(), base.previous.draft(), edits(prompts))
    if isinstance(prompt, InitialMask | MaskEdit):
        for draft in (canvas.mask, canvas.previous):
            draft.write(prompt.bounds, np.full(prompt.mask.shape, prompt.positive), prompt.mask)
    outcome = None
    if predict and prompts:
        resolution = None if isinstance(prompt, InitialMask) else state.resolution
        outcome = _predict(predictor, prompts, canvas, monitor, resolution, probability)
    mask, previous = canvas.mask.finish(), canvas.previous.finish()
    step = Step(
        prompt,
        predict,
        state.mask.difference(mask),
        state.previous.difference(previous),
        outcome.resolution if outcome else None,
    )
    return State((*state.steps, step), mask, previous), outcome


def _predict(
    predictor: Predictor,
    prompts: tuple[Prompt, ...],
    canvas: Canvas,
    monitor: Monitor,
    resolution: WorkingResolution | None,
    probability: bool,
) -> Outcome:
    """Run the network, at a working resolution where there is one."""
    if predictor.config.max_working_zoom == 1:
        return predictor.run(prompts, canvas, monitor, probability=probability)
    return working.predict(predictor, prompts, canvas, monitor, resolution, probability=probability)


def _probability(
    outcome: Outcome | None, changed: Box | None, values: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Probability of the object in the changed box, later passes over earlier ones; the mask where none looked."""
    out = values.astype(np.float32)
    for box, part, where in (outcome.probabilities if outcome else None) or ():
        common = box.intersect(changed) if changed is not None else Box.EMPTY
        if changed is not None and not common.is_empty:
            inside = common.relative_to(box).slices
            target = out[common.relative_to(changed).slices]
            np.copyto(target, part[inside], where=True if where is None else where[inside])
    return out
