"""Torch's libraries are opened before its import, and the import works as without."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from pathlib import Path
from napari_nninteractive.engine.preload import open_torch_libraries
assert "torch" not in sys.modules
open_torch_libraries()
assert "torch" not in sys.modules
maps = Path("/proc/self/maps")
if maps.exists():
    print("open" if "libtorch_cpu" in maps.read_text() else "closed")
import torch
ones = torch.ones(1, 1, 3, 3, 3)
print(float(torch.ones(3).sum()), torch.nn.functional.conv3d(ones, ones).item())
open_torch_libraries()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what is open is read from /proc")
def test_the_libraries_are_open_and_the_import_works() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["open", "3.0", "27.0"]


def test_nothing_is_done_where_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    import torch  # noqa: F401

    from napari_nninteractive.engine.preload import open_torch_libraries

    def refuse(*_: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    open_torch_libraries()
