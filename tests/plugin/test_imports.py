"""What opening the panel loads on the thread of the window."""

from __future__ import annotations

import os
import subprocess
import sys

# For the worker's thread, for files, for training; what napari itself loads (pandas, dask) is not among them.
LATER = {
    "SimpleITK",
    "huggingface_hub",
    "imagecodecs",
    "matplotlib",
    "nibabel",
    "nnunetv2",
    "scipy.signal",
    "scipy.stats",
    "seaborn",
    "sklearn",
    "tifffile",
    "torch",
    "torchvision",
    "triton",
    "zarr",
}
CODE = f"""
import sys
import napari_nninteractive.plugin.panel
import napari_nninteractive.plugin.writers
print(sorted({LATER} & sys.modules.keys()))
"""


def test_the_panel_loads_neither_torch_nor_what_only_files_need() -> None:
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
from napari_nninteractive.workspace.values.placed import ModelChoice
load_chosen(ModelChoice(device="cpu"))
print(sorted({"triton", "torchvision"} & sys.modules.keys()))
"""


def test_loading_a_model_loads_nothing_that_crashes_beside_a_canvas() -> None:
    run = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=False)
    assert run.stdout == "[]\n", run.stderr
