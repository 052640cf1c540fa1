"""A panel, in a shown viewer or in one without a window, with a network whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_nninteractive.workspace.workspace import Workspace


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep recovery files away from the user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "napari-nninteractive"


@pytest.fixture
def window(make_napari_viewer: Any) -> Iterator[Callable[..., Any]]:
    """Give a function that opens a window on an image: for tests of which mouse, keys or canvas are the point."""
    from fixtures.panels import WindowUser

    opened: list[WindowUser] = []

    def open_window(image: Any, workspace: Workspace | None = None, **options: Any) -> WindowUser:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1300, 950)
        opened.append(WindowUser(viewer, image, workspace, **options))
        return opened[-1]

    yield open_window
    _close(opened)


@pytest.fixture
def windowless(qapp: Any) -> Iterator[Callable[..., Any]]:
    """Give a function that opens the panel on an image in a viewer without a window."""
    from fixtures.panels import WindowlessUser
    from napari.components import ViewerModel

    opened: list[WindowlessUser] = []

    def open_panel(
        image: Any, workspace: Workspace | None = None, **options: Any
    ) -> WindowlessUser:
        opened.append(WindowlessUser(ViewerModel(), image, workspace, **options))
        return opened[-1]

    yield open_panel
    _close(opened)


def _close(opened: list[Any]) -> None:
    for one in opened:
        if one.panel is not None:  # else the test has ended it
            one.close_panel()
    opened.clear()
