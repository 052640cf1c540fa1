"""Files: save and open sessions, the table, and what a crash left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QFileDialog

from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.plugin.model_actions import ModelActions
from napari_nninteractive.plugin.view import messages
from napari_nninteractive.plugin.view.panel_view import PanelView
from napari_nninteractive.plugin.viewer_link import ViewerLink
from napari_nninteractive.plugin.writers import write_labels, write_labels_zarr
from napari_nninteractive.session_file.values import SavedSession
from napari_nninteractive.workspace.client import WorkspaceClient
from napari_nninteractive.workspace.commands import ModelChoice
from napari_nninteractive.workspace.objects import write_table
from napari_nninteractive.workspace.recovery import SavedWork

__all__ = ["FileActions"]

_OBJECTS = ";;".join(
    f"{name} (*{ending})"
    for name, ending in (
        ("NIfTI", ".nii.gz"),
        ("NRRD", ".nrrd"),
        ("MetaImage", ".mha"),
        ("TIFF", ".tif"),
        ("OME-Zarr", ".zarr"),
    )
)
_SESSION = "Session (*.nni.json);;All files (*)"


class FileActions:
    """Asks for file names, and says what was written.

    Parameters
    ----------
    view : PanelView
        The panel.
    client : WorkspaceClient
        Whose work.
    link : ViewerLink
        Knows the image's name.
    models : ModelActions
        Goes on with the model of a session.
    """

    def __init__(
        self, view: PanelView, client: WorkspaceClient, link: ViewerLink, models: ModelActions
    ) -> None:
        self._view, self._client, self._link = view, client, link
        self._models = models
        self._saved_work = SavedWork(client)

    def ask_save(self) -> None:
        """Save the session where the user says."""
        path, _ = QFileDialog.getSaveFileName(self._view, "Save the session", "", _SESSION)
        if path:
            self.save(path if path.endswith(".json") else f"{path}.nni.json")

    def ask_open(self) -> None:
        """Open a session that the user names."""
        path, _ = QFileDialog.getOpenFileName(self._view, "Open a session", "", _SESSION)
        if path:
            self.open(path)

    def ask_table(self) -> None:
        """Save the table where the user says."""
        path, _ = QFileDialog.getSaveFileName(
            self._view, "Save the table", "", "Table (*.csv);;All files (*)"
        )
        if path:
            self.save_table(path if path.endswith(".csv") else f"{path}.csv")

    def save(self, path: str) -> None:
        """Save the session."""
        self._try(
            lambda: self._saved_work.save(
                path, self._name(), lambda p: self._view.show_status(f"Saved as {p.name}.")
            )
        )

    def open(self, path: str) -> None:
        """Go on with a saved session."""
        name = Path(path).name

        def done(session: SavedSession) -> None:
            other = session.image.name != self._name()
            made = f" It was made on {session.image.name}." if other else ""
            model = ModelChoice(session.model.name, session.model.device, session.model.precision)
            self._view.show_status(f"{name} is open.{made}{self._models.wish(model)}")

        self._try(lambda: self._saved_work.open(path, done))

    def save_table(self, path: str) -> None:
        """Save the table of objects."""
        unit = messages.unit_of(self._link.image) if self._link.image is not None else "px"
        source = self._client.source
        space = len(source.frame.spatial) if source is not None else 3
        name = {"Volume": "voxels", "Area": "pixels"}.get(
            messages.volume_unit(unit, space), messages.volume_unit(unit, space)
        )
        self._try(lambda: write_table(path, self._client.objects(), name))
        if not self._view.error:
            self._view.show_status(f"Saved as {Path(path).name}.")

    def autosave(self) -> None:
        """Write the recovery file; says nothing, unless it fails."""
        if self._link.image is not None and self._client.source is not None:
            try:
                self._saved_work.autosave(self._name())
            except (NNInteractiveError, OSError) as error:
                self._view.show_error(messages.error(error))

    def ask_objects(self) -> None:
        """Save the objects where the user says, in the format of the name's ending."""
        path, chosen = QFileDialog.getSaveFileName(self._view, "Save the objects", "", _OBJECTS)
        if path:
            ending = chosen[chosen.rfind("*") + 1 : -1]
            self.save_objects(path if "." in Path(path).name else f"{path}{ending}")

    def save_objects(self, path: str) -> None:
        """Save the layer of objects with its geometry."""
        layers = self._link.set
        if layers is None:
            self._view.show_error("There are no objects yet: choose an image, and click on one.")
            return
        data, attributes, _ = layers.result.layer.as_layer_data_tuple()
        write = write_labels_zarr if path.lower().endswith(".zarr") else write_labels
        self._view.show_error("")
        self._client.work(
            lambda: write(path, data, attributes),
            lambda _: self._view.show_status(f"Saved as {Path(path).name}."),
        )

    def offer_recovery(self) -> None:
        """Offer the newest session that a crash left behind."""
        lost = self._saved_work.recoverable()
        self._view.show_offer(
            "napari ended too early the last time. Your objects were kept: open their image first."
            if lost
            else ""
        )

    def close(self) -> None:
        """All ended well."""
        self._saved_work.close()

    def recover(self) -> None:
        """Go on with what a crash left of the image that is open; offers what is left then."""

        def done() -> None:
            self._view.show_status("Recovered.")
            self.offer_recovery()

        self._try(lambda: self._saved_work.recover(self._name(), done))

    def forget(self) -> None:
        """Delete what a crash left behind."""
        for path in self._saved_work.recoverable():
            self._saved_work.discard(path)
        self._view.show_offer("")

    def _name(self) -> str:
        return str(self._link.image.name) if self._link.image is not None else ""

    def _try(self, act: Callable[[], object]) -> None:
        self._view.show_error("")
        try:
            act()
        except NNInteractiveError as error:
            self._view.show_error(messages.error(error))
