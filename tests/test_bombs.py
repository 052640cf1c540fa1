"""Small files that ask for all memory, or for ever: they are refused with a word, before memory is taken.

Each runs in a process of its own, whose address space is limited and whose memory is measured.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from napari_nninteractive import limits
from napari_nninteractive.core.plan import plan_from_json
from napari_nninteractive.core.prompts import Scribble, prompt_from_json, prompt_to_json
from napari_nninteractive.errors import ImageError, PromptError
from napari_nninteractive.io import read_image

DATA = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)

CHILD = """
import resource, sys, time
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.io import read_image
import nibabel, tifffile, SimpleITK
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before, began = peak(), time.monotonic()
try:
    image = read_image(sys.argv[1])
    said = f"read {image.data.shape}"
except NNInteractiveError as error:
    said = f"refused {error}"
print(f"{peak() - before} {time.monotonic() - began:.1f} {said}")
"""


def tried(path: Path) -> tuple[int, str]:
    """Megabytes that reading a file took, and what came of it."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    megabytes, seconds, said = done.stdout.strip().split(" ", 2)
    assert float(seconds) < 10
    return int(megabytes), said


def nifti(path: Path, **fields: object) -> bytes:
    """Bytes of a NIfTI file of 64 voxels, with other fields in its header."""
    image = nib.Nifti1Image(DATA, np.eye(4))
    header = image.header.copy()
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + b"\0\0\0\0" + DATA.tobytes("F")


def zeros(path: Path, start: bytes, megabytes: int) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(megabytes // 10):
            file.write(bytes(10_000_000))


def test_64_voxels_before_two_gigabytes_of_zeros(tmp_path):
    path = tmp_path / "a.nii.gz"
    zeros(path, nifti(path), 2000)
    megabytes, said = tried(path)
    assert (said, megabytes < 100) == ("read (4, 4, 4)", True)


def test_an_extension_that_takes_all_that_follows(tmp_path):
    for name, length in (("zero", 0), ("minus", -16), ("huge", 2**31 - 16)):
        path = tmp_path / f"{name}.nii.gz"
        start = bytearray(nifti(path, vox_offset=1024.0)[:352])
        start[348] = 1
        zeros(path, bytes(start) + struct.pack("<ii", length, 6), 1000)
        megabytes, said = tried(path)
        assert said.startswith("refused")
        assert "extensions" in said
        assert megabytes < 100


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_promises_what_the_file_cannot_hold(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    content = nifti(path, dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])
    path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    with pytest.raises(ImageError, match="cut short"):
        read_image(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"vox_offset": 3e38},
        {"vox_offset": -16.0},
        {"vox_offset": 16.0},
        {"vox_offset": np.inf},
        {"vox_offset": np.nan},
    ],
)
def test_extensions_before_voxels_that_are_nowhere(tmp_path, fields):
    content = bytearray(nifti(tmp_path, **fields))
    content[348] = 1
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(ImageError):
        read_image(tmp_path / "a.nii")


@pytest.mark.parametrize("code", [4, 7, 255])
def test_a_unit_that_is_none(tmp_path, code):
    (tmp_path / "a.nii").write_bytes(nifti(tmp_path, xyzt_units=code))
    assert read_image(tmp_path / "a.nii").unit == ""


def test_extensions_as_they_should_be_are_read(tmp_path):
    image = nib.Nifti1Image(DATA, np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 5000))
    for ending in (".nii", ".nii.gz"):
        nib.save(image, tmp_path / f"a{ending}")
        np.testing.assert_array_equal(read_image(tmp_path / f"a{ending}").data, DATA.T)


def test_what_memory_does_not_hold_is_refused(tmp_path, monkeypatch):
    nib.save(nib.Nifti1Image(DATA, np.eye(4)), tmp_path / "a.nii.gz")
    tifffile.imwrite(
        tmp_path / "a.tif", DATA, compression="zlib", imagej=True, metadata={"axes": "ZYX"}
    )
    for name, need in (("a.nii.gz", 64), ("a.tif", 64 + 16)):
        monkeypatch.setattr(limits, "available_memory", lambda n=need: n)
        assert read_image(tmp_path / name).shape == DATA.shape
        monkeypatch.setattr(limits, "available_memory", lambda n=need: n - 1)
        with pytest.raises(ImageError, match="of memory"):
            read_image(tmp_path / name)


