"""Hostile sessions opened in the window: refused by the field's name, nothing changes, and the next click works."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IMAGE = np.random.default_rng(0).random((12, 24, 24)).astype(np.float32)

Open = Callable[..., Any]
BOX = {
    "type": "BoxPrompt",
    "start": [8, 10, 10],
    "stop": [9, 20, 20],
    "positive": True,
    "predict": True,
}


def relabelled(label: object) -> Callable[[dict[str, Any]], Any]:
    def change(record: dict[str, Any]) -> None:
        frame = record["frames"][0]
        frame.update(objects={str(label): frame["objects"]["1"]}, label=label)

    return change


def in_frame(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record["frames"][0].update(fields)


def outlined(outline: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record["frames"][0]["objects"]["1"].update(
        prompts=[BOX | {"outline": outline}]
    )


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "label -1": (relabelled(-1), "frames[0].label"),
    "label 2**31": (relabelled(2**31), "frames[0].label"),
    "label 10**30": (relabelled(10**30), "frames[0].label"),
    "number -1": (lambda r: r.update(numbers={"1": -1}), "numbers[1]"),
    "number 10**30": (lambda r: r.update(numbers={"1": 10**30}), "numbers[1]"),
    "index of one axis": (in_frame(index=[0]), "frames[0].index"),
    "index along space": (in_frame(index=[3, 0, 0]), "frames[0].index"),
    "channel": (in_frame(channel=7), "frames[0].channel"),
    "outline of 4 axes": (outlined([[8, 10, 10, 0]] * 4), "outline"),
    "outline far away": (outlined([[1e300] * 3] * 4), "outline"),
    "outline of one point": (outlined([[8, 10, 10]]), "outline"),
    "outline of text": (outlined("x"), "outline"),
    "unknown field": (lambda r: r.update(more=1), "more"),
    "infinite": (lambda r: r["image"].update(spacing=[1, 1, float("inf")]), "image.spacing[2]"),
    "wrong type": (lambda r: r.update(frames={}), "frames"),
}


@pytest.fixture
def record(windowless: Open, tmp_path: Path) -> dict[str, Any]:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.panel.parts.files.save(str(tmp_path / "good.json"))
    shown.wait()
    content: dict[str, Any] = json.loads((tmp_path / "good.json").read_text())
    return content


def test_hostile_sessions_change_nothing(
    windowless: Open, record: dict[str, Any], tmp_path: Path
) -> None:
    shown = windowless(IMAGE)
    path = tmp_path / "hostile.json"
    contents = {"deep": ("[" * 100_000, "nested"), "BOM": ("\ufeff[]", "no saved session")}
    contents["1e400"] = (
        json.dumps(record).replace('"spacing": [1.0', '"spacing": [1e400'),
        "image.spacing[0]: Infinity is no number",
    )
    for name, (change, field) in HOSTILE.items():
        changed = copy.deepcopy(record)
        change(changed)
        contents[name] = (json.dumps(changed), field)
    for n, (name, (text, said)) in enumerate(contents.items()):
        path.write_text(text, "utf-8")
        shown.panel.parts.files.open(str(path))
        shown.wait()
        assert said in shown.error, name
        assert sum(shown.voxels().values()) == shown.sizes.get(1, 0), name
        before = len(shown.prompts)
        assert before == n, name
        shown.click((n % 12, 4 + n % 16, 12))
        assert shown.error == "", name
        assert len(shown.prompts) == before + 1, name
    while shown.client.can_undo:
        shown.push(shown.panel.view.prompts.undo)
    assert shown.voxels() == {}


@pytest.mark.parametrize("odd", ["constant", "NaN"])
def test_data_that_cannot_be_segmented_are_said_and_others_work_again(
    windowless: Open, odd: str
) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    first = shown.labels.copy()
    shown.image.data = np.zeros_like(IMAGE) if odd == "constant" else np.full_like(IMAGE, np.nan)
    shown.wait()
    assert "The image" in shown.error
    np.testing.assert_array_equal(shown.labels, first)
    shown.image.data = IMAGE.copy()
    shown.wait()
    shown.click((5, 6, 9))
    assert shown.error == ""
    assert len(shown.prompts) == 2
    assert shown.sizes == shown.voxels()


@pytest.mark.parametrize("shape", [(6, 20, 20), (30, 24), (3, 12, 24, 24)])
def test_data_of_another_shape_are_segmented(windowless: Open, shape: tuple[int, ...]) -> None:
    shown = windowless(IMAGE)
    shown.click((5, 6, 7))
    shown.image.data = np.random.default_rng(1).random(shape).astype(np.float32)
    shown.wait()
    assert shown.error == ""
    assert shown.client.source.frame.shape == shape
    shown.click([n // 2 for n in shape])
    assert shown.error == ""
    assert shown.labels.shape == shape
    assert set(shown.voxels()) == {shown.client.label}
