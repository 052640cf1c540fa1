"""napari, opened lazily; the widget is found by its manifest, so nothing here imports the plugin."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from napari_nninteractive._distribution import distribution_name
from napari_nninteractive.errors import NNInteractiveError

__all__ = ["add_widget", "check_viewer", "find_widget", "open_viewer", "run_viewer"]

PLUGIN = distribution_name()


def check_viewer() -> Any:
    """Find out whether a window can be opened, without opening one.

    Returns
    -------
    module
        napari.

    Raises
    ------
    NNInteractiveError
        If napari, Qt or a screen is missing.
    """
    # Qt does not raise without a screen: it ends the process.
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in screens):
        raise NNInteractiveError(
            "There is no screen to open a window on (DISPLAY and WAYLAND_DISPLAY are not set): run it in a desktop "
            "session or with ssh -X, or on a virtual screen: xvfb-run napari-nninteractive ..."
        )
    try:
        napari = importlib.import_module("napari")
        importlib.import_module("qtpy.QtWidgets")
    except ImportError as error:  # qtpy's own errors are among them
        raise NNInteractiveError(
            f'napari cannot open a window here ({error}): pip install "napari[all]" brings napari with Qt.'
        ) from error
    return napari


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
    return check_viewer().Viewer()


def add_widget(viewer: Any) -> None:
    """Open the plugin's widget beside the canvas.

    Raises
    ------
    NNInteractiveError
        If napari does not find it.
    """
    find_widget()
    viewer.window.add_plugin_dock_widget(PLUGIN)


def find_widget() -> None:
    """Check that napari knows the plugin, has it switched on, and finds a widget in its manifest.

    Raises
    ------
    NNInteractiveError
        Saying which of these is not so.
    """
    manager = importlib.import_module("npe2").PluginManager.instance()
    try:
        manifest = manager.get_manifest(PLUGIN)
    except KeyError as error:
        raise NNInteractiveError(
            f"napari does not find the plugin {PLUGIN}: install the project with pip into the environment of napari."
        ) from error
    if manager.is_disabled(PLUGIN):
        raise NNInteractiveError(
            f"The plugin {PLUGIN} is switched off: switch it on in napari, Plugins > Install/Uninstall Plugins."
        )
    if not manifest.contributions.widgets:
        raise NNInteractiveError(
            f"This version of {PLUGIN} has no widget yet: use napari-nninteractive segment, or a later version."
        )


def run_viewer() -> None:
    """Hand over to napari until its last window is closed."""
    importlib.import_module("napari").run()
