"""Labels layers in files: what is written is read back, where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import read_image
from napari_nninteractive.io.units import factor
from napari_nninteractive.plugin.writers import geometry_of, write_labels, write_labels_zarr

DATA = np.random.default_rng(0).integers(0, 300, (4, 5, 6)).astype(np.uint16)


def layer(**options: Any) -> Labels:
    space = {"scale": (2, 0.5, 0.25), "translate": (10, 20, 30), "units": ("um",) * 3}
    return Labels(DATA, **{**space, **options})


def attributes(made: Labels) -> dict[str, Any]:
    data, found, kind = made.as_layer_data_tuple()
    assert kind == "labels"
    assert data is made.data
    return dict(found)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".tif", ".ome.tif"])
def test_labels_come_back_with_their_voxel_size(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"labels{ending}"
    assert write_labels(str(path), DATA, attributes(layer())) == [str(path)]
    found = read_image(path)
    np.testing.assert_array_equal(np.asarray(found.data), DATA)
    size = np.array(found.spacing) * {"mm": 1000, "µm": 1, "": 1}[found.unit]
    np.testing.assert_allclose(size, (2, 0.5, 0.25), rtol=1e-5)
    if "tif" not in ending:
        by = 1000 if found.unit == "mm" else 1
        np.testing.assert_allclose(np.array(found.geometry.origin) * by, (30, 20, 10), rtol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_rotated_layer_keeps_its_place() -> None:
    made = layer(rotate=(0, 0, 30), affine=np.diag([1, 2, 2, 1]))
    geometry = geometry_of(attributes(made), 3)
    direction = np.array(geometry.direction).reshape(3, 3)
    for voxel in ((0, 0, 0), (3, 2, 1), (1, 4, 5)):
        at = np.array(geometry.origin) + direction @ (np.array(geometry.spacing) * voxel[::-1])
        np.testing.assert_allclose(at[::-1], made.data_to_world(voxel), rtol=1e-6)


def test_a_2d_layer(tmp_path: Path) -> None:
    made = Labels(DATA[0], scale=(0.5, 0.25))
    write_labels(str(tmp_path / "flat.nrrd"), DATA[0], attributes(made))
    found = read_image(tmp_path / "flat.nrrd")
    np.testing.assert_array_equal(np.asarray(found.data).reshape(5, 6), DATA[0])
    assert found.spacing == pytest.approx((1, 0.5, 0.25))


def test_what_a_file_cannot_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="sheared"):
        write_labels(str(tmp_path / "a.mha"), DATA, attributes(layer(shear=(0.5, 0, 0))))
    with pytest.raises(ImageError, match="axes"):
        write_labels(str(tmp_path / "a.mha"), DATA[np.newaxis], {})
    with pytest.raises(ImageError, match="rotated"):
        write_labels_zarr(str(tmp_path / "a.zarr"), DATA, attributes(layer(rotate=(0, 0, 30))))
    with pytest.raises(ImageError, match="another folder"):
        write_labels(str(tmp_path / "missing" / "a.tif"), DATA, attributes(layer()))
    assert list(tmp_path.iterdir()) == []


def test_zarr_with_time(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    data = np.stack([DATA, DATA + 1])
    made = Labels(data, scale=(1, 2, 0.5, 0.25), units=("s", "um", "um", "um"))
    path = tmp_path / "labels.zarr"
    assert write_labels_zarr(str(path), data, attributes(made)) == [str(path)]
    found = read_image(path, timepoint=1)
    np.testing.assert_array_equal(np.asarray(found.data), DATA + 1)
    assert found.spacing == pytest.approx((2, 0.5, 0.25))
    assert found.unit == "µm"
    with pytest.raises(ImageError, match="already"):
        write_labels_zarr(str(path), data, {})


@pytest.mark.parametrize("ending", [".png", ".hdr", ".img", ".mhd", ".nhdr", ".pic", ""])
def test_what_cannot_hold_labels_is_refused(tmp_path: Path, ending: str) -> None:
    with pytest.raises(ImageError, match="cannot hold labels in 3D"):
        write_labels(str(tmp_path / f"cells.v2{ending}"), DATA, attributes(layer()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".tif", ".ome.tif"])
def test_axes_in_several_units_are_written_in_one(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"mixed{ending}"
    mixed = layer(scale=(1, 200, 200), translate=(0, 0, 0), units=("um", "nm", "nm"))
    write_labels(str(path), DATA, attributes(mixed))
    image = read_image(path)
    by = factor(image.unit, "µm")
    assert by is not None
    np.testing.assert_allclose(np.array(image.spacing) * by, (1, 0.2, 0.2), rtol=1e-5)


def test_axes_whose_units_have_nothing_in_common_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no unit in common"):
        write_labels(str(tmp_path / "a.nrrd"), DATA, attributes(layer(units=("pixel", "um", "um"))))


def test_labels_of_more_than_32_bits_are_refused(tmp_path: Path) -> None:
    data = DATA.astype(np.int64)
    data[0, 0, 0] = 2**32 + 1
    with pytest.raises(ImageError, match="relabel"):
        write_labels(str(tmp_path / "a.nrrd"), data, attributes(layer()))
