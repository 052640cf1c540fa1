"""Files: save and open sessions, the table, and what a crash left behind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QFileDialog

from napari_nninteractive.errors import NNInteractiveError
from napari_nninteractive.plugin import texts
from napari_nninteractive.plugin.binder import Binder
from napari_nninteractive.plugin.controller import Controller
from napari_nninteractive.plugin.keeper import Keeper, write_table
from napari_nninteractive.plugin.view import View

__all__ = ["FilesPart"]

_SESSION = "Session (*.nni.json);;All files (*)"


class FilesPart:
    """Asks for file names, and says what was written.

    Parameters
    ----------
    view : View
        The panel.
    controller : Controller
        Whose work.
    binder : Binder
        Knows the image's name.
    """

    def __init__(self, view: View, controller: Controller, binder: Binder) -> None:
        self._view, self._controller, self._binder = view, controller, binder
        self._keeper = Keeper(controller)

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
            lambda: self._keeper.save(
                path, self._name(), lambda p: self._view.show_status(f"Saved as {p.name}.")
            )
        )

    def open(self, path: str) -> None:
        """Go on with a saved session."""
        name = Path(path).name
        self._try(
            lambda: self._keeper.open(path, lambda: self._view.show_status(f"{name} is open."))
        )

    def save_table(self, path: str) -> None:
        """Save the table of objects."""
        unit = texts.unit_of(self._binder.image) if self._binder.image is not None else "px"
        name = texts.volume_unit(unit).replace("Volume", "voxels")
        self._try(lambda: write_table(path, self._controller.objects(), name))
        if not self._view.error:
            self._view.show_status(f"Saved as {Path(path).name}.")

    def autosave(self) -> None:
        """Write the recovery file."""
        if self._binder.image is not None and not self._controller.busy:
            self._try(lambda: self._keeper.autosave(self._name()))

    def offer_recovery(self) -> None:
        """Offer the newest session that a crash left behind."""
        lost = self._keeper.recoverable()
        if lost:
            self._view.show_error(
                "napari did not end properly the last time. Your objects were kept: open their image, then recover.",
                "Recover",
                partial(self._recover, lost[0]),
            )

    def close(self) -> None:
        """All ended well."""
        self._keeper.close()

    def _recover(self, path: Path) -> None:
        def done() -> None:
            self._keeper.discard(path)
            self._view.show_error("")
            self._view.show_status("Recovered.")

        self._try(lambda: self._keeper.open(path, done))

    def _name(self) -> str:
        return str(self._binder.image.name) if self._binder.image is not None else ""

    def _try(self, act: Callable[[], object]) -> None:
        self._view.show_error("")
        try:
            act()
        except NNInteractiveError as error:
            self._view.show_error(texts.error(error))
