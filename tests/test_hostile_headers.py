"""NRRD and MetaImage from strangers: headers that name other files, that make no sense, that end or hang ITK."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_nninteractive import limits
from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import read_image

DATA = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
MHA = "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\n{}ElementDataFile = {}\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n{}data file: {}\n"
LOCAL = "NRRD0004\ntype: {}\ndimension: {}\nsizes: {}\nencoding: {}\n\n"


def mhd(folder: Path, file: str, more: str = "") -> Path:
    path = folder / "image.mhd"
    path.write_bytes(MHA.format(more, file).encode())
    return path


def nhdr(folder: Path, file: str, more: str = "") -> Path:
    path = folder / "image.nhdr"
    path.write_bytes(NRRD.format(more, file).encode())
    return path


both = pytest.mark.parametrize("header", [mhd, nhdr])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.raw").write_bytes(b"TOP SECRET " * 10)
    (tmp_path / "in" / "below").mkdir(parents=True)
    (tmp_path / "in" / "image.raw").write_bytes(DATA.tobytes())
    (tmp_path / "in" / "below" / "deep.raw").write_bytes(DATA[::-1].tobytes())
    for z in range(4):
        (tmp_path / "in" / f"z{z:02d}.raw").write_bytes(DATA[z].tobytes())
    return tmp_path / "in"


@both
def test_a_file_beside_is_read(folder, header):
    np.testing.assert_array_equal(read_image(header(folder, "image.raw")).data, DATA)


@both
def test_a_file_below_is_read_from_anywhere(folder, header, monkeypatch, tmp_path):
    # ITK alone looks for it where the program runs.
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "deep.raw").write_bytes(bytes(64))
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(read_image(header(folder, "below/deep.raw")).data, DATA[::-1])


@pytest.mark.parametrize(
    ("header", "file"),
    [
        (mhd, "LIST\nz00.raw\nz01.raw\nz02.raw\nz03.raw"),
        (mhd, "LIST 2D\nz00.raw\nz01.raw\nz02.raw\nz03.raw"),
        (mhd, "z%02d.raw 0 3 1"),
        (nhdr, "LIST\nz00.raw\nz01.raw\nz02.raw\nz03.raw"),
        (nhdr, "LIST 2\nz00.raw\nz01.raw\nz02.raw\nz03.raw"),
        (nhdr, "z%02d.raw 0 3 1"),
        (nhdr, "z%02d.raw 0 3 1 2"),
    ],
)
def test_a_stack_of_files_is_read(folder, header, file):
    np.testing.assert_array_equal(read_image(header(folder, file)).data, DATA)


@both
@pytest.mark.parametrize("name", ["Präparat", "标本", "échantillon 2", "a%b", "x: y", "läng" * 20])
def test_names_of_all_kinds(folder, header, name):
    (folder / f"{name}.raw").write_bytes(DATA[::-1].tobytes())
    path = header(folder, f"{name}.raw")
    path = path.rename(folder / f"{name}{path.suffix}")
    np.testing.assert_array_equal(read_image(path).data, DATA[::-1])


@pytest.mark.parametrize("name", ["schnitt", "Präparat", "标本", "échantillon 2"])
@pytest.mark.parametrize("ending", [".mhd", ".nhdr", ".mha", ".nrrd"])
def test_what_itk_writes_is_read(tmp_path, name, ending):
    sitk.WriteImage(sitk.GetImageFromArray(DATA), str(tmp_path / f"{name}{ending}"))
    np.testing.assert_array_equal(read_image(tmp_path / f"{name}{ending}").data, DATA)


@both
@pytest.mark.parametrize(
    "name",
    [
        "{absolute}",
        "/etc/passwd",
        "/dev/zero",
        "../secret.raw",
        "below/../../secret.raw",
        "below/../image.raw",
        "..\\secret.raw",
        "C:\\secret.raw",
        "\\\\host\\share\\secret.raw",
        "file:///etc/passwd",
        "https://example.invalid/x.raw",
        "~/x.raw",
        "link_out.raw",
        "below_out/secret.raw",
        "LIST\n/etc/passwd\n/etc/passwd\n/etc/passwd\n/etc/passwd",
        "LIST\nz00.raw\nz01.raw\nz02.raw\n../secret.raw",
        "../z%02d.raw 0 3 1",
        "pipe.raw",
        "below",
        "socket.raw",
        ".",
        "image.mhd",
        "image.nhdr",
        "round.raw",
        "missing.raw",
        "z%02d.raw 0 999999999 1",
        "z%02d.raw 0 3 0",
        "z%099d.raw 0 3 1",
        "%s%s%s%n 0 3 1",
        "-",
        "STDIN",
    ],
)
def test_no_other_file_is_read(folder, header, name):
    (folder / "link_out.raw").symlink_to(folder.parent / "secret.raw")
    (folder / "below_out").symlink_to(folder.parent)
    (folder / "round.raw").symlink_to(folder / "round.raw")
    os.mkfifo(folder / "pipe.raw")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "socket.raw"))
        path = header(folder, name.replace("{absolute}", str(folder / "image.raw")))
        began = time.monotonic()
        with pytest.raises(ImageError):
            read_image(path)
    assert time.monotonic() - began < 2


@both
def test_a_link_inside_the_folder_counts_and_so_does_a_header_that_is_a_link(folder, header):
    (folder / "link.raw").symlink_to("image.raw")
    np.testing.assert_array_equal(read_image(header(folder, "link.raw")).data, DATA)
    other = folder.parent / "chosen"
    other.mkdir()
    (other / "link.raw").write_bytes(DATA[::-1].tobytes())
    path = header(folder, "link.raw")
    (other / path.name).symlink_to(path)
    np.testing.assert_array_equal(read_image(other / path.name).data, DATA[::-1])


SENSELESS = {
    "NRRD of 16 axes": LOCAL.format("uchar", 16, " ".join("1" * 16), "raw"),
    "NRRD of 0 axes": LOCAL.format("uchar", 0, "", "raw"),
    "NRRD of -1 axes": LOCAL.format("uchar", -1, "4 4 4", "raw"),
    "NRRD with too few sizes": LOCAL.format("uchar", 3, "8 8", "raw"),
    "NRRD with a size of 0": LOCAL.format("uchar", 3, "4 0 4", "raw"),
    "NRRD with huge sizes": LOCAL.format("uchar", 3, f"{10**17} {10**17} 4", "raw"),
    "NRRD of blocks": LOCAL.format("block", 3, "4 4 4", "raw"),
    "NRRD of an unknown encoding": LOCAL.format("uchar", 3, "4 4 4", "zrl"),
    "NRRD cut short": LOCAL.format("uchar", 3, "4 4 5", "raw"),
    "NRRD whose gzip cannot be so long": LOCAL.format("uchar", 3, "4000 4000 4", "gzip"),
    "NRRD without an end": LOCAL.format("uchar", 3, "4 4 4", "raw").rstrip(),
    "NRRD with two sizes": LOCAL.format("uchar", 3, "4 4 4\nsizes: 9 9 9", "raw"),
    "NRRD with two files": LOCAL.format(
        "uchar", 3, "4 4 4", "raw\ndata file: image.raw\nDataFile: /etc/passwd"
    ),
    "NRRD that skips backwards": LOCAL.format("uchar", 3, "4 4 4", "raw\nbyte skip: -2"),
    "NRRD with a lone carriage return": LOCAL.format(
        "uchar", 3, "4 4 4", "raw\rdata file: /etc/passwd"
    ),
    "NRRD that is none": "P5\n4 4 255\n",
    "NRRD, empty": "",
}
META_SENSELESS = {
    "of -1 axes": {"NDims": "-1"},
    "of 0 axes": {"NDims": "0"},
    "of 11 axes": {"NDims": "11"},
    "of axes without a number": {"NDims": "three"},
    "with too few sizes": {"DimSize": "4 4"},
    "with a size of 0": {"DimSize": "4 0 4"},
    "with negative sizes": {"DimSize": "-4 -4 4"},
    "with huge sizes": {"DimSize": "999999999 999999999 999999999"},
    "of no channels": {"ElementNumberOfChannels": "0"},
    "of very many channels": {"ElementNumberOfChannels": "999999999"},
    "of strings": {"ElementType": "MET_STRING"},
    "with two numbers in its offset": {"Offset": "0 0"},
    "with an infinite spacing": {"ElementSpacing": "1 inf 1"},
    "with words in its matrix": {"TransformMatrix": "a b c d e f g h i"},
    "with a comment that swallows the file": {"Comment": ""},
    "with two kinds": {"ElementType": "MET_UCHAR\nElementType = MET_DOUBLE"},
    "with a header of -7 bytes": {"HeaderSize": "-7"},
    "cut short": {"DimSize": "4 4 5"},
    "whose zlib cannot be so long": {"CompressedData": "True", "DimSize": "4000 4000 4"},
}


def meta(changes: dict[str, str]) -> str:
    fields = {"NDims": "3", "DimSize": "4 4 4", "ElementType": "MET_UCHAR"} | changes
    return "".join(f"{k} = {v}\n" for k, v in fields.items()) + "ElementDataFile = LOCAL\n"


CHILD = """
import sys
from napari_nninteractive.errors import ImageError
from napari_nninteractive.io import read_image
for path in sys.argv[1:]:
    try:
        read_image(path)
        print("read", path)
    except ImageError as error:
        print("refused", path)
