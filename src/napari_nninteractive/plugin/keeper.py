"""Keeps the user's work: sessions in files, a recovery file, the table of objects. Qt-free."""

from __future__ import annotations

import csv
import io
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import platformdirs
from filelock import FileLock, Timeout

from napari_nninteractive.errors import SessionError
from napari_nninteractive.plugin import saved
from napari_nninteractive.plugin.book import ObjectRow
from napari_nninteractive.plugin.controller import Controller
from napari_nninteractive.plugin.convert import Frame
from napari_nninteractive.plugin.marks import Mark, Source
from napari_nninteractive.plugin.result import difference
from napari_nninteractive.plugin.saved import SavedFrame, SavedObject, SavedSession

__all__ = ["Keeper", "recovery_folder", "table", "write_table"]


def recovery_folder() -> Path:
    """Where recovery files are."""
    return platformdirs.user_state_path("napari-nninteractive", appauthor=False)


class Keeper:
    """Saves what a controller holds, and brings it back.

    Parameters
    ----------
    controller : Controller
        Whose work.
    folder : Path, optional
        Of the recovery files.
    """

    def __init__(self, controller: Controller, folder: Path | None = None) -> None:
        self._controller = controller
        self._folder = folder or recovery_folder()
        # For each image its file, and a lock that is held as long as the program runs: how others know that the file
        # is not theirs to recover.
        self._recovery: dict[object, tuple[Path, FileLock]] = {}
        # What was in the layer before: looked for once, for reading a whole series takes long. What is done later is
        # known without.
        self._scanned: tuple[weakref.ref[Any], list[Frame]] | None = None

    def save(
        self, path: str | Path, image: str, then: Callable[[Path], object] = lambda _: None
    ) -> None:
        """Write the session, on the worker's thread.

        Parameters
        ----------
        path : path
            File to write.
        image : str
            Name of the image.
        then : callable
            Told when it is written.
        """
        controller = self._controller
        source, target = controller.source, controller.target
        if source is None or target is None:
            raise SessionError("There is no image, so nothing to save: choose one at the top.")
        book, choice, desk = controller.book, controller.choice, controller.desk
        labels, names, numbers = target.labels(1), dict(book.names), dict(book.numbers)

        def work() -> Path:
            frames = []
            uid = _uid(source)
            made = [k[1] for k in desk.images() if isinstance(k, tuple) and k[0] == uid]
            for frame in (*made, *self._others(labels, source.frame, made)):
                label, objects = desk.save((uid, frame))
                result = saved.pieces(labels, frame)
                frames.append(SavedFrame(frame.index, frame.channel, label, objects, result))
            if not any(frame.objects or frame.result for frame in frames):
                raise SessionError("There is nothing to save yet: make an object first.")
            shape = source.frame.shape
            saved.write(SavedSession(image, shape, choice, names, tuple(frames), numbers), path)
            return Path(path)

        controller.work(work, then)

    def _others(self, labels: Any, frame: Frame, made: list[Frame]) -> list[Frame]:
        """Time points that hold objects though nothing was done in them since the panel was opened."""
        if self._scanned is None or self._scanned[0]() is not labels:
            found = [one for one in saved.frames_like(frame) if saved.holds_any(labels, one)]
            self._scanned = weakref.ref(labels), found
        there = {one.index for one in made}
        return [one for one in self._scanned[1] if one.index not in there]

    def open(
        self, path: str | Path, then: Callable[[SavedSession], object] = lambda _: None
    ) -> None:
        """Go on with a saved session, on the image that is open; it can be undone.

        Parameters
        ----------
        path : path
            File that `save` wrote.
        then : callable
            Told what it was when all is there.
        """
        source = self._opened()

        def done(session: SavedSession) -> None:
            if session.shape != source.frame.shape:
                self._controller.failed.emit(
                    SessionError(
                        f"{Path(path).name} is of the image {session.image} with shape {session.shape}, but the image "
                        f"here has {source.frame.shape}: open that image first."
                    )
                )
            elif self._controller.source is source:
                self._adopt(session, source, lambda: then(session))

        self._controller.work(lambda: saved.read(path), done)

    def recover(self, image: str, then: Callable[[], object] = lambda: None) -> None:
        """Go on with what a crash left of the image that is open; its file is then deleted.

        Parameters
        ----------
        image : str
            Name of the image: of several sessions that fit, one of this name is taken, else the newest.
        then : callable
            Told when all is there.
        """
        source = self._opened()

        def work() -> list[tuple[Path, SavedSession]]:
            return [(path, saved.read(path)) for path in self.recoverable()]

        def done(found: list[tuple[Path, SavedSession]]) -> None:
            fitting = [(p, s) for p, s in found if s.shape == source.frame.shape]
            fitting.sort(key=lambda pair: pair[1].image != image)
            if not fitting:
                names = ", ".join(f"{s.image} {s.shape}" for _, s in found)
                error = SessionError(f"What was kept is of {names or 'nothing'}: open that first.")
                self._controller.failed.emit(error)
            elif self._controller.source is source:
                path, session = fitting[0]

                def end() -> None:
                    self.discard(path)
                    then()

                self._adopt(session, source, end)

        self._controller.work(work, done)

    def autosave(self, image: str) -> None:
        """Write the recovery file, if there is something worth it."""
        source = self._controller.source
        if source is not None and self._controller.book.used():
            self._folder.mkdir(parents=True, exist_ok=True)
            if _uid(source) not in self._recovery:
                path = self._folder / f"{uuid4().hex}.json"
                lock = FileLock(_lock_of(path))
                lock.acquire(timeout=0)
                self._recovery[_uid(source)] = path, lock
            self.save(self._recovery[_uid(source)][0], image)

    def recoverable(self) -> list[Path]:
        """Recovery files of programs that did not end properly, the newest first."""
        files = [p for p in self._folder.glob("*.json") if not p.name.startswith(".")]
        lost = [p for p in files if _is_free(_lock_of(p))]
        return sorted(lost, key=lambda p: p.stat().st_mtime, reverse=True)

    def close(self) -> None:
        """All ended well: there is nothing to recover."""
        for path, lock in self._recovery.values():
            path.unlink(missing_ok=True)
            lock.release()
            _lock_of(path).unlink(missing_ok=True)
        self._recovery.clear()

    def discard(self, path: Path) -> None:
        """Delete a recovery file that is not wanted."""
        path.unlink(missing_ok=True)
        _lock_of(path).unlink(missing_ok=True)

    def _opened(self) -> Source:
        if self._controller.source is None:
            raise SessionError("Open the image of the session first, then the session.")
        return self._controller.source

    def _adopt(self, session: SavedSession, source: Source, then: Callable[[], object]) -> None:
        controller, target = self._controller, self._controller.target
        if target is None:
            return
        desk, uid = controller.desk, _uid(source)
        there = {n for f in session.frames for n in (f.label, *f.objects, *f.result)}
        # Objects that are here keep their labels: those of the session come after them.
        shift = max(controller.book.used()) if there & controller.book.used() else 0
        frames = [
            (replace(source.frame, index=f.index, channel=f.channel), self._renewed(f, shift))
            for f in session.frames
        ]

        def work() -> None:
            for frame, one in frames:
                desk.take_over((uid, frame), one.label, one.objects)

        def done(_: None) -> None:
            book = controller.book
            book.names.update({label + shift: name for label, name in session.names.items()})
            parts = []
            for frame, one in frames:
                for label, piece in one.result.items():
                    labels, box = target.labels(label), piece.bounds.clip(frame.volume_shape)
                    old = frame.read(labels, box).copy()
                    inside = piece.mask[box.relative_to(piece.bounds).slices]
                    inside = inside & (old == 0) if shift else inside
                    new = old.copy()
                    new[inside] = label
                    book.voxels.update(difference(old, new))
                    frame.write(labels, box, new)
                    parts.append(frame.key(box))
                book.highest = max([book.highest, one.label, *one.objects, *one.result])
            target.redraw(parts)
            controller.set_numbers({n + shift: to + shift for n, to in session.numbers.items()})
            controller.refresh()
            then()

        controller.work(work, done)

    def _renewed(self, frame: SavedFrame, shift: int) -> SavedFrame:
        """Same objects with labels so much higher, their marks with uids that nobody has."""
        new_uid = self._controller.new_uid
        objects = {
            label + shift: SavedObject(
                tuple((Mark(new_uid(), m.prompt, m.outline), ran) for m, ran in one.marks),
                one.mask,
            )
            for label, one in frame.objects.items()
        }
        result = {label + shift: piece for label, piece in frame.result.items()}
        return replace(frame, label=frame.label + shift, objects=objects, result=result)


def table(rows: list[ObjectRow], unit: str) -> str:
    """Objects as CSV with a header; volumes in a unit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "number", "name", "voxels", f"volume ({unit})", "prompts"])
    writer.writerows(
        [r.label, r.number, r.name, r.voxels, f"{r.volume:.6g}", r.prompts] for r in rows
    )
    return text.getvalue()


def write_table(path: str | Path, rows: list[ObjectRow], unit: str) -> None:
    """Write the table of objects.

    Raises
    ------
    SessionError
        If the file cannot be written.
    """
    try:
        Path(path).write_text(table(rows, unit), encoding="utf-8")
    except OSError as error:
        raise SessionError(
            f"{path} cannot be written ({error.strerror}): choose another folder."
        ) from error


def _uid(source: Source) -> object:
    return source.key[0] if isinstance(source.key, tuple) else source.key


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _is_free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
