"""Mutated files for every reader: each is read or refused by a named error, soon, in little memory.

Seconds here, always the same examples. `tox -e fuzz` goes on with new ones for ten minutes (NNI_FUZZ_SECONDS).
"""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import gzip
import json
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from fixtures.model_folder import CONFIGURATION, write_model_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nninteractive.core.plan import plan_from_json, plan_to_json
from napari_nninteractive.core.prompts import BoxPrompt, InitialMask, Lasso, Point, Scribble
from napari_nninteractive.engine.capabilities import read_capabilities, read_json
from napari_nninteractive.engine.plans import read_plans, without_memory
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.io import read_image
from napari_nninteractive.limits import parse_json

resource = pytest.importorskip("resource", reason="a system that does not count memory")

SECONDS = float(os.environ.get("NNI_FUZZ_SECONDS", "0"))
EXAMPLES = 60
HANG = 60  # seconds after which an example ends the process, with a trace
MOST_SECONDS, MOST_MEGABYTES = 10, 1500
DATA = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)

# What has broken readers before: limits of types, other counts, names of files, words of the formats.
NUMBERS = [0, 1, -1, 2, 3, 7, 16, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32, 2**63, 10**30]
TOKENS = [
    *(str(n).encode() for n in NUMBERS),
    *(
        b"nan",
        b"inf",
        b"-inf",
        b"1e400",
        b"",
        b" ",
        b"\n",
        b"\r",
        b"\0",
        b"\xff\xfe",
        b": ",
        b":=",
        b"=",
    ),
    *(
        b"/etc/passwd",
        b"../x",
        b"image.raw",
        b"LIST",
        b"LOCAL",
        b"%d 0 9 1",
        b"gzip",
        b"ascii",
        b"uchar",
    ),
    *(
        b"block",
        b"double",
        b"MET_DOUBLE",
        b"MET_STRING",
        b"True",
        b"False",
        b"data file: image.raw\n",
    ),
    *(
        b"ElementDataFile = image.raw\n",
        b"NDims = 3\n",
        b"dimension: 3\n",
        b"\xff" * 4,
        b"\0" * 4,
        b"\x7f\xff",
    ),
]
VALUES: list[Any] = [
    *NUMBERS,
    *(
        None,
        True,
        0.5,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "../..",
        "/etc",
        "torch.nn.Upsample",
    ),
    *([], {}, [[]], [1, 2, 3], [0, 0, 0], [10**9] * 3, [-1, 4, 4], ["z", "y", "x"], {"a": {}}),
]

changes = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "cut", "flip", "token", "line"]),
        st.one_of(st.integers(0, 400), st.integers(0, 2**20)),
        st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)),
    ),
    min_size=1,
    max_size=6,
)
replacements = st.lists(
    st.tuples(st.integers(0, 2**16), st.sampled_from(VALUES)), min_size=1, max_size=3
)


