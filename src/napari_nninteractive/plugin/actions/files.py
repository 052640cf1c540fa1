"""Files: save and open sessions, the table, and what a crash left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.plugin.actions.models import ModelActions
from napari_nninteractive.plugin.view import messages
from napari_nninteractive.plugin.viewer_link import ViewerLink
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.files.object_csv import write_table
from napari_nninteractive.workspace.files.saved_work import SavedWork
from napari_nninteractive.workspace.values.placed import ModelChoice

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_nninteractive.session_file.values import SavedSession

__all__ = ["FileActions"]

_OBJECTS = ";;".join(
    f"{name} (*{ending})"
    for name, ending in (
        ("TIFF", ".tif"),
        ("NIfTI", ".nii.gz"),
        ("NRRD", ".nrrd"),
        ("MetaImage", ".mha"),
        ("OME-Zarr", ".zarr"),
    )
)
_SESSION = "Session (*.nni.json);;All files (*)"
_TABLE = "Table (*.csv);;All files (*)"
_OFFER = "napari ended too early the last time. Your objects were kept: open their image first."

_NOTHING_ELSE = "napari ended too early the last time. What is left of that cannot be read. "


class FileActions:
    """Asks for file names, and tells what was written.

    Parameters
    ----------
    window : QWidget
        Above which file names are asked for.
    client : WorkspaceClient
        Whose work.
    link : ViewerLink
        Knows the image's name.
    models : ModelActions
        Goes on with the model of a session.
    """

    started = Signal()  # something that the user asked for
    done = Signal(str)  # what
    failed = Signal(object)  # the exception
    offer_changed = Signal()

    def __init__(
        self, window: QWidget, client: WorkspaceClient, link: ViewerLink, models: ModelActions
    ) -> None:
        self._window, self._client, self._link = window, client, link
        self._models = models
        self._saved_work = SavedWork(client)
        self._offer = ""

    # Sessions

    def ask_save(self) -> None:
        """Save the session where the user says."""
        path, _ = _ask(self._window, "Save the session", _SESSION)
        if path:
            self.save(path if path.endswith(".json") else f"{path}.nni.json")

    def save(self, path: str) -> None:
        """Save the session."""
        self._try(lambda: self._saved_work.save(path, self._name(), self._saved))

    def ask_open(self) -> None:
        """Open a session that the user names."""
        from qtpy.QtWidgets import QFileDialog

        path, _ = QFileDialog.getOpenFileName(self._window, "Open a session", "", _SESSION)
        if path:
            self.open(path)

    def open(self, path: str) -> None:
        """Go on with a saved session."""

        def opened(session: SavedSession) -> None:
            other = session.image.name != self._name()
            made = f" It was made on {session.image.name}." if other else ""
            model = session.model
            said = self._models.wish(ModelChoice(model.name, model.device, model.precision))
            self.done.emit(f"{Path(path).name} is open.{made}{said}")

        self._try(lambda: self._saved_work.open(path, opened))

    # Objects

    def ask_table(self) -> None:
        """Save the table where the user says."""
        path, _ = _ask(self._window, "Save the table", _TABLE)
        if path:
            self.save_table(path if path.endswith(".csv") else f"{path}.csv")

    def save_table(self, path: str) -> None:
        """Save the table of objects."""
        image, source = self._link.image, self._client.source
        unit = "px" if image is None else messages.unit_of(image)
        name = messages.table_unit(unit, 3 if source is None else len(source.frame.spatial))

        def save() -> None:
            write_table(path, self._client.objects(), name)
            self._saved(Path(path))

        self._try(save)

    def ask_objects(self) -> None:
        """Save the objects where the user says, in the format of the name's ending."""
        path, chosen = _ask(self._window, "Save the objects", _OBJECTS)
        if path:
            ending = chosen[chosen.rfind("*") + 1 : -1]
            # Late: it loads the libraries of all formats.
            from napari_nninteractive.io.write import MASK_ENDINGS

            known = path.lower().endswith(MASK_ENDINGS)
            self.save_objects(path if known else f"{path}{ending}")

    def save_objects(self, path: str) -> None:
        """Save the layer of objects with its geometry."""
        # Late: it loads the libraries of all formats.
        from napari_nninteractive.plugin.writers import write_labels, write_labels_zarr

        layers = self._link.layers
        if layers is None:
            self.failed.emit(
                NNInteractiveError("There are no objects yet: choose an image, and click on one.")
            )
            return
        data, attributes, _ = layers.objects.layer.as_layer_data_tuple()
        write = write_labels_zarr if path.lower().endswith(".zarr") else write_labels
        self.started.emit()

        def written(_: object) -> None:
            self._saved_work.note_saved()
            self._saved(Path(path))

        self._client.work(lambda: write(path, data, attributes), written)

    # Recovery

    @property
    def offer(self) -> str:
        """What a crash left, to be recovered; "" where there is nothing."""
        return self._offer

    def autosave(self) -> None:
        """Write the recovery file; says nothing, unless it fails."""
        if self._link.image is not None and self._client.source is not None:
            try:
                self._saved_work.autosave(self._name())
            except NNInteractiveError as error:
                self.failed.emit(error)

    def look_for_lost_work(self) -> None:
        """Offer what a crash left behind, if there is something."""
        try:
            lost = self._saved_work.recoverable()
        except NNInteractiveError as error:
            self.failed.emit(error)
            lost = []
        unreadable = self._saved_work.unreadable
        if lost and all(path in unreadable for path in lost):
            self._offer = _NOTHING_ELSE + " ".join(unreadable[path] for path in lost)
        else:
            self._offer = _OFFER if lost else ""
        self.offer_changed.emit()

    def recover(self) -> None:
        """Go on with what a crash left of the image that is open; offers what is left then."""

        def recovered() -> None:
            self.done.emit("Recovered.")
            self.look_for_lost_work()

        self._try(lambda: self._saved_work.recover(self._name(), recovered))

    def forget(self) -> None:
        """Delete what a crash left behind."""
        try:
            for path in self._saved_work.recoverable():
                self._saved_work.discard(path)
        except NNInteractiveError as error:
            self.failed.emit(error)
        self._offer = ""
        self.offer_changed.emit()

    def close(self) -> None:
        """All ended well."""
        self._saved_work.close()

    def _name(self) -> str:
        return str(self._link.image.name) if self._link.image is not None else ""

    def _saved(self, path: Path) -> None:
        self.done.emit(f"Saved as {path.name}.")

    def _try(self, act: Callable[[], object]) -> None:
        self.started.emit()
        try:
            act()
        except NNInteractiveError as error:
            self.failed.emit(error)


def _ask(window: QWidget, title: str, kinds: str) -> tuple[str, str]:
    """Name of a file to write, and its kind; "" where the user wants none."""
    from qtpy.QtWidgets import QFileDialog

    path, kind = QFileDialog.getSaveFileName(window, title, "", kinds)
    return str(path), str(kind)
