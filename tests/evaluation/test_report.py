"""Results to means, tables and files: every figure by hand."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from napari_nninteractive.core.prompts import BoxPrompt, Point, prompt_from_json
from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.evaluation.presets import Trial
from napari_nninteractive.evaluation.protocol import MaskCrop, ObjectResult
from napari_nninteractive.evaluation.report import to_csv, to_json, to_table
from napari_nninteractive.evaluation.summary import check_results, summarise

CLICKS, NO_ZOOM = Trial("points", 3), Trial("points", 3, autozoom=False)
CLICK, NOT_HERE = Point((1, 2, 3)), Point((1, 2, 9), positive=False)
BOX = BoxPrompt((1, 2, 3), (2, 5, 6))


def result(
    dice, *, prompts=(CLICK,) * 3, seconds=(1.0, 2.0, 3.0), label=1, **other
) -> ObjectResult:
    words = {"volume": "a", "method": "m", "trial": CLICKS, "voxels": 10, "error": None} | other
    return ObjectResult(
        label=label,
        prompts=tuple(prompts),
        dice=tuple(dice),
        surface_dice=tuple(d / 2 for d in dice),
        seconds=tuple(seconds),
        mask=MaskCrop.of(np.ones((1, 1, 1), bool)),
        **words,
    )


RESULTS = (
    result((0.4, 0.8, 0.95), prompts=(CLICK, NOT_HERE, BOX)),
    result((0.85, 1.0, 1.0), prompts=(CLICK, CLICK), seconds=(3.0, 3.0, 0.0), label=7),
    result(
        (0.1, 0.1, 0.1), prompts=(CLICK,), seconds=(6.0, 0.0, 0.0), label=8, error="E: no, never"
    ),
)


def test_means_over_the_objects_of_a_volume() -> None:
    (s,) = summarise(RESULTS)
    assert (s.volume, s.method, s.trial, s.objects, s.failed) == ("a", "m", CLICKS, 3, 1)
    np.testing.assert_allclose(s.dice, (0.45, 1.9 / 3, 2.05 / 3))
    np.testing.assert_allclose(s.surface_dice, np.array(s.dice) / 2)
    areas = [(0.2 + 0.8 + 0.475) / 2, (0.425 + 1 + 0.5) / 2, 0.1]
    assert s.dice_auc == pytest.approx(np.mean(areas))
    assert s.surface_auc == pytest.approx(np.mean(areas) / 2)
    assert [(n.threshold, n.reached, n.prompts) for n in s.needed] == [(0.8, 2, 1.5), (0.9, 2, 2.5)]
    assert s.seconds == pytest.approx((1 + 2 + 3 + 3 + 3 + 6) / 6)  # of prompts that were given
    assert s.slowest == 6.0


def test_groups_keep_the_order_in_which_they_came() -> None:
    parts = [("b", "m", CLICKS), ("a", "n", CLICKS), ("b", "m", NO_ZOOM), ("b", "m", CLICKS)]
    found = summarise([result((0.5, 0.5, 0.5), volume=v, method=m, trial=t) for v, m, t in parts])
    assert [(s.volume, s.method, s.trial) for s in found] == parts[:3]
    assert [s.objects for s in found] == [2, 1, 1]


def test_nothing_reached_and_nothing_given() -> None:
    (s,) = summarise([result((0.0, 0.0, 0.0), prompts=(), seconds=(0.0,) * 3, error="E")])
    assert [n.prompts for n in s.needed] == [None, None]
    assert (s.seconds, s.slowest) == (0.0, 0.0)


def test_table() -> None:
    short = result((0.5,), prompts=(BOX,), seconds=(1.0,), trial=Trial("box", 1))
    head, rule, first, second = to_table(summarise([*RESULTS, short])).splitlines()
    assert len({len(line) for line in (head, rule, first, second)}) == 1
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in (head, first, second)]
    one, two = (dict(zip(cells[0], row, strict=True)) for row in cells[1:])
    assert one == {
        "volume": "a", "style": "points", "method": "m", "objects": "3", "Dice @1": "0.450",
        "Dice @3": "0.683", "surface @3": "0.342", "AUC": "0.600",
        "prompts to 0.8": "1.5 (2/3)", "prompts to 0.9": "2.5 (2/3)", "s/prompt": "3.00", "failed": "1",
    }  # fmt: skip
    assert (two["style"], two["Dice @1"], two["Dice @3"]) == ("box", "0.500", "–")
    assert two["prompts to 0.8"] == "– (0/1)"


@pytest.mark.parametrize(
    ("budget", "shown"),
    [(1, [1]), (2, [1, 2]), (3, [1, 3]), (7, [1, 3, 5, 7]), (10, [1, 3, 5, 10]), (12, [1, 3, 5, 10, 12])],
)  # fmt: skip
def test_the_table_ends_with_the_last_prompt_of_the_budget(budget: int, shown: list[int]) -> None:
    dice = [(k + 1) / 100 for k in range(budget)]
    one = result(dice, seconds=[1.0] * budget, trial=Trial("points", budget))
    head, _, row = (line.strip("|").split("|") for line in to_table(summarise([one])).splitlines())
    cells = {h.strip(): c.strip() for h, c in zip(head, row, strict=False)}
    found = {k: v for k, v in cells.items() if k.startswith("Dice @")}
    assert found == {f"Dice @{k}": f"{k / 100:.3f}" for k in shown}
    assert cells[f"surface @{budget}"] == f"{budget / 200:.3f}"


def test_csv_has_a_row_for_every_prompt_of_the_budget() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(RESULTS))))
    assert [(r["label"], r["prompt"]) for r in rows] == [
        (label, k) for label in "178" for k in "123"
    ]
    assert [r["kind"] for r in rows] == [
        "point",
        "point",
        "box",
        "point",
        "point",
        "",
        "point",
        "",
        "",
    ]
    assert [r["positive"] for r in rows[:3]] == ["1", "0", "1"]
    assert [float(r["dice"]) for r in rows[:3]] == [0.4, 0.8, 0.95]
    assert [float(r["surface_dice"]) for r in rows[:3]] == [0.2, 0.4, 0.475]
    assert [float(r["seconds"]) for r in rows[3:6]] == [3.0, 3.0, 0.0]
    assert [r["error"] for r in rows] == [*[""] * 7, "E: no, never", ""]


def test_json_holds_everything() -> None:
    record = json.loads(to_json(RESULTS, {"seed": 3}))
    assert record["settings"] == {"seed": 3}
    assert record["summary"][0]["trial"] == {"style": "points", "prompts": 3, "autozoom": True}
    assert record["summary"][0]["needed"][0] == {"threshold": 0.8, "reached": 2, "prompts": 1.5}
    first, second, third = record["objects"]
    assert [prompt_from_json(p) for p in first["prompts"]] == [CLICK, NOT_HERE, BOX]
    assert first["dice"] == [0.4, 0.8, 0.95]
    assert second["needed"] == {"0.8": 1, "0.9": 2}
    assert (third["label"], third["error"], third["needed"]["0.8"]) == (8, "E: no, never", None)


def test_nothing_is_not_reported() -> None:
    with pytest.raises(NNInteractiveError, match="give a lower `smallest`"):
        check_results([])
    check_results(RESULTS)
