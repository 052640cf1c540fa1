"""Prompts as values: equal means equal content, and JSON brings back an equal one."""

from __future__ import annotations

import json

import numpy as np
from fixtures.strategies import prompts
from hypothesis import given

from napari_nninteractive.core.prompts import (
    InitialMask,
    Lasso,
    MaskEdit,
    Prompt,
    Scribble,
    prompt_from_json,
    prompt_to_json,
)


@given(prompts())
def test_json_round_trip(prompt: Prompt) -> None:
    text = json.dumps(prompt_to_json(prompt), allow_nan=False)
    other = prompt_from_json(json.loads(text))
    assert other == prompt
    assert hash(other) == hash(prompt)
    assert json.dumps(prompt_to_json(other)) == text


@given(prompts(), prompts())
def test_equal_exactly_if_their_records_are(a: Prompt, b: Prompt) -> None:
    assert (a == b) == (prompt_to_json(a) == prompt_to_json(b))
    assert a != b or hash(a) == hash(b)


@given(prompts())
def test_bounds_are_tight(prompt: Prompt) -> None:
    assert not prompt.bounds.is_empty
    if isinstance(prompt, Scribble | Lasso | InitialMask | MaskEdit):
        assert prompt.mask.shape == prompt.bounds.shape
        assert prompt.origin == prompt.bounds.start
        for axis in range(3):
            sides = np.moveaxis(prompt.mask, axis, 0)
            assert sides[0].any()
            assert sides[-1].any()
