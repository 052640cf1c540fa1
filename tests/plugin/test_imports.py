"""What opening the panel loads on the thread of the window."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import sys
import napari_nninteractive.plugin.panel
import napari_nninteractive.plugin.writers
print(sorted({"torch", "triton", "torchvision", "nnunetv2"} & sys.modules.keys()))
"""


def test_the_panel_loads_no_torch() -> None:
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert run.stdout == "[]\n", run.stderr


SLOW = """
import sys, threading
from napari_nninteractive.workspace.workspace import load_chosen
from napari_nninteractive.workspace.commands import ModelChoice
load_chosen(ModelChoice(device="cpu"))
print(sorted({"triton", "torchvision"} & sys.modules.keys()))
"""


def test_loading_a_model_loads_nothing_that_crashes_beside_a_canvas() -> None:
    run = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=False)
    assert run.stdout == "[]\n", run.stderr
