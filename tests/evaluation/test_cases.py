"""Volumes with truth: found, read, refused; and the objects in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from fixtures.balls import ball

from napari_nninteractive.cli.remedies import ON_THE_COMMAND_LINE
from napari_nninteractive.errors import ImageError
from napari_nninteractive.evaluation.cases import Case, choose_objects, find_cases, read_case

IMAGE = np.arange(210, dtype=np.uint16).reshape(5, 6, 7)
LABELS = (IMAGE % 3).astype(np.uint8)


def write(folder: Path, image=IMAGE, labels=LABELS, spacing: str | None = None) -> Path:
    folder.mkdir(parents=True)
    tifffile.imwrite(folder / "image.tif", image, photometric="minisblack")
    tifffile.imwrite(folder / "label.tif", labels, photometric="minisblack")
    if spacing is not None:
        (folder / "spacing_zyx.txt").write_text(spacing)
    return folder


def test_every_folder_with_image_and_label_is_a_volume(tmp_path: Path) -> None:
    write(tmp_path / "b", spacing="2.0 0.5 0.25\n")
    write(tmp_path / "a")
    (tmp_path / "no volume").mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert [c.name for c in find_cases(tmp_path)] == ["a", "b"]
    assert [c.name for c in find_cases(tmp_path, ("b",))] == ["b"]
    assert [c.name for c in find_cases(tmp_path / "b")] == ["b"]

    a, b = (read_case(c) for c in find_cases(tmp_path))
    assert (a.name, b.name) == ("a", "b")
    np.testing.assert_array_equal(np.asarray(b.image), IMAGE)
    np.testing.assert_array_equal(b.labels, LABELS)
    assert a.spacing == (1.0, 1.0, 1.0)
    assert b.spacing == (2.0, 0.5, 0.25)


def test_the_layout_of_training_is_understood(tmp_path: Path) -> None:
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for name in ("b", "a.1"):
        for part, array in (("images", IMAGE), ("labels", LABELS)):
            tifffile.imwrite(tmp_path / part / f"{name}.tif", array, photometric="minisblack")
    cases = find_cases(tmp_path)
    assert [c.name for c in cases] == ["a.1", "b"]
    assert [c.name for c in find_cases(tmp_path, ("b",))] == ["b"]
    first = read_case(cases[0])
    np.testing.assert_array_equal(np.asarray(first.image), IMAGE)
    np.testing.assert_array_equal(first.labels, LABELS)
    (tmp_path / "labels" / "b.tif").unlink()
    with pytest.raises(ImageError, match=r"b.tif has no labels"):
        find_cases(tmp_path)


def test_a_flat_image_has_one_slice_of_labels(tmp_path: Path) -> None:
    write(tmp_path / "flat", IMAGE[0], LABELS[0])
    volume = read_case(find_cases(tmp_path)[0])
    assert volume.labels.shape == (1, 6, 7)


def test_labels_may_be_whole_floats_or_a_mask(tmp_path: Path) -> None:
    write(tmp_path / "a", labels=LABELS.astype(np.float32))
    write(tmp_path / "b", labels=(LABELS == 1).astype(np.uint8))
    a, b = (read_case(c).labels for c in find_cases(tmp_path))
    np.testing.assert_array_equal(a, LABELS)
    assert a.dtype.kind == "i"
    np.testing.assert_array_equal(b, LABELS == 1)


@pytest.mark.parametrize(
    ("labels", "spacing", "said"),
    [
        (LABELS[1:], None, "labels of this image"),
        (LABELS + np.float32(0.5), None, "fractions"),
        (LABELS * np.float32(np.nan), None, "fractions"),
        (LABELS.astype(np.int16) - 1, None, "negative values: labels are 0 .nothing. and above"),
        (LABELS.astype(np.float32) - 1, None, "negative values"),
        (LABELS, "1 2", "three numbers"),
        (LABELS, "1 2 x", "three numbers"),
        (LABELS, "1 2 0", "above 0"),
        (LABELS, "1 2 nan", "above 0"),
        (LABELS, "1 2 inf", "above 0"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, labels, spacing, said: str) -> None:
    write(tmp_path / "a", labels=labels, spacing=spacing)
    with pytest.raises(ImageError, match=said):
        read_case(find_cases(tmp_path)[0])


@pytest.mark.parametrize(
    ("axes", "shape", "said"),
    [
        ("ZYXS", (5, 6, 7, 3), "has 3 channels: choose one with"),
        ("TZYX", (2, 5, 6, 7), "has 2 time points: choose one with"),
    ],
)  # fmt: skip
def test_several_stacks_get_advice_that_can_be_followed(tmp_path: Path, axes, shape, said) -> None:
    folder = write(tmp_path / "a")
    data = np.zeros(shape, np.uint8)
    meta = {"axes": axes}
    tifffile.imwrite(folder / "image.tif", data, imagej=axes[0] == "T", metadata=meta)
    with pytest.raises(ImageError) as caught:
        read_case(find_cases(tmp_path)[0])
    assert said in str(caught.value)
    assert "save one as a file of its own" in str(caught.value)
    assert "has no such option, save one" in caught.value.worded(ON_THE_COMMAND_LINE)


def test_missing_folders_and_volumes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no folder"):
        find_cases(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="both an image and a label"):
        find_cases(tmp_path)
    write(tmp_path / "a")
    with pytest.raises(ImageError, match=r"no volume z in .*: choose of a"):
        find_cases(tmp_path, ("a", "z"))


def test_separate_parts_of_one_value_are_noted(tmp_path: Path) -> None:
    shape = (12, 24, 36)
    places = [(5, y, x) for y in (5, 17) for x in (5, 17, 29)]
    balls = [ball(shape, place, 4) for place in places]
    speck = ball(shape, (11, 11, 11), 0)
    cases = {
        "six": (7 * sum(balls), True),
        "mask": (sum(balls) > 0, True),
        "one with a speck": (balls[0] | speck, False),
        "numbered": (sum(n * b for n, b in enumerate(balls, start=1)), False),
        "none": (0 * balls[0], False),
    }
    for name, (labels, _) in cases.items():
        write(tmp_path / name, np.zeros(shape, np.uint8), np.asarray(labels, np.uint8))
    for case in find_cases(tmp_path):
        notes = read_case(case).notes
        assert len(notes) == cases[case.name][1], case.name
        if case.name == "six":
            assert notes[0].startswith("label.tif has one value (7) in 6 separate parts, which")


def test_two_files_are_a_case(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    volume = read_case(Case("mine", folder / "image.tif", folder / "label.tif"))
    assert (volume.name, volume.labels.shape) == ("mine", IMAGE.shape)


def test_labels_on_another_grid_are_refused_and_other_sizes_noted(tmp_path: Path) -> None:
    for name, scale, direction in (("a", 1.0, 1.0), ("b", 1.1, 1.0), ("c", 1.0, -1.0)):
        picture = sitk.GetImageFromArray(LABELS)
        picture.SetSpacing((1.0, 1.0, scale))
        picture.SetDirection((direction, 0, 0, 0, 1, 0, 0, 0, 1))
        sitk.WriteImage(picture, str(tmp_path / f"{name}.nii.gz"))
    image = tmp_path / "a.nii.gz"
    assert read_case(Case("m", image, image)).notes == ()
    (text,) = read_case(Case("m", image, tmp_path / "b.nii.gz")).notes
    assert "voxels of different sizes (x, y, z): [1 1 1] and [1 1 1.1]" in text
    with pytest.raises(ImageError, match=r"c.nii.gz does not lie on the voxels of a.nii.gz"):
        read_case(Case("m", image, tmp_path / "c.nii.gz"))


def test_objects_are_large_enough_few_and_drawn_by_seed() -> None:
    labels = np.repeat(np.arange(30), np.arange(30) + 1).reshape(1, 1, -1)
    assert sorted(choose_objects(labels, smallest=20, most=50)) == list(range(19, 30))
    first = choose_objects(labels, smallest=1, most=5, seed=1)
    assert len(first) == len(set(first)) == 5
    assert first == choose_objects(labels, smallest=1, most=5, seed=1)
    assert first != choose_objects(labels, smallest=1, most=5, seed=2)
    assert choose_objects(labels, smallest=1, most=3, seed=1) == first[:3]
    assert choose_objects(labels, smallest=1000) == ()
    # These are the objects of every figure in the docs: the same for ever.
    assert choose_objects(labels, smallest=1, most=5) == tuple(
        np.random.default_rng(0).permutation(np.arange(1, 30))[:5]
    )
