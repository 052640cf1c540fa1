"""What every test shares."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

# triton (it comes with CUDA builds of torch) crashes the process when it is first imported after an
# OpenGL canvas was made under a software renderer. So it comes first, where it is installed.
if importlib.util.find_spec("triton"):
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401

# Nothing is measured in tests but where they ask for it: what is chosen depends on what else the machine does.
os.environ["NAPARI_NNINTERACTIVE_RUNTIME"] = "plain"

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of reference cases and real volumes that lies beside the checkout."""
    folder = Path(os.environ.get("NNI_SHARED", ROOT.parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(f"no reference cases: {folder} is missing (NNI_SHARED names another place)")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Make tests that open a viewer safe, or skip them where there is no screen to open it on.

    Under Mesa's software renderer, drawing after the OpenGL program of a removed layer was deleted
    crashes the process, so none is deleted. This leaks small programs, and stays: layers are
    collected after their test.
    """
    fixtures = getattr(item, "fixturenames", ())
    if not any(name.startswith("make_napari_viewer") for name in fixtures):
        return
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        pytest.skip("no screen; scripts/test.sh makes a virtual one")
    from vispy.gloo import glir

    glir.GlirProgram.delete = lambda self: None
