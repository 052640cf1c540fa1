"""Volumes with more voxels along y and x."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_nninteractive.evaluation.cases import choose_objects, find_cases, read_case
from napari_nninteractive.evaluation.enlarging import enlarged_image, enlarged_labels


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_an_image_is_interpolated_between_the_centres_of_its_voxels(dtype: str) -> None:
    image = np.array([[[0, 10], [20, 30]]], dtype)
    along = np.array([0, 0.25, 0.75, 1])
    expected = (20 * along[:, None] + 10 * along).astype("f4")
    out = enlarged_image(image, 2)
    assert (out.dtype, out.shape) == (image.dtype, (1, 4, 4))
    np.testing.assert_array_equal(out[0], expected if dtype == "f4" else np.rint(expected))


def test_labels_are_repeated() -> None:
    labels = np.array([[1, 0], [2, 3]], np.uint16)
    np.testing.assert_array_equal(
        enlarged_labels(labels, 2), [[1, 1, 0, 0], [1, 1, 0, 0], [2, 2, 3, 3], [2, 2, 3, 3]]
    )


def test_a_case_is_enlarged_when_it_is_read(tmp_path: Path) -> None:
    labels = np.zeros((5, 6, 6), np.uint8)
    labels[:, :3], labels[:2, 4:] = 1, 2
    tifffile.imwrite(tmp_path / "image.tif", labels * 50)
    tifffile.imwrite(tmp_path / "label.tif", labels)
    (tmp_path / "spacing_zyx.txt").write_text("2 0.6 0.3")
    (case,) = find_cases(tmp_path)
    assert case.enlarged(1) == case
    large = case.enlarged(3)
    assert large.name == f"{case.name} x3"
    near, far = read_case(case), read_case(large)
    assert far.name == large.name
    assert far.spacing == pytest.approx((2, 0.2, 0.1))
    np.testing.assert_array_equal(far.labels, near.labels.repeat(3, 1).repeat(3, 2))
    assert np.asarray(far.image).shape == far.labels.shape == (5, 18, 18)
    assert choose_objects(far.labels, 9 * 25) == choose_objects(near.labels, 25) == (1,)
