"""Keeps the user's work: sessions in files, and a recovery file for when the program ends too early. Qt-free."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari_nninteractive
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.volume import Volume
from napari_nninteractive.errors import SessionError
from napari_nninteractive.session_file.files import read_session, write_session
from napari_nninteractive.session_file.values import SavedFrame, SavedImage, SavedSession
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.files.fitting import check_session
from napari_nninteractive.workspace.files.gather import labelled_frames, saved_engine, saved_frame
from napari_nninteractive.workspace.files.lost_work import LostWork, sort_lost_work
from napari_nninteractive.workspace.files.recovery import RecoveryFiles
from napari_nninteractive.workspace.files.restoring import restored
from napari_nninteractive.workspace.values.placed import ImageSource
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

    Attributes
    ----------
    unreadable : dict
        Recovery files that cannot be read, as far as that was tried, and why.
    """

    def __init__(self, client: WorkspaceClient, folder: Path | None = None) -> None:
        self._client = client
        self._recovery = RecoveryFiles(folder)
        self.unreadable: dict[Path, str] = {}
        # Why the recovery file could not be written the last time: said once, not every few seconds.
        self._said = ""
        # Time points that held labels before the panel was opened; scanning a series is slow, so it is done once.
        self._scanned: tuple[weakref.ref[Any], list[Frame]] | None = None

    # Sessions

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
        source = self._client.source
        if source is None:
            raise SessionError("There is no image, so nothing to save: choose one at the top.")
        make = self._session_of(source, image)

        def work() -> Path:
            write_session(path, make(hashed=True))
            self._recovery.saved(source.image)
            return Path(path)

        self._client.work(work, then)

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

        def read() -> SavedSession:
            session = read_session(path, source.frame.volume_shape)
            if session.image.shape != source.frame.shape:
                raise SessionError(
                    f"{Path(path).name} is of the image {session.image.name} with shape {session.image.shape}, but "
                    f"the image here has {source.frame.shape}: open that image first."
                )
            try:
                check_session(session, source.frame)
            except SessionError as error:
                raise SessionError(f"{Path(path).name} is damaged: {error}.") from error
            return session

        def done(session: SavedSession) -> None:
            if self._client.source is source and self._adopt(session, source):
                then(session)

        self._client.work(read, done)

    # Recovery

    def autosave(self, image: str, then: Callable[[], object] = lambda: None) -> None:
        """Write the recovery file, if there is something worth it; predictions that wait do not delay it.

        Parameters
        ----------
        image : str
            Name of the image.
        then : callable
            Told when it is written.
        """
        source = self._client.source
        if source is None or not self._client.table.used():
            return
        make = self._session_of(source, image)

        def work() -> None:
            first = make(hashed=False)
            self._recovery.write(source.image, lambda path: write_session(path, first))
            # The hash, for which all of a large image is read, comes later, and once.
            second = make(hashed=True)
            if [f.sha256 for f in second.frames] != [f.sha256 for f in first.frames]:
                self._recovery.write(source.image, lambda path: write_session(path, second))

        def done(_: None) -> None:
            self._said = ""
            then()

        self._client.work_beside(work, done, self._not_kept)

    def recover(self, image: str, then: Callable[[], object] = lambda: None) -> None:
        """Go on with what a crash left of the image that is open; its file stays until another one holds the objects.

        Parameters
        ----------
        image : str
            Name of the image.
        then : callable
            Told when all is there.
        """
        source = self._opened()

        def read() -> LostWork:
            return sort_lost_work(
                self.recoverable(), source.frame, image, lambda frame: self._sha256(source, frame)
            )

        def done(found: LostWork) -> None:
            self.unreadable = found.unreadable
            if self._client.source is not source:
                return
            fitting = [(p, s) for p, s in found.fitting if self._recovery.claim(p)]
            if not fitting:
                self._client.failed.emit(SessionError(found.why_nothing))
                return
            (path, session), *rest = fitting
            for other, _ in rest:
                self._recovery.release(other)

            def there() -> None:
                self._recovery.keep(source.image)
                self.autosave(image, lambda: self.discard(path))
                then()

            if not self._adopt(session, source, there):
                self._recovery.release(path)

        self._client.work(read, done)

    def recoverable(self) -> list[Path]:
        """Recovery files of programs that did not end properly, the newest first."""
        return self._recovery.lost()

    def discard(self, path: Path) -> None:
        """Delete a recovery file that is not wanted."""
        self._recovery.discard(path)

    def note_saved(self) -> None:
        """The objects of the image that is open were saved elsewhere."""
        if self._client.source is not None:
            self._recovery.saved(self._client.source.image)

    def close(self) -> None:
        """All ended well: there is nothing to recover, but for what was recovered and is saved nowhere else."""
        self._recovery.close()

    # Inside

    def _session_of(self, source: ImageSource, image: str) -> Callable[..., SavedSession]:
        """What gathers the session of the image that is open, on any thread."""
        client, target = self._client, self._client.target
        if target is None:
            raise SessionError("There is no image, so nothing to save: choose one at the top.")
        choice, workspace = client.choice, client.workspace
        labels, names = target.labels, dict(client.table.names)
        numbers = dict(labels.numbers)

        def make(*, hashed: bool) -> SavedSession:
            frames = self._frames(workspace, source, labels.array, hashed=hashed)
            model, run = saved_engine(workspace, choice)
            saved = SavedImage(source.frame.shape, source.spacing, image, str(source.data.dtype))
            version = napari_nninteractive.__version__
            return SavedSession(saved, model, frames, run, names, numbers, version)

        return make

    def _frames(
        self, workspace: Workspace, source: ImageSource, labels: Any, *, hashed: bool
    ) -> tuple[SavedFrame, ...]:
        """All time points of an image that something was done in, or that hold objects."""
        made = workspace.frames(source.image, source.frame)
        frames = tuple(
            saved_frame(workspace, source.image, frame, labels, hashed=hashed)
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

    def _sha256(self, source: ImageSource, frame: Frame) -> str:
        known = self._client.workspace.sha256(source.image, frame)
        return known or Volume.open(frame.select(source.data)).sha256()

    def _opened(self) -> ImageSource:
        if self._client.source is None:
            raise SessionError("Open the image of the session first, then the session.")
        return self._client.source

    def _adopt(
        self,
        session: SavedSession,
        source: ImageSource,
        then: Callable[[], object] = lambda: None,
    ) -> bool:
        """Bring the objects of a session into the image that is open. Returns whether that was begun."""
        client = self._client
        try:
            new = restored(session, source.frame, client.table.used(), client.new_uid)
        except SessionError as error:
            client.failed.emit(error)
            return False
        client.restore(new.objects, new.names, new.numbers, then)
        return True

    def _not_kept(self, error: BaseException) -> None:
        """Say once why the recovery file could not be written; work goes on."""
        if str(error) != self._said:
            self._said = str(error)
            self._client.failed.emit(error)