def test_a_mapped_file_may_be_larger_than_memory(tmp_path, monkeypatch):
    nib.save(nib.Nifti1Image(DATA, np.eye(4)), tmp_path / "a.nii")
    tifffile.imwrite(tmp_path / "a.tif", DATA, imagej=True, metadata={"axes": "ZYX"})
    monkeypatch.setattr(limits, "available_memory", lambda: 1)
    for name in ("a.nii", "a.tif"):
        assert read_image(tmp_path / name).shape == DATA.shape


def test_a_tiff_of_a_few_bytes_that_claims_a_terabyte(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DATA[0], compression="zlib", metadata=None)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = tif.pages[0].tags[name]
            size = {3: 2, 4: 4}[tag.dtype]
            value = (2**16 - 1 if size == 2 else 2**20).to_bytes(size, "little")
            content[tag.valueoffset : tag.valueoffset + size] = value
    path.write_bytes(content)
    megabytes, said = tried(path)
    assert said.startswith("refused") or "65535" in said
    assert megabytes < 5000


# --- masks in JSON -------------------------------------------------------------------------------------------------


def bomb(side: int) -> dict[str, object]:
    """Record of a scribble that is all painted: one bit a voxel, packed a thousandfold."""
    bits = zlib.compress(b"\xff" * ((side**3 + 7) // 8), 9)
    mask = {"shape": [side] * 3, "bits": base64.b64encode(bits).decode()}
    return {"type": "Scribble", "mask": mask, "origin": [0, 0, 0], "positive": True}


def test_a_mask_larger_than_the_image_is_refused_before_it_is_unpacked(monkeypatch):
    record = bomb(64)
    assert prompt_from_json(record, 64**3) == Scribble(np.ones((64, 64, 64)))
    monkeypatch.setattr(zlib, "decompressobj", None)
    with pytest.raises(PromptError, match="the image has 262143"):
        prompt_from_json(record, 64**3 - 1)
    with pytest.raises(PromptError, match="1073741824 are the most"):
        prompt_from_json(record | {"mask": {"shape": [1025, 1024, 1024], "bits": ""}})


def test_many_masks_together_are_refused():
    record = bomb(16)
    assert len(plan_from_json([record] * 8, 16**3)) == 8
    with pytest.raises(PromptError, match="is damaged"):
        plan_from_json([record] * 9, 16**3)


@pytest.mark.parametrize(
    "shape", [[10**30, 1, 1], [-1, -1, 4], [1, 1], "abc", [1e308, 1, 1], [None] * 3, [[1], 1, 1]]
)
def test_shapes_that_cannot_be(shape):
    record = prompt_to_json(Scribble(np.ones((1, 2, 2))))
    record["mask"] = record["mask"] | {"shape": shape}
    with pytest.raises(PromptError):
        prompt_from_json(record)


PROMPTS = {
    "deep lists": "[" * 200_000,
    "deep objects": '{"a":' * 200_000,
    "infinity": '[{"type": "Point", "position": [Infinity, 1, 1]}]',
    "a huge number": '[{"type": "Point", "position": [1e400, 1, 1]}]',
    "NaN": '[{"type": "Point", "position": [NaN, 1, 1]}]',
    "many digits": '[{"type": "Point", "position": [' + "9" * 6000 + ", 1, 1]}]",
    "large": '[{"type": "Point", "position": [1e300, 1, 1]}]',
    "a mask": json.dumps([bomb(8) | {"mask": {"shape": [1025, 1024, 1024], "bits": "eJw="}}]),
    "not text": b"\xff\xfe\x00",
    "a number": "7",
    "nothing": "",
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_command_line_refuses_prompts_that_ask_for_all(tmp_path, name, capsys):
    from napari_nninteractive.cli.main import main

    text = PROMPTS[name]
    (tmp_path / "p.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    nib.save(nib.Nifti1Image(DATA, np.eye(4)), tmp_path / "a.nii.gz")
    files = [str(tmp_path / n) for n in ("a.nii.gz", "m.nii.gz", "p.json")]
    assert main(["segment", files[0], "-o", files[1], "--prompts", files[2]]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert len(said) < 500


# --- OME-Zarr ------------------------------------------------------------------------------------------------------


def zarr_image(folder: Path, **changes: object) -> Path:
    """An OME-Zarr image of 64 voxels, with other fields in the metadata of its array."""
    pytest.importorskip("zarr")
    from napari_nninteractive.io.ome_zarr import write_zarr

    write_zarr(folder / "a.zarr", DATA, "zyx", (1.0,) * 3, (0.0,) * 3)
    meta = folder / "a.zarr" / "0" / ".zarray"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | changes))
    return folder / "a.zarr"


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [4, 4]},
        {"shape": [0, 4, 4]},
        {"shape": [-4, 4, 4]},
        {"shape": [10**12] * 3},
        {"chunks": [10**9, 10**6, 1]},
        {"chunks": [0, 4, 4]},
        {"chunks": [4, 4]},
        {"dtype": "<M8[ns]"},
        {"dtype": "|O"},
        {"dtype": "<c8"},
        {"compressor": {"id": "none such"}},
        {"order": "Q"},
        {"zarr_format": 99},
    ],
)
def test_zarr_metadata_that_lie(tmp_path, changes):
    with pytest.raises(ImageError):
        np.asarray(read_image(zarr_image(tmp_path, **changes)).data[...])


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"multiscales": []},
        {"multiscales": [7]},
        {"multiscales": [{"datasets": []}]},
        {"multiscales": [{"datasets": [{"path": "../../etc"}]}]},
        {"multiscales": [{"datasets": [{"path": "/etc"}]}]},
        {"multiscales": [{"datasets": [{"path": "0"}], "axes": ["z", "y"]}]},
        {"multiscales": [{"datasets": [{"path": "0"}], "axes": []}]},
        {"multiscales": [{"datasets": [{"path": "0"}], "axes": [{"name": ""}] * 3}]},
        {
            "multiscales": [
                {
                    "axes": ["z", "y", "x"],
                    "datasets": [
                        {
                            "path": "0",
                            "coordinateTransformations": [{"type": "scale", "scale": [1, 2]}],
                        }
                    ],
                }
            ]
        },
    ],
)
def test_ome_metadata_that_lie(tmp_path, image):
    folder = zarr_image(tmp_path)
    (folder / ".zattrs").write_text(json.dumps(image))
    with pytest.raises(ImageError):
        np.asarray(read_image(folder).data[...])


