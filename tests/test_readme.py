"""What the README shows works as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fixtures.model_folder import write_model_folder

from napari_nninteractive.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHAPE = (40, 140, 140)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with a stack and a model of the names that the README uses."""
    write_model_folder(tmp_path / "path" / "to" / "model")
    image = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", image)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_example_runs(folder: Path) -> None:
    (example,) = blocks("python")
    names = {"volume": tifffile.imread("stack.tif")}
    exec(example, names)
    assert names["mask"].shape == SHAPE
    assert names["mask"].dtype == np.uint8


def test_command_line_examples_run(folder: Path) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    examples = [line for line in lines if line.startswith("napari-nninteractive ")]
    assert examples
    for example in examples:
        assert main(shlex.split(example)[1:]) == 0
    assert tifffile.imread("mask.tif").shape == SHAPE


def test_scripts_and_links_exist() -> None:
    scripts = [
        line.split()[1]
        for block in blocks("bash")
        for line in block.splitlines()
        if line.startswith("bash ")
    ]
    assert len(scripts) == 2
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert [path for path in scripts + links if not (ROOT / path).is_file()] == []
