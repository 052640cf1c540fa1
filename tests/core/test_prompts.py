"""Prompts: rounding, cropping, what is refused and how it is said, JSON."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import zlib
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from napari_nninteractive.core.box import Box
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    Lasso,
    MaskEdit,
    Point,
    Prompt,
    Scribble,
    prompt_from_json,
    prompt_to_json,
)
from napari_nninteractive.errors import NNInteractiveError, PromptError

STROKE = np.zeros((1, 5, 6), bool)
STROKE[0, 1, 2:5] = STROKE[0, 3, 1] = True
SOLID = np.ones((2, 3, 4), bool)

EVERY_KIND = [
    pytest.param(Point((1, 2, 3), positive=False), "point", False, id="point"),
    pytest.param(BoxPrompt((1, 2, 3), (2, 9, 9)), "bbox2d", True, id="bbox2d z"),
    pytest.param(BoxPrompt((1, 2, 3), (9, 3, 9)), "bbox2d", True, id="bbox2d y"),
    pytest.param(BoxPrompt((1, 2, 3), (9, 9, 4)), "bbox2d", True, id="bbox2d x"),
    pytest.param(BoxPrompt((1, 2, 3), (3, 9, 9), False), "bbox3d", False, id="bbox3d"),
    pytest.param(Scribble(STROKE, (4, 4, 4), positive=False), "scribble", False, id="scribble"),
    pytest.param(Lasso(STROKE, (4, 4, 4)), "lasso", True, id="lasso"),
    pytest.param(InitialMask(SOLID), "initial_mask", True, id="initial mask"),
    pytest.param(MaskEdit(SOLID, (7, 7, 7), value=False), "mask_edit", False, id="mask edit"),
]


@pytest.mark.parametrize(("prompt", "kind", "positive"), EVERY_KIND)
def test_kind_and_polarity(prompt: Prompt, kind: str, positive: bool) -> None:
    assert prompt.kind == kind
    assert prompt.positive is positive


@pytest.mark.parametrize(
    ("given", "voxel"),
    [
        pytest.param((1, 2, 3), (1, 2, 3), id="integers"),
        pytest.param((0.5, 1.5, 2.5), (0, 2, 2), id="half to even"),
        pytest.param((-0.5, -1.5, -2.5), (0, -2, -2), id="half to even below 0"),
        pytest.param((0.4999, 1.5001, 2.51), (0, 2, 3), id="nearest"),
        pytest.param(np.array([1.5, 2.5, 3.5], np.float32), (2, 2, 4), id="float32 array"),
        pytest.param(np.array([1, 2, 3], np.uint8), (1, 2, 3), id="uint8 array"),
        pytest.param([1, 2, 3], (1, 2, 3), id="list"),
        pytest.param((2.0**40, 0, 0), (2**40, 0, 0), id="far away"),
    ],
)
def test_coordinates_are_rounded_half_to_even(given: Any, voxel: tuple[int, ...]) -> None:
    point = Point(given)
    assert point.position == voxel
    assert all(type(v) is int for v in point.position)
    assert point.bounds == Box(point.position, tuple(v + 1 for v in voxel))  # type: ignore[arg-type]
    assert BoxPrompt(given, np.add(voxel, 1)).start == voxel
    assert Scribble(np.ones((1, 1, 1)), given).origin == voxel


def test_box_bounds_are_half_open() -> None:
    prompt = BoxPrompt((30, 40, 40.4), (31, 90, 90.5))
    assert (prompt.start, prompt.stop) == ((30, 40, 40), (31, 90, 90))
    assert prompt.bounds == Box((30, 40, 40), (31, 90, 90))


DRAWN: list[Any] = [Scribble, Lasso, MaskEdit]


@pytest.mark.parametrize("cls", DRAWN)
def test_a_drawn_mask_is_cropped_to_what_is_painted(cls: Any) -> None:
    prompt = cls(STROKE, (10, 20, 30))
    assert prompt.origin == (10, 21, 31)
    assert prompt.bounds == Box((10, 21, 31), (11, 24, 35))
    np.testing.assert_array_equal(prompt.mask, STROKE[:, 1:4, 1:5])
    assert prompt.mask.dtype == bool


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_lasso_may_lie_in_any_plane(axis: int) -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[(slice(None),) * axis + (4,)] = True
    assert Lasso(mask).mask.shape == tuple(1 if a == axis else 6 for a in range(3))


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(STROKE.astype(np.uint8) * 255, id="uint8 with 255"),
        pytest.param(STROKE * np.float32(0.1), id="float32 with 0.1"),
        pytest.param(STROKE.astype(np.int64) * -3, id="negative integers"),
        pytest.param(STROKE.astype(">f8"), id="big-endian"),
        pytest.param(STROKE.astype(np.float16), id="float16"),
        pytest.param(STROKE * np.arange(1, 7, dtype=np.uint64), id="several labels"),
        pytest.param(np.asfortranarray(STROKE), id="Fortran"),
        pytest.param(STROKE[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1], id="reversed view"),
        pytest.param(STROKE.tolist(), id="nested lists"),
    ],
)
def test_whatever_is_not_zero_is_painted(mask: Any) -> None:
    assert Scribble(mask) == Scribble(STROKE)


def test_the_mask_is_a_read_only_copy() -> None:
    mask = STROKE.copy()
    prompt = Scribble(mask)
    mask[:] = True
    np.testing.assert_array_equal(prompt.mask, STROKE[:, 1:4, 1:5])
    with pytest.raises(ValueError, match="read-only"):
        prompt.mask[0, 0, 0] = True
    with pytest.raises(FrozenInstanceError):
        prompt.mask = mask  # type: ignore[misc]


def test_an_initial_mask_remembers_the_shape_of_the_image() -> None:
    mask = np.zeros((8, 9, 10), np.uint8)
    mask[2:4, 3, 5:8] = 3
    prompt = InitialMask(mask)
    assert prompt.shape == (8, 9, 10)
    assert prompt.origin == (2, 3, 5)
    assert prompt.mask.shape == (2, 1, 3)
    assert prompt.mask.all()
    assert InitialMask(prompt.mask, prompt.origin, prompt.shape) == prompt


@pytest.mark.parametrize(
    "label",
    [1, 3, 255, 2**63, -1, 0.5, True],
    ids=["1", "3", "255", "beyond int64", "negative", "half", "bool"],
)
def test_any_single_label_is_an_initial_mask(label: Any) -> None:
    mask = np.zeros((4, 4, 4), np.asarray(label).dtype)
    mask[1, 2, 3] = label
    assert InitialMask(mask).bounds == Box((1, 2, 3), (2, 3, 4))


NAN_MASK = np.array([[[0.0, np.nan, 1.0]]])
LABELS = np.array([[[0, 1, 3]]])

REFUSED: list[tuple[str, Callable[[], Prompt], str]] = [
    ("point with NaN", lambda: Point((1, float("nan"), 2)), "must be finite"),
    ("point with Inf", lambda: Point((1, float("inf"), 2)), "must be finite"),
    ("point in 2D", lambda: Point((1, 2)), "three coordinates .*in a 2D image z is 0"),  # type: ignore[arg-type]
    ("point in 4D", lambda: Point((1, 2, 3, 4)), "three coordinates .*not 4"),  # type: ignore[arg-type]
    ("point of text", lambda: Point("abc"), "A point must be three numbers"),  # type: ignore[arg-type]
    ("point of None", lambda: Point(None), "A point must be three numbers"),  # type: ignore[arg-type]
    ("point of complex", lambda: Point((1j, 0, 0)), "A point must be three numbers"),  # type: ignore[arg-type]
    ("point, endless integer", lambda: Point((10**400, 0, 0)), "must be three numbers"),
    ("point, matrix", lambda: Point(np.ones((3, 3))), "must be three numbers"),  # type: ignore[arg-type]
    ("point, polarity 1", lambda: Point((1, 2, 3), 1), "positive must be True or False"),  # type: ignore[arg-type]
    ("point, polarity text", lambda: Point((1, 2, 3), "no"), "positive must be True or"),  # type: ignore[arg-type]
    ("box reversed", lambda: BoxPrompt((5, 5, 5), (6, 4, 9)), "greater than its start"),
    ("box empty", lambda: BoxPrompt((5, 5, 5), (6, 9, 5)), "is empty"),
    ("box empty once rounded", lambda: BoxPrompt((1.5, 0, 0), (2.5, 4, 4)), "is empty"),  # type: ignore[arg-type]
    ("box start NaN", lambda: BoxPrompt((np.nan, 0, 0), (1, 4, 4)), "start of a box .*finite"),  # type: ignore[arg-type]
    ("box stop Inf", lambda: BoxPrompt((0, 0, 0), (1, 4, np.inf)), "stop of a box .*finite"),  # type: ignore[arg-type]
    ("box stop 2D", lambda: BoxPrompt((0, 0, 0), (4, 4)), "stop of a box .*three coord"),  # type: ignore[arg-type]
    ("box polarity", lambda: BoxPrompt((0, 0, 0), (1, 4, 4), None), "positive must be"),  # type: ignore[arg-type]
    ("scribble 2D", lambda: Scribble(STROKE[0]), r"A scribble .*mask\[np.newaxis\]"),
    ("scribble 4D", lambda: Scribble(STROKE[None]), r"three axes \(z, y, x\)"),
    ("scribble empty", lambda: Scribble(np.zeros((1, 4, 4))), "scribble is empty"),
    ("scribble without voxels", lambda: Scribble(np.zeros((0, 4, 4))), "scribble is empty"),
    ("scribble with NaN", lambda: Scribble(NAN_MASK), "NaN or infinite.*use 0"),
    ("scribble of complex", lambda: Scribble(STROKE * 1j), "booleans or numbers, not complex"),  # type: ignore[arg-type]
    ("scribble of text", lambda: Scribble(np.full((1, 2, 2), "x")), "booleans or numbers"),  # type: ignore[arg-type]
    ("scribble of objects", lambda: Scribble(np.full((1, 2, 2), None)), "not object"),  # type: ignore[arg-type]
    ("scribble ragged", lambda: Scribble([[[1], [1, 2]]]), "A scribble is not an array"),  # type: ignore[arg-type]
    ("scribble, origin NaN", lambda: Scribble(STROKE, (np.nan, 0, 0)), "origin of a scribble"),  # type: ignore[arg-type]
    ("scribble, origin 2D", lambda: Scribble(STROKE, (0, 0)), "three coordinates"),  # type: ignore[arg-type]
    ("scribble, polarity", lambda: Scribble(STROKE, positive=0), "positive must be True"),  # type: ignore[arg-type]
    ("lasso not flat", lambda: Lasso(SOLID), "one slice, but it spans .*2, 3, 4.*one lasso per"),
    ("lasso empty", lambda: Lasso(np.zeros((1, 4, 4))), "A lasso is empty"),
    ("lasso 2D", lambda: Lasso(STROKE[0]), "A lasso must have three axes"),
    ("lasso, polarity", lambda: Lasso(STROKE, positive=None), "positive must be True"),  # type: ignore[arg-type]
    ("initial mask 2D", lambda: InitialMask(np.ones((64, 64))), "initial mask must have three"),
    ("initial mask, 2 labels", lambda: InitialMask(LABELS), "several labels.*labels == 3"),
    ("initial mask, 2 signs", lambda: InitialMask(LABELS - 1), "several labels.*labels == -1"),
    ("initial mask, floats", lambda: InitialMask(LABELS / 2), "several labels.*labels == 1.5"),
    ("initial mask, NaN", lambda: InitialMask(NAN_MASK), "NaN or infinite"),
    ("initial mask, empty", lambda: InitialMask(np.zeros((4, 4, 4))), "initial mask is empty"),
    (
        "initial mask beyond its shape",
        lambda: InitialMask(SOLID, (0, 0, 3), (9, 9, 6)),
        "cannot hold voxels",
    ),
    ("initial mask ragged", lambda: InitialMask([[[1], [1, 2]]]), "initial mask is not an array"),  # type: ignore[arg-type]
    ("edit empty", lambda: MaskEdit(np.zeros((1, 4, 4))), "A mask edit is empty"),
    ("edit value 1", lambda: MaskEdit(SOLID, value=1), "value must be True or False, not 1"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("make", "message"), [pytest.param(make, text, id=name) for name, make, text in REFUSED]
)
def test_malformed_prompts_are_refused(make: Callable[[], Prompt], message: str) -> None:
    with pytest.raises(PromptError, match=message) as caught:
        make()
    assert isinstance(caught.value, NNInteractiveError)
    assert isinstance(caught.value, ValueError)


def test_a_numpy_flag_becomes_a_bool() -> None:
    assert Point((1, 2, 3), np.True_).positive is True  # type: ignore[arg-type]


@pytest.mark.parametrize(("prompt", "kind", "positive"), EVERY_KIND)
def test_json_copies_and_pickles_are_equal(prompt: Prompt, kind: str, positive: bool) -> None:
    for other in (
        prompt_from_json(json.loads(json.dumps(prompt_to_json(prompt), allow_nan=False))),
        copy.deepcopy(prompt),
        pickle.loads(pickle.dumps(prompt)),
    ):
        assert other == prompt
        assert hash(other) == hash(prompt)
        assert type(other) is type(prompt)


DIFFERENT: list[Prompt] = [
    Point((1, 2, 3)),
    Point((1, 2, 4)),
    Point((1, 2, 3), positive=False),
    BoxPrompt((1, 2, 3), (2, 3, 4)),
    BoxPrompt((1, 2, 3), (2, 3, 4), positive=False),
    Scribble(STROKE),
    Scribble(STROKE, (0, 0, 1)),
    Scribble(STROKE, positive=False),
    Scribble(np.ones((1, 3, 4))),
    Scribble(np.ones((1, 4, 3))),
    Lasso(STROKE),
    Lasso(STROKE, positive=False),
    MaskEdit(STROKE),
    MaskEdit(STROKE, value=False),
    InitialMask(STROKE),
    InitialMask(STROKE, shape=(9, 9, 9)),
]


def test_different_prompts_differ() -> None:
    assert len(set(DIFFERENT)) == len(DIFFERENT)
    for i, a in enumerate(DIFFERENT):
        assert [a == b for b in DIFFERENT] == [i == j for j in range(len(DIFFERENT))]
        assert a != "a prompt"


def test_json_of_each_kind_is_stable() -> None:
    assert prompt_to_json(Point((1, 2, 3))) == {
        "type": "Point",
        "position": [1, 2, 3],
        "positive": True,
    }
    assert prompt_to_json(BoxPrompt((1, 2, 3), (2, 5, 6), positive=False)) == {
        "type": "BoxPrompt",
        "start": [1, 2, 3],
        "stop": [2, 5, 6],
        "positive": False,
    }
    record = prompt_to_json(Scribble(STROKE, (10, 20, 30)))
    assert {**record, "mask": None} == {
        "type": "Scribble",
        "mask": None,
        "origin": [10, 21, 31],
        "positive": True,
    }
    assert record["mask"]["shape"] == [1, 3, 4]
    bits = zlib.decompress(base64.b64decode(record["mask"]["bits"]))
    np.testing.assert_array_equal(
        np.unpackbits(np.frombuffer(bits, np.uint8), count=12).reshape(3, 4), STROKE[0, 1:4, 1:5]
    )


def scribble_record(**changes: Any) -> dict[str, Any]:
    record = prompt_to_json(Scribble(SOLID))
    return {**record, "mask": {**record["mask"], **changes}}


def packed(size: int) -> str:
    return base64.b64encode(zlib.compress(bytes(size), 9)).decode()


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param({}, id="no type"),
        pytest.param({"type": "Prompt"}, id="unknown type"),
        pytest.param({"type": ["Point"]}, id="type is a list"),
        pytest.param({"type": "Point"}, id="no position"),
        pytest.param({"type": "Point", "position": [1, 2]}, id="short position"),
        pytest.param({"type": "Point", "position": [1, 2, 10**400]}, id="endless integer"),
        pytest.param({"type": "Point", "position": [0, 0, 0], "colour": 1}, id="unknown field"),
        pytest.param({"type": "Point", "position": [0, 0, 0], "positive": "yes"}, id="polarity"),
        pytest.param({"type": "Scribble"}, id="no mask"),
        pytest.param({"type": "Scribble", "mask": None}, id="mask is null"),
        pytest.param({"type": "Scribble", "mask": {}}, id="mask is empty"),
        pytest.param({"type": "Point", "mask": scribble_record()["mask"]}, id="mask of a point"),
        pytest.param(scribble_record(shape=[2, 3]), id="shape 2D"),
        pytest.param(scribble_record(shape=[2, 3, 0]), id="shape empty"),
        pytest.param(scribble_record(shape=[-2, -3, 4]), id="shape negative"),
        pytest.param(scribble_record(shape=[2, 3, 40]), id="too few bits"),
        pytest.param(scribble_record(shape=[2, 3, 1]), id="too many bits"),
        pytest.param(scribble_record(shape=[2, 3, float("inf")]), id="shape infinite"),
        pytest.param(scribble_record(shape=[10**20] * 3), id="shape beyond memory"),
        pytest.param(scribble_record(bits=5), id="bits are a number"),
        pytest.param(scribble_record(bits="§§§"), id="bits are not base64"),
        pytest.param(scribble_record(bits="AAAA"), id="bits are not zlib"),
        pytest.param(scribble_record(bits=packed(10**6)), id="bits unpack to more"),
        pytest.param(scribble_record(bits=packed(3)), id="nothing painted"),
    ],
)
def test_damaged_records_are_refused(record: Any) -> None:
    with pytest.raises(PromptError):
        prompt_from_json(record)