"""


def test_senseless_headers_are_refused_and_the_process_goes_on(tmp_path):
    files = []
    cases = {name: (text, ".nrrd") for name, text in SENSELESS.items()}
    cases |= {f"MetaImage {name}": (meta(c), ".mha") for name, c in META_SENSELESS.items()}
    cases["MetaImage without an end"] = (meta({})[:-25], ".mha")
    cases["MetaImage, empty"] = ("", ".mha")
    for name, (text, ending) in cases.items():
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(text.encode() + (bytes(64) if text.endswith("\n") else b""))
        files.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *files], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith("refused")] == []
    assert len(done.stdout.splitlines()) == len(cases)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nhdr", ".mhd"])
def test_names_that_are_no_utf8(tmp_path, ending):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    folder.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(DATA), str(tmp_path / f"image{ending}"))
    for file in tmp_path.glob("image*"):
        file.rename(folder / file.name)
    name = os.fsdecode(b"\xe4" + ending.encode())
    (folder / f"image{ending}").rename(folder / name)
    np.testing.assert_array_equal(read_image(folder / name).data, DATA)


@pytest.mark.parametrize(
    "ending", [".nrrd", ".nhdr", ".mha", ".mhd", ".tif", ".ome.tif", ".nii", ".nii.gz"]
)
@pytest.mark.parametrize("kind", ["a named pipe", "a device", "a folder", "a socket"])
def test_what_is_no_file_is_refused_at_once(tmp_path, ending, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"image{ending}"
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as listening:
        match kind:
            case "a named pipe":
                os.mkfifo(path)
            case "a device":
                path.symlink_to("/dev/zero")
            case "a folder":
                path.mkdir()
            case _:
                listening.bind(path.name)
        with pytest.raises(ImageError, match=f"is {kind}"):
            read_image(path)
    assert time.monotonic() - began < 2


def test_a_content_of_another_format_is_not_tried(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(DATA), str(tmp_path / "image.vtk"))
    for ending in (".nrrd", ".mha"):
        path = tmp_path / f"image{ending}"
        path.write_bytes((tmp_path / "image.vtk").read_bytes())
        with pytest.raises(ImageError):
            read_image(path)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_what_memory_does_not_hold_is_refused(tmp_path, ending, monkeypatch):
    path = tmp_path / f"image{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(DATA), str(path), useCompression=True)
    monkeypatch.setattr(limits, "available_memory", lambda: 128)
    np.testing.assert_array_equal(read_image(path).data, DATA)
    monkeypatch.setattr(limits, "available_memory", lambda: 127)
    with pytest.raises(ImageError, match="of memory"):
        read_image(path)


def test_a_compressed_metaimage_of_zeros(tmp_path):
    packed = zlib.compress(bytes(64_000_000))
    size = {"CompressedData": "True", "CompressedDataSize": str(len(packed))}
    text = meta({"DimSize": "4000 4000 4"} | size)
    (tmp_path / "a.mha").write_bytes(text.encode() + packed)
    assert not read_image(tmp_path / "a.mha").data.any()
    # ITK would unpack two gigabytes into 64 voxels.
    (tmp_path / "b.mha").write_bytes(meta(size).encode() + packed)
    with pytest.raises(ImageError, match="cannot be unpacked"):
        read_image(tmp_path / "b.mha")


@pytest.mark.parametrize("ending", [".mha", ".mhd"])
def test_compressed_voxels_that_are_damaged_are_no_voxels(tmp_path, ending):
    # ITK alone takes what is in memory for voxels.
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(DATA), str(path), useCompression=True)
    np.testing.assert_array_equal(read_image(path).data, DATA)
    file = path if ending == ".mha" else tmp_path / "a.zraw"
    content = bytearray(file.read_bytes())
    content[-20] ^= 0x55
    file.write_bytes(content)
    with pytest.raises(ImageError, match="cannot be unpacked"):
        read_image(path)


def test_compressed_voxels_of_no_size(tmp_path):
    packed = zlib.compress(DATA.tobytes())
    (tmp_path / "a.mha").write_bytes(meta({"CompressedData": "True"}).encode() + packed)
    with pytest.raises(ImageError, match="CompressedDataSize"):
        read_image(tmp_path / "a.mha")


@pytest.mark.parametrize("name", ["a\0b.nrrd", "x" * 5000 + ".nrrd", "nothing.mha"])
def test_names_that_cannot_be(tmp_path, name):
    with pytest.raises(ImageError, match="There is no file"):
        read_image(tmp_path / name)
