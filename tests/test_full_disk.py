"""Writers where the disk is full: an older file stays, nothing half is left, the next try works, the exit code says so.

A limit of the size of files (RLIMIT_FSIZE) stands for the full disk, in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_nninteractive.errors import ImageError
from napari_nninteractive.files import atomic_write
from napari_nninteractive.io import Geometry, ImageFile, read_image, write_mask
from napari_nninteractive.io import itk as itk_files

pytest.importorskip("resource", reason="a system without limits of the size of files")

RNG = np.random.default_rng(0)
OLD, NEW = (RNG.random((2, 4, 40, 40)) > 0.5).astype(np.uint8)
LIKE = ImageFile(NEW, Geometry.from_zyx((1.0, 1.0, 1.0)), "mm")
ENDINGS = [".nrrd", ".mha", ".nii", ".nii.gz", ".tif", ".ome.tif", ".zarr"]

CHILD = """
import resource, sys, numpy as np
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.io import Geometry, ImageFile, write_mask
from napari_nninteractive.io import itk, nifti, ome_zarr, tiff
import tifffile, zarr
folder, limit = sys.argv[1], int(sys.argv[2])
mask = np.load(f"{folder}/new.npy")
like = ImageFile(mask, Geometry.from_zyx((1.0, 1.0, 1.0)), "mm")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
for ending in sys.argv[3:]:
    try:
        write_mask(f"{folder}/m{ending}", mask, like, overwrite=True)
        print(ending, "written")
    except NNInteractiveError as error:
        print(ending, "refused", error)
"""


@pytest.mark.parametrize("limit", [0, 200, 600])
@pytest.mark.parametrize("there", [False, True])
def test_an_older_file_stays_and_a_second_try_works(
    tmp_path: Path, there: bool, limit: int
) -> None:
    np.save(tmp_path / "new.npy", NEW)
    if there:
        for ending in ENDINGS:
            write_mask(tmp_path / f"m{ending}", OLD, LIKE)
    names = {path.name for path in tmp_path.iterdir()}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(limit), *ENDINGS],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert set(said) == set(ENDINGS)
    for ending, words in said.items():
        path = tmp_path / f"m{ending}"
        if words == "written":
            np.testing.assert_array_equal(np.asarray(read_image(path).data[...]), NEW)
            names.add(path.name)
            continue
        # It names what the user asked for, not the file beside it.
        assert f"m{ending}" in words
        if there:
            np.testing.assert_array_equal(np.asarray(read_image(path).data[...]), OLD)
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all(words != "written" for words in said.values()) or limit >= 400
    for ending in ENDINGS:
        write_mask(tmp_path / f"m{ending}", NEW, LIKE, overwrite=True)
        np.testing.assert_array_equal(
            np.asarray(read_image(tmp_path / f"m{ending}").data[...]), NEW
        )


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.9, -1])
def test_what_itk_leaves_cut_short_is_not_kept(
    tmp_path: Path, ending: str, kept: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mask(tmp_path / f"m{ending}", OLD, LIKE)
    write = itk_files.sitk.WriteImage

    def cut(image: object, name: str, **options: bool) -> None:
        write(image, name, **options)
        content = Path(name).read_bytes()
        Path(name).write_bytes(content[: int(kept) if kept < 0 else int(kept * len(content))])

    monkeypatch.setattr(itk_files.sitk, "WriteImage", cut)
    with pytest.raises(ImageError, match="cut short"):
        write_mask(tmp_path / f"m{ending}", NEW, LIKE, overwrite=True)
    monkeypatch.undo()
    np.testing.assert_array_equal(read_image(tmp_path / f"m{ending}").data, OLD)
    assert [path.name for path in tmp_path.iterdir()] == [f"m{ending}"]


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_folders_whose_names_are_no_utf8_are_written_to(tmp_path: Path, ending: str) -> None:
    import os

    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    folder.mkdir()
    write_mask(folder / f"m{ending}", NEW, LIKE)
    np.testing.assert_array_equal(read_image(folder / f"m{ending}").data, NEW)


def test_an_error_that_the_disk_tells_last_keeps_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    (tmp_path / "a").write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), atomic_write(tmp_path / "a") as beside:
        beside.write_text("new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "old"}


SEGMENT = """
import resource, sys
from napari_nninteractive.cli.main import main
import napari_nninteractive.cli.segment, napari_nninteractive.engine.model, nnunetv2.utilities.get_network_from_plans
import tifffile, zarr, SimpleITK, nibabel
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
sys.exit(main(["segment", sys.argv[1], "-o", sys.argv[2], "--model", sys.argv[3], "--force", "--point", "2,20,20"]))
"""


@pytest.mark.parametrize("ending", [".nrrd", ".zarr", ".nii.gz"])
def test_the_command_line_says_so_with_its_exit_code(tmp_path: Path, ending: str) -> None:
    from fixtures.model_folder import write_model_folder

    model = write_model_folder(tmp_path / "model")
    write_mask(tmp_path / "image.nii.gz", NEW, LIKE)
    write_mask(tmp_path / f"m{ending}", OLD, LIKE)
    done = subprocess.run(
        [
            *(sys.executable, "-c", SEGMENT, str(tmp_path / "image.nii.gz")),
            *(str(tmp_path / f"m{ending}"), str(model)),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"m{ending} cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / f"m{ending}").data[...]), OLD)
