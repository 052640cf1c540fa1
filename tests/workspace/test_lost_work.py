"""What a crash left: safe from the offer until it is saved elsewhere; one odd file hides no good one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.held_worker import HeldWorker
from fixtures.label_targets import PlainTarget
from fixtures.windows import oracle_workspace

from napari_nninteractive.core.frame import frame_of
from napari_nninteractive.core.prompts import Point
from napari_nninteractive.errors import SessionError
from napari_nninteractive.session_file.files import read_session
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.files.recovery import RecoveryFiles
from napari_nninteractive.workspace.files.saved_work import SavedWork
from napari_nninteractive.workspace.values.placed import ImageSource

SHAPE = (8, 16, 16)
IMAGE = np.random.default_rng(0).random(SHAPE).astype(np.float32)


class Bench:
    """A program with an image open; its saver is the worker, or another one that is held."""

    def __init__(self, folder: Path, image: Any = IMAGE, saver: HeldWorker | None = None) -> None:
        self.worker = HeldWorker()
        self.client = WorkspaceClient(self.worker, oracle_workspace(), saver)
        self.saved_work = SavedWork(self.client, folder)
        self.target = PlainTarget(SHAPE)
        self.errors: list[str] = []
        self.client.failed.connect(lambda error: self.errors.append(str(error)))
        self.client.open(ImageSource("key", image, frame_of(SHAPE)), self.target)

    @property
    def labels(self) -> set[int]:
        return {int(n) for n in np.unique(self.target.array) if n}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that a program left which ended too early, with one object in one file."""
    bench = Bench(tmp_path / "state")
    bench.client.add(Point((4, 8, 8)))
    bench.saved_work.autosave("image")
    assert bench.errors == []
    (own,) = (tmp_path / "state").glob("*.json")
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "good.json").write_bytes(own.read_bytes())
    return tmp_path / "lost"


def test_what_was_recovered_is_in_a_file_at_every_moment(folder: Path) -> None:
    saver = HeldWorker()
    saver.held = True
    bench = Bench(folder, saver=saver)
    bench.saved_work.recover("image")
    assert bench.labels == {1}
    assert [p.name for p in folder.glob("*.json")] == ["good.json"], "until another one is written"
    assert SavedWork(bench.client, folder).recoverable() == [], "nobody else takes it meanwhile"
    saver.release()
    (own,) = folder.glob("*.json")
    assert own.name != "good.json"
    assert read_session(own).frames[0].objects.keys() == {1}


def test_a_disk_that_is_full_after_recovery_leaves_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise SessionError("no space left")

    bench = Bench(folder)
    monkeypatch.setattr("napari_nninteractive.workspace.files.saved_work.write_session", full)
    bench.saved_work.recover("image")
    assert bench.errors == ["no space left"]
    bench.saved_work.close()
    assert [p.name for p in folder.glob("*.json")] == ["good.json"]
    assert Bench(folder).saved_work.recoverable() == [folder / "good.json"]


def test_what_was_recovered_and_saved_nowhere_outlives_the_program(
    folder: Path, tmp_path: Path
) -> None:
    bench = Bench(folder)
    bench.saved_work.recover("image")
    bench.saved_work.close()
    again = Bench(folder)
    assert len(again.saved_work.recoverable()) == 1
    again.saved_work.recover("image")
    assert again.labels == {1}
    again.saved_work.save(tmp_path / "mine.json", "image")
    again.saved_work.close()
    assert list(folder.glob("*.json")) == []


ODD: dict[str, Callable[[Path], object]] = {
    "empty": lambda p: p.write_text(""),
    "cut": lambda p: p.write_text('{"format": "napari-nninteractive session", '),
    "deep": lambda p: p.write_text("[" * 100_000),
    "list": lambda p: p.write_text("[]"),
    "newer": lambda p: p.write_text(
        '{"format": "napari-nninteractive session", "format_version": 9}'
    ),
    "not text": lambda p: p.write_bytes(b"\xff\xfe\x00"),
    "folder": lambda p: p.mkdir(),
    "dangling link": lambda p: p.symlink_to("/nonexistent/x"),
    "pipe": lambda p: os.mkfifo(p),
    "lock that is a folder": lambda p: (p.write_text("{}"), p.with_suffix(".lock").mkdir()),
    "lock that dangles": lambda p: (p.write_text("{}"), p.with_suffix(".lock").symlink_to("/no/x")),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["a.json", "z.json"])
def test_an_odd_file_hides_no_good_one(folder: Path, kind: str, name: str) -> None:
    ODD[kind](folder / name)
    bench = Bench(folder)
    assert folder / "good.json" in bench.saved_work.recoverable()
    bench.saved_work.recover("image")
    assert bench.errors == []
    assert bench.labels == {1}
    bench.saved_work.recover("image")
    (said,) = bench.errors
    regular = kind not in ("folder", "dangling link", "pipe")
    assert (name in said) if regular else ("nothing to recover" in said)


