"""A panel in a shown viewer, with a network whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.mouse import click, drag, spin, wait_until
from fixtures.windows import oracle_workspace

from napari_nninteractive.workspace.workspace import Workspace


class Window:
    """A viewer with the panel, and a user who waits for each answer."""

    def __init__(
        self, viewer: Any, image: Any, workspace: Workspace | None, **options: Any
    ) -> None:
        from napari_nninteractive.plugin.panel import Panel

        self.viewer = viewer
        self.image = viewer.add_image(image, name="image", **options)
        self.panel = Panel(viewer, workspace)
        viewer.window.add_dock_widget(self.panel, name="nnInteractive", area="right")
        spin(50)
        viewer.reset_view()
        spin(20)
        self.wait()

    @property
    def client(self) -> Any:
        return self.panel.client

    @property
    def layers(self) -> Any:
        return self.panel.link.layers

    @property
    def labels(self) -> Any:
        return self.layers.objects.layer.data

    @property
    def prompts(self) -> list[Any]:
        return [m.prompt for m in self.client.placed]

    @property
    def status(self) -> str:
        return str(self.panel.state.status)

    def close_panel(self) -> None:
        """Close the panel, and wait for the end of its thread."""
        self.panel.close_panel()
        assert self.panel.parts.worker.wait(30)

    def reopen_panel(self) -> None:
        """Close the panel, and open another one."""
        from napari_nninteractive.plugin.panel import Panel

        self.close_panel()
        self.panel = Panel(self.viewer, oracle_workspace())
        self.wait()

    def voxels(self) -> dict[int, int]:
        values, counts = np.unique(self.labels, return_counts=True)
        return {int(v): int(n) for v, n in zip(values, counts, strict=True) if v}

    def wait(self) -> None:
        wait_until(lambda: not self.client.busy)

    def world(self, position: Any) -> Any:
        return self.image.data_to_world(position)

    def look_at(self, position: Any) -> None:
        """Bring the slice of a voxel of the image to the canvas."""
        for axis, value in enumerate(self.world(position)):
            self.viewer.dims.set_point(axis, value)
        spin(20)

    def click(self, position: Any, button: int = 1) -> None:
        self.look_at(position)
        click(self.viewer, self.world(position), button)
        self.wait()

    def drag(self, path: Any) -> None:
        self.look_at(path[0])
        drag(self.viewer, [self.world(p) for p in path])
        self.wait()

    def choose(self, tool: str, *, positive: bool = True) -> None:
        """Press the buttons of a tool and a sign."""
        self.panel.view.drawing.tools[tool].click()
        self.panel.view.drawing.signs[positive].click()


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep recovery files away from the user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "napari-nninteractive"


@pytest.fixture
def window(make_napari_viewer: Any) -> Iterator[Callable[..., Window]]:
    """Give a function that opens a window on an image."""
    opened: list[Window] = []

    def open_window(image: Any, workspace: Workspace | None = None, **options: Any) -> Window:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1300, 950)
        opened.append(Window(viewer, image, workspace or oracle_workspace(), **options))
        return opened[-1]

    yield open_window
    for one in opened:
        if one.panel is None:  # the test has ended it
            continue
        one.close_panel()
    opened.clear()