@pytest.mark.parametrize("kind", ["damaged", "a named pipe", "a link to elsewhere", "a device"])
def test_chunks_that_are_no_voxels(tmp_path, kind):
    folder = zarr_image(tmp_path)
    chunk = next(path for path in (folder / "0").iterdir() if path.name[0] != ".")
    chunk.unlink()
    match kind:
        case "damaged":
            chunk.write_bytes(b"\x02\x01\xff" * 9)
        case "a named pipe":
            os.mkfifo(chunk)
        case "a link to elsewhere":
            (tmp_path / "secret").write_bytes(b"TOP SECRET" * 9)
            chunk.symlink_to(tmp_path / "secret")
        case _:
            chunk.symlink_to("/dev/zero")
    began = time.monotonic()
    with pytest.raises(ImageError):
        np.asarray(read_image(folder).data[...])
    assert time.monotonic() - began < 5


def test_a_folder_that_is_chosen_through_a_link_is_read(tmp_path):
    (tmp_path / "b.zarr").symlink_to(zarr_image(tmp_path))
    np.testing.assert_array_equal(read_image(tmp_path / "b.zarr").data[...], DATA)


# --- limits --------------------------------------------------------------------------------------------------------


def test_what_is_read_is_bounded(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert limits.read_bounded(tmp_path / "a", 5) == b"12345"
    with pytest.raises(ValueError, match="longer"):
        limits.read_bounded(tmp_path / "a", 4)
    for path, kind in (("/dev/zero", "a device"), (tmp_path, "a folder")):
        with pytest.raises(ValueError, match=kind):
            limits.read_bounded(path, 5)


@pytest.mark.parametrize(
    "text", ["[" * 10**6, '{"a":' * 10**6, "NaN", "-Infinity", "[1e999]", "9" * 5000]
)
def test_json_that_is_not_taken(text):
    with pytest.raises(ValueError, match=r"deep|finite|digits"):
        limits.parse_json(text)


def test_json_that_is_taken():
    assert limits.parse_json(b'{"a": [1, 2.5, -1e300, null, "Infinity"]}') == {
        "a": [1, 2.5, -1e300, None, "Infinity"]
    }


def test_memory_there_is():
    have = limits.available_memory()
    assert have is None or 2**20 < have < 2**50


def test_a_limit_of_the_address_space_counts():
    pytest.importorskip("resource", reason="a system without limits of the address space")
    code = (
        "import resource; from napari_nninteractive import limits;"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY));"
        "print(limits.available_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1 << 30
