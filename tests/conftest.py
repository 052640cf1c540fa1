"""What every test shares."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path

import pytest

# triton (it comes with CUDA builds of torch) crashes the process when it is first imported after an
# OpenGL canvas was made under a software renderer. So it comes first, where it is installed.
if importlib.util.find_spec("triton"):
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of reference cases and real volumes that lies beside the checkout."""
    folder = Path(os.environ.get("NNI_SHARED", ROOT.parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(f"no reference cases: {folder} is missing (NNI_SHARED names another place)")
    return folder


@pytest.fixture(autouse=True)
def _keep_gl_programs(request: pytest.FixtureRequest) -> None:
    """Let no OpenGL program be deleted in tests that open a viewer.

    Under Mesa's software renderer, drawing after the program of a removed layer was deleted crashes
    the process. The patch leaks small programs, and stays: layers are collected after their test.
    """
    if any(name.startswith("make_napari_viewer") for name in request.fixturenames):
        glir = pytest.importorskip("vispy.gloo.glir")
        glir.GlirProgram.delete = lambda self: None