def test_an_odd_lock_of_a_good_file(folder: Path) -> None:
    (folder / "good.lock").symlink_to("/nonexistent/x")
    bench = Bench(folder)
    bench.saved_work.recover("image")
    assert bench.labels == {1}


def test_another_image_of_the_same_shape_does_not_get_it(folder: Path) -> None:
    bench = Bench(folder, IMAGE + 1)
    bench.saved_work.recover("image")
    assert bench.labels == set()
    assert (folder / "good.json").is_file()
    assert "another image image (8, 16, 16)" in bench.errors[0]
    assert "open that first" in bench.errors[0]
    bench.saved_work.open(folder / "good.json")  # as is said there
    assert bench.labels == {1}


def test_without_a_hash_the_name_decides(folder: Path) -> None:
    record = json.loads((folder / "good.json").read_text())
    record["frames"][0]["sha256"] = None
    (folder / "good.json").write_text(json.dumps(record))
    bench = Bench(folder)
    bench.saved_work.recover("other name")
    assert bench.labels == set()
    bench.saved_work.recover("image")
    assert bench.labels == {1}


def test_a_file_that_does_not_fit_to_the_last_prompt_changes_nothing(folder: Path) -> None:
    record = json.loads((folder / "good.json").read_text())
    changes: dict[str, Callable[[Any], Any]] = {
        "frames[0].index": lambda f: f.update(index=[1, 0, 0]),
        "frames[0].channel": lambda f: f.update(channel=0),
        "frames[0].objects[1].mask": lambda f: f["objects"]["1"]["mask"].update(origin=[7, 15, 16]),
        "frames[0].objects[1].prompts[0]": lambda f: f["objects"]["1"]["prompts"][0].update(
            position=[4, 8, 16]
        ),
    }
    for field, change in changes.items():
        damaged = json.loads(json.dumps(record))
        change(damaged["frames"][0])
        (folder / "bad.json").write_text(json.dumps(damaged))
        bench = Bench(folder / "none")
        bench.saved_work.open(folder / "bad.json")
        assert bench.errors[0].startswith(f"bad.json is damaged: {field}: "), bench.errors
        assert bench.labels == set()
        assert not bench.client.can_undo
        bench.client.add(Point((2, 2, 2)))
        assert bench.labels == {1}
        assert len(bench.errors) == 1


def test_labels_too_large_to_follow_others_are_refused(folder: Path) -> None:
    largest = 2**31 - 1
    record = json.loads((folder / "good.json").read_text())
    frame = record["frames"][0]
    frame.update(
        label=largest, objects={"1": frame["objects"]["1"], str(largest): frame["objects"]["1"]}
    )
    (folder / "large.json").write_text(json.dumps(record))
    bench = Bench(folder)
    bench.client.add(Point((2, 2, 2)))
    bench.saved_work.open(folder / "large.json")
    assert "too large" in bench.errors[0]
    fresh = Bench(folder)
    fresh.saved_work.open(folder / "large.json")
    fresh.client.next_object()
    assert fresh.client.label == 2, "there is none after the largest"
    fresh.client.add(Point((2, 2, 2)))
    assert fresh.errors == []
    assert 2 in fresh.labels


def test_an_autosave_overtakes_predictions_that_wait(tmp_path: Path) -> None:
    saver = HeldWorker()
    bench = Bench(tmp_path, saver=saver)
    bench.client.add(Point((4, 8, 8)))
    bench.worker.held = True
    bench.client.add(Point((2, 2, 2)))
    bench.saved_work.autosave("image")
    (own,) = tmp_path.glob("*.json")
    assert len(read_session(own).frames[0].objects[1].steps) == 1


def test_a_folder_that_takes_no_files_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder would be")
    bench = Bench(tmp_path / "state" / "x")
    bench.client.add(Point((4, 8, 8)))
    for _ in range(3):
        bench.saved_work.autosave("image")
    (said,) = bench.errors
    assert "not kept for after a crash" in said
    assert "\n" not in said
    assert bench.saved_work.recoverable() == []
    bench.client.add(Point((2, 2, 2)))
    assert len(bench.errors) == 1


def test_a_write_that_ends_after_the_program_closed_leaves_nothing(tmp_path: Path) -> None:
    files = RecoveryFiles(tmp_path)
    files.write("image", lambda path: path.write_text("{}"))
    files.close()
    files.write("image", lambda path: path.write_text("{}"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_deleted_is_made_again_with_its_lock(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    files = RecoveryFiles(folder)
    files.write("image", lambda path: path.write_text("{}"))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    files.write("image", lambda path: path.write_text("{}"))
    assert len(list(folder.glob("*.json"))) == 1
    assert RecoveryFiles(folder).lost() == []


def test_what_a_killed_write_left_goes_after_a_while(tmp_path: Path) -> None:
    old, new = tmp_path / ".old.json", tmp_path / ".new.json"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (time.time() - 7200,) * 2)
    assert RecoveryFiles(tmp_path).lost() == []
    assert not old.exists()
    assert new.exists()
