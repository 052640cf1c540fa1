"""The built-in model: in the package, small enough, free to use, and good at what it promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import napari_nninteractive as nni
from napari_nninteractive.cli.main import main

BUILTIN = Path(nni.__file__).parent / "models" / "builtin"


@pytest.fixture(scope="module")
def builtin() -> nni.Model:
    return nni.load_model("builtin", device="cpu")


def test_it_is_small_free_and_understands_every_flat_prompt(builtin: nni.Model) -> None:
    weights = list(BUILTIN.rglob("*.pth"))
    assert len(weights) == 1
    assert weights[0].stat().st_size <= 16 * 2**20
    assert builtin.licence is not None
    assert builtin.licence.startswith("BSD-3-Clause")
    assert builtin.capabilities.kinds >= {"point", "bbox2d", "scribble", "lasso"}
    assert (BUILTIN / "README.md").is_file()


def test_the_demo_finds_its_object(tmp_path: Path, capsys: Any) -> None:
    assert main(["demo", "--device", "cpu", "-o", str(tmp_path / "demo")]) == 0
    scores = [float(s) for s in re.findall(r"Dice (\d\.\d+)", capsys.readouterr().out)]
    assert scores[-1] >= 0.85
    assert len(scores) == 2
