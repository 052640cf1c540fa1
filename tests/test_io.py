"""Files in, masks out: voxels, axes and geometry by value, for every format."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any

import nibabel as nib
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
    with pytest.raises(ImageError, match=r"3 channels: choose one with channel=0 to channel=2,"):
        read_image(path, timepoint=1)
    with pytest.raises(
        ImageError, match=r"2 time points: choose one with timepoint=0 to timepoint=1,"
    ):
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
    # MetaImage is in millimetres, so that lengths are converted; the others name their unit.
    scale = (
        np.ones(3) if ending != ".mha" else np.array([1.0] * (3 - len(shape)) + [1e-3] * len(shape))
    )
    np.testing.assert_allclose(again.spacing, scale * image.spacing, rtol=1e-6)
    assert again.data.dtype == np.uint8
    assert again.unit == ("mm" if ending == ".mha" else "µm")


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
    with pytest.raises(
        ImageError, match=r"3 time points: choose one with timepoint=0 to timepoint=2,"
    ):
        read_image(tmp_path / "a.nii.gz")
    sitk.WriteImage(sitk.JoinSeries(frames[:1]), str(tmp_path / "b.nii.gz"))
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").data, data[0])


def test_choices_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_itk(tmp_path / "a.nrrd", voxels((5, 6, 7)))
    assert read_image(tmp_path / "a.nrrd", channel=0, timepoint=0).shape == (5, 6, 7)
    with pytest.raises(ImageError, match=r"no time axis: leave out timepoint=1\.$"):
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
def test_a_file_cut_short_is_refused(
    tmp_path: Path, ending: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    save_itk(tmp_path / f"a{ending}", voxels((20, 30, 30)))
    content = (tmp_path / f"a{ending}").read_bytes()
    (tmp_path / f"a{ending}").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ImageError, match=rf"a{ending} (cannot be read|is cut short|is damaged)"):
        read_image(tmp_path / f"a{ending}")
    assert capfd.readouterr() == ("", "")  # the libraries below are silent


@pytest.mark.parametrize("ending", [".mha", ".mhd"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_metaimage_cut_short_says_how_much(tmp_path: Path, ending: str, packed: bool) -> None:
    picture = sitk.GetImageFromArray(voxels((5, 6, 7)))
    sitk.WriteImage(picture, str(tmp_path / f"a{ending}"), useCompression=packed)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{ending}").data, voxels((5, 6, 7)))
    name = {(".mha", False): "a.mha", (".mha", True): "a.mha"}.get(
        (ending, packed), "a.zraw" if packed else "a.raw"
    )
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-3])
    sizes = f"{len(content) - 3} bytes where {len(content)} are needed"
    with pytest.raises(ImageError, match=f"{name} is cut short: {sizes}"):
        read_image(tmp_path / f"a{ending}")
    if ending == ".mhd":
        (tmp_path / name).unlink()
        with pytest.raises(ImageError, match=rf"no file .*{name}, in which a\.mhd says"):
            read_image(tmp_path / "a.mhd")


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"imagej": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"compression": "zlib"},
        {},
        None,
    ],
    ids=["ImageJ", "ImageJ packed", "OME", "packed", "plain", "pages"],
)
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.9, 0.99])
def test_a_tiff_cut_short_is_refused(
    tmp_path: Path, options: dict[str, Any] | None, part: float, caplog: Any, capfd: Any
) -> None:
    data = voxels((12, 40, 50), "uint16")
    if options is None:
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            for page in data:
                writer.write(page, contiguous=False, metadata=None)
    else:
        tifffile.imwrite(tmp_path / "a.tif", data, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, data)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ImageError, match=r"b\.tif is damaged"):
        read_image(tmp_path / "b.tif")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_what_tifffile_complains_of_is_handed_on(
    tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", voxels((5, 6, 7), "uint8"))
    log, make = logging.getLogger("tifffile"), tifffile.TiffFile

    def complain(path: Path) -> tifffile.TiffFile:
        log.warning("an odd tag")
        return make(path)

    monkeypatch.setattr(tifffile, "TiffFile", complain)
    assert read_image(tmp_path / "a.tif").shape == (5, 6, 7)
    assert [r.getMessage() for r in caplog.records] == ["a.tif: an odd tag"]


class TestNifti:
    """Frame and units of NIfTI."""

    SHEARED = np.array(
        [[0.5, 1e-4, 0.0, 10.0], [0.0, 0.5, 2e-4, -20.0], [0.0, 0.0, 2.0, 5.0], [0, 0, 0, 1]]
    )

    @staticmethod
    def save(path: Path, affine: np.ndarray, unit: str, data: np.ndarray | None = None) -> None:
        array = voxels((5, 6, 7)) if data is None else data
        image = nib.Nifti1Image(array.T, affine)
        image.header.set_xyzt_units(unit)
        nib.save(image, path)

    @pytest.mark.parametrize("unit", ["mm", "micron", "meter", "unknown"])
    @pytest.mark.parametrize("kind", ["turned", "sheared", "sizes only"])
    def test_the_mask_has_the_very_frame_of_the_image(
        self, tmp_path: Path, unit: str, kind: str
    ) -> None:
        turned = np.eye(4)
        turned[:3, :3] = np.reshape(TURNED, (3, 3)) * SPACING_XYZ
        turned[:3, 3] = ORIGIN_XYZ
        affine = self.SHEARED if kind == "sheared" else turned
        self.save(tmp_path / "a.nii.gz", affine, unit)
        if kind == "sizes only":
            image = nib.load(tmp_path / "a.nii.gz")
            image.header["sform_code"] = image.header["qform_code"] = 0
            nib.save(nib.Nifti1Image(image.dataobj, None, image.header), tmp_path / "a.nii.gz")
        image = read_image(tmp_path / "a.nii.gz")
        assert image.unit == {"micron": "µm", "meter": "m", "unknown": ""}.get(unit, unit)
        mask = ball((5, 6, 7))
        write_mask(tmp_path / "m.nii.gz", mask, image)
        before, after = nib.load(tmp_path / "a.nii.gz"), nib.load(tmp_path / "m.nii.gz")
        np.testing.assert_array_equal(after.affine, before.affine)
        assert after.header.get_xyzt_units()[0] == unit
        for code in ("qform_code", "sform_code"):
            assert after.header[code] == before.header[code]
        assert after.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(np.asarray(after.dataobj).T, mask)

    @pytest.mark.parametrize(
        ("unit", "written", "by"),
        [("µm", "micron", 1), ("nm", "micron", 1e-3), ("cm", "micron", 1e4), ("", "unknown", 1)],
    )
    def test_other_images_bring_their_unit(
        self, tmp_path: Path, unit: str, written: str, by: float
    ) -> None:
        image = ImageFile(voxels((5, 6, 7)), Geometry.from_zyx((2.0, 0.5, 0.25), (4, 5, 6)), unit)
        write_mask(tmp_path / "m.nii.gz", ball((5, 6, 7)), image)
        mask = nib.load(tmp_path / "m.nii.gz")
        assert mask.header.get_xyzt_units()[0] == written
        np.testing.assert_allclose(
            mask.header.get_zooms(), np.array([0.25, 0.5, 2]) * by, rtol=1e-6
        )
        want = np.diag([-0.25, -0.5, 2.0, 1.0 / by]) * by
        want[:3, 3] = np.array([-6, -5, 4]) * by
        np.testing.assert_allclose(mask.affine, want, rtol=1e-6)
        again = sitk.ReadImage(str(tmp_path / "m.nii.gz"))  # a reader that turns all into mm
        if unit:
            mm = {"µm": 1e-3, "nm": 1e-6, "cm": 10}[unit]
            np.testing.assert_allclose(again.GetSpacing(), np.array([0.25, 0.5, 2]) * mm, rtol=1e-5)

    def test_a_small_shear_counts_as_none_and_a_real_one_is_refused(self, tmp_path: Path) -> None:
        self.save(tmp_path / "a.nii", self.SHEARED, "mm")
        image = read_image(tmp_path / "a.nii")
        np.testing.assert_array_equal(image.data, voxels((5, 6, 7)))
        square = np.reshape(image.geometry.direction, (3, 3))
        np.testing.assert_allclose(square.T @ square, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(square, np.diag([-1.0, -1.0, 1.0]), atol=3e-4)
        write_mask(tmp_path / "m.nrrd", ball((5, 6, 7)), image)
        np.testing.assert_array_equal(read_image(tmp_path / "m.nrrd").data, ball((5, 6, 7)))
        real = self.SHEARED.copy()
        real[0, 1] = 0.01
        self.save(tmp_path / "b.nii", real, "mm")
        with pytest.raises(ImageError, match=r"right angles.*resample_to_output.*3D Slicer"):
            read_image(tmp_path / "b.nii")

    def test_axes_without_length_are_refused(self, tmp_path: Path) -> None:
        self.save(tmp_path / "a.nii", np.eye(4), "mm")
        content = bytearray((tmp_path / "a.nii").read_bytes())
        content[280:328] = bytes(48)  # the sform
        (tmp_path / "a.nii").write_bytes(content)
        with pytest.raises(ImageError, match="no length"):
            read_image(tmp_path / "a.nii")

    def test_a_factor_and_an_offset_are_applied(self, tmp_path: Path) -> None:
        self.save(tmp_path / "a.nii", np.eye(4), "mm")
        content = bytearray((tmp_path / "a.nii").read_bytes())
        content[112:120] = np.array([0.5, -3.0], "<f4").tobytes()
        (tmp_path / "a.nii").write_bytes(content)
        image = read_image(tmp_path / "a.nii")
        np.testing.assert_array_equal(image.data, voxels((5, 6, 7)) * 0.5 - 3)
        assert image.data.dtype == np.float32

    def test_colours_are_channels(self, tmp_path: Path) -> None:
        data = voxels((5, 6, 7, 3), "uint8")
        colours = np.ascontiguousarray(data).view([(c, "u1") for c in "RGB"])[..., 0]
        self.save(tmp_path / "a.nii.gz", np.eye(4), "mm", colours)
        np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz", 1).data, data[..., 1])
        with pytest.raises(ImageError, match="3 channels"):
            read_image(tmp_path / "a.nii.gz")

    def test_the_axes_lie_as_itk_reads_them(self, tmp_path: Path) -> None:
        save_itk(tmp_path / "a.nii.gz", voxels((5, 6, 7)))
        ours, itk = read_image(tmp_path / "a.nii.gz"), sitk.ReadImage(str(tmp_path / "a.nii.gz"))
        np.testing.assert_allclose(ours.geometry.spacing, itk.GetSpacing(), rtol=1e-6)
        np.testing.assert_allclose(ours.geometry.origin, itk.GetOrigin(), atol=1e-5)
        np.testing.assert_allclose(ours.geometry.direction, itk.GetDirection(), atol=1e-6)

    def test_long_axes(self, tmp_path: Path) -> None:
        data = np.zeros((1, 2, 40_000), np.uint8)
        image = ImageFile(data, Geometry.from_zyx((1.0, 1.0, 1.0)), "mm")
        write_mask(tmp_path / "m.nii.gz", data, image)
        assert read_image(tmp_path / "m.nii.gz").shape == data.shape


@pytest.mark.parametrize(("unit", "written"), [("µm", "um"), ("mm", "mm"), ("nm", "nm"), ("", "")])
def test_nrrd_names_the_unit(tmp_path: Path, unit: str, written: str) -> None:
    for shape in ((5, 6, 7), (6, 7)):
        geometry = Geometry.from_zyx((2.0, 0.5, 0.25)[-len(shape) :])
        image = ImageFile(voxels(shape), geometry, unit)
        mask = ball(image.shape)
        path = write_mask(tmp_path / "m.nrrd", mask, image, overwrite=True)
        header = path.read_bytes().split(b"\n\n")[0].decode()
        units = " ".join([f'"{written}"'] * len(shape))
        assert (f"space units: {units}" in header) == bool(unit)
        again = read_image(path)
        assert again.unit == (unit or "mm")
        np.testing.assert_array_equal(again.data, mask.reshape(shape))
        np.testing.assert_allclose(again.spacing, image.spacing, rtol=1e-12)
        assert sitk.ReadImage(str(path)).GetSize() == shape[::-1]


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
        with pytest.raises(ImageError, match=r"is there already.*overwrite=True"):
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

    @pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".tif"])
    def test_a_failure_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            next(Path(a) for a in args if isinstance(a, str | Path)).write_bytes(b"half")
            raise RuntimeError("Exception\nsitk::ERROR: No space left")

        def fail_to_save(_image: Any, path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError(28, "No space left", str(path))

        monkeypatch.setattr(sitk, "WriteImage", fail)
        monkeypatch.setattr(nib, "save", fail_to_save)
        monkeypatch.setattr(tifffile, "imwrite", fail)
        with pytest.raises((ImageError, RuntimeError), match="No space left") as caught:
            write_mask(tmp_path / f"mask{ending}", ball((5, 6, 7)), self.image())
        assert list(tmp_path.iterdir()) == []
        if ending == ".nii.gz":  # the name that was asked for, not the one beside it
            assert f"{tmp_path / 'mask.nii.gz'} cannot be written" in str(caught.value)
            assert "choose another place" in str(caught.value)

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that lies about itself")
    def test_a_folder_that_takes_no_files_is_known_before_the_work(self) -> None:
        with pytest.raises(ImageError, match=r"folder /proc cannot .*another place for m\.nii\.gz"):
            check_output("/proc/m.nii.gz")


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

    def test_a_level_of_an_image_names_the_folder_above(self, tmp_path: Path, caplog: Any) -> None:
        self.save(tmp_path / "a.zarr", voxels((2, 3, 5, 6, 7)), "TCZYX", 3)
        with pytest.raises(ImageError, match=r"folder above: name .*a\.zarr\.$"):
            read_image(tmp_path / "a.zarr" / "0")
        self.save(tmp_path / "b.zarr", voxels((5, 6, 7)), "ZYX", 2)
        np.testing.assert_array_equal(
            np.asarray(read_image(tmp_path / "b.zarr" / "0").data), voxels((5, 6, 7))
        )
        assert "without voxel size" in caplog.text

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
        with pytest.raises(ImageError, match="pip install zarr"):
            read_image(tmp_path / "a.zarr")


class TestOmeZarrMasks:
    """Masks written as OME-Zarr."""

    @staticmethod
    def like(shape: tuple[int, ...], direction: tuple[float, ...] | None = None) -> ImageFile:
        n = len(shape)
        geometry = Geometry(
            (0.25, 0.5, 2.0)[:n],
            (7.0, 5.0, 3.0)[:n],
            direction or tuple(np.eye(n).ravel().tolist()),
        )
        return ImageFile(np.zeros(shape), geometry, "µm")

    @pytest.mark.parametrize("shape", [(5, 6, 7), (6, 7)])
    def test_what_is_written_is_read(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        zarr = pytest.importorskip("zarr")
        mask = ball((1, *shape)[-3:])
        path = write_mask(tmp_path / "mask.ome.zarr", mask, self.like(shape))
        found = read_image(path)
        np.testing.assert_array_equal(np.asarray(found.data), mask.reshape(shape))
        assert found.data.dtype == np.uint8
        assert found.geometry == self.like(shape).geometry
        assert found.unit == "µm"
        records = zarr.open_group(path, mode="r").attrs["multiscales"][0]["axes"]
        assert records == [
            {"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"[-len(shape) :]
        ]

    def test_another_mask_takes_the_place_of_the_first(self, tmp_path: Path) -> None:
        pytest.importorskip("zarr")
        path = tmp_path / "mask.zarr"
        write_mask(path, np.ones((70, 6, 7)), self.like((70, 6, 7)))
        with pytest.raises(ImageError, match="is there already"):
            write_mask(path, np.ones((70, 6, 7)), self.like((70, 6, 7)))
        # Chunks of nothing are not written: those of the first mask must not show through.
        second = np.zeros((70, 6, 7))
        second[0, 0, 0] = 1
        write_mask(path, second, self.like((70, 6, 7)), overwrite=True)
        np.testing.assert_array_equal(np.asarray(read_image(path).data), second)
        assert [p.name for p in tmp_path.iterdir()] == ["mask.zarr"]

    @pytest.mark.parametrize("there", [True, False])
    def test_a_failure_leaves_all_as_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
    ) -> None:
        zarr = pytest.importorskip("zarr")
        path, like = tmp_path / "mask.zarr", self.like((5, 6, 7))
        if there:
            write_mask(path, ball((5, 6, 7)), like)

        def fail(*args: Any, **kwargs: Any) -> None:
            raise OSError(28, "No space left")

        monkeypatch.setattr(zarr.Group, "create_array", fail)
        with pytest.raises(ImageError, match=r"mask\.zarr cannot be written \(No space left"):
            write_mask(path, np.zeros((5, 6, 7)), like, overwrite=True)
        assert [p.name for p in tmp_path.iterdir()] == ["mask.zarr"] * there
        if there:
            np.testing.assert_array_equal(np.asarray(read_image(path).data), ball((5, 6, 7)))

    def test_folders_that_are_not_replaced(self, tmp_path: Path) -> None:
        pytest.importorskip("zarr")
        (tmp_path / "mine.zarr").mkdir()
        (tmp_path / "mine.zarr" / "thesis.txt").write_text("precious")
        with pytest.raises(ImageError, match="no OME-Zarr, so it is not replaced"):
            check_output(tmp_path / "mine.zarr", overwrite=True)
        path = write_mask(tmp_path / "image.zarr", ball((5, 6, 7)), self.like((5, 6, 7)))
        with pytest.raises(ImageError, match="read here and not replaced"):
            check_output(path, overwrite=True, inputs=(path,))
        with pytest.raises(ImageError, match=r"An input lies in .*image\.zarr"):
            check_output(path, overwrite=True, inputs=(path / "0",))

    def test_without_the_package_it_is_said_before_the_work(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "zarr", None)
        with pytest.raises(ImageError, match="pip install zarr"):
            check_output(tmp_path / "mask.zarr")


def _ome_part(path: Path, data: np.ndarray[Any, Any], parts: list[str], own: str) -> None:
    """A file of an OME-TIFF whose planes lie, in equal runs, in several files."""
    run = 4 // len(parts)
    planes = "".join(
        f'<TiffData IFD="{z % run}" FirstZ="{z}" PlaneCount="1"><UUID FileName="{parts[z // run]}">'
        f"urn:uuid:{z // run}</UUID></TiffData>"
        for z in range(4)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{own}><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="6" SizeY="5" SizeZ="4" SizeC="1" '
        f'SizeT="1">{planes}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, data, description=text.encode(), metadata=None, photometric="minisblack")


@pytest.mark.parametrize("own", [' UUID="urn:uuid:0"', ""])
def test_an_ome_tiff_without_one_of_its_files_is_refused(tmp_path: Path, own: str) -> None:
    data = np.arange(1, 121, dtype=np.uint16).reshape(4, 5, 6)
    _ome_part(tmp_path / "a.ome.tif", data[:2], ["a.ome.tif", "b.ome.tif"], own)
    with pytest.raises(ImageError, match=r"b\.ome\.tif is missing"):
        read_image(tmp_path / "a.ome.tif")
    _ome_part(tmp_path / "renamed.ome.tif", data, ["first.ome.tif"], own)
    np.testing.assert_array_equal(read_image(tmp_path / "renamed.ome.tif").data, data)
