"""Plans as lists of records: what is written comes back, and what is no plan is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_nninteractive.core.plan import Plan, plan_from_json, plan_to_json, predicts
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Scribble,
)
from napari_nninteractive.errors import NNInteractiveError, PromptError, SessionError

SPOT = np.ones((1, 1, 1), bool)
PLAN: Plan = (
    (InitialMask(np.ones((2, 3, 4))), False),
    (Point((1, 2, 3)), True),
    (Point((1, 2, 3), False), False),
    (BoxPrompt((0, 0, 0), (1, 2, 3)), True),
    (None, True),
    (Scribble(SPOT, (4, 5, 6)), True),
    (Lasso(SPOT), False),
    (MaskEdit(SPOT, value=False), True),
)


def test_what_is_written_comes_back() -> None:
    assert plan_from_json(json.loads(json.dumps(plan_to_json(PLAN)))) == PLAN
    assert plan_from_json(plan_to_json(())) == ()


def test_masks_and_edits_alone_do_not_predict_by_default() -> None:
    kinds = {type(p).__name__: predicts(p) for p, _ in PLAN if p is not None}
    assert kinds == {
        "InitialMask": False,
        "Point": True,
        "BoxPrompt": True,
        "Scribble": True,
        "Lasso": True,
        "MaskEdit": False,
    }


def test_bare_prompts_predict_as_add_does() -> None:
    records = [
        {"type": "Point", "position": [1, 2, 3]},
        {"type": "predict"},
        plan_to_json([(MaskEdit(np.ones((1, 1, 1))), False)])[0],
    ]
    records[2].pop("predict")
    assert plan_from_json(records) == (
        (Point((1, 2, 3)), True),
        (None, True),
        (MaskEdit(np.ones((1, 1, 1))), False),
    )


@pytest.mark.parametrize(
    ("records", "error"),
    [
        ({"type": "Point"}, SessionError),
        (None, SessionError),
        ([{"type": "Point", "position": [1, 2, 3], "predict": 1}], PromptError),
        ([{"type": "Point", "position": [1, 2, 3], "predict": "yes"}], PromptError),
        ([{"type": "Sphere"}], PromptError),
        (["Point"], PromptError),
        ([None], PromptError),
        ([{}], PromptError),
    ],
)
def test_what_is_no_plan_is_refused(records: object, error: type[NNInteractiveError]) -> None:
    with pytest.raises(error):
        plan_from_json(records)


def test_a_mask_with_more_voxels_than_the_image_is_refused_before_it_is_unpacked() -> None:
    records = plan_to_json([(MaskEdit(np.ones((2, 3, 4))), False)])
    assert plan_from_json(records, 24) == plan_from_json(records)
    with pytest.raises(PromptError, match="24 voxels, where the image has 23"):
        plan_from_json(records, 23)
