"""Keeps the user's work: sessions in files, and a recovery file for when the program ends too early. Qt-free."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import platformdirs
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from scipy import ndimage

import napari_nninteractive
from napari_nninteractive.core.box import Box
from napari_nninteractive.core.frame import Frame
from napari_nninteractive.core.prompts import MaskEdit
from napari_nninteractive.errors import ModelError, SessionError
from napari_nninteractive.session_file.files import read_session, write_session
from napari_nninteractive.session_file.values import (
    SavedFrame,
    SavedImage,
    SavedModel,
    SavedObject,
    SavedRun,
    SavedSession,
    SavedStep,
)
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.commands import (
    ImageSource,
    ModelChoice,
    PlacedPrompt,
    Restore,
    RestoredObject,
)
from napari_nninteractive.workspace.history import ObjectSteps
from napari_nninteractive.workspace.workspace import Workspace

__all__ = ["SavedWork", "recovery_folder"]

_SLAB = 1 << 22  # voxels looked at in one go


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
        self._recovery: dict[str, tuple[Path, FileLock]] = {}
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
            array = labels.array
            made = workspace.frames(source.image, source.frame)
            frames = [
                _saved_frame(workspace, source.image, frame, _pieces(array, frame))
                for frame in (*made, *self._others(array, source.frame, made))
            ]
            if not any(frame.objects for frame in frames):
                raise SessionError("There is nothing to save yet: make an object first.")
            model, run = _saved_engine(workspace, choice)
            saved = SavedImage(source.frame.shape, source.spacing, image, str(source.data.dtype))
            version = napari_nninteractive.__version__
            write_session(
                path, SavedSession(saved, model, tuple(frames), run, names, numbers, version)
            )
            return Path(path)

        client.work(work, then)

    def _others(self, labels: Any, frame: Frame, made: tuple[Frame, ...]) -> list[Frame]:
        """Time points that hold objects though nothing was done in them since the panel was opened."""
        if self._scanned is None or self._scanned[0]() is not labels:
            found = [one for one in _frames_like(frame) if any(_slabs(labels, one))]
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

        def work() -> list[tuple[Path, SavedSession]]:
            return [(path, read_session(path)) for path in self.recoverable()]

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

        self._client.work(work, done)

    def autosave(self, image: str) -> None:
        """Write the recovery file, if there is something worth it."""
        source = self._client.source
        if source is not None and self._client.table.used():
            self._folder.mkdir(parents=True, exist_ok=True)
            if source.image not in self._recovery:
                path = self._folder / f"{uuid4().hex}.json"
                lock = FileLock(_lock_of(path))
                lock.acquire(timeout=0)
                self._recovery[source.image] = path, lock
            self.save(self._recovery[source.image][0], image)

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


def _saved_frame(
    workspace: Workspace, image: str, frame: Frame, pieces: Mapping[int, MaskEdit]
) -> SavedFrame:
    """All objects of a time point: those that were made here, and those that only the label map holds."""
    made = workspace.objects(image, frame)
    objects = {}
    for label in sorted(made.keys() | pieces.keys()):
        one, mask = made.get(label, (ObjectSteps(), None))
        steps = tuple(
            SavedStep(None, step.predicted)
            if placed is None
            else SavedStep(placed.prompt, step.predicted, placed.outline)
            for step, placed in zip(one.steps, one.placed, strict=True)
        )
        objects[label] = SavedObject(steps, mask, pieces.get(label))
    current, sha256 = workspace.current(image, frame), workspace.sha256(image, frame)
    return SavedFrame(frame.index, frame.channel, current, objects, sha256)


def _saved_engine(workspace: Workspace, choice: ModelChoice) -> tuple[SavedModel, SavedRun | None]:
    """Return the model as it was chosen, and how it computes where it was loaded."""
    model = SavedModel(choice.name, device=choice.device, precision=choice.precision)
    engine = workspace.engine
    if engine is None or workspace.choice != choice:
        return model, None
    from napari_nninteractive.engine.record import saved_model, saved_run

    try:
        known = saved_model(engine.model)
    except ModelError:  # its folder is gone since; the work must be saved all the same
        return model, saved_run(engine)
    return replace(model, sha256=known.sha256, licence=known.licence), saved_run(engine)


def _pieces(labels: Any, frame: Frame) -> dict[int, MaskEdit]:
    """Voxels of each label of a time point, cropped."""
    boxes: dict[int, Box] = {}
    for start, block in _slabs(labels, frame):
        for label, found in enumerate(ndimage.find_objects(block), start=1):
            if found is not None:
                box = Box.from_slices(found).shift((start, 0, 0))
                boxes[label] = boxes.get(label, box).union(box)
    return {
        label: MaskEdit(frame.read(labels, box) == label, box.start) for label, box in boxes.items()
    }


def _frames_like(frame: Frame) -> Iterator[Frame]:
    """All time points of a frame's image, with its channel."""
    still = (*frame.spatial, *(() if frame.channels is None else (frame.channels,)))
    sizes = [1 if a in still else n for a, n in enumerate(frame.shape)]
    for index in np.ndindex(*sizes):
        yield replace(frame, index=tuple(int(i) for i in index))


def _slabs(labels: Any, frame: Frame) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Parts of a time point that hold labels: their first slice and their voxels."""
    depth, height, width = frame.volume_shape
    step = max(1, _SLAB // (height * width))
    for z in range(0, depth, step):
        box = Box((z, 0, 0), (min(z + step, depth), height, width))
        block = frame.read(labels, box)
        if block.any():
            yield z, block.astype(np.int64)


def _clipped(piece: MaskEdit | None, frame: Frame) -> MaskEdit | None:
    """Return the part of a piece that lies in the image."""
    if piece is None:
        return None
    box = piece.bounds.clip(frame.volume_shape)
    mask = piece.mask[box.relative_to(piece.bounds).slices]
    return MaskEdit(mask, box.start) if mask.any() else None


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _is_free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
