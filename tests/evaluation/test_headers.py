"""Headers that tell whether image and labels have the same size, before anything is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from napari_nninteractive.evaluation.cases import Case
from napari_nninteractive.evaluation.headers import fits_by_header

ENDINGS = (".tif", ".nii.gz", ".nrrd", ".mha", ".zarr")


def save(path: Path, shape: tuple[int, ...]) -> Path:
    data = np.zeros(shape, np.uint8)
    if path.suffix == ".tif":
        tifffile.imwrite(path, data, photometric="minisblack")
    elif path.suffix == ".zarr":
        zarr = pytest.importorskip("zarr")
        zarr.save_array(str(path), data)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(data), str(path))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_sizes_are_compared_across_formats(tmp_path: Path, ending: str) -> None:
    image = save(tmp_path / f"image{ending}", (5, 6, 7))
    for number, other in enumerate(ENDINGS):
        same = save(tmp_path / f"same{number}{other}", (5, 6, 7))
        less = save(tmp_path / f"less{number}{other}", (5, 6, 6))
        assert fits_by_header(Case("a", image, same)), other
        assert not fits_by_header(Case("a", image, less)), other


def test_one_slice_may_have_two_axes_or_three(tmp_path: Path) -> None:
    flat, one = save(tmp_path / "flat.tif", (6, 7)), save(tmp_path / "one.nii", (1, 6, 7))
    assert fits_by_header(Case("a", flat, one))


def test_a_header_that_cannot_be_read_does_not_fit(tmp_path: Path) -> None:
    image = save(tmp_path / "image.tif", (5, 6, 7))
    for name in ("label.tif", "label.nii", "label.mha", "label.zarr", "label.png"):
        assert not fits_by_header(Case("a", image, tmp_path / name))
        (tmp_path / name).write_bytes(b"nothing")
        assert not fits_by_header(Case("a", image, tmp_path / name))
