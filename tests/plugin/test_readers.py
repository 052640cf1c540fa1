"""Image files as layers: where they lie, and back into files."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from napari_nninteractive._distribution import distribution_name
from napari_nninteractive.io import Geometry, read_image
from napari_nninteractive.io.write import write_image
from napari_nninteractive.plugin.readers import ENDINGS, get_reader, read_layers
from napari_nninteractive.plugin.writers import write_labels

DATA = np.random.default_rng(0).integers(0, 300, (4, 5, 6)).astype(np.uint16)
TURNED = Geometry((0.25, 0.5, 2.0), (30.0, 20.0, 10.0), (0, -1, 0, 1, 0, 0, 0, 0, 1))
FLAT = Geometry((0.25, 0.5), (3.0, 2.0), (1, 0, 0, 1))


def opened(path: Path) -> Image:
    read = get_reader(str(path))
    assert read is not None
    ((data, options, kind),) = read(str(path))
    assert kind == "image"
    return Image(data, **options)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_voxel_lies_where_the_file_says(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"my.stack{ending}"
    write_image(path, DATA, TURNED, "mm")
    layer = opened(path)
    np.testing.assert_array_equal(layer.data, DATA)
    assert layer.name == "my.stack"
    assert layer.axis_labels == ("z", "y", "x")
    found = read_image(path).geometry
    for voxel in ((0, 0, 0), (3, 2, 1), (1, 4, 5)):
        xyz = np.array(found.origin) + np.array(found.direction).reshape(3, 3) @ (
            np.array(found.spacing) * voxel[::-1]
        )
        np.testing.assert_allclose(layer.data_to_world(voxel), xyz[::-1], rtol=1e-5)


def test_labels_on_a_turned_image_are_written_where_it_lies(tmp_path: Path) -> None:
    write_image(tmp_path / "stack.nrrd", DATA, TURNED, "mm")
    layer = opened(tmp_path / "stack.nrrd")
    attributes: dict[str, Any] = layer.as_layer_data_tuple()[1]
    write_labels(str(tmp_path / "labels.nrrd"), DATA, attributes)
    image, labels = (read_image(tmp_path / n) for n in ("stack.nrrd", "labels.nrrd"))
    for name in ("spacing", "origin", "direction"):
        pair = (getattr(labels.geometry, name), getattr(image.geometry, name))
        np.testing.assert_allclose(*pair, atol=1e-9)
    assert labels.unit == image.unit == "mm"


def test_a_2d_image(tmp_path: Path) -> None:
    write_image(tmp_path / "flat.mha", DATA[0], FLAT)
    layer = opened(tmp_path / "flat.mha")
    np.testing.assert_array_equal(layer.data, DATA[0])
    np.testing.assert_allclose(layer.data_to_world((2, 4)), (2 + 2 * 0.5, 3 + 4 * 0.25))
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 2  # what MetaImage means


def test_several_files_are_several_layers(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a.NRRD", "b.nii")]
    write_image(tmp_path / "a.nrrd", DATA, TURNED)
    (tmp_path / "a.nrrd").rename(names[0])
    write_image(Path(names[1]), DATA, TURNED)
    assert get_reader(names) is read_layers
    assert [options["name"] for _, options, _ in read_layers(names)] == ["a", "b"]


@pytest.mark.parametrize("path", ["stack.tif", "stack.zarr", ["a.nrrd", "b.png"], "nrrd"])
def test_what_it_does_not_open_is_left_to_others(path: str | list[str]) -> None:
    assert get_reader(path) is None


def test_the_manifest_declares_what_it_opens() -> None:
    from npe2 import PluginManifest

    try:
        importlib.metadata.version(distribution_name())
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed, only its source is there")
    path = Path(__file__).parents[2] / "src" / "napari_nninteractive" / "napari.yaml"
    (reader,) = PluginManifest.from_file(path).contributions.readers or ()
    assert tuple(reader.filename_patterns) == tuple(f"*{ending}" for ending in ENDINGS)
