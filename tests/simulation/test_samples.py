"""The synthetic stacks: seeded, fast, truthful."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage

from napari_nninteractive.simulation.images.samples import SAMPLES, Sample, nuclei, packed_cells

SMALL = (24, 48, 40)


@pytest.mark.parametrize("name", SAMPLES)
def test_shapes_and_kinds(name: str) -> None:
    sample = SAMPLES[name](SMALL)
    assert sample.image.shape == sample.labels.shape == SMALL
    assert sample.image.dtype in (np.uint8, np.uint16)
    assert sample.labels.dtype == np.uint16
    assert min(sample.spacing) > 0
    assert len(np.unique(sample.labels[sample.labels > 0])) >= 2


@pytest.mark.parametrize("name", SAMPLES)
def test_a_seed_is_one_stack(name: str) -> None:
    first, again, other = (SAMPLES[name](SMALL, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("name", SAMPLES)
def test_fast_enough_to_open_in_a_menu(name: str) -> None:
    start = time.process_time()
    SAMPLES[name]()
    assert time.process_time() - start < 5  # half a second where nothing else runs


def test_nuclei_are_bright_whole_and_some_touch() -> None:
    sample = nuclei()
    image, labels = sample.image.astype(float), sample.labels
    background = image[ndimage.binary_dilation(labels > 0, iterations=4) == 0]
    sizes = np.bincount(labels.ravel())[1:]
    for label in np.flatnonzero(sizes > 500) + 1:
        inside = image[labels == label]
        assert inside.mean() > background.mean() + 3 * background.std()
        parts, n = ndimage.label(labels == label)
        if n > 1:
            assert np.bincount(parts.ravel())[1:].max() > 0.95 * sizes[label - 1]
    borders = (labels[:, 1:] != labels[:, :-1]) & (labels[:, 1:] > 0) & (labels[:, :-1] > 0)
    assert borders.any()


def test_packed_cells_have_no_gaps_and_bright_walls() -> None:
    sample = packed_cells()
    assert sample.labels.min() == 1
    apart = np.zeros(sample.labels.shape, bool)
    apart[:, 1:] |= sample.labels[:, 1:] != sample.labels[:, :-1]
    assert (
        sample.image[apart].mean()
        > 2 * sample.image[ndimage.binary_erosion(~apart, iterations=4)].mean()
    )


def test_inner_object_is_the_largest_that_is_whole() -> None:
    labels = np.zeros((16, 16, 16), np.uint16)
    labels[4:9, 4:9, 4:9] = 3
    labels[10:12, 4:9, 4:9] = 1
    labels[2:14, 12:, 2:14] = 2  # larger, but cut by the border
    sample = Sample("blocks", labels, labels, (1.0, 1.0, 1.0))
    assert sample.inner_object() == 3
    cut = Sample("one", labels[5:9, 5:9, 5:9], labels[5:9, 5:9, 5:9], (1.0, 1.0, 1.0))
    assert cut.inner_object() == 3


def test_too_small_says_how_large() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        nuclei((8, 64, 64))
