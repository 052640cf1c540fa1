"""Prompts that a person drew: which object they mean, and that a method gets them as they were drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.balls import Scripted, ball
from fixtures.oracles import Counting, make_model
from fixtures.windows import drawn as drawn_network

import napari_nninteractive as nni
from napari_nninteractive.core.metrics import dice
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    InitialMask,
    MaskEdit,
    Point,
    Prompt,
    Scribble,
)
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError, SessionError
from napari_nninteractive.evaluation.cases import LabelledVolume
from napari_nninteractive.evaluation.drawn import (
    DrawnObject,
    match_object,
    read_drawn,
    turns_of,
)
from napari_nninteractive.evaluation.methods.segmenters import SessionSegmenter
from napari_nninteractive.evaluation.presets import SESSION, Trial
from napari_nninteractive.evaluation.protocol import run_drawn, run_volume
from napari_nninteractive.evaluation.report import to_csv
from napari_nninteractive.evaluation.summary import summarise
from napari_nninteractive.session_file.files import read_session, write_session
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedSession,
    SavedStep,
)

SHAPE = (24, 24, 48)
FIRST, SECOND = (12, 12, 12), (12, 12, 34)
NOT_HERE = Point((0, 0, 0), positive=False)


def saved(
    path: Path, *objects: list[tuple[Prompt | None, bool]], sha256: str | None = None
) -> Path:
    """Write a session on the two balls, its objects numbered from 1."""
    held = {
        n: SavedObject(tuple(SavedStep(*step) for step in steps))
        for n, steps in enumerate(objects, start=1)
    }
    frame = SavedFrame((0, 0, 0), None, 1, held, sha256)
    write_session(path, SavedSession(SavedImage(SHAPE), SavedModel(), (frame,)))
    return path


@pytest.mark.parametrize(
    ("prompts", "label"),
    [
        ([Point(FIRST)], 1),
        ([Point(SECOND)], 2),
        ([Point((0, 0, 0)), Point(SECOND)], 2),
        ([Point(FIRST), NOT_HERE, Scribble(np.ones((1, 1, 5)), (12, 12, 32))], 1),
        ([Point((0, 0, 0)), NOT_HERE, Point(SECOND)], 2),
        ([Point(FIRST, positive=False), Point(SECOND)], 2),
        ([BoxPrompt((12, 5, 15), (13, 20, 39))], 2),
        ([Point(FIRST), Scribble(np.ones((1, 1, 5)), (12, 12, 32))], 2),
        ([Scribble(np.ones((1, 1, 9)), (12, 12, -3))], 1),
        ([InitialMask(ball(SHAPE, SECOND, 2))], 2),
        ([MaskEdit(np.ones((1, 1, 1)), SECOND)], 2),
        ([Point((99, 0, 0))], None),
        ([Point(FIRST, positive=False)], None),
        ([], None),
    ],
)
def test_which_object_is_meant(two_balls, prompts: list[Prompt], label: int | None) -> None:
    assert match_object(prompts, two_balls.labels) == label


def test_what_was_only_predicted_belongs_to_the_prompt_before() -> None:
    a, b = Point(FIRST), Point(SECOND)
    plan = [(None, True), (a, False), (b, True), (None, True), (None, True), (a, True)]
    assert turns_of(plan) == (
        (a, ((a, False),)),
        (b, ((b, True), (None, True), (None, True))),
        (a, ((a, True),)),
    )


def test_a_session_is_read_beside_its_truth(two_balls, tmp_path: Path) -> None:
    a, b = Point(FIRST), Point(SECOND)
    path = saved(
        tmp_path / "drawn.json", [(b, True)], [(a, True), (b, True)], [(NOT_HERE, True)], []
    )
    found = read_drawn(path, two_balls)
    assert [(one.label, one.drawn, len(one.turns)) for one in found.objects] == [
        (2, 1, 1),
        (1, 2, 2),
    ]
    assert (found.name, found.prompts, found.labels) == ("drawn.json", 2, (2, 1))
    assert found.notes == (
        "drawn.json: object 3 is left out: its prompts touch no object of the labels",
        "drawn.json: object 4 is left out: its prompts are not in the file",
    )
    own = Volume.open(two_balls.image).sha256()
    assert read_drawn(saved(path, [(a, True)], sha256=own), two_balls).notes == ()
    (note,) = read_drawn(saved(path, [(a, True)], sha256="0" * 64), two_balls).notes
    assert "its image has other voxels" in note
    with pytest.raises(SessionError, match="no object whose prompts touch one of the labels"):
        read_drawn(saved(path, [(NOT_HERE, True)]), two_balls)
    part = LabelledVolume("part", two_balls.image[:9], two_balls.labels[:9])
    with pytest.raises(
        ImageError, match=r"shape \(24, 24, 48\), but the one here has \(9, 24, 48\)"
    ):
        read_drawn(saved(path, [(a, True)]), part)


def test_a_method_without_a_network_gets_the_prompts_one_by_one(two_balls) -> None:
    truth, small = two_balls.labels == 1, ball(SHAPE, FIRST, 4)
    a, c, edit = Point(FIRST), Point((12, 12, 14)), MaskEdit(np.ones((1, 1, 1)), FIRST)
    method = Scripted([truth, small])
    one = DrawnObject(1, 7, turns_of([(a, False), (edit, False), (c, True), (None, True)]))
    result = run_drawn(method, two_balls, one, Trial(SESSION, 5))
    assert method.seen == [[a, c]]
    assert result.prompts == (a, edit, c), "also after a perfect mask"
    end = dice(small, truth)
    assert result.dice == (1.0, 1.0, end, end, end)
    assert result.error is None
    assert (result.label, result.trial.style) == (1, "session")
    assert result.seconds[3:] == (0.0, 0.0)
    assert run_drawn(Scripted([truth]), two_balls, one, Trial(SESSION, 1)).dice == (1.0,)
    failed = run_drawn(Scripted([small]), two_balls, one, Trial(SESSION, 3))
    assert (failed.dice, failed.error) == ((end,) * 3, "RuntimeError: out of answers")


def test_a_session_predicts_when_the_person_did(two_balls) -> None:
    """The network knows exactly what was drawn, and is asked no more often than it was."""
    network = Counting(drawn_network)
    session = nni.InferenceSession(
        make_model((32, 32, 32)), precision="fp32", network=network, autozoom=False
    )
    inside = [BoxPrompt((z, 8, 8), (z + 1, 17, 17)) for z in (11, 12, 13)]
    hole = Point((12, 12, 12), positive=False)
    edit = MaskEdit(np.ones((1, 2, 2)), (20, 2, 2))
    steps = [
        (inside[0], True),
        (inside[1], False),
        (inside[2], False),
        (None, True),
        (hole, True),
        (edit, False),
    ]
    drawn = (DrawnObject(1, 1, turns_of(steps)), DrawnObject(1, 2, turns_of(steps[:1])))
    trials = [Trial(SESSION, 5), Trial("points", 2)]
    results = list(run_volume(SessionSegmenter(session, "oracle"), two_balls, (1,), trials, drawn=drawn))  # fmt: skip
    first, second, simulated = results
    assert (first.prompts, second.prompts) == ((*inside, hole, edit), (inside[0],))
    assert simulated.trial.style == "points"

    again = nni.InferenceSession(
        make_model((32, 32, 32)), precision="fp32", network=drawn_network, autozoom=False
    )
    again.set_image(two_balls.image)
    expected = []
    for prompt, predicted in steps:
        if prompt is None:
            again.predict()
            expected.pop()
        else:
            again.add(prompt, predict=predicted)
        expected.append(dice(np.asarray(again.mask[...]) != 0, two_balls.labels == 1))
    assert first.dice == tuple(expected)
    assert len(set(expected)) > 2
    assert expected[0] == expected[1], "nothing was predicted yet"
    assert second.dice == (expected[0],) * 5

    summary, clicks = summarise(results)
    assert (summary.objects, summary.trial.style, clicks.trial.style) == (2, "session", "points")
    np.testing.assert_allclose(summary.dice, (np.array(first.dice) + second.dice) / 2)
    kinds = [line.split(",")[7] for line in to_csv([first]).splitlines()[1:]]
    assert kinds == ["box", "box", "box", "point", "mask_edit"]


def test_of_several_time_points_the_one_that_is_there(two_balls, tmp_path: Path) -> None:
    path = saved(tmp_path / "drawn.json", [(Point(FIRST), True)])
    session = read_session(path)
    (frame,) = session.frames
    here = replace(frame, index=(1, 0, 0, 0), sha256=Volume.open(two_balls.image).sha256())
    other = replace(frame, index=(0, 0, 0, 0), sha256="0" * 64)
    write_session(path, replace(session, image=SavedImage((2, *SHAPE)), frames=(other, here)))
    assert read_drawn(path, two_balls).labels == (1,)
