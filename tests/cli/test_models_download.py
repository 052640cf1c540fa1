"""`models` against a stand-in for the hub: from nothing to a checked model, over a broken connection."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from fixtures.hub_server import MODEL, Hub

from napari_nninteractive.cli.main import main

pytest_plugins = ["fixtures.hub"]


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_refused_licence_fetches_nothing_else(
    hub: Hub,
    cache_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard("n\n"))
    assert main(["models", "download", MODEL]) == 2
    assert "Random weights, for tests." in capsys.readouterr().err
    assert not hub.asked(".json")
    assert not hub.asked(".pth")
    assert not cache_root.exists()


def test_from_nothing_to_a_checked_model(
    hub: Hub,
    cache_root: Path,
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard("y\n"))
    hub.break_after = 20_000
    assert main(["models", "download", MODEL]) == 2
    assert "try again: what has come so far is kept" in capsys.readouterr().err.splitlines()[-1]
    assert main(["models", "check", MODEL]) == 2
    assert f"models download {MODEL}" in capsys.readouterr().err
    hub.mend()
    hub.requests.clear()
    assert main(["models", "download", MODEL, "--accept-licence"]) == 0
    assert {r.range for r in hub.asked(".pth")} == {"bytes=20000-"}
    folder = cache_root / "models" / MODEL
    assert str(folder) in capsys.readouterr().out
    assert files(folder) == files(published)
    assert main(["models", "check", MODEL]) == 0
    assert str(folder) in capsys.readouterr().out
