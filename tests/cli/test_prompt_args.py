"""Prompts on the command line: their text, their files, their order."""

from __future__ import annotations

import argparse
import json
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
from napari_nninteractive.errors import PromptError
from napari_nninteractive.io import Geometry, ImageFile, write_mask

SHAPE = (6, 20, 30)
IMAGE = ImageFile(np.zeros(SHAPE, np.uint8), Geometry.from_zyx((1.0, 1.0, 1.0)))


def plan_of(*words: str) -> list[tuple[Prompt | None, bool]]:
    args = build_parser("segment").parse_args(["segment", "a.tif", "-o", "b.tif", *words])
    return build_plan(args.requests or [], IMAGE)


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
        (None, "There is no file"),
        ("{", "no JSON file of prompts .*--save-session"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "no JSON file of prompts .*--save-session"),
        ('[{"type": "Point", "position": [1, 2, 3], "predict": "false"}]', "true or false"),
        ("{}", "does not hold prompts"),
        ("3", "does not hold prompts"),
        ('[{"type": "Pointe"}]', "does not hold prompts.*Point"),
        ('[{"type": "Point", "position": [1, 2]}]', "does not hold prompts"),
        ('[{"type": "Point", "position": [1, 2, 99]}]', "outside the image"),
        ("[]", "nothing to segment from"),
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
    with pytest.raises(PromptError, match="is a folder: name the JSON file in it"):
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
