"""Prompts on the command line: their text, their files, their order."""

from __future__ import annotations

import argparse
import base64
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_nninteractive.cli.main import build_parser
from napari_nninteractive.cli.prompt_args import build_plan, check_known, parse_box, parse_point
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Prompt,
    Scribble,
    prompt_to_json,
)
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError, PromptError, SessionError
from napari_nninteractive.io import Geometry, ImageFile, write_mask
from napari_nninteractive.session_file.files import read_session, write_session

SHAPE = (6, 20, 30)
IMAGE = ImageFile(np.zeros(SHAPE, np.uint8), Geometry.from_zyx((1.0, 1.0, 1.0)))


def plan_of(*words: str, image: ImageFile = IMAGE) -> list[tuple[Prompt | None, bool]]:
    args = build_parser("segment").parse_args(["segment", "a.tif", "-o", "b.tif", *words])
    return build_plan(args.requests or [], image, args.object)


@pytest.fixture
def painted(tmp_path: Path) -> tuple[Path, np.ndarray]:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2, 5:9, 7:12] = 1
    return write_mask(tmp_path / "painted.nii.gz", mask, IMAGE), mask


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("1:3,4:8,5:9", (1, 4, 5), (3, 8, 9)),
        ("2,4:8,5:9", (2, 4, 5), (3, 8, 9)),
        ("1.4:2.6,0:1,0:1", (1, 0, 0), (3, 1, 1)),
    ],
)
def test_boxes(text: str, start: tuple[int, ...], stop: tuple[int, ...]) -> None:
    assert parse_box(text) == (start, stop)


@pytest.mark.parametrize(
    "text", ["1,2", "1,2,3,4", "a,2,3", "1,2,", "-1,2,3", "1,2,nan", "1,2,inf", ""]
)
def test_no_points(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_point(text)


@pytest.mark.parametrize(
    "text", ["1:2,3:4", "3:1,0:2,0:2", "1:1,0:2,0:2", "a:b,0:2,0:2", "1:,0:2,0:2", "-1:2,0:2,0:2"]
)
def test_no_boxes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_box(text)


def test_order_is_kept_across_kinds(painted: tuple[Path, np.ndarray]) -> None:
    path, mask = painted
    plan = plan_of(
        *[
            "--negative-point",
            "1,2,3",
            "--initial",
            str(path),
            "--point",
            "2,3,4.5",
            "--lasso",
            str(path),
        ],
        *["--box", "1:3,4:8,5:9", "--negative-box", "2,4:8,5:9", "--negative-scribble", str(path)],
        *["--point=3,3,3", "--scribble", str(path), "--negative-lasso", str(path)],
    )
    assert plan == [
        (Point((1, 2, 3), positive=False), True),
        (InitialMask(mask), False),
        (Point((2, 3, 4)), True),
        (Lasso(mask), True),
        (BoxPrompt((1, 4, 5), (3, 8, 9)), True),
        (BoxPrompt((2, 4, 5), (3, 8, 9), positive=False), True),
        (Scribble(mask, positive=False), True),
        (Point((3, 3, 3)), True),
        (Scribble(mask), True),
        (Lasso(mask, positive=False), True),
    ]


def test_prompts_of_a_file_stand_where_it_is_named(tmp_path: Path) -> None:
    edit = MaskEdit(np.ones((1, 2, 2)), (0, 0, 0))
    kept = [Point((1, 1, 1)), edit, BoxPrompt((0, 0, 0), (1, 5, 5))]
    records = [prompt_to_json(p) for p in kept]
    (tmp_path / "list.json").write_text(json.dumps(records))
    (tmp_path / "session.json").write_text(
        json.dumps(
            {"prompts": [{**records[0], "predict": False}, {"type": "predict"}, *records[1:]]}
        )
    )
    plan = plan_of("--point", "2,2,2", "--prompts", str(tmp_path / "list.json"), "--point", "3,3,3")
    assert plan == [
        (Point((2, 2, 2)), True),
        (kept[0], True),
        (edit, False),
        (kept[2], True),
        (Point((3, 3, 3)), True),
    ]
    plan = plan_of("--prompts", str(tmp_path / "session.json"))
    assert plan == [(kept[0], False), (None, True), (edit, False), (kept[2], True)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file.*--save-session"),
        ("{", "is no JSON .*--save-session"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "is no JSON .*--save-session"),
        ('[{"type": "Point", "position": [1, 2, 3], "predict": "false"}]', "true or false"),
        ("{}", "must be a list of records.*--save-session"),
        ("3", "must be a list of records.*--save-session"),
        ('[{"type": "Pointe"}]', "Not the record of a prompt.*Point.*--save-session"),
        ('[{"type": "Point", "position": [1, 2]}]', "three coordinates.*--save-session"),
        ('[{"type": "Point", "position": [1, 2, 99]}]', "outside the image"),
        ("[]", "nothing to segment from"),
        ('{"format": "GeoJSON"}', "p.json is no saved session: its field 'format'.*--save-session"),
        (
            '{"format": "napari-nninteractive session", "format_version": 9}',
            "format version 9, but this program reads up to 2: update it",
        ),
    ],
)
def test_files_that_hold_no_prompts(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "p.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PromptError, match=message):
        plan_of("--prompts", str(path))


@pytest.mark.parametrize("where", ["6,0,0", "0,20,0", "0,0,30"])
def test_outside_is_said_with_the_range(where: str) -> None:
    with pytest.raises(PromptError, match=r"outside the image.*\(5, 19, 29\)"):
        plan_of("--point", where)


def test_a_painted_file_of_another_shape(tmp_path: Path) -> None:
    other = ImageFile(np.zeros((6, 20, 31), np.uint8), IMAGE.geometry)
    path = write_mask(tmp_path / "other.nrrd", np.ones((6, 20, 31)), other)
    with pytest.raises(
        PromptError, match=r"other.nrrd has \(6, 20, 31\) voxels, but the image has"
    ):
        plan_of("--scribble", str(path))


def test_an_initial_mask_alone_predicts_nothing(painted: tuple[Path, np.ndarray]) -> None:
    with pytest.raises(PromptError, match=r"only prepares: add .*--point z,y,x after --initial"):
        plan_of("--initial", str(painted[0]))


def test_a_folder_of_prompts_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"cannot be read: it is a folder.*--save-session"):
        plan_of("--prompts", str(tmp_path))


