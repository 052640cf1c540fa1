"""Sessions in files, the recovery file, the table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.held_worker import HeldWorker
from fixtures.label_targets import PlainTarget
from fixtures.oracles import make_model
from fixtures.windows import drawn, oracle_workspace

import napari_nninteractive as nni
from napari_nninteractive.core.frame import frame_of
from napari_nninteractive.core.prompts import (
    BoxPrompt,
    Lasso,
    MaskEdit,
    Point,
    Scribble,
    prompt_from_json,
)
from napari_nninteractive.errors import SessionError
from napari_nninteractive.session_file.files import read_session
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.files.object_csv import table, write_table
from napari_nninteractive.workspace.files.saved_work import SavedWork
from napari_nninteractive.workspace.objects import ObjectRow
from napari_nninteractive.workspace.values.placed import ImageSource

SHAPE = (3, 12, 16, 16)
IMAGE = np.random.default_rng(0).random(SHAPE).astype(np.float32)


class Bench:
    def __init__(self, folder: Path, result: PlainTarget | None = None) -> None:
        self.worker = HeldWorker()
        self.client = WorkspaceClient(self.worker, oracle_workspace())
        self.saved_work = SavedWork(self.client, folder)
        self.result = result or PlainTarget(SHAPE)
        self.errors: list[BaseException] = []
        self.client.failed.connect(self.errors.append)
        self.open(0)

    def open(self, time: int) -> None:
        frame = frame_of(SHAPE, position=(time, 0, 0, 0))
        self.client.open(ImageSource("image", IMAGE, frame), self.result)

    @property
    def prompts(self) -> list[Any]:
        return [m.prompt for m in self.client.placed or ()]


def box(z: int) -> BoxPrompt:
    return BoxPrompt((z, 4, 4), (z + 1, 8, 8))


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    """Return two objects at time 0, one of them with all kinds of prompts, and one at time 2."""
    bench = Bench(tmp_path / "recovery")
    client = bench.client
    client.add(box(3), np.array([[0, 3, 3.6, 3.6], [0, 3, 7.4, 7.4]]))
    client.rename(1, "nucleus")
    client.next_object()
    client.add(Point((3, 6, 6)))
    client.add(Scribble(np.ones((1, 1, 5)), (5, 2, 2)))
    client.add(Lasso(np.ones((1, 3, 3)), (6, 2, 2)))
    client.add(Point((5, 2, 2), False))
    client.add(MaskEdit(np.ones((1, 1, 1), bool), (9, 9, 9), True))
    bench.result.array[0, 9, 9, 9] = 2
    bench.open(2)
    client.add(box(7))
    assert bench.errors == []
    return bench


def test_a_session_comes_back_as_it_was(made: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    told: list[Path] = []
    made.saved_work.save(path, "image", told.append)
    assert told == [path]
    again = Bench(tmp_path / "recovery")
    again.saved_work.open(path)
    assert again.errors == []
    np.testing.assert_array_equal(again.result.array, made.result.array)
    for time in (0, 2):
        made.open(time)
        again.open(time)
        assert again.prompts == made.prompts
        assert again.client.label == made.client.label
    again.open(0)
    made.open(0)
    assert again.client.objects() == made.client.objects()
    assert again.client.objects()[0].name == "nucleus"
    outlines = [m.outline for m in again.client.placed or ()]
    assert outlines[0] is None
    for bench in (made, again):  # and both go on alike
        bench.client.remove((bench.client.placed or ())[1].uid)
        bench.client.select_object(1)
        bench.client.add(Point((9, 3, 3)))
    np.testing.assert_array_equal(again.result.array, made.result.array)
    assert again.prompts == made.prompts
    again.client.undo()
    assert again.prompts == [box(3)]


def test_opening_can_be_undone(made: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    made.saved_work.save(path, "image")
    again = Bench(tmp_path / "recovery")
    again.saved_work.open(path)
    again.open(0)
    again.client.undo()
    assert not again.result.array[0].any()
    again.client.redo()
    np.testing.assert_array_equal(again.result.array, made.result.array)


def test_a_session_of_another_image_is_refused(made: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.json"
    made.saved_work.save(path, "image")
    record = json.loads(path.read_text())
    record["image"]["shape"] = [3, 12, 16, 17]
    path.write_text(json.dumps(record))
    again = Bench(tmp_path / "recovery")
    again.saved_work.open(path)
    assert "open that image first" in str(again.errors[0])
    assert not again.result.array.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "no saved session"),
        ('{"format": "napari-nninteractive panel", "version": 9}', "update it"),
        ('{"format": "napari-nninteractive panel", "version": 1}', "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "work.json"
    path.write_text(text)
    bench = Bench(tmp_path)
    bench.saved_work.open(path)
    assert message in str(bench.errors[0])


def test_a_file_that_cannot_be_written_leaves_the_old_one(made: Bench, tmp_path: Path) -> None:
    made.saved_work.save(tmp_path / "missing" / "work.json", "image")
    assert "cannot be written" in str(made.errors[0])


def test_recovery_files_of_programs_that_are_gone(made: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "recovery"
    made.saved_work.autosave("image")
    (own,) = folder.glob("*.json")
    assert made.saved_work.recoverable() == [], "this program still runs"
    lost = folder / "lost.json"
    lost.write_bytes(own.read_bytes())
    again = Bench(folder)
    assert again.saved_work.recoverable() == [lost]
    again.saved_work.open(lost)
    np.testing.assert_array_equal(again.result.array, made.result.array)
    made.saved_work.close()
    assert list(folder.glob("*.json")) == [lost]
    again.saved_work.discard(lost)
    assert list(folder.iterdir()) == []


def test_nothing_is_autosaved_of_nothing(tmp_path: Path) -> None:
    Bench(tmp_path / "recovery").saved_work.autosave("image")
    assert not (tmp_path / "recovery").exists()


def test_the_table(tmp_path: Path) -> None:
    rows = [ObjectRow(1, 1, "a, b", 10, 2.5, 3, True), ObjectRow(4, 1, "c", 1, 0.25, 0, False)]
    text = 'id,number,name,voxels,volume (µm³),prompts\n1,1,"a, b",10,2.5,3\n4,1,c,1,0.25,0\n'
    assert table(rows, "µm³") == text
    write_table(tmp_path / "t.csv", rows, "µm³")
    assert (tmp_path / "t.csv").read_bytes() == b"\xef\xbb\xbf" + text.encode()
    large = [ObjectRow(1, 1, "a", 10, 12_345_678.4, 1, False)]
    assert table(large, "µm³").splitlines()[1] == "1,1,a,10,12345678,1"
    with pytest.raises(SessionError, match="another folder"):
        write_table(tmp_path / "missing" / "t.csv", rows, "µm³")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+2", "'=1+2"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_no_name_is_a_formula_in_the_table(name: str, cell: str) -> None:
    text = table([ObjectRow(1, 1, name, 10, 2.5, 3, True)], "µm³")
    assert list(csv.reader(io.StringIO(text)))[1][2] == cell


class Other(Bench):
    """A bench on another image."""

    def __init__(self, folder: Path, image: Any) -> None:
        self.image = image
        super().__init__(folder, PlainTarget(image.shape))

    def open(self, time: int) -> None:
        shape = self.image.shape
        frame = frame_of(shape, position=(time,) + (0,) * (len(shape) - 1))
        self.client.open(ImageSource("other", self.image, frame), self.result)


SESSIONS = Path(__file__).parent.parent / "fixtures" / "sessions_v1"


def test_a_session_of_the_first_panel_opens(tmp_path: Path) -> None:
    record = json.loads((SESSIONS / "panel.json").read_text())
    shape = record["image"]["shape"]
    bench = Other(tmp_path, np.random.default_rng(0).random(shape).astype(np.float32))
    bench.saved_work.open(SESSIONS / "panel.json")
    assert bench.errors == []
    for frame in record["frames"]:
        shown = bench.result.array[frame["index"][0]] if len(shape) == 4 else bench.result.array
        for label, piece in frame["result"].items():
            edit = prompt_from_json(piece)
            assert np.count_nonzero(shown == int(label)) == np.count_nonzero(edit.mask)
            assert (shown[edit.bounds.slices][edit.mask] == int(label)).all()


def test_what_the_library_saved_opens_and_what_is_saved_here_runs_again(tmp_path: Path) -> None:
    image = IMAGE[0]
    model = make_model((32, 32, 32))
    model.__dict__["sha256"] = "ab" * 32  # else of its files
    session = nni.InferenceSession(model, network=drawn, precision="fp32", autozoom=False)
    session.set_image(image)
    session.add(box(3))
    session.add(Point((5, 2, 2)), predict=False)
    session.save(tmp_path / "case.nni.json")
    bench = Other(tmp_path, image)
    bench.saved_work.open(tmp_path / "case.nni.json")
    assert bench.errors == []
    np.testing.assert_array_equal(bench.result.array, session.mask[...])
    assert bench.prompts == [box(3), Point((5, 2, 2))]
    bench.client.run()
    session.predict()
    np.testing.assert_array_equal(bench.result.array, session.mask[...])
    path = tmp_path / "work.json"
    bench.saved_work.save(path, "image")
    saved = read_session(path)
    assert [frame.sha256 for frame in saved.frames] == [session.volume.sha256()]
    assert saved.run is not None
    assert (saved.run.precision, saved.run.autozoom) == ("fp32", False)
    assert (saved.model.name, saved.model.sha256) == ("builtin", None)  # the oracle has no files
    plan = [(step.prompt, step.predicted) for step in saved.frames[0].objects[1].steps]
    assert plan == [(box(3), True), (Point((5, 2, 2)), False), (None, True)]
