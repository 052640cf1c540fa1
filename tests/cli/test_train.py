"""`train`: writes a model folder that the other commands take, goes on where it stopped, refuses mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_nninteractive.cli.main import main
from napari_nninteractive.core.rasterize import PromptEncoding
from napari_nninteractive.engine.model import load_model
from napari_nninteractive.training.export import export_model
from napari_nninteractive.training.network import NetworkConfig, build


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
        (["--rate", "0"], "--rate"),
        (["--cool-from", "2"], "--cool-from"),
        (["--save-every", "0"], "--save-every"),
        (["--snapshots", "-1"], "--snapshots"),
        (["--patch", "1,2"], "--patch"),
        (["--patch", "40"], "multiple of 16"),
        (["--patch", "32"], "at least 3 times"),
        (["--average", "x.pt"], "--export"),
        (["--export"], "no checkpoint"),
        (["--from", "nowhere"], "nowhere"),
        (["--from", "nowhere.pt"], "no checkpoint"),
        (["--data", "nowhere"], "no folder"),
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


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One labelled volume."""
    labels = np.zeros((24, 40, 40), np.uint8)
    labels[6:18, 10:30, 12:28] = 1
    image = (labels * 500.0 + np.random.default_rng(0).normal(100, 20, labels.shape)).astype("f4")
    for name, values in (("image", image), ("labels", labels)):
        (tmp_path / "data" / "one").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / "data" / "one" / f"{name}.tif", values)
    return tmp_path / "data"


def test_a_model_is_fine_tuned_continued_and_averaged(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = NetworkConfig(features=(4, 8), blocks=(1, 1), patch=(16, 16, 16))
    model = export_model(build(sizes), tmp_path / "m", config=sizes, encoding=PromptEncoding())
    out = tmp_path / "tuned"
    words = ["train", "--output", str(out), "--data", str(data), "--device", "cpu"]
    words += ["--batch", "1", "--save-every", "1", "--snapshots", "2"]
    assert main([*words, "--from", str(model), "--patch", "24", "--steps", "1"]) == 0
    assert "one: 24 × 40 × 40 voxels, 1 objects" in capsys.readouterr().err
    assert main([*words, "--steps", "2", "--resume"]) == 0
    assert "2 steps, 2 samples" in capsys.readouterr().out
    tuned, start = load_model(out, device="cpu"), load_model(model, device="cpu")
    assert tuned.patch_size == (24, 24, 24)
    assert tuned.capabilities == start.capabilities
    files = [str(p) for p in sorted((out / "snapshots").iterdir())]
    assert main(["train", "-o", str(tmp_path / "mean"), "--export", "--average", *files]) == 0
    mean = dict(load_model(tmp_path / "mean", device="cpu").network.named_parameters())
    saved = [torch.load(f, weights_only=True)["averaged"] for f in files]
    for name, value in mean.items():
        assert torch.equal(value, ((saved[0][name] + saved[1][name]) / 2).half().float()), name
    before = dict(start.network.named_parameters())
    assert any(not torch.equal(value, before[name]) for name, value in mean.items())


def test_a_model_is_not_trained_into_its_own_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    words = ["train", "-o", str(tmp_path / "model"), "--from", str(tmp_path / "model")]
    assert main(words) == 2
    assert "another folder" in capsys.readouterr().err
