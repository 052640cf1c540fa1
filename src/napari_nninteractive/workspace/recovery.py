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

from napari_nninteractive.core.frame import Frame
from napari_nninteractive.errors import SessionError
from napari_nninteractive.workspace import session_file
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.commands import ImageSource, PlacedPrompt
from napari_nninteractive.workspace.label_map import difference
from napari_nninteractive.workspace.objects import ObjectRow
from napari_nninteractive.workspace.session_file import SavedFrame, SavedObject, SavedSession

__all__ = ["SavedWork", "recovery_folder", "table", "write_table"]


def recovery_folder() -> Path:
    """Where recovery files are."""
    return platformdirs.user_state_path("napari-nninteractive", appauthor=False)


class SavedWork:
    """Saves what a client holds, and brings it back.

    Parameters
    ----------
    client : WorkspaceClient
        Whose work.
    folder : Path, optional
        Of the recovery files.
    """

    def __init__(self, client: WorkspaceClient, folder: Path | None = None) -> None:
        self._client = client
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
        client = self._client
        source, target = client.source, client.target
        if source is None or target is None:
            raise SessionError("There is no image, so nothing to save: choose one at the top.")
        table, choice, workspace = client.table, client.choice, client.workspace
        labels, names, numbers = target.labels(1), dict(table.names), dict(table.numbers)

        def work() -> Path:
            frames = []
            uid = _uid(source)
            made = [k[1] for k in workspace.images() if isinstance(k, tuple) and k[0] == uid]
            for frame in (*made, *self._others(labels, source.frame, made)):
                label, objects = workspace.save((uid, frame))
                result = session_file.pieces(labels, frame)
                frames.append(SavedFrame(frame.index, frame.channel, label, objects, result))
            if not any(frame.objects or frame.result for frame in frames):
                raise SessionError("There is nothing to save yet: make an object first.")
            shape = source.frame.shape
            session_file.write(
                SavedSession(image, shape, choice, names, tuple(frames), numbers), path
            )
            return Path(path)

        client.work(work, then)

    def _others(self, labels: Any, frame: Frame, made: list[Frame]) -> list[Frame]:
        """Time points that hold objects though nothing was done in them since the panel was opened."""
        if self._scanned is None or self._scanned[0]() is not labels:
            found = [
                one
                for one in session_file.frames_like(frame)
                if session_file.holds_any(labels, one)
            ]
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
                self._client.failed.emit(
                    SessionError(
                        f"{Path(path).name} is of the image {session.image} with shape {session.shape}, but the image "
                        f"here has {source.frame.shape}: open that image first."
                    )
                )
            elif self._client.source is source:
                self._adopt(session, source, lambda: then(session))

        self._client.work(lambda: session_file.read(path), done)

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
            return [(path, session_file.read(path)) for path in self.recoverable()]

        def done(found: list[tuple[Path, SavedSession]]) -> None:
            fitting = [(p, s) for p, s in found if s.shape == source.frame.shape]
            fitting.sort(key=lambda pair: pair[1].image != image)
            if not fitting:
                names = ", ".join(f"{s.image} {s.shape}" for _, s in found)
                error = SessionError(f"What was kept is of {names or 'nothing'}: open that first.")
                self._client.failed.emit(error)
            elif self._client.source is source:
                path, session = fitting[0]

                def end() -> None:
                    self.discard(path)
                    then()

                self._adopt(session, source, end)

        self._client.work(work, done)

    def autosave(self, image: str) -> None:
        """Write the recovery file, if there is something worth it."""
        source = self._client.source
        if source is not None and self._client.table.used():
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

    def _opened(self) -> ImageSource:
        if self._client.source is None:
            raise SessionError("Open the image of the session first, then the session.")
        return self._client.source

    def _adopt(
        self, session: SavedSession, source: ImageSource, then: Callable[[], object]
    ) -> None:
        client, target = self._client, self._client.target
        if target is None:
            return
        workspace, uid = client.workspace, _uid(source)
        there = {n for f in session.frames for n in (f.label, *f.objects, *f.result)}
        # Objects that are here keep their labels: those of the session come after them.
        shift = max(client.table.used()) if there & client.table.used() else 0
        frames = [
            (replace(source.frame, index=f.index, channel=f.channel), self._renewed(f, shift))
            for f in session.frames
        ]

        def work() -> None:
            for frame, one in frames:
                workspace.take_over((uid, frame), one.label, one.objects)

        def done(_: None) -> None:
            table = client.table
            table.names.update({label + shift: name for label, name in session.names.items()})
            parts = []
            for frame, one in frames:
                for label, piece in one.result.items():
                    labels, box = target.labels(label), piece.bounds.clip(frame.volume_shape)
                    old = frame.read(labels, box).copy()
                    inside = piece.mask[box.relative_to(piece.bounds).slices]
                    inside = inside & (old == 0) if shift else inside
                    new = old.copy()
                    new[inside] = label
                    table.voxels.update(difference(old, new))
                    frame.write(labels, box, new)
                    parts.append(frame.key(box))
                table.highest = max([table.highest, one.label, *one.objects, *one.result])
            target.redraw(parts)
            client.set_numbers({n + shift: to + shift for n, to in session.numbers.items()})
            client.refresh()
            then()

        client.work(work, done)

    def _renewed(self, frame: SavedFrame, shift: int) -> SavedFrame:
        """Same objects with labels so much higher, their prompts with uids that nobody has."""
        new_uid = self._client.new_uid
        objects = {
            label + shift: SavedObject(
                tuple((PlacedPrompt(new_uid(), m.prompt, m.outline), ran) for m, ran in one.placed),
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


def _uid(source: ImageSource) -> object:
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
