"""Keeps the user's work: sessions in files, and a recovery file for when the program ends too early. Qt-free."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari_nninteractive
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.errors import SessionError
from napari_nninteractive.session_file.files import read_session, write_session
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedObject,
    SavedSession,
)
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.files.gather import labelled_frames, saved_engine, saved_frame
from napari_nninteractive.workspace.files.recovery import RecoveryFiles
from napari_nninteractive.workspace.values.commands import Restore, RestoredObject
from napari_nninteractive.workspace.values.placed import ImageSource, PlacedPrompt
from napari_nninteractive.workspace.workspace import Workspace

__all__ = ["SavedWork"]


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
        self._recovery = RecoveryFiles(folder)
        # Time points that held labels before the panel was opened; scanning a series is slow, so it is done once.
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
        choice, workspace = client.choice, client.workspace
        labels, names = target.labels, dict(client.table.names)
        numbers = dict(labels.numbers)

        def work() -> Path:
            frames = self._frames(workspace, source, labels.array)
            model, run = saved_engine(workspace, choice)
            saved = SavedImage(source.frame.shape, source.spacing, image, str(source.data.dtype))
            version = napari_nninteractive.__version__
            write_session(path, SavedSession(saved, model, frames, run, names, numbers, version))
            return Path(path)

        client.work(work, then)

    def _frames(
        self, workspace: Workspace, source: ImageSource, labels: Any
    ) -> tuple[SavedFrame, ...]:
        """All time points of an image that something was done in, or that hold objects."""
        made = workspace.frames(source.image, source.frame)
        frames = tuple(
            saved_frame(workspace, source.image, frame, labels)
            for frame in (*made, *self._others(labels, source.frame, made))
        )
        if not any(frame.objects for frame in frames):
            raise SessionError("There is nothing to save yet: make an object first.")
        return frames

    def _others(self, labels: Any, frame: Frame, made: tuple[Frame, ...]) -> list[Frame]:
        """Time points that hold objects though nothing was done in them since the panel was opened."""
        if self._scanned is None or self._scanned[0]() is not labels:
            self._scanned = weakref.ref(labels), labelled_frames(labels, frame)
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
            if session.image.shape != source.frame.shape:
                self._client.failed.emit(
                    SessionError(
                        f"{Path(path).name} is of the image {session.image.name} with shape {session.image.shape}, but "
                        f"the image here has {source.frame.shape}: open that image first."
                    )
                )
            elif self._client.source is source:
                self._adopt(session, source)
                then(session)

        self._client.work(lambda: read_session(path, source.frame.volume_shape), done)

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

        def done(found: list[tuple[Path, SavedSession]]) -> None:
            fitting = [(p, s) for p, s in found if s.image.shape == source.frame.shape]
            fitting.sort(key=lambda pair: pair[1].image.name != image)
            if not fitting:
                names = ", ".join(f"{s.image.name} {s.image.shape}" for _, s in found)
                error = SessionError(f"What was kept is of {names or 'nothing'}: open that first.")
                self._client.failed.emit(error)
            elif self._client.source is source:
                path, session = fitting[0]
                self._adopt(session, source)

                def end(_: None) -> None:
                    self.discard(path)
                    then()

                self._client.work(lambda: None, end)

        self._client.work(lambda: [(p, read_session(p)) for p in self.recoverable()], done)

    def autosave(self, image: str) -> None:
        """Write the recovery file, if there is something worth it."""
        source = self._client.source
        if source is not None and self._client.table.used():
            self.save(self._recovery.own(source.image), image)

    def recoverable(self) -> list[Path]:
        """Recovery files of programs that did not end properly, the newest first."""
        return self._recovery.lost()

    def close(self) -> None:
        """All ended well: there is nothing to recover."""
        self._recovery.close()

    def discard(self, path: Path) -> None:
        """Delete a recovery file that is not wanted."""
        self._recovery.discard(path)

    def _opened(self) -> ImageSource:
        if self._client.source is None:
            raise SessionError("Open the image of the session first, then the session.")
        return self._client.source

    def _adopt(self, session: SavedSession, source: ImageSource) -> None:
        """Bring the objects of a session into the image that is open."""
        used = self._client.table.used()
        there = {n for f in session.frames for n in (f.label, *f.objects)}
        # Objects that are here keep their labels: those of the session come after them.
        shift = max(used) if there & used else 0
        current: dict[Frame, int] = {}
        objects: dict[tuple[Frame, int], RestoredObject] = {}
        for one in session.frames:
            frame = replace(source.frame, index=one.index, channel=one.channel)
            current[frame] = one.label + shift
            for label, saved in one.objects.items():
                objects[frame, label + shift] = self._restored(saved, frame)
        self._client.restore(
            Restore(current, objects),
            {label + shift: name for label, name in session.names.items()},
            {label + shift: number + shift for label, number in session.numbers.items()},
        )

    def _restored(self, saved: SavedObject, frame: Frame) -> RestoredObject:
        """Return an object of a file with prompts that have uids of their own, and voxels that lie in the image."""
        new_uid = self._client.new_uid
        steps = tuple(
            (
                None if s.prompt is None else PlacedPrompt(new_uid(), s.prompt, s.outline),
                s.predicted,
            )
            for s in saved.steps
        )
        return RestoredObject(steps, saved.mask, _clipped(saved.shown, frame))


def _clipped(piece: MaskEdit | None, frame: Frame) -> MaskEdit | None:
    """Return the part of a piece that lies in the image."""
    if piece is None:
        return None
    box = piece.bounds.clip(frame.volume_shape)
    mask = piece.mask[box.relative_to(piece.bounds).slices]
    return MaskEdit(mask, box.start) if mask.any() else None
