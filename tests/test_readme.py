"""What the README shows works as written."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fixtures.markdown import ROOT, blocks, commands
from fixtures.model_folder import write_model_folder

from napari_nninteractive.cli.main import main

README = "README.md"
SHAPE = (40, 140, 140)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with a stack and a model of the names that the README uses."""
    write_model_folder(tmp_path / "path" / "to" / "model")
    image = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", image)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_example_runs(folder: Path) -> None:
    (example,) = blocks(README, "python")
    names = {"volume": tifffile.imread("stack.tif")}
    exec(example, names)
    assert names["mask"].shape == SHAPE
    assert names["mask"].dtype == np.uint8


def test_command_line_examples_run(folder: Path) -> None:
    examples = [line for line in commands(README) if line.startswith("napari-nninteractive ")]
    assert examples
    for example in examples:
        assert main(shlex.split(example)[1:]) == 0
    assert tifffile.imread("mask.tif").shape == SHAPE


def test_scripts_exist() -> None:
    scripts = [line.split()[1] for line in commands(README) if line.startswith("bash ")]
    assert len(scripts) == 2
    assert [path for path in scripts if not (ROOT / path).is_file()] == []
