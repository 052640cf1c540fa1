"""`models`: list, download, licence, check."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from napari_nninteractive.cli.main import main
from napari_nninteractive.engine import registry
from napari_nninteractive.errors import ModelError

HUB = "nnInteractive_v1.0"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(registry.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def run(*words: object) -> int:
    return main(["models", *(str(w) for w in words)])


def downloaded(cache: Path) -> Path:
    """Put the files there that make a model look downloaded."""
    (cache / HUB / "fold_0").mkdir(parents=True)
    (cache / HUB / "plans.json").write_text("{}")
    (cache / HUB / "fold_0" / "checkpoint_final.pth").write_bytes(b"")
    return cache / HUB


class Hub:
    """Stands in for the download; remembers whether the licence was accepted."""

    def __init__(self) -> None:
        self.accepted: list[bool] = []

    def download(self, model_id: str, *, accept_licence: bool, progress: Any, force: bool) -> Path:
        self.accepted.append(accept_licence)
        if not accept_licence:
            raise ModelError("has to be accepted first")
        progress(5_000_000, 10_000_000)
        return registry.folder_of(model_id)


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub()
    monkeypatch.setattr(registry, "download", made.download)
    monkeypatch.setattr(registry, "licence_text", lambda _name: "You may look at it.\n")
    return made


def test_list_names_every_model_and_where_it_is(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list") == 0
    out = capsys.readouterr().out
    assert all(model.id in out for model in registry.registered())
    assert "licence: CC BY-NC-SA 4.0\n    not downloaded (about 400 MB)" in out
    folder = downloaded(cache)
    assert run("list") == 0
    assert f"here: {folder}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "accepted"), [("yes\n", True), ("Y\n", True), ("no\n", False), ("", False)]
)
def test_the_licence_is_shown_and_accepted_first(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: Any, answer: str, accepted: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard(answer))
    assert run("download", HUB) == (0 if accepted else 2)
    captured = capsys.readouterr()
    assert "You may look at it." in captured.err
    assert "CC BY-NC-SA 4.0" in captured.err
    assert hub.accepted == [True] * accepted
    assert (str(registry.folder_of(HUB)) in captured.out) == accepted


def test_without_a_terminal_nobody_is_asked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert run("download", HUB) == 2
    assert "accepted first" in capsys.readouterr().err
    assert run("download", HUB, "--accept-licence") == 0
    assert hub.accepted == [False, True]


def test_what_is_here_is_not_fetched_again(hub: Hub, cache: Path, capsys: Any) -> None:
    downloaded(cache)
    assert run("download", HUB) == 0
    assert "here already" in capsys.readouterr().out
    assert hub.accepted == []
    assert run("download", HUB, "--force", "--accept-licence") == 0
    assert hub.accepted == [True]


def test_licence(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("licence", HUB) == 0
    assert capsys.readouterr().out == "You may look at it.\n"


def test_check_says_what_a_model_is(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", model, "--forward") == 0
    out = capsys.readouterr().out
    assert "16 x 16 x 16" in out
    assert "bbox2d, lasso, point, scribble" in out
    assert "BSD-3-Clause" in out
    assert "s on cpu" in out


def test_check_says_what_is_wrong(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m" / "fold_0").mkdir(parents=True)
    for name in ("dataset.json", "inference_info.json", "fold_0/checkpoint_final.pth"):
        (tmp_path / "m" / name).write_bytes((model / name).read_bytes())
    plans = json.loads((model / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["patch_size"] = [16, 15, 16]
    (tmp_path / "m" / "plans.json").write_text(json.dumps(plans))
    assert run("check", tmp_path / "m") == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "plans.json, field 'patch_size'" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: ACTION"),
        (["fetch"], "invalid choice: 'fetch'"),
        (["download"], "required: ID"),
        (["download", "gpt"], "known are builtin, nnInteractive_v1.0"),
        (["licence", "gpt"], "known are builtin, nnInteractive_v1.0"),
        (["check", "gpt"], "no model folder gpt"),
    ],
)
def test_errors_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("action", ["list", "download", "licence", "check"])
def test_every_action_explains_itself(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(action, "--help") == 0
    assert f"usage: napari-nninteractive models {action}" in capsys.readouterr().out
