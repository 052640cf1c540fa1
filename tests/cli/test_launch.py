"""`launch`, without a window."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nninteractive._distribution import distribution_name
from napari_nninteractive.cli import launch
from napari_nninteractive.cli.main import main
from napari_nninteractive.io import Geometry, ImageFile, write_mask
from napari_nninteractive.simulation.images.samples import nuclei


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
    assert [options["units"][0] for _, options in viewer.images] == ["micrometer", "micrometer"]
    for pixels, options in viewer.images:
        np.testing.assert_array_equal(pixels, data)
        np.testing.assert_allclose(options["scale"], (2.0, 0.5, 0.25), rtol=1e-6)
    assert (viewer.docked, started) == ([distribution_name()], [True])


@pytest.mark.parametrize(
    ("manager", "message"),
    [
        (Manager(False, False, []), "does not find the plugin"),
        (Manager(True, True, ["widget"]), "switched off"),
        (Manager(True, False, []), "no widget yet: use napari-nninteractive segment"),
    ],
    ids=["not installed", "switched off", "without widget"],
)
def test_no_widget(
    manager: Manager,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    started: list[bool],
    capsys: Any,
) -> None:
    viewer = FakeViewer()
    monkeypatch.setattr(launch, "open_viewer", lambda: viewer)
    monkeypatch.setitem(sys.modules, "npe2", manager)  # type: ignore[arg-type]
    assert main(["launch"]) == 2
    assert message in capsys.readouterr().err
    assert (viewer.closed, started) == (True, [])


def test_a_missing_image_is_said_before_a_window_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(launch, "open_viewer", None)
    assert main(["launch", "absent.nii"]) == 2
    assert "absent.nii" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["napari", "qtpy.QtWidgets"])
def test_without_napari_or_qt(missing: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setitem(sys.modules, missing, None)
    if missing != "napari":
        monkeypatch.setitem(sys.modules, "napari", sys)
    assert main(["launch"]) == 2
    assert 'pip install "napari[all]"' in capsys.readouterr().err


SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a screen")
@pytest.mark.parametrize("words", [["launch"], ["demo", "--view"]])
def test_without_a_screen_it_is_one_line(words: list[str], tmp_path: Path) -> None:
    """A real process: Qt would abort it."""
    environment = {k: v for k, v in os.environ.items() if k not in SCREENS}
    run = subprocess.run(
        [sys.executable, "-m", "napari_nninteractive.cli.main", *words],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 2, run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert "xvfb-run" in run.stderr
    assert list(tmp_path.iterdir()) == []  # known before any work
    assert run.stdout == ""


@pytest.mark.skipif(
    sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys(),
    reason="no screen; scripts/test.sh makes a virtual one",
)
@pytest.mark.parametrize("command", ["launch", "demo"])
def test_a_real_window(command: str, flood_model: Path, tmp_path: Path) -> None:
    """The window of napari opens with the layers, and the process ends with it."""
    data = np.arange(60).reshape(3, 4, 5) % 2
    stack = ImageFile(data, Geometry.from_zyx((2.0, 0.5, 0.25)), "µm")
    write_mask(tmp_path / "a.tif", data, stack)
    words = {
        "launch": ["launch", str(tmp_path / "a.tif")],
        "demo": ["demo", "--view", "--model", str(flood_model), "-o", str(tmp_path / "d")],
    }[command]
    code = f"""
import sys
from napari_nninteractive.cli import demo, launch
from napari_nninteractive.cli.main import main

def look():
    import napari
    from qtpy.QtWidgets import QApplication
    window = napari.current_viewer()
    print("layers", [(layer.name, layer.scale.tolist()) for layer in window.layers])
    print("visible", window.window._qt_window.isVisible())
    QApplication.processEvents()
    window.close()

demo.run_viewer = launch.run_viewer = look
launch.add_widget = lambda viewer: None
sys.exit(main({words!r}))
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={
            **os.environ,
            "NAPARI_CONFIG": str(tmp_path / "settings.yaml"),
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "visible True" in run.stdout
    spacing = [2.0, 0.5, 0.25] if command == "launch" else list(nuclei((16, 32, 32)).spacing)
    names = {"launch": ["a.tif"], "demo": ["nuclei", "truth", "mask", "clicks"]}[command]
    (line,) = (text for text in run.stdout.splitlines() if text.startswith("layers "))
    layers = ast.literal_eval(line.removeprefix("layers "))
    assert [name for name, _ in layers] == names
    for _, scale in layers:
        np.testing.assert_allclose(scale, spacing, rtol=1e-6)
