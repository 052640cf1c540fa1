"""`train`: writes a model folder that the other commands take, goes on where it stopped, refuses mistakes."""

from __future__ import annotations

import signal
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import tifffile
import torch

from napari_nninteractive.cli.main import main
from napari_nninteractive.core.rasterize import PromptEncoding
from napari_nninteractive.engine.model import load_model
from napari_nninteractive.training.network import NetworkConfig, build
from napari_nninteractive.training.weights.export import export_model


def test_a_run_of_steps_leaves_a_model_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--output", str(tmp_path / "own"), "--batch", "1", "--device", "cpu"]
    assert main([*words, "--steps", "1"]) == 0
    assert "1 step, 1 samples" in capsys.readouterr().out
    first = load_model(tmp_path / "own", device="cpu")
    assert main([*words, "--steps", "2"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*words, "--steps", "2", "--resume"]) == 0
    assert "2 steps, 2 samples" in capsys.readouterr().out
    second = load_model(tmp_path / "own", device="cpu")
    pairs = zip(first.network.parameters(), second.network.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_resume_keeps_what_its_options_do_not_say(
    tmp_path: Path, small: list[str], capsys: Any, caplog: Any
) -> None:
    out = tmp_path / "own"
    words = ["--seed", "5", "--minutes", "90", "--save-every", "1", "--snapshots", "2"]
    assert main([*small, "-o", str(out), *words, "--deep-supervision", "--steps", "1"]) == 0
    before = torch.load(out / "checkpoint.pt", weights_only=True)["config"]
    assert main(["train", "--device", "cpu", "-o", str(out), "--steps", "2", "--resume"]) == 0
    after = torch.load(out / "checkpoint.pt", weights_only=True)["config"]
    assert after == before | {"max_steps": 2}
    assert len(list((out / "snapshots").iterdir())) == 2
    capsys.readouterr()
    assert main(["train", "--device", "cpu", "-o", str(out), "--resume"]) == 0
    said = capsys.readouterr()
    assert "nothing was left to train" in said.err
    assert "2 steps, " in said.out


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
    assert main(["train", "--help"]) == 0
    assert "usage: napari-nninteractive train -o FOLDER" in capsys.readouterr().out


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
    assert "one: 24 × 40 × 40 voxels, 1 object" in capsys.readouterr().err
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert state["config"]["episodes"]["start_level"] == 1.0  # no easy scenes for a trained model
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


@pytest.fixture
def small(tmp_path: Path, data: Path) -> list[str]:
    """Words for a small run, without its folder and length."""
    sizes = NetworkConfig(features=(4, 8), blocks=(1, 1), patch=(16, 16, 16))
    model = export_model(build(sizes), tmp_path / "m", config=sizes, encoding=PromptEncoding())
    words = ["train", "--data", str(data), "--from", str(model), "--patch", "24", "--batch", "1"]
    return [*words, "--device", "cpu"]


def test_an_interrupt_saves_the_step_and_the_run_continues_as_if_there_had_been_none(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from napari_nninteractive.training import loop

    step = loop.Trainer._one_step

    def interrupted(self: Any, ahead: Any) -> Any:
        if self.step == 1:
            signal.raise_signal(signal.SIGINT)  # in the middle of the second step
        return step(self, ahead)

    before = signal.getsignal(signal.SIGINT)
    out = ["-o", str(tmp_path / "broken")]
    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_one_step", interrupted)
        assert main([*small, *out, "--steps", "4"]) == 130
    assert signal.getsignal(signal.SIGINT) == before
    said = [r.getMessage() for r in caplog.records]
    assert any("saved step 2" in text and "resuming" in text for text in said), said
    path = tmp_path / "broken" / "checkpoint.pt"
    assert torch.load(path, weights_only=True)["step"] == 2
    assert main([*small, *out, "--steps", "4", "--resume"]) == 0
    assert main([*small, "-o", str(tmp_path / "whole"), "--steps", "4"]) == 0
    whole = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    broken = torch.load(path, weights_only=True)
    assert broken["step"] == whole["step"] == 4
    for name, value in whole["network"].items():
        assert torch.equal(value, broken["network"][name]), name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_request_to_end_saves_like_an_interrupt(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_nninteractive.training import loop

    step = loop.Trainer._one_step

    def ended(self: Any, ahead: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return step(self, ahead)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(loop.Trainer, "_one_step", ended)
    assert main([*small, "-o", str(tmp_path / "out"), "--steps", "4"]) == 130
    assert signal.getsignal(signal.SIGTERM) == before
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["step"] == 1


def test_an_error_loses_no_step(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from napari_nninteractive.training import loop

    step = loop.Trainer._one_step

    def failing(self: Any, ahead: Any) -> Any:
        if self.step == 2:
            raise BrokenProcessPool
        return step(self, ahead)

    monkeypatch.setattr(loop.Trainer, "_one_step", failing)
    with pytest.raises(BrokenProcessPool):
        main([*small, "-o", str(tmp_path / "out"), "--steps", "4"])
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["step"] == 2


def test_a_full_disk_is_named_and_the_earlier_checkpoint_stays(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out = tmp_path / "out"
    assert main([*small, "-o", str(out), "--steps", "1"]) == 0
    content = (out / "checkpoint.pt").read_bytes()

    def full(_state: Any, file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError("inline_container.cc: enforce fail\nat ...")

    before = sorted(out.iterdir())

    monkeypatch.setattr(torch, "save", full)
    assert main([*small, "-o", str(out), "--steps", "2", "--resume"]) == 2
    assert "make room" in capsys.readouterr().err
    assert (out / "checkpoint.pt").read_bytes() == content
    assert sorted(out.iterdir()) == before


def test_a_snapshot_is_not_continued(tmp_path: Path, small: list[str], capsys: Any) -> None:
    out = tmp_path / "out"
    assert main([*small, "-o", str(out), "--steps", "1"]) == 0
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    for part in ("optimizer", "waiting"):
        torch.save({k: v for k, v in state.items() if k != part}, out / "checkpoint.pt")
        capsys.readouterr()
        assert main([*small, "-o", str(out), "--steps", "2", "--resume"]) == 2
        assert f"lacks {part}" in capsys.readouterr().err
    torch.save(state | {"config": {}}, out / "checkpoint.pt")
    assert main([*small, "-o", str(out), "--steps", "2", "--resume"]) == 2
    assert "another" in capsys.readouterr().err


def test_a_second_interrupt_stops_at_once(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_nninteractive.training import loop

    def interrupted(self: Any, ahead: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    monkeypatch.setattr(loop.Trainer, "_one_step", interrupted)
    # Started in the background, a shell lets its programs ignore interrupts; here they count.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main([*small, "-o", str(tmp_path / "out"), "--steps", "4"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_cannot_be_continued_is_named(tmp_path: Path, small: list[str], capsys: Any) -> None:
    out = tmp_path / "out"
    assert main([*small, "-o", str(out), "--resume"]) == 2
    assert "out/checkpoint.pt to go on from" in capsys.readouterr().err
    assert not out.exists()
    assert main([*small, "-o", str(out), "--steps", "1"]) == 0
    content = (out / "checkpoint.pt").read_bytes()
    for part in (0.0, 0.3, 0.9, 0.999):
        (out / "checkpoint.pt").write_bytes(content[: int(len(content) * part)])
        capsys.readouterr()
        assert main([*small, "-o", str(out), "--steps", "2", "--resume"]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert "begin in another folder, where --from takes" in lines[0]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "LICENSE").write_text("mine")
    assert main(["train", "-o", str(tmp_path), "--steps", "1"]) == 2
    assert "LICENSE" in capsys.readouterr().err
    assert main(["train", "-o", str(tmp_path / "LICENSE"), "--steps", "1"]) == 2
    assert "is a file: name a folder" in capsys.readouterr().err
    assert main(["train", "-o", str(tmp_path), "--export", "--average", "a.pt"]) == 2
    assert "LICENSE" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["LICENSE"]
    assert (tmp_path / "LICENSE").read_text() == "mine"


def test_a_model_is_not_trained_into_its_own_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    words = ["train", "-o", str(tmp_path / "model"), "--from", str(tmp_path / "model")]
    assert main(words) == 2
    assert "another folder" in capsys.readouterr().err