def mutated(seed: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    """Content of a file with some of its bytes, words or lines changed."""
    content = bytearray(seed)
    for kind, number, piece in changes:
        at = number % (len(content) + 1)
        match kind:
            case "replace":
                content[at : at + len(piece)] = piece
            case "insert":
                content[at:at] = piece
            case "delete":
                del content[at : at + len(piece)]
            case "cut":
                del content[at:]
            case "flip" if at < len(content):
                content[at] ^= piece[0] if piece else 1
            case "token" | "line":
                pattern = rb"[^\s=:]+" if kind == "token" else rb"[^\n]*\n"
                words = list(re.finditer(pattern, bytes(content[:2000])))
                if words:
                    word = words[number % len(words)]
                    # A line comes twice, or goes.
                    again = piece if kind == "token" else word[0] * (len(piece) % 3)
                    content[word.start() : word.end()] = again
    return bytes(content)


def with_values(seed: Any, replacements: list[tuple[int, Any]]) -> str:
    """JSON with some of its values changed."""
    content = copy.deepcopy(seed)
    for number, value in replacements:
        places: list[tuple[Any, Any]] = []
        left = [content]
        while left:
            node = left.pop()
            keys = (
                node
                if isinstance(node, dict)
                else range(len(node))
                if isinstance(node, list)
                else ()
            )
            places += [(node, key) for key in keys]
            left += [node[key] for key in keys]
        if places:
            node, key = places[number % len(places)]
            node[key] = copy.deepcopy(value)
    return json.dumps(content)


def fuzz(strategy: st.SearchStrategy[Any], attempt: Callable[[Any], object]) -> None:
    """Try examples: for seconds, or, where they are asked for, for this test's share of the minutes."""

    def example(drawn: Any) -> None:
        faulthandler.dump_traceback_later(HANG, exit=True)
        began = time.monotonic()
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                attempt(drawn)
        except NNInteractiveError:
            return
        finally:
            faulthandler.cancel_dump_traceback_later()
        assert time.monotonic() - began < MOST_SECONDS

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = time.monotonic() + SECONDS / N_TESTS
    while True:
        settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=not SECONDS,
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(example))()
        if time.monotonic() >= end:
            break
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) >> 10
    assert grown < MOST_MEGABYTES


def read_all(path: Path) -> None:
    image = read_image(path, channel=0 if path.name.startswith("vector") else None)
    if np.prod(image.shape, dtype=float) < 1e8:
        np.asarray(image.data[...])


def image_seeds(folder: Path) -> dict[str, bytes]:
    """Small files of all formats, by their name."""
    image = sitk.GetImageFromArray(DATA)
    for ending in (".nrrd", ".mha", ".nhdr", ".mhd"):
        sitk.WriteImage(image, str(folder / f"plain{ending}"))
        sitk.WriteImage(image, str(folder / f"packed{ending}"), useCompression=True)
    vector = sitk.GetImageFromArray(DATA.reshape(4, 5, 3, 2), isVector=True)
    sitk.WriteImage(vector, str(folder / "vector.nrrd"))
    sitk.WriteImage(vector, str(folder / "vector.mha"))
    nifti = nib.Nifti1Image(DATA, np.diag([1, 2, 3, 1]))
    nib.save(nifti, folder / "a.nii")
    nifti.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 40))
    nib.save(nifti, folder / "more.nii")
    nib.save(nib.Nifti2Image(DATA, np.eye(4)), folder / "two.nii")
    nib.save(nib.Nifti1Image(DATA.astype("f4"), np.eye(4)), folder / "b.nii.gz")
    axes = {"metadata": {"axes": "ZYX"}}
    tifffile.imwrite(folder / "imagej.tif", DATA, imagej=True, **axes)
    tifffile.imwrite(folder / "packed.tif", DATA, imagej=True, compression="zlib", **axes)
    tifffile.imwrite(folder / "a.ome.tif", DATA, ome=True, **axes)
    tifffile.imwrite(folder / "tiles.tif", DATA[0], tile=(16, 16), compression="zlib")
    tifffile.imwrite(folder / "big.tif", DATA, bigtiff=True, photometric="minisblack")
    (folder / "image.raw").write_bytes(DATA.tobytes())
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


FORMATS = {
    "NRRD": r".*\.(nrrd|nhdr)",
    "MetaImage": r".*\.(mha|mhd)",
    "NIfTI": r".*\.nii(\.gz)?",
    "TIFF": r".*\.tif",
}
N_TESTS = len(FORMATS) + 4


@pytest.mark.parametrize("kind", FORMATS)
def test_images(tmp_path: Path, kind: str) -> None:
    seeds = image_seeds(tmp_path)
    names = [name for name in seeds if re.fullmatch(FORMATS[kind], name)]
    assert names

    def attempt(drawn: tuple[str, list[tuple[str, int, bytes]]]) -> None:
        name, changed = drawn
        content = seeds[name]
        if name.endswith(".gz"):
            content = gzip.compress(mutated(gzip.decompress(content), changed), mtime=0)
        else:
            content = mutated(content, changed)
        (tmp_path / name).write_bytes(content)
        try:
            read_all(tmp_path / name)
        finally:
            (tmp_path / name).write_bytes(seeds[name])

    for name in names:
        read_all(tmp_path / name)
    fuzz(st.tuples(st.sampled_from(names), changes), attempt)


