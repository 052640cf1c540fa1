"""The sample stacks as napari's menu opens them."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from napari_nninteractive._distribution import distribution_name
from napari_nninteractive.simulation.images.samples import SAMPLES

NAME = distribution_name()


def test_the_menu_offers_every_sample() -> None:
    from npe2 import PluginManifest

    offered = PluginManifest.from_distribution(NAME).contributions.sample_data
    assert [sample.key for sample in offered or ()] == list(SAMPLES)


@pytest.mark.parametrize("key", SAMPLES)
def test_layers_are_the_stack_and_its_truth(key: str) -> None:
    module = importlib.import_module("napari_nninteractive.plugin.samples")
    (image, _, image_kind), (truth, _, truth_kind) = getattr(module, key)()
    expected = SAMPLES[key]()
    assert (image_kind, truth_kind) == ("image", "labels")
    np.testing.assert_array_equal(image, expected.image)
    np.testing.assert_array_equal(truth, expected.labels)


def test_opens_at_its_place_in_space(make_napari_viewer_proxy) -> None:
    viewer = make_napari_viewer_proxy()
    image, truth = viewer.open_sample(NAME, "nuclei")
    assert image.visible
    assert not truth.visible
    for layer in (image, truth):
        assert tuple(layer.scale) == SAMPLES["nuclei"]().spacing
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
