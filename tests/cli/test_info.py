"""`info`: what it says of machine and model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_nninteractive import __version__
from napari_nninteractive.cli import info
from napari_nninteractive.cli.info import cuda_advice
from napari_nninteractive.cli.main import main
from napari_nninteractive.engine.runtime.networks import has_openvino


def test_all_lines(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--model", str(model), "--device", "cpu", "--precision", "fp32"]) == 0
    lines = dict(
        line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[0] != " "
    )
    assert __version__ in lines["version"]
    assert "torch" in lines["packages"]
    assert lines["device"].startswith("cpu")
    assert lines["precision"] == "fp32"
    assert "licence BSD-3-Clause" in lines["model"]
    assert "s and" in lines["one"]
    assert lines["network"].startswith("PyTorch, fp32, ")


def test_what_was_measured(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("NAPARI_NNINTERACTIVE_CACHE", str(tmp_path))
    monkeypatch.setenv("NAPARI_NNINTERACTIVE_RUNTIME", "auto")
    assert main(["info", "--model", str(model), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "precision  auto" in out
    assert "measured on this machine" in out
    assert ("pip install openvino" in out) != has_openvino()


def test_a_missing_model_is_an_error_after_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--model", "absent"]) == 2
    captured = capsys.readouterr()
    assert "precision" in captured.out
    assert "absent" in captured.err


@pytest.mark.parametrize("advice", [None, "mend it so"])
def test_the_advice_is_shown(
    advice: str | None, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    asked: list[tuple[str | None, bool]] = []

    def say(torch_cuda: str | None, usable: bool) -> str | None:
        asked.append((torch_cuda, usable))
        return advice

    monkeypatch.setattr(info, "cuda_advice", say)
    assert main(["info", "--model", str(model), "--device", "cpu"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [rest for name, rest in lines if name == "attention"] == ([advice] if advice else [])
    assert asked == [(torch.version.cuda, torch.cuda.is_available())]


class TestCudaAdvice:
    """An NVIDIA card that torch does not use."""

    @staticmethod
    def driver(monkeypatch: pytest.MonkeyPatch, answer: str | None) -> None:
        def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            if answer is None:
                raise subprocess.CalledProcessError(9, words)
            return subprocess.CompletedProcess(words, 0, answer, "")

        monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
        monkeypatch.setattr(subprocess, "run", run)

    @pytest.mark.parametrize(
        ("version", "wheels"),
        [
            ("12.4", "cu126"),
            ("12.8", "cu128"),
            ("12.9", "cu128"),
            ("13.0", "cu130"),
            ("14.1", "cu130"),
        ],
    )
    def test_torch_without_cuda(
        self, monkeypatch: pytest.MonkeyPatch, version: str, wheels: str
    ) -> None:
        self.driver(
            monkeypatch,
            f"| NVIDIA-SMI 550.54   Driver Version: 550.54   CUDA Version: {version}   |",
        )
        advice = cuda_advice(None, usable=False)
        assert advice is not None
        command = f'"{sys.executable}" -m pip install --force-reinstall torch --index-url '
        assert f"{command}https://download.pytorch.org/whl/{wheels}" in advice

    def test_an_old_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.driver(monkeypatch, "CUDA Version: 11.4")
        assert "update the driver" in (cuda_advice("13.0", usable=False) or "")

    def test_all_well_or_no_card(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.driver(monkeypatch, "CUDA Version: 12.8")
        assert cuda_advice("12.8", usable=True) is None
        self.driver(monkeypatch, None)
        assert cuda_advice(None, usable=False) is None
