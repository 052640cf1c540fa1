"""`launch`, without a window."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nninteractive.cli import launch
from napari_nninteractive.cli.main import main
from napari_nninteractive.io import Geometry, ImageFile, write_mask


class FakeViewer:
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        self.window = self
        self.images: list[tuple[Any, dict[str, Any]]] = []
        self.docked: list[str] = []
        self.closed = False

    def add_image(self, data: Any, **options: Any) -> None:
        self.images.append((data, options))

    def add_plugin_dock_widget(self, plugin: str) -> None:
        self.docked.append(plugin)

    def close(self) -> None:
        self.closed = True


class Manager:
    """Stands in for npe2's plugin manager."""

    def __init__(self, known: bool, disabled: bool, widgets: list[str]) -> None:
        self.known, self.disabled, self.widgets = known, disabled, widgets
        self.PluginManager = self.contributions = self

    def instance(self) -> Manager:
        return self

    def get_manifest(self, name: str) -> Manager:
        if not self.known:
            raise KeyError(name)
        return self

    def is_disabled(self, _name: str) -> bool:
        return self.disabled


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    calls: list[bool] = []
    monkeypatch.setattr(launch, "run_viewer", lambda: calls.append(True))
    return calls


def test_images_at_their_size_and_the_widget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[bool]
) -> None:
    viewer = FakeViewer()
    monkeypatch.setattr(launch, "open_viewer", lambda: viewer)
    monkeypatch.setitem(sys.modules, "npe2", Manager(True, False, ["widget"]))  # type: ignore[arg-type]
    data = np.arange(60).reshape(3, 4, 5) % 2
    stack = ImageFile(data, Geometry.from_zyx((2.0, 0.5, 0.25)), "µm")
    paths = [write_mask(tmp_path / name, data, stack) for name in ("a.tif", "b.nrrd")]
    assert main(["launch", *map(str, paths)]) == 0
    assert [options["name"] for _, options in viewer.images] == ["a.tif", "b.nrrd"]
    assert [options["units"][0] for _, options in viewer.images] == ["micrometer", "millimeter"]
    for pixels, options in viewer.images:
        np.testing.assert_array_equal(pixels, data)
        np.testing.assert_allclose(options["scale"], (2.0, 0.5, 0.25), rtol=1e-6)
    assert (viewer.docked, started) == (["napari-nninteractive"], [True])


@pytest.mark.parametrize(
    "manager",
    [Manager(False, False, []), Manager(True, True, ["widget"]), Manager(True, False, [])],
    ids=["not installed", "switched off", "without widget"],
)
def test_no_widget(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, started: list[bool], capsys: Any
) -> None:
    viewer = FakeViewer()
    monkeypatch.setattr(launch, "open_viewer", lambda: viewer)
    monkeypatch.setitem(sys.modules, "npe2", manager)  # type: ignore[arg-type]
    assert main(["launch"]) == 2
    assert "does not find the widget" in capsys.readouterr().err
    assert (viewer.closed, started) == (True, [])


def test_a_missing_image_is_said_before_a_window_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(launch, "open_viewer", None)
    assert main(["launch", "absent.nii"]) == 2
    assert "absent.nii" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["napari", "qtpy.QtWidgets"])
def test_without_napari_or_qt(missing: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    if missing != "napari":
        monkeypatch.setitem(sys.modules, "napari", sys)
    assert main(["launch"]) == 2
    assert 'pip install "napari-nninteractive[all]"' in capsys.readouterr().err
