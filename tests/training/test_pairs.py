"""Folders of images and labels: both layouts, all their objects, and every mistake named before training."""

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from napari_nninteractive.core.box import Box
from napari_nninteractive.errors import ImageError
from napari_nninteractive.io.pairs import find_pairs
from napari_nninteractive.training.data.pairs import Target, fingerprint, read_pairs

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(100, 20, (8, 20, 24)).astype(np.float32)
LABELS = np.zeros((8, 20, 24), np.uint16)
LABELS[1:5, 2:8, 3:9] = 3
LABELS[4:8, 10:19, 12:20] = 70
LABELS[0, 0, 0] = 9  # one voxel is no object


def tiff(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values)


def nifti(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))


def good(folder, image=IMAGE, labels=LABELS):
    tiff(folder / "images" / "a.tif", image)
    tiff(folder / "labels" / "a.tif", labels)
    return folder


def test_two_folders_with_files_of_the_same_name_in_any_format(tmp_path):
    good(tmp_path)
    nifti(tmp_path / "images" / "b.nii.gz", IMAGE)
    tiff(tmp_path / "labels" / "b.tif", LABELS)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    names = [(n, i.name, t.name) for n, i, t in find_pairs(tmp_path)]
    assert names == [("a", "a.tif", "a.tif"), ("b", "b.nii.gz", "b.tif")]


def test_a_folder_for_each_pair(tmp_path):
    tiff(tmp_path / "one" / "image.tif", IMAGE)
    nifti(tmp_path / "one" / "labels.nii", LABELS)
    tiff(tmp_path / "two" / "image.tif", IMAGE)
    tiff(tmp_path / "two" / "label.tiff", LABELS)
    (tmp_path / "three").mkdir()
    assert [n for n, *_ in find_pairs(tmp_path)] == ["one", "two"]
    assert [p.targets for p in read_pairs(tmp_path)] == [read_pairs(tmp_path)[0].targets] * 2


def test_objects_statistics_and_report(tmp_path):
    lines = []
    (pair,) = read_pairs(good(tmp_path), lines.append)
    assert pair.targets == (
        Target(3, Box((1, 2, 3), (5, 8, 9)), 4 * 6 * 6),
        Target(70, Box((4, 10, 12), (8, 19, 20)), 4 * 9 * 8),
    )
    assert pair.normalization.mean == pytest.approx(float(IMAGE.mean()), rel=1e-5)
    assert pair.normalization.std == pytest.approx(float(IMAGE.std()), rel=1e-5)
    assert pair.shape == (8, 20, 24)
    assert lines == [
        "a: 8 × 20 × 24 voxels, 2 objects",
        "a: 1 object of fewer than 30 voxels left out",
    ]


def test_one_label_in_several_pieces_is_remarked(tmp_path):
    lines = []
    (pair,) = read_pairs(good(tmp_path, labels=(LABELS >= 3).astype(np.uint8)), lines.append)
    assert [t.label for t in pair.targets] == [1]
    assert lines[0] == "a: 8 × 20 × 24 voxels, 1 object"
    assert lines[1].startswith("a: a.tif has one value (1) in 2 separate parts")
    assert "skimage.measure.label" in lines[1]


@pytest.mark.parametrize("first", [0, 1])
def test_labels_of_any_size_and_whole_numbers_stored_as_fractions(tmp_path, first):
    large = LABELS.astype(np.uint32)
    large[large == 70] = 3_000_000_000
    large[large == 0] = first * 5
    found = read_pairs(good(tmp_path / "large", labels=large))[0].targets
    assert {t.label for t in found} == {3, 3_000_000_000} | ({5} if first else set())
    as_float = read_pairs(good(tmp_path / "float", labels=LABELS.astype(np.float32)))[0].targets
    assert {t.label for t in as_float} == {3, 70}


def test_a_single_slice(tmp_path):
    (pair,) = read_pairs(good(tmp_path, IMAGE[0], LABELS[5]))
    assert pair.shape == (1, 20, 24)
    assert pair.targets == (Target(70, Box((0, 10, 12), (1, 19, 20)), 72),)


def test_the_fingerprint_tells_data_apart_and_not_places(tmp_path):
    same = [fingerprint(read_pairs(good(tmp_path / place))) for place in ("a", "b")]
    other = fingerprint(read_pairs(good(tmp_path / "c", labels=(LABELS == 3).astype(np.uint8))))
    assert same[0] == same[1] != other


def no_labels_folder(folder):
    tiff(folder / "images" / "a.tif", IMAGE)


def lonely_image(folder):
    tiff(good(folder) / "images" / "b.tif", IMAGE)


def lonely_labels(folder):
    tiff(folder / "x" / "labels.tif", LABELS)


def twice(folder):
    tiff(good(folder) / "images" / "a.tiff", IMAGE)


def both_labels(folder):
    for name in ("image", "label", "labels"):
        tiff(folder / "x" / f"{name}.tif", LABELS)


def nothing(folder):
    folder.mkdir()


def broken(folder):
    (good(folder) / "images" / "a.tif").write_bytes(b"not a tiff")


def mirrored(folder):
    """Two NIfTI files of the same place, one stored from the other side."""
    folder.joinpath("a").mkdir(parents=True)
    for kind, values, sign in (("image", IMAGE, 1), ("labels", LABELS, -1)):
        image = sitk.GetImageFromArray(values)
        image.SetDirection((sign, 0, 0, 0, 1, 0, 0, 0, 1))
        sitk.WriteImage(image, str(folder / "a" / f"{kind}.nii.gz"))


MISTAKES = {
    "no folder": (lambda folder: None, "There is no folder"),
    "nothing": (nothing, "holds no pairs"),
    "no labels": (no_labels_folder, "no folder labels"),
    "lonely image": (lonely_image, r"b\.tif has no labels"),
    "lonely labels": (lonely_labels, r"labels\.tif has no image"),
    "one name twice": (twice, "have one name"),
    "two labels": (both_labels, "mean the same"),
    "broken": (broken, r"a\.tif: "),
    "shapes": (lambda f: good(f, labels=LABELS[:, :-1]), "must lie on the voxels"),
    "mirrored": (mirrored, r"labels\.nii\.gz does not lie on the voxels of .*image"),
    "constant": (lambda f: good(f, image=np.ones_like(IMAGE)), r"images.a\.tif: .*constant"),
    "fractions": (lambda f: good(f, labels=IMAGE), "no whole numbers"),
    "negative": (lambda f: good(f, labels=LABELS.astype(np.int16) - 1), "negative"),
    "empty": (lambda f: good(f, labels=LABELS * 0), "all its voxels are 0"),
    "small": (lambda f: good(f, labels=np.where(LABELS == 9, 1, 0).astype(np.uint8)), "only 1 sm"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_with_the_file(tmp_path, mistake):
    make, said = MISTAKES[mistake]
    make(tmp_path / "data")
    with pytest.raises(ImageError, match=said):
        read_pairs(tmp_path / "data")
