"""The scripts behind the README's first command: a stack, a model folder, and a nucleus from one click."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from napari_nninteractive.cli.main import main
from napari_nninteractive.io import read_image

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run(script: str, *words: object) -> str:
    command = [sys.executable, SCRIPTS / script, *words]
    return subprocess.run(
        [str(w) for w in command], capture_output=True, text=True, check=True
    ).stdout


def test_one_click_finds_the_nucleus(tmp_path: Path) -> None:
    stack, model, out = tmp_path / "stack.nii.gz", tmp_path / "model", tmp_path / "mask.nii.gz"
    point = run("make_demo_stack.py", stack).strip()
    run("make_demo_model.py", model)
    words = [stack, "--model", model, "--point", point, "--precision", "fp32", "-o", out]
    assert main(["segment", *map(str, words)]) == 0
    labels, mask = read_image(tmp_path / "stack_truth.nii.gz"), read_image(out)
    truth = labels.data[...] == labels.data[tuple(int(i) for i in point.split(","))]
    dice = 2 * (truth & (mask.data[...] == 1)).sum() / (truth.sum() + mask.data[...].sum())
    assert dice > 0.9
    assert mask.spacing == labels.spacing == (1.0, 0.5, 0.5)