@pytest.mark.parametrize("option", ["--scribble", "--lasso", "--initial"])
def test_an_empty_drawing_names_its_file(tmp_path: Path, option: str) -> None:
    path = write_mask(tmp_path / "blank.nrrd", np.zeros(SHAPE), IMAGE)
    with pytest.raises(PromptError, match=r"blank\.nrrd is empty: paint"):
        plan_of(option, str(path))


def test_a_box_in_3d_that_the_model_does_not_know() -> None:
    plan = plan_of("--box", "2:5,4:8,5:9")
    with pytest.raises(PromptError, match=r"model m knows .*: give one, e\.g\. --box 3,4:8,5:9$"):
        check_known(plan, "m", {"point", "bbox2d"})
    check_known(plan, "m", {"bbox2d", "bbox3d"})
    check_known(plan_of("--box", "3,4:8,5:9"), "m", {"bbox2d"})
    with pytest.raises(PromptError, match=r"--negative-box 2,4:8,5:9$"):
        check_known(plan_of("--negative-box", "2:4,4:8,5:9"), "m", {"bbox2d"})


V1 = Path(__file__).resolve().parent.parent / "fixtures" / "sessions_v1"
SERIES = np.random.default_rng(0).random((3, 12, 16, 16)).astype(np.float32)


def of_voxels(voxels: np.ndarray) -> ImageFile:
    return ImageFile(voxels, Geometry.from_zyx((1.0, 1.0, 1.0)))


@pytest.mark.parametrize("again", [False, True], ids=["of before", "of today"])
def test_a_session_of_the_engine(tmp_path: Path, again: bool) -> None:
    """Any image of its shape will do: the prompts are what is taken."""
    path = V1 / "engine.json"
    session = read_session(path)
    if again:
        path = tmp_path / "today.json"
        write_session(path, session)
    plan = plan_of("--prompts", str(path), "--point", "2,2,2", image=of_voxels(SERIES[1]))
    steps = session.frames[0].objects[1].steps
    assert plan == [*((s.prompt, s.predicted) for s in steps), (Point((2, 2, 2)), True)]
    with pytest.raises(
        ImageError, match=r"shape \(12, 16, 16\), but the one here has \(6, 20, 30\)"
    ):
        plan_of("--prompts", str(path))


def test_an_object_of_a_session_of_the_panel(tmp_path: Path) -> None:
    session = read_session(V1 / "panel.json")
    hashed = tuple(
        replace(frame, sha256=Volume.open(SERIES[frame.index[0]]).sha256())
        for frame in session.frames
    )
    path = tmp_path / "panel.json"
    write_session(path, replace(session, frames=hashed))
    words = ("--prompts", str(path))
    current = plan_of(*words, image=of_voxels(SERIES[0]))
    assert [p for p, _ in current][:1] == [Point((3, 6, 6))]
    assert plan_of(*words, "--object", "2", image=of_voxels(SERIES[0])) == current
    box = [(BoxPrompt((3, 4, 4), (4, 8, 8)), True)]
    assert plan_of(*words, "--object", "1", image=of_voxels(SERIES[0])) == box
    box = [(BoxPrompt((7, 4, 4), (8, 8, 8)), True)]
    assert plan_of(*words, image=of_voxels(SERIES[2])) == box
    with pytest.raises(SessionError, match="has no object 1, but 3: choose one"):
        plan_of(*words, "--object", "1", image=of_voxels(SERIES[2]))
    with pytest.raises(ImageError, match="none of these is the volume here"):
        plan_of(*words, image=of_voxels(SERIES[1]))
    with pytest.raises(SessionError, match=r"\(0, 0, 0, 0\), \(2, 0, 0, 0\): which of these"):
        plan_of("--prompts", str(V1 / "panel.json"), image=of_voxels(SERIES[0]))


def test_an_object_without_a_session(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(PromptError, match="leave out --object"):
        plan_of("--prompts", str(tmp_path / "list.json"), "--object", "1")
    with pytest.raises(PromptError, match="give one with --prompts"):
        plan_of("--point", "1,1,1", "--object", "1")


def test_a_list_of_prompts_does_not_become_gigabytes(tmp_path: Path) -> None:
    bits = base64.b64encode(zlib.compress(bytes(10**6), 9)).decode()
    record = {
        "type": "Scribble",
        "mask": {"shape": [20_000] * 3, "bits": bits},
        "origin": [0, 0, 0],
    }
    (tmp_path / "list.json").write_text(json.dumps([record]))
    with pytest.raises(PromptError, match="8000000000000 voxels, where the image has"):
        plan_of("--prompts", str(tmp_path / "list.json"))
