"""What is learned from files: images with labels, saved sessions; and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_nninteractive.cli.main import main
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError, SessionError
from napari_nninteractive.learning.files import example_of_labels, example_of_session
from napari_nninteractive.session_file.files import write_session
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedSession,
)

SHAPE = (20, 40, 44)
SPACING = (2.0, 0.5, 0.5)


def volume() -> np.ndarray:
    rng = np.random.default_rng(0)
    image = rng.normal(0, 10, SHAPE)
    image[truth() > 0] += 100
    return image.astype(np.float32)


def truth() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    for number, (y, x) in enumerate([(5, 5), (5, 25), (25, 5), (25, 25)], start=1):
        labels[6:14, y : y + 12, x : x + 12] = number
    return labels


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An image with its labels, both NRRD."""
    paths = tmp_path / "image.nrrd", tmp_path / "labels.nrrd"
    for path, data in zip(paths, (volume(), truth()), strict=True):
        _write(path, data)
    return paths


def _write(path: Path, data: np.ndarray) -> None:
    image = sitk.GetImageFromArray(data)
    image.SetSpacing(SPACING[::-1])
    sitk.WriteImage(image, str(path))


def session(path: Path, frame: SavedFrame) -> Path:
    write_session(path, SavedSession(SavedImage(SHAPE), SavedModel(), (frame,)))
    return path


def test_labels_are_read_with_their_image(files):
    example = example_of_labels(*files)
    np.testing.assert_array_equal(np.asarray(example.image[...]), volume())
    np.testing.assert_array_equal(example.labels, truth())
    assert example.spacing == SPACING


def test_labels_of_another_image_are_refused(files, tmp_path):
    other = tmp_path / "other.nrrd"
    _write(other, truth()[1:])
    with pytest.raises(ImageError, match="give the labels of this image"):
        example_of_labels(files[0], other)


def test_objects_of_a_session_are_what_the_label_map_shows(files, tmp_path):
    shown = MaskEdit(np.ones((2, 3, 4), bool), (6, 5, 5))
    covered = SavedObject((), MaskEdit(np.ones((5, 5, 5), bool), (6, 5, 5)), shown)
    alone = SavedObject((), MaskEdit(np.ones((3, 3, 3), bool), (8, 30, 30)), None)
    empty = SavedObject()
    frame = SavedFrame((0, 0, 0), None, 3, {1: covered, 2: alone, 3: empty})
    example = example_of_session(session(tmp_path / "work.json", frame), files[0])
    expected = np.zeros(SHAPE, np.uint32)
    expected[6:8, 5:8, 5:9] = 1
    expected[8:11, 30:33, 30:33] = 2
    np.testing.assert_array_equal(example.labels, expected)
    assert example.spacing == SPACING


def test_what_lies_wholly_beneath_another_object_stays_there(files, tmp_path):
    """It has no voxel in the label map; its mask must not take those of the object over it."""
    over = MaskEdit(np.ones((4, 4, 4), bool), (6, 5, 5))
    beneath = SavedObject((), MaskEdit(np.ones((3, 3, 3), bool), (6, 5, 5)), None)
    frame = SavedFrame((0, 0, 0), None, 1, {1: SavedObject((), over, over), 2: beneath})
    example = example_of_session(session(tmp_path / "work.json", frame), files[0])
    assert np.unique(example.labels).tolist() == [0, 1]
    assert np.count_nonzero(example.labels == 1) == 64


def test_a_session_of_another_image_or_without_voxels_is_refused(files, tmp_path):
    one = SavedObject((), MaskEdit(np.ones((3, 3, 3), bool), (8, 30, 30)), None)
    other = SavedFrame((0, 0, 0), None, 1, {1: one}, sha256="0" * 64)
    with pytest.raises(ImageError, match=r"is not the image of work\.json"):
        example_of_session(session(tmp_path / "work.json", other), files[0])
    same = SavedFrame((0, 0, 0), None, 1, {1: one}, sha256=Volume.open(volume(), SPACING).sha256())
    assert example_of_session(session(tmp_path / "same.json", same), files[0]).labels.max() == 1
    nothing = SavedFrame((0, 0, 0), None, 1, {1: SavedObject()})
    with pytest.raises(SessionError, match="no object with a voxel"):
        example_of_session(session(tmp_path / "empty.json", nothing), files[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{image}", "-o", "{new}"], "Say which objects are finished"),
        (
            ["{image}", "{image}", "--labels", "{labels}", "-o", "{new}"],
            "2 images and 1 label files",
        ),
        (
            ["{image}", "--labels", "{labels}", "-o", "{new}", "--channel", "0"],
            "belong to a session",
        ),
        (["{image}", "--labels", "{labels}", "-o", "{there}"], "exists: choose another folder"),
        (["{image}", "--labels", "{labels}", "-o", "{new}", "--steps", "0"], "at least one step"),
        (
            ["{image}", "--labels", "{labels}", "-o", "{new}", "--seconds", "nan"],
            "more than 0 seconds",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(files, tmp_path, capsys, words, message):
    names = {"image": files[0], "labels": files[1], "new": tmp_path / "new", "there": tmp_path}
    assert main(["learn", *(word.format(**names) for word in words)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_command_says_what_came_of_it(files, tmp_path, capsys):
    new = tmp_path / "new"
    words = ["learn", str(files[0]), "--labels", str(files[1]), "-o", str(new)]
    code = main([*words, "--steps", "1", "--device", "cpu"])
    said = capsys.readouterr().out
    assert "4 objects" in said
    assert "(on 1 of them, held back; 1 step)" in said
    assert (code, new.exists()) in [(0, True), (1, False)]
    assert ("learned from" in said) == new.exists()
