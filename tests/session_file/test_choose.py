"""Which object of a session is meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_nninteractive.core.prompts import MaskEdit, Point
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import ImageError, SessionError
from napari_nninteractive.session_file.choose import choose_frame, choose_object
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedSession,
    SavedStep,
)

IMAGE = np.arange(3 * 4 * 5 * 6, dtype=np.uint16).reshape(3, 4, 5, 6)
VOLUMES = [Volume.open(IMAGE[t]) for t in range(3)]
DONE = SavedObject((SavedStep(Point((1, 1, 1)), True),))
SHOWN = SavedObject(shown=MaskEdit(np.ones((1, 1, 1))))


def frame(time: int, label: int = 1, *, known: bool = True, **objects: SavedObject) -> SavedFrame:
    by_label = {int(name[1:]): one for name, one in objects.items()} or {1: DONE}
    sha256 = VOLUMES[time].sha256() if known else None
    return SavedFrame((time, 0, 0, 0), None, label, by_label, sha256)


def session(*frames: SavedFrame) -> SavedSession:
    image = SavedImage(IMAGE.shape)
    return SavedSession(image, SavedModel(), frames, names={2: "nucleus"})


def test_the_frame_whose_hash_is_that_of_the_volume() -> None:
    saved = session(frame(0), frame(2), frame(1, known=False))
    assert choose_frame(saved, VOLUMES[2]) is saved.frames[1]
    assert choose_frame(saved, VOLUMES[1]) is saved.frames[2], "the only one that is not known"


def test_the_only_frame_is_taken_as_it_is() -> None:
    saved = session(frame(0), replace(frame(2), objects={}))
    assert choose_frame(saved, VOLUMES[1]) is saved.frames[0]


def test_frames_that_cannot_be_told_apart_are_listed() -> None:
    with pytest.raises(ImageError, match=r"\(0, 0, 0, 0\), \(2, 0, 0, 0\): none of these"):
        choose_frame(session(frame(0), frame(2)), VOLUMES[1])
    one = frame(0, known=False)
    with pytest.raises(SessionError, match=r"\(0, 0, 0, 0\), \(0, 0, 0, 0\) of channel 1: which"):
        choose_frame(session(one, replace(one, channel=1)), VOLUMES[1])
    with pytest.raises(SessionError, match="holds no object"):
        choose_frame(session(replace(one, objects={})), VOLUMES[0])


@pytest.mark.parametrize(
    ("held", "label", "expected"),
    [
        (frame(0, 2, n1=DONE, n2=replace(DONE)), None, 2),
        (frame(0, 2, n1=DONE, n2=replace(DONE)), 1, 1),
        (frame(0, 9, n1=SHOWN, n2=DONE), None, 2),
        (frame(0, 1, n1=SHOWN, n2=DONE), None, 2),
        (frame(0, 1, n1=SavedObject()), None, 1),
    ],
)
def test_the_object_that_is_meant(held: SavedFrame, label: int | None, expected: int) -> None:
    assert choose_object(session(held), VOLUMES[0], label) == (held, held.objects[expected])


@pytest.mark.parametrize(
    ("held", "label", "said"),
    [
        (frame(0, 9, n1=DONE, n2=DONE), None, r"has objects 1, 2 \(nucleus\): choose one"),
        (frame(0, 1, n1=DONE, n2=DONE), 3, r"has no object 3, but 1, 2 \(nucleus\): choose one"),
        (frame(0, 1, n1=SHOWN, n2=DONE), 1, r"no prompts of object 1, .* those of 2 \(nucleus\)"),
        (frame(0, 1, n1=SHOWN), None, r"no prompts of object 1, .* those of none"),
    ],
)
def test_an_object_that_is_not_clear_is_said(
    held: SavedFrame, label: int | None, said: str
) -> None:
    with pytest.raises(SessionError, match=said):
        choose_object(session(held), VOLUMES[0], label)
