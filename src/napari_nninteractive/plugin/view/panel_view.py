"""The panel: one column in the order of the work. It knows neither layers nor the engine."""

from __future__ import annotations

from psygnal import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_nninteractive.plugin.layers.style import SignColours
from napari_nninteractive.plugin.view.drawing_section import DrawingSection
from napari_nninteractive.plugin.view.image_section import ImageSection
from napari_nninteractive.plugin.view.object_section import ObjectSection
from napari_nninteractive.plugin.view.prompt_section import PromptSection
from napari_nninteractive.plugin.view.state import PanelState
from napari_nninteractive.plugin.view.widgets import make_button, make_row, make_section, wrapped

__all__ = ["PanelView"]


class PanelView(QWidget):
    """Renders a state, and tells what the user wants; it is never asked what it shows.

    Parameters
    ----------
    colours : SignColours, optional
        Of the signs.
    """

    def __init__(self, colours: SignColours | None = None) -> None:
        super().__init__()
        colours = colours or SignColours()
        self.setObjectName("nninteractive")
        self.offer = OfferSection()
        self.source = ImageSection()
        self.drawing = DrawingSection(colours)
        self.prompts = PromptSection(colours)
        self.objects = ObjectSection()
        self.files = FileSection()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        for section in self._sections():
            column.addWidget(section)
        column.addStretch()

    def show_state(self, state: PanelState) -> None:
        """Show a state; says nothing to anyone."""
        for section in self._sections():
            section.show_state(state)

    def _sections(
        self,
    ) -> tuple[
        OfferSection, ImageSection, DrawingSection, PromptSection, ObjectSection, FileSection
    ]:
        return self.offer, self.source, self.drawing, self.prompts, self.objects, self.files


class OfferSection(QWidget):
    """Offers to bring back what a crash left; hidden where there is nothing."""

    recovery_wanted = Signal()
    recovery_refused = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = make_section(self)
        self._text = wrapped()
        column.addWidget(self._text)
        self.recover = make_button(
            "Recover", "Bring the objects of this image back", self.recovery_wanted.emit
        )
        self.forget = make_button(
            "Delete them", "They are not wanted any more", self.recovery_refused.emit
        )
        row = make_row(column)
        row.addWidget(self.recover)
        row.addWidget(self.forget)
        self.hide()

    def show_state(self, state: PanelState) -> None:
        """Show what is offered."""
        self._text.setText(state.offer)
        self.setVisible(bool(state.offer))


class FileSection(QWidget):
    """What can be saved and opened."""

    table_wanted = Signal()
    objects_wanted = Signal()
    save_wanted = Signal()
    open_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        row = make_row(make_section(self))
        self.table = make_button("Table…", "Volumes of all objects, as CSV", self.table_wanted.emit)
        self.export = make_button(
            "Objects…",
            "The layer of objects, with the voxel size of the image",
            self.objects_wanted.emit,
        )
        self.save = make_button(
            "Save…", "Prompts and objects, to go on later", self.save_wanted.emit
        )
        self.open = make_button("Open…", "Go on with a saved session", self.open_wanted.emit)
        for button in (self.table, self.export, self.save, self.open):
            row.addWidget(button)

    def show_state(self, state: PanelState) -> None:
        """Show what there is to save."""
        self.save.setEnabled(state.has_image)
        self.export.setEnabled(state.has_image)
