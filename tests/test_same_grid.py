"""Image and labels that lie on one grid, or do not: files are written, read and compared."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import check_same_grid, read_image

DATA = np.zeros((4, 5, 6), np.uint8)
SPACING, ORIGIN = (0.5, 0.5, 2.0), (-12.5, 30.0, 7.0)
PLAIN = np.eye(3)
MIRRORED = np.diag([-1.0, 1.0, 1.0])
TURNED = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])


def save(path: Path, spacing=SPACING, origin=ORIGIN, direction=PLAIN, data=DATA) -> Path:
    n = data.ndim
    image = sitk.GetImageFromArray(data)
    image.SetSpacing(spacing[:n])
    image.SetOrigin(origin[:n])
    image.SetDirection(np.asarray(direction)[:n, :n].ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def compare(image: Path, labels: Path) -> str:
    return check_same_grid(read_image(image), read_image(labels), image.name, labels.name)


@pytest.mark.parametrize("direction", [PLAIN, MIRRORED, TURNED])
@pytest.mark.parametrize("endings", [(".nii.gz", ".nrrd"), (".mha", ".nii"), (".nrrd", ".mhd")])
def test_the_same_grid_in_two_formats(tmp_path: Path, endings, direction) -> None:
    image, labels = (save(tmp_path / f"{i}{e}", direction=direction) for i, e in enumerate(endings))
    assert compare(image, labels) == ""


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            {"direction": MIRRORED},
            "the direction .* labels is .-1 0 0; 0 1 0; 0 0 1., .*image .1 0",
        ),
        ({"direction": TURNED}, "the direction "),
        ({"origin": (-12.5, 30.0, 7.5)}, "the origin .*.-12.5 30 7.5., .*image .-12.5 30 7]"),
        ({"origin": (0.0, 0.0, 0.0)}, "the origin "),
        ({"origin": (-12.5, 30.02, 7.0)}, "the origin "),  # four hundredths of a voxel
    ],
)
def test_another_grid_is_refused(tmp_path: Path, ending: str, place, said: str) -> None:
    image = save(tmp_path / f"scan{ending}")
    labels = save(tmp_path / f"seg{ending}", **place)
    with pytest.raises(ImageError, match=said) as caught:
        compare(image, labels)
    assert str(caught.value).startswith(f"seg{ending} does not lie on the voxels of scan{ending}: ")
    assert "Save both on the same grid" in str(caught.value)


def test_rounding_is_no_difference(tmp_path: Path) -> None:
    image = save(tmp_path / "scan.mha", direction=TURNED)
    tilted = np.linalg.qr(TURNED + 3e-4)[0]
    tilted *= np.sign(np.diag(tilted)) * np.sign(np.diag(TURNED))
    labels = save(tmp_path / "seg.mha", (0.502, 0.5, 2.0), (-12.504, 30.0, 7.01), tilted)
    assert compare(image, labels) == ""


def test_another_size_of_voxels_is_a_warning(tmp_path: Path) -> None:
    image = save(tmp_path / "scan.nii")
    labels = save(tmp_path / "seg.nrrd", (0.5, 0.5, 2.1))
    assert compare(image, labels) == (
        "scan.nii and seg.nrrd have voxels of different sizes (x, y, z): [0.5 0.5 2] and [0.5 0.5 2.1]; "
        "that of the image counts. Correct the one that is wrong."
    )


def test_a_file_that_knows_no_place_is_not_compared(tmp_path: Path) -> None:
    image = save(tmp_path / "scan.nii", direction=MIRRORED)
    tifffile.imwrite(tmp_path / "seg.tif", DATA, photometric="minisblack")
    assert compare(image, tmp_path / "seg.tif") == ""
    assert compare(tmp_path / "seg.tif", image) == ""
    bare = nib.Nifti1Image(DATA.T, None)
    bare.header.set_zooms(SPACING)
    bare.set_qform(None, code=0)
    bare.set_sform(None, code=0)
    nib.save(bare, tmp_path / "bare.nii")
    assert compare(image, tmp_path / "bare.nii") == ""


def test_units_are_converted_and_one_slice_may_be_flat(tmp_path: Path) -> None:
    affine = np.diag([-500.0, -500.0, 2000.0, 1.0])  # µm, in the directions of NIfTI
    affine[:3, 3] = [12500.0, -30000.0, 7000.0]
    file = nib.Nifti1Image(DATA.T, affine)
    file.header.set_xyzt_units("micron")
    nib.save(file, tmp_path / "scan.nii")
    assert compare(tmp_path / "scan.nii", save(tmp_path / "seg.mha")) == ""
    flat = save(tmp_path / "flat.mha", data=DATA[0])
    assert compare(save(tmp_path / "one.mha", data=DATA[:1]), flat) == ""
    assert compare(flat, tmp_path / "one.mha") == ""
