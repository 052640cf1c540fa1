"""What is done to one object: prompts in order, and after which of them the network runs; as values and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_nninteractive.core.prompts import (
    MOST_VOXELS,
    InitialMask,
    MaskEdit,
    Prompt,
    prompt_from_json,
    prompt_to_json,
)
from napari_nninteractive.errors import PromptError, SessionError

__all__ = ["Plan", "plan_from_json", "plan_to_json", "predicts"]

_MASKS = (
    8  # whole images that the masks of one plan may take together; scribbles and lassos are small
)

Plan = Sequence[tuple[Prompt | None, bool]]
"""Steps in order: the prompt to add (None: nothing), and whether the network runs then."""


def predicts(prompt: Prompt) -> bool:
    """Whether the network runs after a prompt where nothing else is said: not after a mask or an edit by hand."""
    return not isinstance(prompt, InitialMask | MaskEdit)


def plan_to_json(plan: Plan) -> list[dict[str, Any]]:
    """Records of a plan that `plan_from_json` turns back into an equal one.

    Parameters
    ----------
    plan : Plan
        Any steps.

    Returns
    -------
    list of dict
        JSON types only, one record per step: that of its prompt, or ``{"type": "predict"}``, and the field "predict".
    """
    return [
        ({"type": "predict"} if prompt is None else prompt_to_json(prompt)) | {"predict": ran}
        for prompt, ran in plan
    ]


def plan_from_json(records: object, most_voxels: int | None = None) -> Plan:
    """Plan from the list that `plan_to_json` made, or from bare records of prompts.

    Parameters
    ----------
    records : list of dict
        Not trusted. A record without "predict" predicts as `InferenceSession.add` does by default.
    most_voxels : int, optional
        Voxels of the image: a mask with more is refused before it takes memory, and all together have eight times as
        many at most. Where the image is not known, `prompts.MOST_VOXELS` counts.

    Returns
    -------
    tuple of (Prompt or None, bool)
        What to add, and whether to predict then.

    Raises
    ------
    PromptError
        If a record is not one of a prompt.
    SessionError
        If `records` is no list.
    """
    if not isinstance(records, list):
        raise SessionError("The prompts must be a list of records, each with a type.")
    most = MOST_VOXELS if most_voxels is None else most_voxels
    left = _MASKS * most
    plan = []
    for record in records:
        step = _step_from_json(record, min(left, most))
        left -= getattr(step[0], "mask", np.empty(0)).size
        plan.append(step)
    return tuple(plan)


def _step_from_json(record: object, most_voxels: int) -> tuple[Prompt | None, bool]:
    if not isinstance(record, dict):
        # Says what a record must be.
        return prompt_from_json(record, most_voxels), True
    if record.get("type") == "predict":
        return None, True
    ran = record.get("predict")
    if not isinstance(ran, bool | None):
        raise PromptError(f"The field 'predict' of a prompt must be true or false, not {ran!r}.")
    prompt = prompt_from_json({k: v for k, v in record.items() if k != "predict"}, most_voxels)
    return prompt, predicts(prompt) if ran is None else ran
