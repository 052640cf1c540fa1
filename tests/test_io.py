"""Files in, masks out: voxels, axes and geometry by value, for every format."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import Geometry, ImageFile, check_output, read_image, write_mask

ANGLE = 0.3
TURNED = (np.cos(ANGLE), -np.sin(ANGLE), 0.0, np.sin(ANGLE), np.cos(ANGLE), 0.0, 0.0, 0.0, 1.0)
SPACING_XYZ = (0.45, 0.5, 2.25)
ORIGIN_XYZ = (-12.5, 30.25, 7.0)


def voxels(shape: tuple[int, ...], dtype: str = "int16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def save_itk(path: Path, data: np.ndarray, *, vector: bool = False) -> None:
    image = sitk.GetImageFromArray(data, isVector=vector)
    if image.GetDimension() == 3:
        image.SetSpacing(SPACING_XYZ)
        image.SetOrigin(ORIGIN_XYZ)
        image.SetDirection(TURNED)
    sitk.WriteImage(image, str(path))


def ball(shape: tuple[int, ...]) -> np.ndarray:
    grid = np.indices(shape)
    middle = np.array(shape).reshape(-1, *[1] * len(shape)) // 2
    return ((grid - middle) ** 2).sum(0) < 6


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".NRRD"])
def test_itk_formats_keep_voxels_and_geometry(tmp_path: Path, ending: str) -> None:
    data = voxels((5, 6, 7))
    save_itk(tmp_path / f"image{ending}", data)
    image = read_image(tmp_path / f"image{ending}")
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_allclose(image.geometry.spacing, SPACING_XYZ, rtol=1e-6)
    np.testing.assert_allclose(image.geometry.origin, ORIGIN_XYZ, rtol=1e-6)
    np.testing.assert_allclose(image.geometry.direction, TURNED, atol=1e-6)
    np.testing.assert_allclose(image.spacing, (2.25, 0.5, 0.45), rtol=1e-6)
    assert (image.shape, image.unit) == ((5, 6, 7), "mm")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_mask_lies_where_its_image_lies(tmp_path: Path, ending: str) -> None:
    save_itk(tmp_path / f"image{ending}", voxels((5, 6, 7)))
    image = read_image(tmp_path / f"image{ending}")
    mask = ball((5, 6, 7))
    write_mask(tmp_path / f"mask{ending}", mask * 255, image)
    written = sitk.ReadImage(str(tmp_path / f"mask{ending}"))
    original = sitk.ReadImage(str(tmp_path / f"image{ending}"))
    assert written.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), mask)
    np.testing.assert_allclose(written.GetSpacing(), original.GetSpacing(), rtol=1e-12)
    np.testing.assert_allclose(written.GetOrigin(), original.GetOrigin(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(written.GetDirection(), original.GetDirection(), rtol=0, atol=1e-6)


IMAGEJ = {"imagej": True, "resolution": (1 / 0.39, 1 / 0.4)}


@pytest.mark.parametrize(
    ("name", "options", "metadata", "spacing", "unit"),
    [
        (
            "ij.tif",
            IMAGEJ,
            {"axes": "ZYX", "spacing": 1.7, "unit": "micron"},
            (1.7, 0.4, 0.39),
            "µm",
        ),
        (
            "ij.tiff",
            IMAGEJ,
            {"axes": "ZYX", "spacing": -1.7, "unit": "\\u00B5m"},
            (1.7, 0.4, 0.39),
            "µm",
        ),
        ("ij.tif", IMAGEJ, {"axes": "ZYX", "unit": "nm"}, (1.0, 0.4, 0.39), "nm"),
        (
            "a.ome.tif",
            {"ome": True},
            {
                "axes": "ZYX",
                "PhysicalSizeX": 390.0,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 0.4,
                "PhysicalSizeZ": 0.0017,
                "PhysicalSizeZUnit": "mm",
            },
            (1.7, 0.4, 0.39),
            "µm",
        ),
        ("a.ome.tif", {"ome": True}, {"axes": "ZYX"}, (1.0, 1.0, 1.0), ""),
        ("plain.tif", {"resolution": (72, 72), "resolutionunit": 2}, None, (1.0, 1.0, 1.0), ""),
        (
            "zip.tif",
            {**IMAGEJ, "compression": "zlib"},
            {"axes": "ZYX", "spacing": 3},
            (3.0, 0.4, 0.39),
            "",
        ),
        ("big.tif", {"bigtiff": True, "byteorder": ">"}, None, (1.0, 1.0, 1.0), ""),
    ],
)
def test_tiff_voxel_size(
    tmp_path: Path, name: str, options: dict[str, Any], metadata: Any, spacing: Any, unit: str
) -> None:
    data = voxels((5, 6, 7), "uint16")
    tifffile.imwrite(tmp_path / name, data, metadata=metadata, **options)
    image = read_image(tmp_path / name)
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_allclose(image.spacing, spacing, rtol=1e-6)
    assert image.unit == unit


def test_uncompressed_tiff_is_mapped_and_cannot_be_written_to(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", voxels((2, 5, 3, 6, 7), "uint16"), imagej=True)  # TZCYX
    image = read_image(tmp_path / "a.tif", channel=1, timepoint=1)
    assert isinstance(image.data, np.memmap)
    assert not image.data.flags.writeable


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_tiff_channel_and_time_point(tmp_path: Path, kind: str, compression: str | None) -> None:
    data = voxels((2, 5, 3, 6, 7), "uint16")
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    options: dict[str, Any] = {
        kind: True,
        "metadata": {"axes": "TZCYX"},
        "compression": compression,
    }
    tifffile.imwrite(path, data, **options)
    np.testing.assert_array_equal(read_image(path, 2, 1).data, data[1, :, 2])
    np.testing.assert_array_equal(read_image(path, 0, 0).data, data[0, :, 0])
    with pytest.raises(ImageError, match=r"3 channels.*--channel 0 to --channel 2"):
        read_image(path, timepoint=1)
    with pytest.raises(ImageError, match=r"2 time points.*--timepoint"):
        read_image(path, channel=1)
    with pytest.raises(ImageError, match="from 0 to 2, not 3"):
        read_image(path, 3, 0)
    with pytest.raises(ImageError, match="from 0 to 1, not -1"):
        read_image(path, 0, -1)


def test_time_without_z_says_what_to_do_if_it_is_z(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", voxels((5, 6, 7), "uint16"), imagej=True, metadata={"axes": "TYX"}
    )
    with pytest.raises(ImageError, match="Fiji"):
        read_image(tmp_path / "a.tif")


def test_colours_are_channels(tmp_path: Path) -> None:
    data = voxels((6, 7, 3), "uint8")
    tifffile.imwrite(tmp_path / "rgb.tif", data, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.tif", channel=1).data, data[..., 1])
    with pytest.raises(ImageError, match="3 channels"):
        read_image(tmp_path / "rgb.tif")


def test_unnamed_axes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", voxels((5, 6, 7), "uint8"), metadata=None)
    assert read_image(tmp_path / "a.tif").shape == (5, 6, 7)
    tifffile.imwrite(tmp_path / "b.tif", voxels((4, 5, 6, 7), "uint8"))
    with pytest.raises(ImageError, match=r"does not say what they are.*save it as one stack"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("ending", [".tif", ".tiff", ".ome.tif", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("shape", [(5, 6, 7), (6, 7)])
def test_mask_of_a_tiff_keeps_its_spacing(
    tmp_path: Path, ending: str, shape: tuple[int, ...]
) -> None:
    axes = "ZYX"[-len(shape) :]
    tifffile.imwrite(
        tmp_path / "image.tif",
        voxels(shape, "uint16"),
        imagej=True,
        resolution=(1 / 0.39, 1 / 0.4),
        metadata={"axes": axes, "spacing": 1.7, "unit": "micron"},
    )
    image = read_image(tmp_path / "image.tif")
    assert image.shape == (*[1] * (3 - len(shape)), *shape)
    mask = ball(image.shape)
    path = write_mask(tmp_path / f"mask{ending}", mask, image)
    again = read_image(path)
    np.testing.assert_array_equal(again.data, mask.reshape(shape))
    np.testing.assert_allclose(again.spacing, image.spacing, rtol=1e-6)
    assert again.data.dtype == np.uint8
    if ending.endswith((".tif", ".tiff")):
        assert again.unit == "µm"


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_two_dimensional_itk_images_stay_so(tmp_path: Path, ending: str) -> None:
    save_itk(tmp_path / f"image{ending}", voxels((6, 7)))
    image = read_image(tmp_path / f"image{ending}")
    assert (image.shape, image.geometry.ndim) == ((1, 6, 7), 2)
    path = write_mask(tmp_path / f"mask{ending}", ball((1, 6, 7)), image)
    assert sitk.ReadImage(str(path)).GetSize() == (7, 6)
    assert Volume.open(image.data, image.spacing).shape == (1, 6, 7)


def test_several_values_per_voxel_are_channels(tmp_path: Path) -> None:
    data = voxels((5, 6, 7, 2))
    save_itk(tmp_path / "a.nrrd", data, vector=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nrrd", channel=1).data, data[..., 1])
    with pytest.raises(ImageError, match="2 channels"):
        read_image(tmp_path / "a.nrrd")


def test_fourth_axis_is_time(tmp_path: Path) -> None:
    data = voxels((3, 5, 6, 7))
    frames = [sitk.GetImageFromArray(d) for d in data]
    for frame in frames:
        frame.SetSpacing(SPACING_XYZ)
    sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / "a.nii.gz"))
    image = read_image(tmp_path / "a.nii.gz", timepoint=2)
    np.testing.assert_array_equal(image.data, data[2])
    np.testing.assert_allclose(image.spacing, (2.25, 0.5, 0.45), rtol=1e-6)
    with pytest.raises(ImageError, match=r"3 time points.*--timepoint"):
        read_image(tmp_path / "a.nii.gz")
    sitk.WriteImage(sitk.JoinSeries(frames[:1]), str(tmp_path / "b.nii.gz"))
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").data, data[0])


def test_flags_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_itk(tmp_path / "a.nrrd", voxels((5, 6, 7)))
    assert read_image(tmp_path / "a.nrrd", channel=0, timepoint=0).shape == (5, 6, 7)
    with pytest.raises(ImageError, match="no time axis: leave out --timepoint 1"):
        read_image(tmp_path / "a.nrrd", timepoint=1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.nii.gz", None, "There is no file"),
        ("a.png", b"x", "ending that is not known"),
        ("a.nii.gz", b"x", "damaged, or not what its ending .nii.gz says"),
        ("a.nrrd", b"", "damaged"),
        ("a.mha", b"ObjectType = Image\nNDims = 3\n", "cannot be read|damaged"),
        ("a.tif", b"II*\0", "damaged or no TIFF file"),
        ("a.tif", b"not a tiff at all", "damaged or no TIFF file"),
        ("a.tif", b"", "damaged or no TIFF file"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("part", [0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, ending: str, part: float) -> None:
    save_itk(tmp_path / f"a{ending}", voxels((20, 30, 30)))
    content = (tmp_path / f"a{ending}").read_bytes()
    (tmp_path / f"a{ending}").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ImageError, match=rf"a{ending} (cannot be read|is cut short|is damaged)"):
        read_image(tmp_path / f"a{ending}")


def test_nifti_packed_in_several_members_is_complete(tmp_path: Path) -> None:
    data = voxels((20, 30, 30))
    save_itk(tmp_path / "a.nii", data)
    content = (tmp_path / "a.nii").read_bytes()
    packed = gzip.compress(content[:1000]) + gzip.compress(content[1000:])
    (tmp_path / "a.nii.gz").write_bytes(packed)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").data, data)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((5, 6, 7), np.complex64))
    with pytest.raises(ImageError, match=r"complex.*magnitude"):
        read_image(tmp_path / "a.tif")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


class TestOutput:
    """Where a mask may be written."""

    @staticmethod
    def image() -> ImageFile:
        return ImageFile(voxels((5, 6, 7)), Geometry.from_zyx((2.0, 0.5, 0.5)), "mm")

    def test_nothing_is_replaced_unasked(self, tmp_path: Path) -> None:
        path = tmp_path / "mask.nii.gz"
        path.write_bytes(b"precious")
        with pytest.raises(ImageError, match=r"is there already.*--force"):
            write_mask(path, ball((5, 6, 7)), self.image())
        assert path.read_bytes() == b"precious"
        write_mask(path, ball((5, 6, 7)), self.image(), overwrite=True)
        np.testing.assert_array_equal(read_image(path).data, ball((5, 6, 7)))

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("mask.png", "let its name end in .nii.gz"),
            ("mask", "let its name end in"),
            ("mask.mhd", "let its name end in"),
            ("absent/mask.nii.gz", "no folder .*absent"),
        ],
    )
    def test_impossible_names(self, tmp_path: Path, name: str, message: str) -> None:
        with pytest.raises(ImageError, match=message):
            check_output(tmp_path / name)

    def test_what_is_read_is_never_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "image.nii.gz"
        save_itk(path, voxels((5, 6, 7)))
        with pytest.raises(ImageError, match="read here and not replaced"):
            check_output(path, overwrite=True, inputs=(path,))

    def test_a_wrong_shape_writes_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"\(5, 6, 8\).*\(5, 6, 7\)"):
            write_mask(tmp_path / "mask.nrrd", ball((5, 6, 8)), self.image())
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("ending", [".nii.gz", ".tif"])
    def test_a_failure_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            next(Path(a) for a in args if isinstance(a, str | Path)).write_bytes(b"half")
            raise RuntimeError("Exception\nsitk::ERROR: No space left")

        monkeypatch.setattr(sitk, "WriteImage", fail)
        monkeypatch.setattr(tifffile, "imwrite", fail)
        with pytest.raises((ImageError, RuntimeError), match="No space left"):
            write_mask(tmp_path / f"mask{ending}", ball((5, 6, 7)), self.image())
        assert list(tmp_path.iterdir()) == []


class TestOmeZarr:
    """OME-Zarr in both current versions."""

    @staticmethod
    def save(path: Path, data: np.ndarray, axes: str, version: int) -> None:
        zarr = pytest.importorskip("zarr")
        names = {"T": "time", "C": "channel"}
        records = [{"name": a.lower(), "type": names.get(a, "space")} for a in axes]
        for record in records[-2:]:
            record["unit"] = "micrometer"
        scale = [{"Z": 1.5, "Y": 0.25, "X": 0.3}.get(a, 1.0) for a in axes]
        shift = [{"Z": 3.0, "Y": 5.0, "X": 7.0}.get(a, 0.0) for a in axes]
        image = {
            "axes": records,
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": scale},
                        {"type": "translation", "translation": shift},
                    ],
                }
            ],
        }
        group = zarr.open_group(path, mode="w", zarr_format=version)
        group.create_array("0", data=data, chunks=tuple(min(n, 4) for n in data.shape))
        group.attrs.update(
            {"ome": {"version": "0.5", "multiscales": [image]}}
            if version == 3
            else {"multiscales": [image]}
        )

    @pytest.mark.parametrize("version", [2, 3])
    @pytest.mark.parametrize("axes", ["TCZYX", "CZYX", "ZYX", "YX", "CYX"])
    def test_the_finest_level_with_its_scale(self, tmp_path: Path, axes: str, version: int) -> None:
        sizes = {"T": 2, "C": 3, "Z": 5, "Y": 6, "X": 7}
        data = voxels(tuple(sizes[a] for a in axes), "uint16")
        self.save(tmp_path / "a.ome.zarr", data, axes, version)
        pick = {"T": 1, "C": 2}
        image = read_image(
            tmp_path / "a.ome.zarr",
            channel=pick["C"] if "C" in axes else None,
            timepoint=pick["T"] if "T" in axes else None,
        )
        expected = data[tuple(pick.get(a, slice(None)) for a in axes)]
        np.testing.assert_array_equal(np.asarray(image.data), expected)
        assert image.spacing == ((1.5 if "Z" in axes else 1.0), 0.25, 0.3)
        assert image.geometry.origin == (7.0, 5.0, 3.0)[: expected.ndim]
        assert image.unit == "µm"
        volume = Volume.open(image.data, image.spacing)
        box = Box((0, 1, 2), (volume.shape[0], 5, 6))
        np.testing.assert_array_equal(
            volume.read(box).reshape(-1), expected[..., 1:5, 2:6].reshape(-1)
        )

    def test_a_plain_array(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr")
        data = voxels((5, 6, 7))
        zarr.save_array(str(tmp_path / "a.zarr"), data)
        image = read_image(tmp_path / "a.zarr")
        np.testing.assert_array_equal(np.asarray(image.data), data)
        np.testing.assert_array_equal(image.data[1:3, ..., 2], data[1:3, ..., 2])
        assert image.data[4].shape == (6, 7)

    def test_a_group_without_an_image(self, tmp_path: Path) -> None:
        zarr = pytest.importorskip("zarr")
        zarr.open_group(tmp_path / "a.zarr", mode="w")
        with pytest.raises(ImageError, match="name the image inside it"):
            read_image(tmp_path / "a.zarr")

    def test_channels_want_a_choice(self, tmp_path: Path) -> None:
        self.save(tmp_path / "a.zarr", voxels((3, 5, 6, 7)), "CZYX", 3)
        with pytest.raises(ImageError, match="3 channels"):
            read_image(tmp_path / "a.zarr")

    def test_without_the_package_the_command_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a.zarr").mkdir()
        (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
        monkeypatch.setitem(__import__("sys").modules, "zarr", None)
        with pytest.raises(ImageError, match=r'pip install "napari-nninteractive\[zarr\]"'):
            read_image(tmp_path / "a.zarr")
