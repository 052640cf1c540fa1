"""napari, opened lazily; the widget is found by its manifest, so nothing here imports the plugin."""

from __future__ import annotations

import importlib
from typing import Any

from napari_nninteractive.errors import NNInteractiveError

__all__ = ["add_widget", "has_widget", "open_viewer", "run_viewer"]

PLUGIN = "napari-nninteractive"


def open_viewer() -> Any:
    """Open an empty napari window.

    Returns
    -------
    napari.Viewer
        The viewer.

    Raises
    ------
    NNInteractiveError
        If napari, Qt or a screen is missing.
    """
    try:
        napari = importlib.import_module("napari")
        importlib.import_module("qtpy.QtWidgets")
    except ImportError as error:  # qtpy's own errors are among them
        raise NNInteractiveError(
            'napari cannot open a window here: pip install "napari-nninteractive[all]" brings napari with Qt '
            f"({error})."
        ) from error
    return napari.Viewer()


def add_widget(viewer: Any) -> None:
    """Open the plugin's widget beside the canvas.

    Raises
    ------
    NNInteractiveError
        If napari does not find it.
    """
    if not has_widget():
        raise NNInteractiveError(
            f"napari does not find the widget of {PLUGIN}: install the project with pip into the same environment, and "
            "see that it is switched on in Plugins > Install/Uninstall Plugins."
        )
    viewer.window.add_plugin_dock_widget(PLUGIN)


def has_widget() -> bool:
    """Whether napari knows the plugin, has it switched on, and finds a widget in its manifest."""
    manager = importlib.import_module("npe2").PluginManager.instance()
    try:
        manifest = manager.get_manifest(PLUGIN)
    except KeyError:
        return False
    return not manager.is_disabled(PLUGIN) and bool(manifest.contributions.widgets)


def run_viewer() -> None:
    """Hand over to napari until its last window is closed."""
    importlib.import_module("napari").run()
