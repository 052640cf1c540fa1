"""All objects, and how another one is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_nninteractive.plugin.view.drawing_section import KEYS
from napari_nninteractive.plugin.view.forms import Form
from napari_nninteractive.plugin.view.object_list import ObjectList
from napari_nninteractive.plugin.view.state import Options, PanelState
from napari_nninteractive.plugin.view.widgets import (
    ChoiceBox,
    heading,
    make_button,
    make_row,
    make_section,
)

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["ObjectSection"]


class ObjectSection(QWidget):
    """Table of objects; signals name the chosen one by its label, or None where none is."""

    next_wanted = Signal()
    reset_wanted = Signal()
    edit_wanted = Signal(object)
    delete_wanted = Signal(object)
    start_wanted = Signal(object)  # the Labels layer to start from, or None
    options_chosen = Signal(object)  # Options

    def __init__(self) -> None:
        super().__init__()
        column = make_section(self)
        column.addWidget(heading("Objects"))
        self.next = make_button(
            f"Next object ({KEYS['next']})",
            f"This one is done; begin another (key {KEYS['next']})",
            self.next_wanted.emit,
        )
        self.reset = make_button(
            "Start over", "Empty this object; undo brings it back", self.reset_wanted.emit
        )
        row = make_row(column)
        row.addWidget(self.next, 2)
        row.addWidget(self.reset, 1)
        self.list = ObjectList()
        column.addWidget(self.list)
        self.edit = make_button(
            "Edit again",
            "Go on with the chosen object; its prompts come back",
            lambda: self.edit_wanted.emit(self.list.chosen()),
        )
        self.delete = make_button(
            "Delete",
            "Take the chosen object away; undo brings it back",
            lambda: self.delete_wanted.emit(self.list.chosen()),
        )
        row = make_row(column)
        row.addWidget(self.edit)
        row.addWidget(self.delete)
        self.masks: ChoiceBox[Labels] = ChoiceBox(
            "Start this object from the selected label of another layer"
        )
        self.start = make_button(
            "Start from",
            "Begin with the selected label of that layer",
            lambda: self.start_wanted.emit(self.masks.value),
        )
        row = make_row(column)
        row.addWidget(self.start)
        row.addWidget(self.masks.native, 1)
        self.options = Form(Options())
        self.options.changed.connect(self.options_chosen.emit)
        for names in (("same_number",), ("overwrite", "probability")):
            row = make_row(column)
            for name in names:
                row.addWidget(self.options[name].native)

    def show_state(self, state: PanelState) -> None:
        """Show the objects."""
        self.next.setEnabled(state.has_image)
        self.reset.setEnabled(state.has_image)
        self.list.show_rows(state.objects, state.unit)
        self.masks.show_items(state.masks)
        self.start.setEnabled(bool(state.masks))
        self.options.show(state.options)