def test_ome_zarr(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    from napari_nninteractive.io.ome_zarr import write_zarr

    folder = tmp_path / "a.zarr"
    write_zarr(folder, DATA, "zyx", (1.0, 2.0, 3.0), (0.0, 0.0, 5.0), units=["micrometer"] * 3)
    files = [".zattrs", ".zgroup", "0/.zarray", "0/0.0.0"]
    seeds = {name: (folder / name).read_bytes() for name in files}
    parsed = {name: json.loads(seeds[name]) for name in files[:3]}

    def attempt(drawn: tuple[str, Any, Any, bool]) -> None:
        name, changed, replaced, by_value = drawn
        if by_value and name in parsed:
            content = with_values(parsed[name], replaced).encode()
        else:
            content = mutated(seeds[name], changed)
        (folder / name).write_bytes(content)
        try:
            read_all(folder)
        finally:
            (folder / name).write_bytes(seeds[name])

    read_all(folder)
    fuzz(st.tuples(st.sampled_from(files), changes, replacements, st.booleans()), attempt)


def test_model_descriptions(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "model", point_radius=4, interaction_decay=0.9)
    names = ["plans.json", "dataset.json", "inference_info.json"]
    seeds = {name: (folder / name).read_bytes() for name in names}

    def attempt(drawn: tuple[str, Any, Any, bool]) -> None:
        name, changed, replaced, by_value = drawn
        parsed = json.loads(seeds[name])
        valued = with_values(parsed, replaced).encode()
        content = valued if by_value else mutated(seeds[name], changed)
        (folder / name).write_bytes(content)
        try:
            capabilities = read_capabilities(folder)
            read_json(folder / "dataset.json")
            without_memory(read_plans(folder / "plans.json", CONFIGURATION), capabilities.n_inputs)
        finally:
            (folder / name).write_bytes(seeds[name])

    attempt(("plans.json", [], [], False))
    fuzz(st.tuples(st.sampled_from(names), changes, replacements, st.booleans()), attempt)


PLAN = plan_to_json(
    [
        (Point((1, 2, 3)), True),
        (BoxPrompt((0, 1, 1), (1, 5, 6), False), True),
        (Scribble(np.eye(4)[None], (2, 0, 0)), False),
        (Lasso(np.ones((1, 3, 3))), True),
        (InitialMask(np.pad(np.ones((2, 2, 2)), 2)), False),
        (None, True),
    ]
)


def test_prompts() -> None:
    seed = json.dumps(PLAN).encode()

    def attempt(drawn: tuple[Any, Any, bool]) -> None:
        changed, replaced, by_value = drawn
        text = with_values(PLAN, replaced) if by_value else mutated(seed, changed)
        with contextlib.suppress(ValueError):
            plan_from_json(parse_json(text), 4096)

    attempt(([], [], False))
    fuzz(st.tuples(changes, replacements, st.booleans()), attempt)


def test_command_line_with_mutated_prompts(tmp_path: Path) -> None:
    from napari_nninteractive.cli.prompt_args import Request, build_plan

    nib.save(nib.Nifti1Image(DATA, np.eye(4)), tmp_path / "a.nii")
    image, path = read_image(tmp_path / "a.nii"), tmp_path / "p.json"
    content = {"prompts": PLAN[:2]}

    def attempt(drawn: tuple[Any, Any, bool]) -> None:
        changed, replaced, by_value = drawn
        seed = json.dumps(content).encode()
        path.write_bytes(
            with_values(content, replaced).encode() if by_value else mutated(seed, changed)
        )
        build_plan([Request("prompts", True, path)], image)

    attempt(([], [], False))
    fuzz(st.tuples(changes, replacements, st.booleans()), attempt)
