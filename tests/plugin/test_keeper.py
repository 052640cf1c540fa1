"""Sessions in files, the recovery file, the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.held_worker import HeldWorker
from fixtures.windows import oracle_desk

from napari_nninteractive.core.prompts import BoxPrompt, Lasso, Point, Scribble
from napari_nninteractive.errors import SessionError
from napari_nninteractive.plugin.book import ObjectRow
from napari_nninteractive.plugin.controller import Controller
from napari_nninteractive.plugin.convert import frame_of
from napari_nninteractive.plugin.keeper import Keeper, table, write_table
from napari_nninteractive.plugin.marks import Source

SHAPE = (3, 12, 16, 16)
IMAGE = np.random.default_rng(0).random(SHAPE).astype(np.float32)


class Result:
    def __init__(self) -> None:
        self.array = np.zeros(SHAPE, np.uint8)
        self.numbers: dict[int, int] = {}

    def labels(self, largest: int) -> Any:
        return self.array

    def redraw(self, parts: Any) -> None:
        pass

    def announce(self, numbers: Any) -> None:
        self.numbers = dict(numbers)

    def renumber(self, numbers: Any) -> Any:
        wanted = dict(numbers)
        return (lambda: wanted), self.announce


class Bench:
    def __init__(self, folder: Path) -> None:
        self.worker = HeldWorker()
        self.controller = Controller(self.worker, oracle_desk())
        self.keeper = Keeper(self.controller, folder)
        self.result = Result()
        self.errors: list[BaseException] = []
        self.controller.failed.connect(self.errors.append)
        self.open(0)

    def open(self, time: int) -> None:
        frame = frame_of(SHAPE, position=(time, 0, 0, 0))
        self.controller.open(Source(("image", frame), IMAGE, frame), self.result)

    @property
    def prompts(self) -> list[Any]:
        return [m.prompt for m in self.controller.marks or ()]


def box(z: int) -> BoxPrompt:
    return BoxPrompt((z, 4, 4), (z + 1, 8, 8))


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    """Return two objects at time 0, one of them with all kinds of prompts, and one at time 2."""
    bench = Bench(tmp_path / "recovery")
    controller = bench.controller
    controller.add(box(3), np.array([[0, 3, 3.6, 3.6], [0, 3, 7.4, 7.4]]))
    controller.rename(1, "nucleus")
    controller.next_object()
    controller.add(Point((3, 6, 6)))
    controller.add(Scribble(np.ones((1, 1, 5)), (5, 2, 2)))
    controller.add(Lasso(np.ones((1, 3, 3)), (6, 2, 2)))
    controller.add(Point((5, 2, 2), False))
    controller.edit(np.ones((1, 1, 1), bool), (9, 9, 9), value=True)
    bench.result.array[0, 9, 9, 9] = 2
    bench.open(2)
    controller.add(box(7))
    assert bench.errors == []
    return bench


def test_a_session_comes_back_as_it_was(made: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    told: list[Path] = []
    made.keeper.save(path, "image", told.append)
    assert told == [path]
    again = Bench(tmp_path / "recovery")
    again.keeper.open(path)
    assert again.errors == []
    np.testing.assert_array_equal(again.result.array, made.result.array)
    for time in (0, 2):
        made.open(time)
        again.open(time)
        assert again.prompts == made.prompts
        assert again.controller.label == made.controller.label
    again.open(0)
    made.open(0)
    assert again.controller.objects() == made.controller.objects()
    assert again.controller.objects()[0].name == "nucleus"
    outlines = [m.outline for m in again.controller.marks or ()]
    assert outlines[0] is None
    for bench in (made, again):  # and both go on alike
        bench.controller.remove((bench.controller.marks or ())[1].uid)
        bench.controller.select_object(1)
        bench.controller.add(Point((9, 3, 3)))
    np.testing.assert_array_equal(again.result.array, made.result.array)
    assert again.prompts == made.prompts
    again.controller.undo()
    assert again.prompts == [box(3)]


def test_opening_can_be_undone(made: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    made.keeper.save(path, "image")
    again = Bench(tmp_path / "recovery")
    again.keeper.open(path)
    again.open(0)
    again.controller.undo()
    assert not again.result.array[0].any()
    again.controller.redo()
    np.testing.assert_array_equal(again.result.array, made.result.array)


def test_a_session_of_another_image_is_refused(made: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    made.keeper.save(path, "image")
    record = json.loads(path.read_text())
    record["image"]["shape"] = [1, 2, 3]
    path.write_text(json.dumps(record))
    again = Bench(tmp_path / "recovery")
    again.keeper.open(path)
    assert "open that image first" in str(again.errors[0])
    assert not again.result.array.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no saved session"),
        ("[]", "no session saved by this panel"),
        ('{"format": "napari-nninteractive panel", "version": 9}', "newer version"),
        ('{"format": "napari-nninteractive panel", "version": 1}', "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "work.json"
    path.write_text(text)
    bench = Bench(tmp_path)
    bench.keeper.open(path)
    assert message in str(bench.errors[0])


def test_a_file_that_cannot_be_written_leaves_the_old_one(made: Bench, tmp_path: Path) -> None:
    made.keeper.save(tmp_path / "missing" / "work.json", "image")
    assert "cannot be written" in str(made.errors[0])


def test_recovery_files_of_programs_that_are_gone(made: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "recovery"
    made.keeper.autosave("image")
    (own,) = folder.glob("*.json")
    assert made.keeper.recoverable() == [], "this program still runs"
    lost = folder / "lost.json"
    lost.write_bytes(own.read_bytes())
    again = Bench(folder)
    assert again.keeper.recoverable() == [lost]
    again.keeper.open(lost)
    np.testing.assert_array_equal(again.result.array, made.result.array)
    made.keeper.close()
    assert list(folder.glob("*.json")) == [lost]
    again.keeper.discard(lost)
    assert list(folder.iterdir()) == []


def test_nothing_is_autosaved_of_nothing(tmp_path: Path) -> None:
    Bench(tmp_path / "recovery").keeper.autosave("image")
    assert not (tmp_path / "recovery").exists()


def test_the_table(tmp_path: Path) -> None:
    rows = [ObjectRow(1, 1, "a, b", 10, 2.5, 3, True), ObjectRow(4, 1, "c", 1, 0.25, 0, False)]
    text = 'id,number,name,voxels,volume (µm³),prompts\n1,1,"a, b",10,2.5,3\n4,1,c,1,0.25,0\n'
    assert table(rows, "µm³") == text
    write_table(tmp_path / "t.csv", rows, "µm³")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == text
    with pytest.raises(SessionError, match="another folder"):
        write_table(tmp_path / "missing" / "t.csv", rows, "µm³")
