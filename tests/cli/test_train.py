"""`train`: writes a model folder that the other commands take, goes on where it stopped, refuses mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_nninteractive.cli.main import main
from napari_nninteractive.engine.model import load_model


def test_a_run_of_steps_leaves_a_model_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--output", str(tmp_path / "own"), "--batch", "1", "--device", "cpu"]
    assert main([*words, "--steps", "1"]) == 0
    assert "1 steps, 1 samples" in capsys.readouterr().out
    first = load_model(tmp_path / "own", device="cpu")
    assert main([*words, "--steps", "2"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*words, "--steps", "2", "--resume"]) == 0
    assert "2 steps, 2 samples" in capsys.readouterr().out
    second = load_model(tmp_path / "own", device="cpu")
    pairs = zip(first.network.parameters(), second.network.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minutes", "0"], "--minutes"),
        (["--batch", "0"], "--batch"),
        (["--workers", "-1"], "--workers"),
        (["--seed", "-1"], "--seed"),
        (["--steps", "0"], "--steps"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--output", str(tmp_path / "own"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "own").exists()


def test_the_output_folder_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    assert "--output" in capsys.readouterr().err
