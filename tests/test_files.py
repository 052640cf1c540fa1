"""Files and folders are there as a whole or not at all, and earlier ones stay until then."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from napari_nninteractive.files import atomic_folder, atomic_write

FAILURES = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), ValueError("x"), KeyboardInterrupt()]
each_failure = pytest.mark.parametrize("failure", FAILURES, ids=lambda e: type(e).__name__)
links = pytest.mark.skipif(os.name != "posix", reason="links as on POSIX")


def content(folder: Path) -> dict[str, str | None]:
    """Everything under a folder by its name; None for folders."""
    return {
        p.relative_to(folder).as_posix(): None if p.is_dir() else p.read_text()
        for p in folder.rglob("*")
    }


@pytest.fixture(params=[True, False], ids=["over a file", "new"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "mask.ome.tif"
    if request.param:
        path.write_text("old")
    return path


def write(path: Path, text: str, failure: BaseException) -> None:
    with atomic_write(path) as beside:
        beside.write_text(text)
        raise failure


def write_to_a_full_disk(path: Path) -> None:
    path.symlink_to("/dev/full")
    path.write_text("new")


class TestWrite:
    def test_moved_to_its_place_at_the_end(self, target: Path) -> None:
        before = content(target.parent)
        with atomic_write(target) as beside:
            beside.write_text("new")
            assert beside.parent == target.parent
            assert beside.name.startswith(".")
            assert content(target.parent) == {**before, beside.name: "new"}
        assert content(target.parent) == {target.name: "new"}

    @each_failure
    def test_a_failure_in_the_middle(self, target: Path, failure: BaseException) -> None:
        before = content(target.parent)
        with pytest.raises(type(failure)) as caught:
            write(target, "ne", failure)
        assert caught.value is failure
        assert content(target.parent) == before

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
    def test_a_full_disk(self, target: Path) -> None:
        before = content(target.parent)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), atomic_write(target) as path:
            write_to_a_full_disk(path)
        assert content(target.parent) == before

    def test_nothing_written(self, target: Path) -> None:
        before = content(target.parent)
        with pytest.raises(FileNotFoundError), atomic_write(target):
            pass
        assert content(target.parent) == before

    def test_a_folder_is_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        with pytest.raises(OSError), atomic_write(tmp_path / "a") as beside:  # noqa: PT011
            beside.write_text("new")
        assert content(tmp_path) == {"a": None}

    @pytest.mark.parametrize("name", ["mask.nii.gz", "mask.ome.tiff", "a" * 240 + ".nrrd", "b"])
    def test_the_ending_says_the_format_as_before(self, tmp_path: Path, name: str) -> None:
        with atomic_write(tmp_path / name) as beside:
            beside.write_text("new")
            assert beside.name.endswith(name[-16:])
        assert content(tmp_path) == {name: "new"}

    def test_two_at_once_do_not_meet(self, target: Path) -> None:
        with atomic_write(target) as first, atomic_write(target) as second:
            first.write_text("first")
            second.write_text("second")
        assert content(target.parent) == {target.name: "first"}

    @links
    def test_a_link_stays_and_its_file_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "b").write_text("old")
        (tmp_path / "a").symlink_to(Path("real") / "b")
        with atomic_write(tmp_path / "a") as beside:
            assert beside.parent == (tmp_path / "real").resolve()
            beside.write_text("new")
        assert (tmp_path / "a").is_symlink()
        assert content(tmp_path) == {"a": "new", "real": None, "real/b": "new"}

    @links
    def test_a_link_to_a_file_that_is_not_there_yet(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        with atomic_write(tmp_path / "a") as beside:
            beside.write_text("new")
        assert (tmp_path / "a").is_symlink()
        assert content(tmp_path) == {"a": "new", "b": "new"}

    @links
    def test_links_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)), atomic_write(tmp_path / "a"):
            pass
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]

    @links
    def test_permissions_are_those_of_any_new_file(self, tmp_path: Path) -> None:
        with atomic_write(tmp_path / "a") as beside:
            beside.write_text("")
        (tmp_path / "b").write_text("")
        modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"]
        assert modes[0] == modes[1]


def fill(folder: Path, text: str, failure: BaseException | None = None) -> None:
    (folder / "plans").write_text(text)
    (folder / "licence").write_text(text)
    (folder / "fold").mkdir()
    (folder / "fold" / "weights").write_text(text)
    if failure is not None:
        raise failure


NEW = {"plans": "new", "licence": "new", "fold": None, "fold/weights": "new"}


class TestFolder:
    def test_a_new_one(self, tmp_path: Path) -> None:
        with atomic_folder(tmp_path / "a" / "b") as new:
            fill(new, "new")
            assert not (tmp_path / "a" / "b").exists()
        assert content(tmp_path / "a") == {"b": None} | {f"b/{k}": v for k, v in NEW.items()}

    @each_failure
    def test_a_failure_leaves_no_new_one(self, tmp_path: Path, failure: BaseException) -> None:
        with pytest.raises(type(failure)), atomic_folder(tmp_path / "a") as new:
            fill(new, "new", failure)
        assert content(tmp_path) == {}

    def test_over_an_earlier_one_whose_other_files_stay(self, tmp_path: Path) -> None:
        fill(tmp_path, "old")
        (tmp_path / "fold" / "notes").write_text("mine")
        (tmp_path / "licence").unlink()
        with atomic_folder(tmp_path) as new:
            fill(new, "new")
        assert content(tmp_path) == {**NEW, "fold/notes": "mine"}

    @each_failure
    @pytest.mark.parametrize("at", range(6))
    def test_a_failure_leaves_an_earlier_one_as_it_was(
        self, tmp_path: Path, at: int, failure: BaseException, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While it is written, and at each of the five moves to its place: before it, and right after it."""
        (tmp_path / "plans").write_text("old")
        (tmp_path / "fold").mkdir()
        (tmp_path / "fold" / "weights").write_text("old")
        before, rename, moves = content(tmp_path), Path.rename, iter(range(100))

        def fails(self: Path, to: Any) -> Path:
            move = next(moves)
            if move + 1 == at and not isinstance(failure, KeyboardInterrupt):
                raise failure
            moved = rename(self, to)
            if move + 1 == at:
                raise failure
            return moved

        def play() -> None:
            with atomic_folder(tmp_path) as new:
                fill(new, "new", failure if at == 0 else None)
                monkeypatch.setattr(Path, "rename", fails)

        with pytest.raises(type(failure)):
            play()
        assert content(tmp_path) == before

    def test_a_folder_that_a_failure_finds_missing_is_not_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "plans").mkdir()  # no file can take its place
        (tmp_path / "plans" / "mine").write_text("old")
        before = content(tmp_path)
        with pytest.raises(OSError), atomic_folder(tmp_path) as new:  # noqa: PT011
            fill(new, "new")
        assert content(tmp_path) == before

    def test_a_process_killed_between_two_moves_mixes_no_versions(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Weights are the first to leave and the last to come."""
        fill(tmp_path, "old")
        seen, rename = [], Path.rename

        def noted(self: Path, to: Any) -> Path:
            moved = rename(self, to)
            seen.append({n: v for n, v in content(tmp_path).items() if n in NEW})
            return moved

        with atomic_folder(tmp_path) as new:
            fill(new, "new")
            monkeypatch.setattr(Path, "rename", noted)
        assert len(seen) == 6
        assert all("fold/weights" not in now for now in seen[:-1])
        assert seen[-1] == NEW

    @links
    def test_a_link_stays(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "a").symlink_to("real")
        with atomic_folder(tmp_path / "a") as new:
            fill(new, "new")
        assert (tmp_path / "a").is_symlink()
        assert content(tmp_path / "real") == NEW
