"""What the panel says, word by word."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nninteractive.core.prompts import BoxPrompt, Point, Prompt, Scribble
from napari_nninteractive.plugin.view.messages import describe
from napari_nninteractive.workspace.values.placed import PlacedPrompt


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (Point((3, 4, 5)), "+ Point, z 3"),
        (BoxPrompt((3, 4, 5), (9, 5, 9), False), "− Box, y 4"),
        (BoxPrompt((3, 4, 5), (9, 8, 9)), "+ Box, z 3–8"),
        (Scribble(np.ones((2, 3, 1)), (1, 1, 7)), "+ Scribble, x 7"),
    ],
)
def test_prompts_are_described(prompt: Prompt, text: str) -> None:
    assert describe(PlacedPrompt(1, prompt)) == text
