"""What napari finds in the manifest, where the package is installed."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
import pytest
from fixtures.mouse import wait_until

from napari_nninteractive._distribution import distribution_name

NAME = distribution_name()
IMAGE = np.random.default_rng(0).random((8, 16, 16)).astype(np.float32)


@pytest.fixture(autouse=True)
def installed() -> None:
    """Skip where there is only the source."""
    try:
        importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed, only its source is there")


def test_the_widget_opens_by_its_manifest(make_napari_viewer_proxy: Any) -> None:
    viewer = make_napari_viewer_proxy()
    viewer.add_image(IMAGE)
    _, panel = viewer.window.add_plugin_dock_widget(NAME)
    assert panel.view.drawing.tools["point"].isEnabled()
    wait_until(lambda: not panel.client.busy)
    panel.close_panel()
    assert panel.parts.worker.wait(30)


def test_menus_writers_and_settings(make_napari_viewer_proxy: Any) -> None:
    from napari.settings import get_plugin_settings
    from npe2 import PluginManager

    make_napari_viewer_proxy()
    manifest = PluginManager.instance().get_manifest(NAME)
    found = manifest.contributions
    assert [w.display_name for w in found.widgets] == ["nnInteractive"]
    assert {"napari/layers/segment", "napari/layers/annotate"} <= set(found.menus)
    assert found.keybindings is None
    endings = [e for w in found.writers for e in w.filename_extensions]
    assert {".nii.gz", ".nrrd", ".mha", ".tif", ".zarr"} <= set(endings)
    saved = get_plugin_settings(NAME)
    assert saved.prompts.auto_run is True
    assert saved.engine.precision == "auto"


def test_the_defaults_of_the_settings_are_those_of_the_manifest(
    make_napari_viewer_proxy: Any,
) -> None:
    from napari_nninteractive.plugin.settings import Settings, read_settings

    make_napari_viewer_proxy()
    assert read_settings() == Settings()
