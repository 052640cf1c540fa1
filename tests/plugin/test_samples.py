"""The sample stacks in a real napari window, opened as its menu does."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nninteractive.core.samples import SAMPLES

NAME = "napari-nninteractive"


def test_every_sample_is_in_the_menu() -> None:
    from npe2 import PluginManifest

    offered = PluginManifest.from_distribution(NAME).contributions.sample_data
    assert [sample.key for sample in offered or ()] == list(SAMPLES)


@pytest.mark.parametrize("key", SAMPLES)
def test_opens_at_its_place_in_space(key: str, make_napari_viewer_proxy) -> None:
    viewer = make_napari_viewer_proxy()
    image, truth = viewer.open_sample(NAME, key)
    expected = SAMPLES[key]()
    np.testing.assert_array_equal(image.data, expected.image)
    np.testing.assert_array_equal(truth.data, expected.labels)
    assert image.visible
    assert not truth.visible
    for layer in (image, truth):
        assert tuple(layer.scale) == expected.spacing
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
